// SPDX-License-Identifier: MIT
/*
 * thread-id.c - UFFD_FEATURE_THREAD_ID: the thread that faulted
 *
 * A page fault event names the thread, so that stalls can be counted for each
 * vCPU. With an in-kernel interrupt controller and the guest's interrupts on,
 * KVM may let a kernel worker fetch the page ("async page fault") while the
 * vCPU is halted: the id is then not the vCPU thread's, and the worker has to
 * wake the vCPU. The guest does not have to enable that. KVM does not do so
 * where HLT does not leave the guest (KVM_X86_DISABLE_EXITS_HLT).
 */
#include <fcntl.h>
#include <sys/syscall.h>

#include "kguest.h"

struct resolver {
	int uffd;
	uint32_t ptid;
};

static void *resolve(void *arg)
{
	struct resolver *r = arg;
	struct uffd_msg msg;

	uffd_wait_fault(r->uffd, &msg);
	r->ptid = msg.arg.pagefault.feat.ptid;
	EXPECT(0, uffd_copy(r->uffd, (void *)(msg.arg.pagefault.address &
					      ~(PAGE - 1)), 0x42));
	return NULL;
}

static int open_with_id(struct mapping *m)
{
	int uffd = uffd_open(O_NONBLOCK, UFFD_FEATURE_THREAD_ID);

	EXPECT(0, uffd_register(uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	return uffd;
}

static void user_thread(struct mapping *m)
{
	int uffd = open_with_id(m);
	struct uffd_msg msg;
	struct toucher t;

	toucher_start(&t, m->addr);
	uffd_wait_fault(uffd, &msg);
	CHECK((int)msg.arg.pagefault.feat.ptid == t.tid, "id %u, thread %d",
	      msg.arg.pagefault.feat.ptid, t.tid);
	EXPECT(0, uffd_copy(uffd, m->addr, 0x42));
	CHECK(toucher_join(&t).value == 0x42, "it read something else");
}

static uint32_t vcpu_fault_id(struct mapping *m, unsigned flags)
{
	struct resolver r = { .uffd = open_with_id(m) };
	struct guest_exit e;
	pthread_t thread;
	struct guest g;

	guest_create(&g, m, flags);
	CHECK(!pthread_create(&thread, NULL, resolve, &r), "no thread");
	e = guest_access(&g, OP_READ, GUEST_RAM);
	CHECK(!pthread_join(thread, NULL), "pthread_join failed");
	CHECK(guest_done(&e) && e.value == 0x42, "KVM_RUN: %s, reason %u",
	      strerror(-e.err), e.reason);
	return r.ptid;
}

static void vcpu_thread(struct mapping *m)
{
	uint32_t id = vcpu_fault_id(m, 0), tid = (uint32_t)syscall(SYS_gettid);

	CHECK(id == tid, "id %u, vCPU thread %u", id, tid);
}

static void vcpu_irqchip(struct mapping *m)
{
	uint32_t id = vcpu_fault_id(m, GUEST_IRQCHIP);
	uint32_t tid = (uint32_t)syscall(SYS_gettid);

	/* The kernel may do either; no other thread of this process did */
	CHECK(id == tid || syscall(SYS_tgkill, getpid(), id, 0),
	      "id %u is another thread of this process", id);
	NOTE("%s", id == tid ? "the vCPU thread's" : "a kernel worker's");
}

static void vcpu_no_hlt(struct mapping *m)
{
	uint32_t id = vcpu_fault_id(m, GUEST_IRQCHIP | GUEST_NO_HLT);
	uint32_t tid = (uint32_t)syscall(SYS_gettid);

	CHECK(id == tid, "id %u, vCPU thread %u", id, tid);
}

static const struct kcase cases[] = {
	{ "user", "a user-mode fault gives the thread's id", user_thread,
	  ON_BOTH },
	{ "vcpu", "a vCPU's fault gives the vCPU thread's id", vcpu_thread,
	  ON_BOTH },
	{ "irqchip", "with async page faults: the vCPU thread's or a worker's",
	  vcpu_irqchip, ON_BOTH },
	{ "no-hlt", "with HLT left to the guest: the vCPU thread's again",
	  vcpu_no_hlt, ON_BOTH },
};

KTEST_MAIN(cases)
