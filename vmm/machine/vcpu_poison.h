/* SPDX-License-Identifier: MIT */
/*
 * vcpu_poison.h - Report lost memory to the guest (private)
 */
#ifndef FERRY_VCPU_POISON_H
#define FERRY_VCPU_POISON_H

#include <stdbool.h>
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
 *
 * The request for a broadcast stays if the vCPU is still in the handler of the
 * last machine check.
 */
void vcpu_deliver(struct vcpu *v);

/**
 * vcpu_deliver_or_retry() - The same, and leave the guest soon if one stays
 * @v:		this thread's vCPU, which is about to enter the guest
 */
void vcpu_deliver_or_retry(struct vcpu *v);

/**
 * vcpu_owes_broadcast() - A broadcast machine check has not reached it yet
 * @v:		a parked vCPU; what its thread has not delivered is state
 */
bool vcpu_owes_broadcast(struct vcpu *v);

/** vcpu_set_owes_broadcast() - For a vCPU whose state is loaded */
void vcpu_set_owes_broadcast(struct vcpu *v);

#endif /* FERRY_VCPU_POISON_H */
