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
 *
 * A handler clears MCIP before it returns. If it runs on a stack of the
 * interrupt stack table, as Linux's does in ring 0, a machine check that comes in
 * between is pushed over the frame of the first, and this vCPU never leaves the
 * handler. A processor can't prevent it. Here a report that can wait comes when
 * the vCPU has left that stack.
 */

#include <errno.h>
#include <sys/ioctl.h>

#include "arch.h"
#include "vcpu.h"
#include "vmm/base/units.h"
#include "vmm/cpu/x86_mce.h"
#include "vmm/cpu/x86_regs.h"

/* SDM vol. 3, "64-Bit Mode IDT": a gate; "TSS in 64-bit mode": IST1 */
#define GATE_SIZE	16
#define GATE_WORD1	4
#define GATE_IST	7u
#define TSS_IST1	0x24
/* Linux's stack for it. The handler uses less when it has cleared MCIP */
#define MC_STACK_SIZE	(8 * KIB)

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

/* At a linear address of the guest. Return: false if there is no memory */
static bool read_u32(struct vcpu *v, uint64_t linear, uint32_t *value)
{
	struct kvm_translation t = { .linear_address = linear };

	return !ioctl(v->fd, KVM_TRANSLATE, &t) && t.valid &&
	       !ram_read(&v->m->ram, t.physical_address, value,
			 sizeof(*value));
}

/* The top of the stack to which a machine check switches; 0: none */
static uint64_t mc_stack(struct vcpu *v, const struct kvm_sregs *s)
{
	uint32_t gate, low, high;
	uint64_t at = s->idt.base + MC_VECTOR * GATE_SIZE + GATE_WORD1;

	if (!(s->efer & EFER_LMA) || !read_u32(v, at, &gate) ||
	    !(gate & GATE_IST))
		return 0;
	at = s->tr.base + TSS_IST1 + ((gate & GATE_IST) - 1) * sizeof(at);
	if (!read_u32(v, at, &low) || !read_u32(v, at + sizeof(low), &high))
		return 0;
	return (uint64_t)high << 32 | low;
}

static bool is_on_mc_stack(struct vcpu *v)
{
	struct kvm_sregs s;
	struct kvm_regs r;
	uint64_t used;

	if (ioctl(v->fd, KVM_GET_REGS, &r) ||
	    ioctl(v->fd, KVM_GET_SREGS, &s) ||
	    (s.cs.selector & 3) || (r.rflags & RFLAGS_IF))
		return false;
	used = mc_stack(v, &s) - r.rsp;
	return used && used <= MC_STACK_SIZE;
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
	    (is_event_on_its_way(v) || is_on_mc_stack(v)))
		return ARCH_REPORT_BUSY;
	v->report_errno = -set_record(v, &r);
	if (v->report_errno)
		return ARCH_REPORT_FAILED;
	*others = what != ARCH_REPORT_BROADCAST && mce_interrupts(&r) &&
		  vendor == VENDOR_INTEL;
	return ARCH_REPORTED;
}
