// SPDX-License-Identifier: MIT
/*
 * lapic.c - Local APIC: starting the other vCPUs, sleeping with a timer
 *
 * Uses the memory-mapped registers, which both rings can access.
 * SDM vol. 3, "Advanced Programmable Interrupt Controller".
 */
#include "../boot.h"
#include "../call.h"
#include "../ports.h"
#include "clock.h"
#include "lapic.h"

#define LAPIC_SPURIOUS		0xf0
#define LAPIC_ICR		0x300
#define LAPIC_ICR_HIGH		0x310
#define LAPIC_LVT_TIMER		0x320
#define LAPIC_TIMER_NOW		0x390
#define LAPIC_TIMER_DIVIDE	0x3e0
#define LVT_MASKED		(1 << 16)
#define SPURIOUS_ENABLE		(1 << 8)
#define ICR_INIT		0x4500
#define ICR_STARTUP		0x4600
#define DIVIDE_BY_1		0xb
#define CALIBRATE_US		3000
#define START_TIMEOUT_US	20000000
#define ONLINE_WAIT_US		1000
#define TICKS_MAX		0xffffffff

static uint64_t ticks_per_tsc;		/* 32.32 */
static uint32_t online;
static bool all_online;

static volatile uint32_t *lapic(uint32_t reg)
{
	return (volatile uint32_t *)(uint64_t)(LAPIC_BASE + reg);
}

void lapic_init(void)
{
	*lapic(LAPIC_SPURIOUS) = SPURIOUS_ENABLE | VECTOR_SPURIOUS;
	*lapic(LAPIC_TIMER_DIVIDE) = DIVIDE_BY_1;
	*lapic(LAPIC_LVT_TIMER) = VECTOR_TIMER;
}

void lapic_calibrate(void)
{
	uint64_t start, end, t;
	uint32_t left;

	*lapic(LAPIC_LVT_TIMER) = LVT_MASKED | VECTOR_TIMER;
	*lapic(LAPIC_TIMER_COUNT) = TICKS_MAX;
	start = tsc();
	end = start + clock_ticks(CALIBRATE_US);
	while ((t = tsc()) < end)
		cpu_pause();
	left = *lapic(LAPIC_TIMER_NOW);
	*lapic(LAPIC_TIMER_COUNT) = 0;
	*lapic(LAPIC_LVT_TIMER) = VECTOR_TIMER;
	ticks_per_tsc = ((uint64_t)(TICKS_MAX - left) << 32) / (t - start);
}

void lapic_online(void)
{
	__atomic_add_fetch(&online, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&all_online, __ATOMIC_ACQUIRE))
		halt_until(tsc() + clock_ticks(ONLINE_WAIT_US));
}

static void icr_send_all(uint32_t cpus, uint32_t command)
{
	uint32_t id;

	for (id = 1; id < cpus; id++) {
		*lapic(LAPIC_ICR_HIGH) = id << 24;
		*lapic(LAPIC_ICR) = command;
	}
}

int lapic_start_cpus(uint32_t cpus)
{
	uint64_t deadline = tsc() + clock_ticks(START_TIMEOUT_US);

	memcpy((void *)AP_TRAMPOLINE, ap_trampoline, ap_trampoline_size);
	icr_send_all(cpus, ICR_INIT);
	icr_send_all(cpus, ICR_STARTUP | AP_TRAMPOLINE >> PAGE_SHIFT);
	while (__atomic_load_n(&online, __ATOMIC_ACQUIRE) < cpus - 1)
		if (tsc() > deadline)
			break;
	__atomic_store_n(&all_online, true, __ATOMIC_RELEASE);
	return __atomic_load_n(&online, __ATOMIC_ACQUIRE) + 1;
}

void halt_until(uint64_t deadline)
{
	uint64_t now = tsc(), ticks;

	if ((int64_t)(deadline - now) <= 0)
		return;
	ticks = ((unsigned __int128)(deadline - now) * ticks_per_tsc) >> 32;
	if (ticks > TICKS_MAX)
		ticks = TICKS_MAX;
	call_ring0(CALL_HALT, ticks ? ticks : 1, 0);
}
