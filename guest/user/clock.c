// SPDX-License-Identifier: MIT
/*
 * clock.c - The TSC's frequency, and time by the TSC
 *
 * The frequency comes from kvmclock, or CPUID, or by counting against the PIT.
 * The kvmclock page stays in use afterwards, as in any KVM guest, so that a
 * migration has to transfer its state.
 */
#include "../call.h"
#include "../ports.h"
#include "clock.h"

#define CPUID_KVM		0x40000000
#define CPUID_KVM_EBX		0x4b4d564b	/* "KVMK" */
#define KVM_FEATURE_CLOCKSOURCE2 (1 << 3)
#define MSR_KVM_SYSTEM_TIME_NEW	0x4b564d01

#define PIT_HZ			1193182
#define PIT_CHANNEL2		0x42
#define PIT_COMMAND		0x43
#define PIT_GATE		0x61
#define PIT_ONE_SHOT		0xb0		/* channel 2, both bytes */
#define PIT_OUT			0x20
#define PIT_MS			20

/* As KVM fills it: kernel documentation, virt/kvm/x86/msr.rst */
static volatile struct {
	uint32_t version, pad;
	uint64_t tsc_timestamp, system_time;
	uint32_t mul;
	int8_t shift;
	uint8_t flags, pad2[2];
} kvmclock __attribute__((aligned(64)));

static uint64_t us_mul;		/* µs per tick, 32.32 */
static uint64_t tick_mul;	/* ticks per µs, 32.32 */
static uint64_t boot_tsc;
uint64_t ticks_per_ms;

static uint64_t hz_by_kvmclock(void)
{
	uint64_t ns_mul;
	uint32_t r[4];

	call_ring0(CALL_CPUID, CPUID_KVM, (uint64_t)r);
	if (r[1] != CPUID_KVM_EBX)
		return 0;
	call_ring0(CALL_CPUID, CPUID_KVM + 1, (uint64_t)r);
	if (!(r[0] & KVM_FEATURE_CLOCKSOURCE2))
		return 0;
	call_ring0(CALL_WRMSR, MSR_KVM_SYSTEM_TIME_NEW,
		   (uint64_t)&kvmclock | 1);
	ns_mul = kvmclock.mul;		/* ns per tick, 32.32 */
	if (kvmclock.shift >= 0)
		ns_mul <<= kvmclock.shift;
	else
		ns_mul >>= -kvmclock.shift;
	return ns_mul ? (1000000000ULL << 32) / ns_mul : 0;
}

/* SDM vol. 2, CPUID leaves 0x15 and 0x16 */
static uint64_t hz_by_cpuid(void)
{
	uint32_t r[4], max;

	call_ring0(CALL_CPUID, 0, (uint64_t)r);
	max = r[0];
	if (max < 0x15)
		return 0;
	call_ring0(CALL_CPUID, 0x15, (uint64_t)r);
	if (r[0] && r[1] && r[2])
		return (uint64_t)r[2] * r[1] / r[0];
	if (max < 0x16)
		return 0;
	call_ring0(CALL_CPUID, 0x16, (uint64_t)r);
	return (uint64_t)(r[0] & 0xffff) * 1000000;
}

static uint64_t hz_by_pit(void)
{
	uint16_t count = PIT_HZ / 1000 * PIT_MS;
	unsigned int tries = 10000000;
	uint64_t start;

	port_out8(PIT_GATE, (port_in8(PIT_GATE) & ~2) | 1);
	port_out8(PIT_COMMAND, PIT_ONE_SHOT);
	port_out8(PIT_CHANNEL2, count & 0xff);
	port_out8(PIT_CHANNEL2, count >> 8);
	start = tsc();
	while (!(port_in8(PIT_GATE) & PIT_OUT))
		if (!--tries)
			return 0;
	return (tsc() - start) * 1000 / PIT_MS;
}

int clock_init(void)
{
	uint64_t hz = hz_by_kvmclock();

	if (!hz)
		hz = hz_by_cpuid();
	if (!hz)
		hz = hz_by_pit();
	if (hz < 1000000)
		return -1;
	ticks_per_ms = hz / 1000;
	us_mul = (1000000ULL << 32) / hz;
	tick_mul = (ticks_per_ms << 32) / 1000;
	boot_tsc = tsc();
	return 0;
}

uint64_t clock_us(uint64_t ticks)
{
	if ((int64_t)ticks < 0)
		return 0;
	return ((unsigned __int128)ticks * us_mul) >> 32;
}

uint64_t clock_ticks(uint64_t us)
{
	return ((unsigned __int128)us * tick_mul) >> 32;
}

uint64_t clock_now_us(void)
{
	return clock_us(tsc() - boot_tsc);
}
