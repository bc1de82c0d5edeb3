/* SPDX-License-Identifier: MIT */
/*
 * vcpu_poison.h - Report lost memory to the guest (private)
 */
#ifndef FERRY_VCPU_POISON_H
#define FERRY_VCPU_POISON_H

#include <stdint.h>

struct vcpu;

/**
 * vcpu_poisoned() - A vCPU touched lost memory: report it, or end the guest
 * @v:		this thread's vCPU
 * @gpa:	guest-physical address
 * @lsb:	log2 of the number of bytes that are lost
 */
void vcpu_poisoned(struct vcpu *v, uint64_t gpa, unsigned lsb);

/**
 * vcpu_walled() - A vCPU touched a page that ram_wall() protects: end the guest
 * @v:		this thread's vCPU
 *
 * The kernel does not tell the address, so the observer is notified of each
 * lost page that was not reported to the guest.
 */
void vcpu_walled(struct vcpu *v);

/**
 * vcpu_deliver() - Report the errors that other threads asked for
 * @v:		this thread's vCPU, or a parked one
 */
void vcpu_deliver(struct vcpu *v);

#endif /* FERRY_VCPU_POISON_H */
