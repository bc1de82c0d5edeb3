// SPDX-License-Identifier: MIT
/*
 * vcpu_poison.c - Report lost memory to the guest
 *
 * The vCPU that touched the page receives its report from its own thread,
 * before it runs again: the instruction is not completed until the guest has
 * handled the error.
 *
 * Where the architecture broadcasts a machine check, every other vCPU gets one,
 * too, from its own thread (VCPU_ASK_BROADCAST). Linux waits in its handler
 * until all have entered, and panics after a second. So:
 *
 * - A vCPU that has not left the handler of the machine check before, although
 *   the one that touches the next page has, keeps the request, and its
 *   thread tries again until it has (BROADCAST_MS). So does a destination. The
 *   same if KVM is delivering an interrupt to it, which would be lost.
 * - Of two vCPUs that touch lost memory at the same time, the second was asked
 *   by the first: it enters with its own record, and asks nobody
 *   (broadcast_lock). If it did, the first would enter once more, alone. So
 *   does a vCPU that is asked, and reports what the host found.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch.h"
#include "vcpu.h"
#include "vcpu_exit.h"
#include "vcpu_poison.h"
#include "vmm/base/log.h"
#include "vmm/base/page.h"

/* Time from one attempt to deliver a broadcast to the next */
#define BROADCAST_MS	10

static bool take_request(struct vcpu *v, unsigned what)
{
	return atomic_fetch_and(&v->asked, ~what) & what;
}

/* @v got the record of a machine check that all vCPUs must enter */
static void ask_others(struct vcpu *v)
{
	struct machine *m = v->m;
	bool joins;

	pthread_mutex_lock(&m->broadcast_lock);
	joins = take_request(v, VCPU_ASK_BROADCAST);
	for (unsigned i = 0; i < m->cfg.cpus && !joins; i++)
		if (i != v->index)
			m->vcpu[i].asked |= VCPU_ASK_BROADCAST;
	pthread_mutex_unlock(&m->broadcast_lock);
	for (unsigned i = 0; i < m->cfg.cpus && !joins; i++)
		if (i != v->index)
			vcpu_kick(&m->vcpu[i]);
}

static void end_guest(struct vcpu *v, struct memory_failure *f,
		      enum arch_reported why)
{
	if (why == ARCH_REPORT_FAILED)
		log_line("memory error at 0x%llx: vCPU %u gets no machine check: %s: %s",
			 (unsigned long long)f->gpa, v->index,
			 arch_report_call, strerrordesc_np(v->report_errno));
	else
		log_line("memory error at 0x%llx: vCPU %u cannot take a machine check (%s)",
			 (unsigned long long)f->gpa, v->index,
			 why == ARCH_REPORT_BUSY ? arch_report_busy
						 : arch_report_off);
	f->action = MF_FATAL;
	f->recursive = why == ARCH_REPORT_BUSY;
	machine_failure(v->m, f);
	machine_crash(v->m);
}

void vcpu_poisoned(struct vcpu *v, uint64_t gpa, unsigned lsb)
{
	struct machine *m = v->m;
	struct memory_failure f = {
		.gpa = gpa & ~((1ull << lsb) - 1), .size = 1ull << lsb,
		.action = MF_INJECTED, .required = true,
	};
	struct poison p = { .gpa = f.gpa, .size = f.size }, found;
	const bool again = poison_find(&m->poison, f.gpa, &found) &&
			   found.delivered;
	enum arch_reported done;
	bool others = false;

	if (poison_add(&m->poison, &p) < 0)
		log_line("out of memory for the poison list");
	done = arch_vcpu_report(v, ARCH_REPORT_CONSUMED, f.gpa, lsb, &others);
	/* A broadcast may be on its way into the guest: its handler ends, and
	 * the guest touches the page again. A touch in the handler fails ten
	 * times at the same instruction
	 */
	if (done == ARCH_REPORT_BUSY && vcpu_try_again(v))
		return;
	if (done != ARCH_REPORTED) {
		end_guest(v, &f, done);
		return;
	}
	v->retries = 0;
	poison_delivered(&m->poison, f.gpa, f.size);
	if (again)
		machine_failure_again(m, &f);
	else
		machine_failure(m, &f);
	if (others)
		ask_others(v);
}

void vcpu_walled(struct vcpu *v)
{
	struct machine *m = v->m;
	struct poison *p = NULL;
	int n;

	/* Another vCPU is ending the guest: this one returns until it has */
	if (atomic_exchange(&m->walled, true))
		return;
	n = poison_copy(&m->poison, &p);
	log_line("vCPU %u touched lost memory that this kernel can't poison (no UFFDIO_POISON): the guest ends here",
		 v->index);
	for (int i = 0; i < n; i++) {
		struct memory_failure f = {
			.gpa = p[i].gpa, .size = p[i].size,
			.action = MF_FATAL, .required = true,
		};

		if (!p[i].delivered)
			machine_failure(m, &f);
	}
	free(p);
	machine_crash(m);
}

/*
 * Report one page that the host found. A page that can't be reported now (the
 * guest has not read the previous record) is reported later: inject_report()
 */
static void deliver_found(struct vcpu *v)
{
	struct machine *m = v->m;
	struct memory_failure f = { .action = MF_INJECTED,
				    .origin = MF_BY_HOST };
	bool others = false;
	struct poison p;

	if (!poison_unreported(&m->poison, &p))
		return;
	f.gpa = p.gpa;
	f.size = p.size;
	if (arch_vcpu_report(v, ARCH_REPORT_FOUND, p.gpa,
			     (unsigned)__builtin_ctzll(p.size), &others) !=
	    ARCH_REPORTED)
		return;
	poison_delivered(&m->poison, f.gpa, f.size);
	machine_failure(m, &f);
	if (others)
		ask_others(v);
}

/* A vCPU that can't have a machine check needs no broadcast */
static void deliver_broadcast(struct vcpu *v)
{
	bool others;

	if (arch_vcpu_report(v, ARCH_REPORT_BROADCAST, 0, GUEST_PAGE_SHIFT,
			     &others) == ARCH_REPORT_BUSY)
		v->asked |= VCPU_ASK_BROADCAST;
}

void vcpu_deliver(struct vcpu *v)
{
	if (take_request(v, VCPU_ASK_OPTIONAL))
		deliver_found(v);
	/* Not if that has entered the machine check: ask_others() */
	if (take_request(v, VCPU_ASK_BROADCAST))
		deliver_broadcast(v);
}

bool vcpu_owes_broadcast(struct vcpu *v)
{
	return v->asked & VCPU_ASK_BROADCAST;
}

void vcpu_set_owes_broadcast(struct vcpu *v)
{
	v->asked |= VCPU_ASK_BROADCAST;
}

void vcpu_deliver_or_retry(struct vcpu *v)
{
	int rc;

	vcpu_deliver(v);
	if (!vcpu_owes_broadcast(v))
		return;
	/* Without a timer the next exit is the next attempt */
	rc = vcpu_kick_later(v, BROADCAST_MS);
	if (rc && !atomic_exchange(&v->m->untimed, true))
		log_line("vCPU %u: no timer to deliver a machine check: %s: the guest may have to wait for it",
			 v->index, strerrordesc_np(-rc));
}
