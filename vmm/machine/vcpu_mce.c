// SPDX-License-Identifier: MIT
/*
 * vcpu_mce.c - From lost memory to a machine check
 *
 * KVM_X86_SET_MCE says 0 also when it drops the record (reporting switched off
 * in MCG_CTL or the bank's CTL) and kills the guest when a machine check can't
 * be taken (CR4.MCE clear, or MCG_STATUS.MCIP still set: SDM vol. 3, "Machine-Check
 * Architecture", a shutdown). So all of that is looked at before.
 *
 * The vCPU that touched the page gets its record from its own thread, before
 * it runs again: the instruction is not completed until the guest has dealt
 * with the page. An Intel guest's other vCPUs get the broadcast from theirs.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vcpu.h"
#include "vmm/base/log.h"

#define CR4_MCE		(1ull << 6)

enum can_take {
	CAN_TAKE,
	CANNOT_OFF,		/* the guest has not switched it on */
	CANNOT_BUSY,		/* it is still in one */
};

static uint64_t get_msr(struct vcpu *v, uint32_t index, uint64_t otherwise)
{
	uint64_t value;

	return kvm_get_msr(v->fd, index, &value) ? otherwise : value;
}

static enum can_take can_take(struct vcpu *v, const struct mce_record *r)
{
	struct kvm_sregs s = { 0 };

	if (!mce_interrupts(r))
		return CAN_TAKE;
	if (ioctl(v->fd, KVM_GET_SREGS, &s) || !(s.cr4 & CR4_MCE))
		return CANNOT_OFF;
	if (get_msr(v, MSR_MCG_CTL, ~0ull) != ~0ull ||
	    get_msr(v, MSR_MC_CTL(r->bank), ~0ull) != ~0ull)
		return CANNOT_OFF;
	if (get_msr(v, MSR_MCG_STATUS, 0) & MCG_STATUS_MCIP)
		return CANNOT_BUSY;
	return CAN_TAKE;
}

static int set_record(struct vcpu *v, const struct mce_record *r)
{
	struct kvm_x86_mce mce = {
		.status = r->status, .addr = r->addr, .misc = r->misc,
		.mcg_status = r->mcg_status, .bank = r->bank,
	};

	return ioctl(v->fd, KVM_X86_SET_MCE, &mce) ? -errno : 0;
}

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

static void fatal(struct vcpu *v, struct memory_failure *f, enum can_take why)
{
	log_line("memory error at 0x%llx: vCPU %u cannot take a machine check (%s)",
		 (unsigned long long)f->gpa, v->index,
		 why == CANNOT_BUSY ? "it is still in one: MCG_STATUS.MCIP" :
		 "the guest has not switched it on: CR4.MCE, MCG_CTL, MCi_CTL");
	f->action = MF_FATAL;
	f->recursive = why == CANNOT_BUSY;
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
	struct poison p = { .gpa = f.gpa, .size = f.size };
	struct mce_record r = mce_encode(m->cfg.vendor, MCE_REQUIRED, f.gpa,
					 lsb);
	enum can_take can = can_take(v, &r);

	if (poison_add(&m->poison, &p) < 0)
		log_line("out of memory for the poison list");
	/* A broadcast may be on its way into the guest: its handler ends, and
	 * the touch comes again. One in the handler itself comes at once
	 */
	if (can == CANNOT_BUSY && vcpu_try_again(v))
		return;
	if (can != CAN_TAKE) {
		fatal(v, &f, can);
		return;
	}
	if (set_record(v, &r)) {
		fatal(v, &f, CANNOT_OFF);
		return;
	}
	v->retries = 0;
	poison_delivered(&m->poison, f.gpa, f.size);
	machine_failure(m, &f);
	if (m->cfg.vendor == VENDOR_INTEL)
		ask_others(v);
}

void vcpu_walled(struct vcpu *v)
{
	struct machine *m = v->m;
	struct poison *p = NULL;
	int n;

	/* Another vCPU has, or is just about to: this one comes back till then */
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

/* A vCPU that is in a machine check, or can't have one, needs no broadcast */
static void deliver_broadcast(struct vcpu *v)
{
	struct mce_record r = mce_encode(v->m->cfg.vendor, MCE_BROADCAST, 0,
					 12);

	if (can_take(v, &r) == CAN_TAKE)
		set_record(v, &r);
}

/* Is there a record that the guest has not read? It would be lost */
static bool is_full(struct vcpu *v, unsigned bank)
{
	return get_msr(v, MSR_MC_STATUS(bank), 0) & MCI_STATUS_VAL;
}

/*
 * Tell the guest of one page that the host found. What it can't be told now
 * (one record fits in the bank) it is told later: inject_tell()
 */
static void deliver_found(struct vcpu *v)
{
	struct machine *m = v->m;
	struct memory_failure f = { .action = MF_INJECTED };
	struct mce_record r;
	struct poison p;

	if (!poison_untold(&m->poison, &p))
		return;
	f.gpa = p.gpa;
	f.size = p.size;
	r = mce_encode(m->cfg.vendor, MCE_OPTIONAL, p.gpa,
		       (unsigned)__builtin_ctzll(p.size));
	if (can_take(v, &r) != CAN_TAKE || is_full(v, r.bank) ||
	    set_record(v, &r))
		return;
	poison_delivered(&m->poison, f.gpa, f.size);
	machine_failure(m, &f);
	if (mce_interrupts(&r) && m->cfg.vendor == VENDOR_INTEL)
		ask_others(v);
}

void vcpu_deliver(struct vcpu *v)
{
	unsigned asked = atomic_exchange(&v->asked, 0);

	if (asked & VCPU_ASK_OPTIONAL)
		deliver_found(v);
	if (asked & VCPU_ASK_BROADCAST)
		deliver_broadcast(v);
}
