// SPDX-License-Identifier: MIT
/*
 * vcpu_poison.c - Report lost memory to the guest
 *
 * The vCPU that touched the page receives its report from its own thread,
 * before it runs again: the instruction is not completed until the guest has
 * handled the error. Where the architecture informs the other vCPUs too, their
 * own threads do it (VCPU_ASK_BROADCAST).
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

static void ask_others(struct vcpu *v)
{
	struct machine *m = v->m;

	for (unsigned i = 0; i < m->cfg.cpus; i++) {
		if (i == v->index)
			continue;
		m->vcpu[i].asked |= VCPU_ASK_BROADCAST;
		vcpu_kick(&m->vcpu[i]);
	}
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

/* A vCPU that handles a machine check, or can't have one, needs no broadcast */
static void deliver_broadcast(struct vcpu *v)
{
	bool others;

	arch_vcpu_report(v, ARCH_REPORT_BROADCAST, 0, GUEST_PAGE_SHIFT,
			 &others);
}

void vcpu_deliver(struct vcpu *v)
{
	unsigned asked = atomic_exchange(&v->asked, 0);

	if (asked & VCPU_ASK_OPTIONAL)
		deliver_found(v);
	if (asked & VCPU_ASK_BROADCAST)
		deliver_broadcast(v);
}
