// SPDX-License-Identifier: MIT
/*
 * x86_vcpu_mce.c - x86: report a memory error by a machine check
 *
 * KVM_X86_SET_MCE returns 0 also when it drops the record (MCG_CTL or the
 * bank's CTL disables reporting), and it shuts the guest down when the guest
 * cannot take a machine check (CR4.MCE clear, or MCG_STATUS.MCIP still set:
 * SDM vol. 3, "Machine-Check Architecture"). So these are read first.
 *
 * A machine check also takes the place of an event that KVM has begun to
 * deliver: of an interrupt, say, if a signal came between its injection and the
 * entry into the guest. The interrupt is lost, but stays in service in the local
 * APIC, which then delivers none of its priority or below (vcpu-mce-lost in
 * tests/kernel). A report that can wait comes after the next entry. That of a
 * touch can't: if there is such an event, its delivery touched the page.
 */

#include <errno.h>
#include <sys/ioctl.h>

#include "arch.h"
#include "vcpu.h"
#include "vmm/cpu/x86_mce.h"
#include "vmm/cpu/x86_regs.h"

const char arch_report_off[] =
	"the guest has not switched it on: CR4.MCE, MCG_CTL, MCi_CTL";
const char arch_report_busy[] = "it is still in one: MCG_STATUS.MCIP";
const char arch_report_call[] = "KVM_X86_SET_MCE";

static uint64_t get_msr(struct vcpu *v, uint32_t index, uint64_t otherwise)
{
	uint64_t value;

	return kvm_get_msr(v->fd, index, &value) ? otherwise : value;
}

static enum arch_reported check_guest(struct vcpu *v,
				      const struct mce_record *r)
{
	struct kvm_sregs s = { 0 };

	if (!mce_interrupts(r))
		return ARCH_REPORTED;
	v->report_errno = ioctl(v->fd, KVM_GET_SREGS, &s) ? errno : 0;
	if (v->report_errno)
		return ARCH_REPORT_FAILED;
	if (!(s.cr4 & CR4_MCE))
		return ARCH_REPORT_OFF;
	if (get_msr(v, MSR_MCG_CTL, ~0ull) != ~0ull ||
	    get_msr(v, MSR_MC_CTL(r->bank), ~0ull) != ~0ull)
		return ARCH_REPORT_OFF;
	if (get_msr(v, MSR_MCG_STATUS, 0) & MCG_STATUS_MCIP)
		return ARCH_REPORT_BUSY;
	return ARCH_REPORTED;
}

static bool is_event_on_its_way(struct vcpu *v)
{
	struct kvm_vcpu_events e;

	return !ioctl(v->fd, KVM_GET_VCPU_EVENTS, &e) &&
	       (e.interrupt.injected || e.nmi.injected ||
		e.exception.injected || e.exception.pending);
}

/* A record that the guest has not read yet would be overwritten */
static bool is_bank_full(struct vcpu *v, unsigned bank)
{
	return get_msr(v, MSR_MC_STATUS(bank), 0) & MCI_STATUS_VAL;
}

static int set_record(struct vcpu *v, const struct mce_record *r)
{
	struct kvm_x86_mce mce = {
		.status = r->status, .addr = r->addr, .misc = r->misc,
		.mcg_status = r->mcg_status, .bank = r->bank,
	};

	return ioctl(v->fd, KVM_X86_SET_MCE, &mce) ? -errno : 0;
}

enum arch_reported arch_vcpu_report(struct vcpu *v, enum arch_report what,
				    uint64_t gpa, unsigned lsb, bool *others)
{
	static const enum mce_kind kind[] = {
		[ARCH_REPORT_CONSUMED]	= MCE_REQUIRED,
		[ARCH_REPORT_FOUND]	= MCE_OPTIONAL,
		[ARCH_REPORT_BROADCAST]	= MCE_BROADCAST,
	};
	const enum cpu_vendor vendor = v->m->cfg.arch.vendor;
	struct mce_record r = mce_encode(vendor, kind[what], gpa, lsb);
	enum arch_reported can = check_guest(v, &r);

	if (can != ARCH_REPORTED)
		return can;
	if (what == ARCH_REPORT_FOUND && is_bank_full(v, r.bank))
		return ARCH_REPORT_BUSY;
	if (what != ARCH_REPORT_CONSUMED && mce_interrupts(&r) &&
	    is_event_on_its_way(v))
		return ARCH_REPORT_BUSY;
	v->report_errno = -set_record(v, &r);
	if (v->report_errno)
		return ARCH_REPORT_FAILED;
	*others = what != ARCH_REPORT_BROADCAST && mce_interrupts(&r) &&
		  vendor == VENDOR_INTEL;
	return ARCH_REPORTED;
}
