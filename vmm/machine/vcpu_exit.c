// SPDX-License-Identifier: MIT
/*
 * vcpu_exit.c - Enter the guest and handle its exit
 *
 * Theory of operation
 *
 * KVM_RUN returns for one of five reasons: the guest accessed a device, or did
 * something that only its architecture has (arch_vcpu_exit()); a thread kicked
 * the vCPU; the vCPU touched poison (EINTR and a SIGBUS); KVM's instruction
 * emulator could not access memory; or the guest cannot continue (shutdown,
 * internal error).
 *
 * The state is complete only when the last exit is: KVM finishes an I/O
 * instruction at the next KVM_RUN. So before a thread waits at the gate it
 * enters once more with immediate_exit set (invariant 8). So it does before it
 * reports a memory error: KVM may finish an instruction by its emulator, which
 * drops a machine check that is queued (kvm_clear_exception_queue(); RDMSR on a
 * processor without NRIPS). MCIP would stay set.
 *
 * The emulator accesses RAM by copy_from_user() and copy_to_user(). They fail
 * for poison, and also when a signal arrives while they wait for a page of a
 * registered range. KVM then reports the access as MMIO. If the page can be
 * read, the access is carried out here as if the page were a device. If the
 * page is lost, a read is undone (arch_vcpu_undo_begin()) and the machine check
 * comes before the instruction. A write has been completed by then: it is
 * dropped, and the machine check comes after the instruction. KVM reports an
 * instruction that cannot be fetched as an internal error; it is repeated.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "arch.h"
#include "machine_guest.h"
#include "vcpu.h"
#include "vcpu_exit.h"
#include "vcpu_poison.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/base/page.h"

#define RETRIES_MAX	10
#define BACK_OFF_MAX_MS	100
#define SERIES_MS	1000	/* a later failure begins a new series */
/* A host that has no memory for this long will not have any soon */
#define TRANSIENT_MS	30000u

static int enter_guest(struct vcpu *v)
{
	int rc;

	v->inside = true;
	rc = ioctl(v->fd, KVM_RUN, 0) ? -errno : 0;
	v->inside = false;
	return rc;
}

static void give_up(struct vcpu *v, const char *what)
{
	log_line("vCPU %u cannot go on at rip 0x%llx: %s", v->index,
		 (unsigned long long)arch_vcpu_pc(v), what);
	machine_crash(v->m);
}

static void fail_access(struct vcpu *v, uint64_t gpa, int rc)
{
	char text[96];

	snprintf(text, sizeof(text), "RAM at 0x%llx can't be accessed: %s",
		 (unsigned long long)gpa, strerrordesc_np(-rc));
	give_up(v, text);
}

/* Return: 0, -EHWPOISON (lost), -errno */
static int access_ram(struct vcpu *v)
{
	struct kvm_run *r = v->run;
	uint64_t gpa = r->mmio.phys_addr;

	if (poison_find(&v->m->poison, gpa, NULL))
		return -EHWPOISON;
	return r->mmio.is_write
		? ram_write(&v->m->ram, gpa, r->mmio.data, r->mmio.len)
		: ram_read(&v->m->ram, gpa, r->mmio.data, r->mmio.len);
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

/* Carry out the guest's access. Return: 0, -EHWPOISON (lost), -errno */
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
	/* If it can't be undone, the guest must not see earlier data */
	if (rc && !r->mmio.is_write)
		memset(r->mmio.data, 0, sizeof(r->mmio.data));
	return rc;
}

/*
 * Have KVM complete the last exit. KVM may split an access, so more exits can
 * follow from it.
 */
static void complete_exit(struct vcpu *v)
{
	uint64_t gpa = 0;
	int failed = 0;

	while (v->io_pending) {
		int rc = 0;

		vcpu_immediate_exit(v, 1);
		v->io_pending = false;
		if (enter_guest(v))
			break;
		if (v->run->exit_reason == KVM_EXIT_MMIO)
			rc = do_mmio(v);
		else
			arch_vcpu_exit(v);
		if (rc) {
			failed = rc;
			gpa = v->run->mmio.phys_addr;
		}
	}
	/* Not undone: a device has seen the first part of the access */
	if (failed == -EHWPOISON)
		vcpu_poisoned(v, gpa, GUEST_PAGE_SHIFT);
	else if (failed)
		fail_access(v, gpa, failed);
}

/*
 * KVM gives up an instruction only by completing it: complete the read with
 * zeroes, then restore everything that the wrong value may have changed.
 */
static int undo_read(struct vcpu *v)
{
	struct arch_undo u;
	int rc = arch_vcpu_undo_begin(v, &u);

	if (rc)
		return rc;
	memset(v->run->mmio.data, 0, sizeof(v->run->mmio.data));
	v->undoing = true;
	complete_exit(v);
	v->undoing = false;
	return arch_vcpu_undo_end(v, &u);
}

static bool is_lost(struct machine *m, uint64_t gpa)
{
	uint8_t byte;

	return poison_find(&m->poison, gpa, NULL) ||
	       ram_read(&m->ram, gpa, &byte, 1) == -EHWPOISON;
}

static void mmio_exit(struct vcpu *v)
{
	const uint64_t gpa = v->run->mmio.phys_addr;
	const bool is_write = v->run->mmio.is_write;
	int rc = do_mmio(v);

	if (!rc)
		v->retries = 0;
	else if (!is_write && undo_read(v))
		give_up(v, "its registers could not be restored");
	else if (rc == -EHWPOISON)
		vcpu_poisoned(v, gpa, GUEST_PAGE_SHIFT);
	else if (is_write || !vcpu_try_again(v))
		fail_access(v, gpa, rc);
}

/* KVM_RUN = -EFAULT or an internal error: is the next instruction poisoned? */
static bool poison_at_fetch(struct vcpu *v)
{
	uint64_t gpa;

	if (!arch_vcpu_fetch_gpa(v, &gpa) || !is_lost(v->m, gpa))
		return false;
	vcpu_poisoned(v, gpa, GUEST_PAGE_SHIFT);
	return true;
}

/*
 * A kick while KVM waits for a page that it needs itself looks like a failure
 */
bool vcpu_try_again(struct vcpu *v)
{
	uint64_t pc = arch_vcpu_pc(v);

	if (pc != v->retry_pc)
		v->retries = 0;
	v->retry_pc = pc;
	return v->retries++ < RETRIES_MAX && arch_vcpu_retry(v);
}

/* KVM_EXIT_MEMORY_FAULT accompanies EFAULT where KVM has the address */
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
		vcpu_poisoned(v, gpa, GUEST_PAGE_SHIFT);
	else if (poison_at_fetch(v) || vcpu_try_again(v))
		return;
	else if (v->m->ram.walled)
		vcpu_walled(v);
	else
		give_up(v, "KVM_RUN failed: Bad address");
}

/* The host lacks memory for page tables, or KVM is busy: the state is intact */
static bool is_transient(int rc)
{
	return rc == -ENOMEM || rc == -EBUSY;
}

/*
 * Wait 1 ms before the first repetition, twice as long before each following
 * one, 100 ms at most. A kick ends the wait. Return: false after TRANSIENT_MS
 */
static bool wait_to_repeat(struct vcpu *v, int rc)
{
	const uint64_t now = now_ms();
	struct timespec t;

	if (now - v->failed_last > SERIES_MS) {
		v->failing_since = now;
		v->back_off_ms = 1;
		log_line("vCPU %u: KVM_RUN failed: %s: it is repeated for %u s",
			 v->index, strerrordesc_np(-rc), TRANSIENT_MS / 1000);
	}
	v->failed_last = now;
	if (now - v->failing_since > TRANSIENT_MS)
		return false;
	t = (struct timespec){ .tv_nsec = v->back_off_ms * 1000000l };
	nanosleep(&t, NULL);
	v->back_off_ms *= 2;
	if (v->back_off_ms > BACK_OFF_MAX_MS)
		v->back_off_ms = BACK_OFF_MAX_MS;
	return true;
}

static void failed_entry(struct vcpu *v, int rc)
{
	char text[80];

	if (rc == -EINTR || rc == -EAGAIN)
		return;
	if (is_transient(rc) && wait_to_repeat(v, rc))
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

	if (poison_at_fetch(v))
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
	case KVM_EXIT_MMIO:
		mmio_exit(v);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_SHUTDOWN:
		/* A PC resets then; it is Linux's last way to reboot */
		log_line("vCPU %u: triple fault", v->index);
		machine_guest_reset(v->m);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		internal_error(v);
		break;
	default:
		if (arch_vcpu_exit(v)) {
			v->retries = 0;
			break;
		}
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

	/* Then pass the gate again, which clears immediate_exit. Who asks after
	 * this also kicks the vCPU
	 */
	if (v->io_pending && v->asked) {
		vcpu_complete(v);
		return;
	}
	if (!v->io_pending)
		vcpu_deliver_or_retry(v);
	v->io_pending = false;
	rc = enter_guest(v);
	if (!rc)
		handle_exit(v);
	else if (!v->sigbus.seen)
		failed_entry(v, rc);
	if (v->sigbus.seen)
		take_sigbus(v);
}

void vcpu_complete(struct vcpu *v)
{
	complete_exit(v);
	if (v->sigbus.seen)
		take_sigbus(v);
}
