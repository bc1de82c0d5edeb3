/* SPDX-License-Identifier: MIT */
/*
 * x86_clock.h - kvmclock, and what the TSCs have to follow
 *
 * While a client has paused the guest, or a dump has, the clock stands still, as
 * in QEMU. KVM's goes on; it is set back before a vCPU runs again.
 *
 * The hand-over of a guest that runs is no such pause. Where KVM pairs the clock
 * with the host's real time, a destination adds the real time that has passed
 * since the state was saved: the guest's clock goes on as if the guest had not
 * moved. Otherwise, and for a guest that was paused before, the clock stands
 * still until the guest runs at the destination.
 *
 * The two hosts' wall clocks may differ, and the difference would become time
 * of the guest. So the time is added only if it is possible: not negative, and
 * at most X86_CLOCK_AWAY_MAX_NS. Otherwise the clock stands still, and the
 * difference is logged.
 */
#ifndef FERRY_X86_CLOCK_H
#define FERRY_X86_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct device;

/*
 * The default of downtime-limit (docs/protocol.md): the source resumes its
 * guest if the state is not loaded within that time. With a longer limit a
 * hand-over that uses it costs the guest's clock that time.
 */
#define X86_CLOCK_AWAY_MAX_NS	2000000000ll

/**
 * x86_clock_stop() - Let the clock stand still from now on
 * @clock:	the clock device of a machine whose vCPUs are parked
 *
 * Nothing happens if it does already. The caller serializes this with
 * x86_clock_start(), and calls neither while the device saves or loads.
 */
void x86_clock_stop(struct device *clock);

/**
 * x86_clock_start() - Let the clock go on from where it stands
 * @clock:	the clock device of a machine whose vCPUs are parked
 *
 * Nothing happens if it does not stand still.
 */
void x86_clock_start(struct device *clock);

/**
 * x86_clock_away() - How long a guest was between two hosts
 * @saved_ns:	source's real time when the clock was saved, ns
 * @now_ns:	destination's real time now, ns
 *
 * Return: ns, or -1 if that is no possible time: the hosts' clocks differ
 */
int64_t x86_clock_away(uint64_t saved_ns, uint64_t now_ns);

/**
 * x86_clock_tsc_shift() - How far TSC offsets must be moved after a load
 * @clock:	the clock device, whose state has been loaded
 * @tsc_khz:	frequency of the guest's TSC, kHz
 * @shift:	set to what must be added (modulo 2^64) to the saved TSC offset of
 *		each vCPU, so that its TSC advances as kvmclock does
 *
 * The sum is the one of the kernel's Documentation/virt/kvm/devices/vcpu.rst,
 * KVM_VCPU_TSC_OFFSET. The caller uses one result for all vCPUs: kvmclock has a
 * common base only while their TSCs agree to the cycle.
 *
 * Return: true, or false if either host's KVM does not report its TSC with the
 *	   clock; then @shift is 0
 */
bool x86_clock_tsc_shift(struct device *clock, uint32_t tsc_khz,
			 uint64_t *shift);

#endif /* FERRY_X86_CLOCK_H */
