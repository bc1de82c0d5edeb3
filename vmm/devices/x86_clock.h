/* SPDX-License-Identifier: MIT */
/*
 * x86_clock.h - kvmclock, and what the TSCs have to follow
 *
 * Where KVM pairs the clock with the host's real time, a destination adds the
 * real time that has passed since the state was saved: the guest's clock goes on
 * as if the guest had not moved. Otherwise the clock stands still while the guest
 * is paused.
 */
#ifndef FERRY_X86_CLOCK_H
#define FERRY_X86_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct device;

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
