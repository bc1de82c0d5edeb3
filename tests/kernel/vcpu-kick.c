// SPDX-License-Identifier: MIT
/*
 * vcpu-kick.c - A vCPU blocked on a missing page
 *
 * A signal makes KVM_RUN return EINTR. Nothing is lost: the next KVM_RUN
 * repeats the access, with a new page fault event if the page is still missing.
 * So a guest can be paused, and its machine ended, while the source is silent.
 *
 * With an in-kernel interrupt controller KVM halts such a vCPU until the page
 * is present, but does not wake it if MSR_KVM_ASYNC_PF_EN was written
 * meanwhile, as a reset does. An interrupt with the delivery mode "remote read"
 * ends that halt, and has no other effect on the guest.
 */
#include <sys/syscall.h>

#include "kguest.h"

#define MSR_ASYNC_PF_EN	0x4b564d02	/* Documentation/virt/kvm/x86/msr.rst */

static struct runner {
	struct guest g;
	pthread_t thread;
	struct guest_exit e;
	atomic_int tid;
	atomic_bool done;
} r;

static void on_kick(int sig)
{
	(void)sig;
}

static void *runner_main(void *arg)
{
	(void)arg;
	r.tid = (int)syscall(SYS_gettid);
	r.e = guest_run(&r.g);
	r.done = true;
	return NULL;
}

static void runner_start(void)
{
	struct sigaction sa = { .sa_handler = on_kick };

	r.done = false;
	sigaction(SIGUSR1, &sa, NULL);
	CHECK(!pthread_create(&r.thread, NULL, runner_main, NULL),
	      "no thread");
}

static void runner_join(void)
{
	CHECK(!pthread_join(r.thread, NULL), "pthread_join failed");
}

static void check_byte(unsigned char want)
{
	CHECK(guest_done(&r.e) && r.e.value == want, "KVM_RUN: %s, reason %u, "
	      "byte 0x%x", strerror(-r.e.err), r.e.reason, r.e.value);
}

static void blocked(struct mapping *m, unsigned flags)
{
	int uffd = uffd_missing(m);
	struct uffd_msg msg;

	guest_create(&r.g, m, flags);
	guest_set(&r.g, OP_READ, GUEST_RAM, 0);
	runner_start();
	uffd_wait_fault(uffd, &msg);
	CHECK(!r.done, "the vCPU did not block");

	pthread_kill(r.thread, SIGUSR1);
	runner_join();
	CHECK(r.e.err == -EINTR && !r.e.sigbus, "KVM_RUN: %s, reason %u",
	      strerror(-r.e.err), r.e.reason);

	runner_start();
	if (!flags)
		uffd_wait_fault(uffd, &msg);
	ktest_rest();
	CHECK(!r.done, "the vCPU went on without its page");
	EXPECT(0, uffd_copy(uffd, m->addr, 0x42));
	runner_join();
	check_byte(0x42);
}

static void kick(struct mapping *m)
{
	blocked(m, 0);
}

static void kick_irqchip(struct mapping *m)
{
	blocked(m, GUEST_IRQCHIP);
}

/* The page is placed while the vCPU, which waited for it, is not in KVM_RUN.
 * Return: the userfaultfd
 */
static int page_comes_meanwhile(struct mapping *m, unsigned flags)
{
	int uffd = uffd_missing(m);
	struct uffd_msg msg;

	guest_create(&r.g, m, flags);
	guest_set(&r.g, OP_READ, GUEST_RAM, 0);
	runner_start();
	uffd_wait_fault(uffd, &msg);
	ktest_rest();
	pthread_kill(r.thread, SIGUSR1);
	runner_join();
	CHECK(r.e.err == -EINTR, "KVM_RUN: %s", strerror(-r.e.err));
	EXPECT(0, uffd_copy(uffd, m->addr, 0x42));
	return uffd;
}

/* No second event: the vCPU continues */
static void resolved_meanwhile(struct mapping *m)
{
	int uffd = page_comes_meanwhile(m, 0);

	runner_start();
	runner_join();
	check_byte(0x42);
	CHECK(uffd_quiet(uffd), "another page fault event");
}

static void halted(struct mapping *m)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 3 << 8 };
	struct kvm_lapic_state lapic;

	page_comes_meanwhile(m, GUEST_IRQCHIP);
	/* As a reset does: from then on KVM finds the vCPU with APIC ID 0 */
	CHECK(!ioctl(r.g.vcpu, KVM_GET_LAPIC, &lapic), "KVM_GET_LAPIC: %m");
	CHECK(!ioctl(r.g.vcpu, KVM_SET_LAPIC, &lapic), "KVM_SET_LAPIC: %m");
	CHECK(guest_set_msr(&r.g, MSR_ASYNC_PF_EN, 0) >= 0, "KVM_SET_MSRS: %m");

	runner_start();
	ktest_rest();
	NOTE("%s", r.done ? "it went on by itself" : "it would sleep for ever");
	CHECK(ioctl(r.g.vm, KVM_SIGNAL_MSI, &msi) == 1, "KVM_SIGNAL_MSI: %m");
	runner_join();
	check_byte(0x42);
}

static const struct kcase cases[] = {
	{ "kick", "a signal ends KVM_RUN with EINTR; the access is tried again",
	  kick, ON_BOTH },
	{ "irqchip", "also where async page faults are possible", kick_irqchip,
	  ON_BOTH },
	{ "resolved", "a page that came meanwhile raises no second event",
	  resolved_meanwhile, ON_BOTH },
	{ "halted", "a remote read ends the halt that a write of ASYNC_PF_EN "
	  "leaves", halted, ON_BOTH },
};

KTEST_MAIN(cases)
