// SPDX-License-Identifier: MIT
/* x86_vcpu_exit.c - x86: port I/O, MSRs, and undoing an instruction */

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arch.h"
#include "vcpu.h"
#include "vmm/cpu/x86_mce.h"

static void pio_exit(struct vcpu *v)
{
	struct kvm_run *r = v->run;
	const struct bus_pio io = {
		.port = r->io.port, .is_in = r->io.direction == KVM_EXIT_IO_IN,
		.size = r->io.size, .count = r->io.count,
		.data = (uint8_t *)r + r->io.data_offset,
	};

	v->io_pending = true;
	if (!v->undoing)
		bus_pio(&v->m->bus, &io);
	else if (io.is_in)
		memset(io.data, 0, (size_t)io.size * io.count);
}

/* Only reads of MCG_CAP exit: x86_vcpu.c, offer_recovery() */
static void rdmsr_exit(struct vcpu *v)
{
	v->io_pending = true;
	v->run->msr.error = v->run->msr.index != MSR_MCG_CAP;
	v->run->msr.data = v->m->kvm.mce_cap;
}

bool arch_vcpu_exit(struct vcpu *v)
{
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		pio_exit(v);
		return true;
	case KVM_EXIT_X86_RDMSR:
		rdmsr_exit(v);
		return true;
	default:
		return false;
	}
}

uint64_t arch_vcpu_pc(struct vcpu *v)
{
	struct kvm_regs regs = { 0 };

	ioctl(v->fd, KVM_GET_REGS, &regs);
	return regs.rip;
}

bool arch_vcpu_fetch_gpa(struct vcpu *v, uint64_t *gpa)
{
	struct kvm_translation t = { 0 };
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (ioctl(v->fd, KVM_GET_REGS, &regs) ||
	    ioctl(v->fd, KVM_GET_SREGS, &sregs))
		return false;
	t.linear_address = sregs.cs.base + regs.rip;
	if (ioctl(v->fd, KVM_TRANSLATE, &t) || !t.valid)
		return false;
	*gpa = t.physical_address;
	return true;
}

/* A machine check on its way into the guest; MCIP is already set for it */
static bool is_mc_pending(struct vcpu *v)
{
	struct kvm_vcpu_events e;

	return !ioctl(v->fd, KVM_GET_VCPU_EVENTS, &e) &&
	       (e.exception.pending || e.exception.injected) &&
	       e.exception.nr == MC_VECTOR;
}

/*
 * KVM_SET_REGS drops a pending exception, whatever the registers. It would
 * also drop a machine check and leave MCIP set: then set nothing, and KVM
 * delivers it.
 */
bool arch_vcpu_retry(struct vcpu *v)
{
	struct kvm_regs regs;

	if (ioctl(v->fd, KVM_GET_REGS, &regs))
		return false;
	return is_mc_pending(v) || !ioctl(v->fd, KVM_SET_REGS, &regs);
}

/* Events: a wrong value may have raised an exception */
int arch_vcpu_undo_begin(struct vcpu *v, struct arch_undo *u)
{
	if (ioctl(v->fd, KVM_GET_REGS, &u->regs) ||
	    ioctl(v->fd, KVM_GET_SREGS, &u->sregs) ||
	    ioctl(v->fd, KVM_GET_VCPU_EVENTS, &u->events))
		return -errno;
	return 0;
}

int arch_vcpu_undo_end(struct vcpu *v, const struct arch_undo *u)
{
	if (ioctl(v->fd, KVM_SET_SREGS, &u->sregs) ||
	    ioctl(v->fd, KVM_SET_REGS, &u->regs) ||
	    ioctl(v->fd, KVM_SET_VCPU_EVENTS, &u->events))
		return -errno;
	return 0;
}
