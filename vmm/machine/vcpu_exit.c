// SPDX-License-Identifier: MIT
/*
 * vcpu_exit.c - Enter the guest, and deal with why it came back
 *
 * Theory of operation
 *
 * KVM_RUN comes back for one of five reasons: the guest did I/O, or read an
 * MSR that is answered here; somebody kicked the thread; the vCPU touched
 * poison (EINTR and a SIGBUS); KVM's instruction emulator met memory that it
 * couldn't access; or it is over (triple fault, internal error).
 *
 * State is only complete when the exit before was: KVM finishes an I/O
 * instruction on the next KVM_RUN. So before a thread waits at the gate it
 * enters once more with immediate_exit set (invariant 8).
 *
 * The emulator accesses RAM by copy_from_user() and copy_to_user(). They
 * fail for poison, and also when a signal comes while they wait for a page of
 * a registered range. KVM then takes the address for MMIO. If the page can be
 * had, the access is carried out here, as if it had been a device's. If it is
 * lost, a read is undone (registers, segments, exceptions as they were before
 * the instruction) and the machine check comes in front of it; a write has
 * been completed by then: it is dropped, and the machine check comes behind
 * it. An instruction that can't be fetched is an internal error to KVM, and
 * simply tried again.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vcpu.h"
#include "vmm/base/log.h"

#define RETRIES_MAX	10
#define MC_VECTOR	18	/* #MC */

static int enter(struct vcpu *v)
{
	int rc;

	v->inside = true;
	rc = ioctl(v->fd, KVM_RUN, 0) ? -errno : 0;
	v->inside = false;
	return rc;
}

static void give_up(struct vcpu *v, const char *what)
{
	struct kvm_regs regs = { 0 };

	ioctl(v->fd, KVM_GET_REGS, &regs);
	log_line("vCPU %u cannot go on at rip 0x%llx: %s", v->index,
		 (unsigned long long)regs.rip, what);
	machine_crash(v->m);
}

static void pio_exit(struct vcpu *v)
{
	struct kvm_run *r = v->run;
	const struct bus_pio io = {
		.port = r->io.port, .is_in = r->io.direction == KVM_EXIT_IO_IN,
		.size = r->io.size, .count = r->io.count,
		.data = (uint8_t *)r + r->io.data_offset,
	};

	v->io_pending = true;
	/* An instruction that is being undone has no effect on devices */
	if (!v->undoing)
		bus_pio(&v->m->bus, &io);
	else if (io.is_in)
		memset(io.data, 0, (size_t)io.size * io.count);
}

static int access_ram(struct vcpu *v)
{
	struct kvm_run *r = v->run;
	uint64_t gpa = r->mmio.phys_addr;

	if (poison_find(&v->m->poison, gpa, NULL))
		return -EFAULT;
	return r->mmio.is_write
		? ram_write(&v->m->ram, gpa, r->mmio.data, r->mmio.len)
		: ram_read(&v->m->ram, gpa, r->mmio.data, r->mmio.len);
}

/* Only MCG_CAP is read from here: vcpu.c, offer_recovery() */
static void rdmsr_exit(struct vcpu *v)
{
	v->io_pending = true;
	v->run->msr.error = v->run->msr.index != MSR_MCG_CAP;
	v->run->msr.data = v->m->kvm.mce_cap;
}

static void access_device(struct vcpu *v)
{
	struct kvm_run *r = v->run;
	const struct bus_mmio io = {
		.gpa = r->mmio.phys_addr, .is_write = r->mmio.is_write,
		.size = r->mmio.len, .data = r->mmio.data,
	};

	bus_mmio(&v->m->bus, &io);
}

/* Do what the guest wanted at an address. Return: 0, -EFAULT if it is lost */
static int do_mmio(struct vcpu *v)
{
	struct kvm_run *r = v->run;
	uint64_t offset;
	int rc = 0;

	v->io_pending = true;
	if (v->undoing)
		memset(r->mmio.data, 0, sizeof(r->mmio.data));
	else if (ram_offset(&v->m->ram, r->mmio.phys_addr, 1, &offset))
		rc = access_ram(v);
	else
		access_device(v);
	/* Should it be too late to undo: not what was there before */
	if (rc && !r->mmio.is_write)
		memset(r->mmio.data, 0, sizeof(r->mmio.data));
	return rc;
}

/* Have KVM complete the last exit. Further parts of a split access follow it */
static void complete(struct vcpu *v)
{
	uint64_t lost = ~0ull;

	while (v->io_pending) {
		vcpu_immediate_exit(v, 1);
		v->io_pending = false;
		if (enter(v))
			break;
		if (v->run->exit_reason == KVM_EXIT_IO)
			pio_exit(v);
		else if (v->run->exit_reason == KVM_EXIT_MMIO && do_mmio(v))
			lost = v->run->mmio.phys_addr;
	}
	/* Too late to undo: the access before it has been seen by a device */
	if (lost != ~0ull)
		vcpu_poisoned(v, lost, 12);
}

/*
 * A read that can't be done: as if it had never been tried. KVM only lets go
 * of the instruction by completing it, with zeroes then, so all that this may
 * have changed is put back: registers, segments, and an exception that the
 * wrong value raised.
 */
static int undo_read(struct vcpu *v)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;

	if (ioctl(v->fd, KVM_GET_REGS, &regs) ||
	    ioctl(v->fd, KVM_GET_SREGS, &sregs) ||
	    ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events))
		return -errno;
	memset(v->run->mmio.data, 0, sizeof(v->run->mmio.data));
	v->undoing = true;
	complete(v);
	v->undoing = false;
	if (ioctl(v->fd, KVM_SET_SREGS, &sregs) ||
	    ioctl(v->fd, KVM_SET_REGS, &regs) ||
	    ioctl(v->fd, KVM_SET_VCPU_EVENTS, &events))
		return -errno;
	return 0;
}

static bool is_lost(struct machine *m, uint64_t gpa)
{
	uint8_t byte;

	return poison_find(&m->poison, gpa, NULL) ||
	       ram_read(&m->ram, gpa, &byte, 1) == -EFAULT;
}

static void mmio_exit(struct vcpu *v)
{
	uint64_t gpa = v->run->mmio.phys_addr;

	if (!do_mmio(v))
		return;
	if (!v->run->mmio.is_write && undo_read(v))
		give_up(v, "its registers could not be restored");
	else
		vcpu_poisoned(v, gpa, 12);
}

/* KVM_RUN = -EFAULT, or an internal error: was it poison at the next instruction? */
static bool poison_at_rip(struct vcpu *v)
{
	struct kvm_translation t = { 0 };
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (ioctl(v->fd, KVM_GET_REGS, &regs) ||
	    ioctl(v->fd, KVM_GET_SREGS, &sregs))
		return false;
	t.linear_address = sregs.cs.base + regs.rip;
	if (ioctl(v->fd, KVM_TRANSLATE, &t) || !t.valid ||
	    !is_lost(v->m, t.physical_address))
		return false;
	vcpu_poisoned(v, t.physical_address, 12);
	return true;
}

/* Is a machine check on its way into the guest? Then MCIP is set for it */
static bool mc_pending(struct vcpu *v)
{
	struct kvm_vcpu_events e;

	return !ioctl(v->fd, KVM_GET_VCPU_EVENTS, &e) &&
	       (e.exception.pending || e.exception.injected) &&
	       e.exception.nr == MC_VECTOR;
}

/*
 * A kick while KVM waited for a page that it needed for itself looks like a
 * failure. Setting the registers to what they are drops the exception that
 * KVM had in mind for it. It would drop a machine check as well, for good, and
 * leave MCIP set: then nothing may be set, and KVM delivers it.
 */
bool vcpu_try_again(struct vcpu *v)
{
	struct kvm_regs regs;

	if (ioctl(v->fd, KVM_GET_REGS, &regs))
		return false;
	if (regs.rip != v->retry_rip)
		v->retries = 0;
	v->retry_rip = regs.rip;
	return v->retries++ < RETRIES_MAX &&
	       (mc_pending(v) || !ioctl(v->fd, KVM_SET_REGS, &regs));
}

/* KVM_EXIT_MEMORY_FAULT goes with EFAULT where KVM knows the address */
static void efault_exit(struct vcpu *v)
{
	uint64_t gpa = ~0ull;

#ifdef KVM_EXIT_MEMORY_FAULT
	if (v->run->exit_reason == KVM_EXIT_MEMORY_FAULT)
		gpa = v->run->memory_fault.gpa;
#else
	/* <linux/kvm.h> before Linux 6.8: reason 39, flags, gpa, size */
	if (v->run->exit_reason == 39)
		memcpy(&gpa, v->run->padding + 8, sizeof(gpa));
#endif
	if (gpa != ~0ull && is_lost(v->m, gpa))
		vcpu_poisoned(v, gpa, 12);
	else if (poison_at_rip(v) || vcpu_try_again(v))
		return;
	else if (v->m->ram.walled)
		vcpu_walled(v);
	else
		give_up(v, "KVM_RUN failed: Bad address");
}

static void failed_entry(struct vcpu *v, int rc)
{
	char text[80];

	if (rc == -EINTR || rc == -EAGAIN)
		return;
	if (rc == -EFAULT) {
		efault_exit(v);
		return;
	}
	snprintf(text, sizeof(text), "KVM_RUN failed: %s",
		 strerrordesc_np(-rc));
	give_up(v, text);
}

static void internal_error(struct vcpu *v)
{
	char text[80];

	if (poison_at_rip(v))
		return;
	if (v->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
	    vcpu_try_again(v))
		return;
	snprintf(text, sizeof(text), "KVM internal error, suberror %u",
		 v->run->internal.suberror);
	give_up(v, text);
}

static void handle_exit(struct vcpu *v)
{
	char text[48];

	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		v->retries = 0;
		pio_exit(v);
		break;
	case KVM_EXIT_MMIO:
		v->retries = 0;
		mmio_exit(v);
		break;
	case KVM_EXIT_X86_RDMSR:
		rdmsr_exit(v);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_SHUTDOWN:
		/* As on a PC, and the last way of Linux to reboot */
		log_line("vCPU %u: triple fault", v->index);
		machine_guest_reset(v->m);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		internal_error(v);
		break;
	default:
		snprintf(text, sizeof(text), "KVM exit reason %u",
			 v->run->exit_reason);
		give_up(v, text);
	}
}

static void take_sigbus(struct vcpu *v)
{
	uint64_t offset;

	v->sigbus.seen = false;
	if (ram_from_hva(&v->m->ram, v->sigbus.addr, &offset))
		vcpu_poisoned(v, ram_gpa(&v->m->ram, offset), v->sigbus.lsb);
	else
		give_up(v, "SIGBUS outside guest RAM");
}

void vcpu_step(struct vcpu *v)
{
	int rc;

	vcpu_deliver(v);
	v->io_pending = false;
	rc = enter(v);
	if (!rc)
		handle_exit(v);
	else if (!v->sigbus.seen)
		failed_entry(v, rc);
	if (v->sigbus.seen)
		take_sigbus(v);
}

void vcpu_complete(struct vcpu *v)
{
	complete(v);
	if (v->sigbus.seen)
		take_sigbus(v);
}
