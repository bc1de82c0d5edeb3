/* SPDX-License-Identifier: MIT */
/*
 * vcpu.h - A virtual processor and its thread (private)
 *
 * The thread runs the guest while the machine's gate is open and waits at the
 * gate otherwise. Another thread leaves a request in @asked and kicks: it sets
 * immediate_exit and then sends a signal, so that a thread which is about to
 * enter KVM_RUN returns at once.
 */
#ifndef FERRY_VCPU_H
#define FERRY_VCPU_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "machine_private.h"
#include "vmm/kvm/kvm_stats.h"
#include "vmm/memory/sigbus.h"

#define SIG_KICK		SIGUSR1

/* Bits of @asked */
#define VCPU_ASK_BROADCAST	1u	/* another vCPU has a machine check */
#define VCPU_ASK_OPTIONAL	2u	/* report what the host found */

/**
 * struct vcpu - One virtual processor
 * @m:		its machine
 * @index:	its number, from 0
 * @fd:		KVM's descriptor
 * @run:	shared with KVM
 * @thread:	runs it
 * @tid:	the kernel's number of @thread, 0 until it started
 * @started:	@thread must be joined
 * @kick_lock:	protects @kickable: @thread is not being joined yet
 * @timer:	of vcpu_kick_later(), if @has_timer
 * @asked:	VCPU_ASK_… bits
 * @sigbus:	what the last SIGBUS of @thread said
 * @blocking:	KVM's statistic that is 1 while it is blocked
 * @halted:	likewise: how long it was halted, ns, without
 * @polled:	how long KVM has polled until a halted vCPU had work again, ns
 * @exits:	how often it has left the guest
 * @io_pending:	KVM has not completed the last exit
 * @undoing:	the last exit is being completed without effect on devices
 * @inside:	@thread is in KVM_RUN
 * @report_errno: errno of the last ARCH_REPORT_FAILED
 * @failing_since, @failed_last: monotonic time in ms of the first and the last
 *		KVM_RUN of a series that failed for a transient reason
 * @back_off_ms: wait before the next one
 * @retries:	consecutive retries of the instruction at @retry_pc
 */
struct vcpu {
	struct machine *m;
	unsigned index;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	_Atomic pid_t tid;
	bool started;
	pthread_mutex_t kick_lock;
	bool kickable;
	timer_t timer;
	bool has_timer;
	_Atomic unsigned asked;
	struct sigbus sigbus;
	struct kvm_stat blocking, halted, polled, exits;
	bool io_pending, undoing;
	_Atomic bool inside;
	int report_errno;
	uint64_t failing_since, failed_last;
	unsigned back_off_ms;
	unsigned retries;
	uint64_t retry_pc;
};

/**
 * vcpu_new() - Make a vCPU and start its thread, which waits at the gate
 * @v:		filled in
 * @m:		its machine, with RAM and KVM ready
 * @index:	its number
 * @err:	the reason on failure
 *
 * Return: 0, -errno
 */
int vcpu_new(struct vcpu *v, struct machine *m, unsigned index,
	     struct error *err);

/**
 * vcpu_join() - Wait until the thread ends
 * @v:		the vCPU, whose gate is at GATE_END
 *
 * Its thread has left the guest or leaves it by the last kick: from now on
 * vcpu_kick() does not signal it, which is undefined for a joined thread.
 */
void vcpu_join(struct vcpu *v);

/** vcpu_free() - Free it, after all threads that could kick it have ended */
void vcpu_free(struct vcpu *v);

/** vcpu_kick() - Have the thread leave the guest soon */
void vcpu_kick(struct vcpu *v);

/**
 * vcpu_kick_later() - Have the thread leave the guest after some time
 * @v:		the vCPU; its own thread calls
 * @ms:		when, from now; replaces an earlier time
 *
 * Return: 0, -EAGAIN (no timer: RLIMIT_SIGPENDING, timer_create(2)), -ENOMEM
 */
int vcpu_kick_later(struct vcpu *v, unsigned ms);

/* KVM and several threads access the field: clear it before looking at a
 * request, so that a request which comes later is not lost
 */
static inline void vcpu_immediate_exit(struct vcpu *v, uint8_t value)
{
	__atomic_store_n(&v->run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

#endif /* FERRY_VCPU_H */
