/* SPDX-License-Identifier: MIT */
/*
 * vcpu.h - A virtual processor and its thread
 *
 * The thread runs the guest while the machine's gate is open and waits at
 * the gate otherwise. What others want of it they leave in @asked and kick:
 * set immediate_exit, then signal, so that a thread about to enter KVM_RUN
 * comes straight back.
 */
#ifndef FERRY_VCPU_H
#define FERRY_VCPU_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "machine.h"
#include "vmm/kvm/kvm_stats.h"
#include "vmm/memory/sigbus.h"

#define SIG_KICK		SIGUSR1

/* Bits of @asked */
#define VCPU_ASK_BROADCAST	1u	/* another vCPU had a machine check */
#define VCPU_ASK_OPTIONAL	2u	/* tell the guest what the host found */

/**
 * struct vcpu - One virtual processor
 * @m:		its machine
 * @index:	its number, which is its APIC ID
 * @fd:		KVM's descriptor
 * @run:	shared with KVM
 * @thread:	runs it
 * @tid:	the same as the kernel's number, 0 until it started
 * @started:	@thread is to be joined
 * @asked:	VCPU_ASK_… bits
 * @sigbus:	what this thread's last SIGBUS said
 * @blocking:	the statistic that is 1 while it is blocked: vcpu_blocking()
 * @io_pending:	KVM has yet to complete the last exit
 * @undoing:	the last exit is completed for form's sake, without effect
 * @inside:	the thread is in KVM_RUN
 * @retries:	failures in a row that were tried again, at @retry_rip
 */
struct vcpu {
	struct machine *m;
	unsigned index;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	_Atomic pid_t tid;
	bool started;
	_Atomic unsigned asked;
	struct sigbus sigbus;
	struct kvm_stat blocking;
	bool io_pending, undoing;
	_Atomic bool inside;
	unsigned retries;
	uint64_t retry_rip;
};

/**
 * vcpu_new() - Make a vCPU and start its thread, which waits at the gate
 * @v:		filled in
 * @m:		its machine, with RAM and KVM ready
 * @index:	its number
 * @err:	why not
 *
 * Return: 0, -errno
 */
int vcpu_new(struct vcpu *v, struct machine *m, unsigned index,
	     struct error *err);

/** vcpu_join() - Wait for the thread's end; the gate must be at GATE_END */
void vcpu_join(struct vcpu *v);

/** vcpu_free() - Free it, when all threads that could kick it have ended */
void vcpu_free(struct vcpu *v);

/* Shared with KVM and between threads: whoever clears it looks afterwards */
static inline void vcpu_immediate_exit(struct vcpu *v, uint8_t value)
{
	__atomic_store_n(&v->run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

/**
 * vcpu_step() - Enter the guest once, and deal with why it came back
 * @v:		this thread's vCPU
 */
void vcpu_step(struct vcpu *v);

/**
 * vcpu_complete() - Have KVM complete the last exit, without entering the guest
 * @v:		this thread's vCPU
 */
void vcpu_complete(struct vcpu *v);

/** vcpu_try_again() - Run the same instruction again? Not for ever: ten times */
bool vcpu_try_again(struct vcpu *v);

/**
 * vcpu_blocking() - Is the vCPU blocked in the kernel at this moment?
 * @v:		the vCPU; called from any thread
 *
 * It is while it waits: halted, or for a page that KVM has a kernel worker fetch
 * (an asynchronous page fault, of which userfaultfd names the worker's thread).
 *
 * Return: true if it is; false also where KVM does not report it
 */
bool vcpu_blocking(const struct vcpu *v);

/** vcpu_kick() - Bring the thread out of the guest soon */
void vcpu_kick(struct vcpu *v);

/**
 * vcpu_save() - Append the complete state of a vCPU
 * @v:		the vCPU, parked
 * @w:		to where
 * @err:	why not
 *
 * Return: 0, -errno
 */
int vcpu_save(struct vcpu *v, struct writer *w, struct error *err);

/**
 * vcpu_load() - Take over the state of a vCPU
 * @v:		the vCPU, never run
 * @r:		from where
 * @err:	why not, naming what KVM refused
 *
 * Return: 0, -EBADMSG, -errno
 */
int vcpu_load(struct vcpu *v, struct reader *r, struct error *err);

/**
 * vcpu_reset() - Take over the state that it began with
 * @v:		the vCPU, parked
 * @r:		from where
 * @err:	why not
 *
 * Its TSC goes on.
 *
 * Return: 0, -EBADMSG, -errno
 */
int vcpu_reset(struct vcpu *v, struct reader *r, struct error *err);

/**
 * vcpu_apf_take() - Before a reset: have it take what KVM asked it to do
 * @v:		the vCPU, parked, for whom no page is missing
 * @err:	why not
 *
 * See vcpu_apf.c. The guest doesn't run.
 *
 * Return: 0, -errno
 */
int vcpu_apf_take(struct vcpu *v, struct error *err);

/**
 * vcpu_apf_wake() - After a reset: end the halt in which KVM has it
 * @v:		the vCPU, parked; nothing happens to any but the first
 * @err:	why not
 *
 * At most one HLT of the guest's ends at once, as one may.
 *
 * Return: 0, -errno
 */
int vcpu_apf_wake(struct vcpu *v, struct error *err);

/**
 * vcpu_boot() - Set the registers that a PVH guest starts with
 * @v:		vCPU 0
 * @entry:	guest-physical address to start at
 * @info:	guest-physical address of struct hvm_start_info
 * @err:	why not
 *
 * Return: 0, -errno
 */
int vcpu_boot(struct vcpu *v, uint32_t entry, uint32_t info,
	      struct error *err);

/**
 * struct vcpu_long_start - How a vCPU starts in long mode; guest-physical
 * @entry:	where
 * @info:	what RSI points to
 * @page_table:	PML4, which maps all that is named here onto itself
 * @gdt:	with code at 0x10 and data at 0x18
 */
struct vcpu_long_start {
	uint64_t entry, info, page_table, gdt;
};

/**
 * vcpu_boot_long() - Set the registers that a bzImage's 64-bit entry wants
 * @v:		vCPU 0
 * @start:	where and with what
 * @err:	why not
 *
 * Return: 0, -errno
 */
int vcpu_boot_long(struct vcpu *v, const struct vcpu_long_start *start,
		   struct error *err);

/**
 * vcpu_poisoned() - A vCPU touched lost memory: tell the guest, or end it
 * @v:		this thread's vCPU
 * @gpa:	guest-physical address
 * @lsb:	log2 of the bytes that are lost
 */
void vcpu_poisoned(struct vcpu *v, uint64_t gpa, unsigned lsb);

/**
 * vcpu_walled() - A vCPU ran into a page that ram_wall() took away: end the guest
 * @v:		this thread's vCPU
 *
 * The kernel doesn't say which page: each that the guest wasn't told of is
 * named in an event of its own.
 */
void vcpu_walled(struct vcpu *v);

/** vcpu_deliver() - Inject what others asked for; this thread's vCPU */
void vcpu_deliver(struct vcpu *v);

/**
 * vcpu_msr_probe() - Drop from the machine's MSR list what KVM won't read, and
 *		      what is no state of a vCPU's
 * @v:		any vCPU
 */
void vcpu_msr_probe(struct vcpu *v);

#endif /* FERRY_VCPU_H */
