// SPDX-License-Identifier: MIT
/*
 * vcpu-close.c - Closing a VM whose vCPU was blocked on a missing page
 *
 * With an in-kernel interrupt controller a missing page is fetched by a kernel
 * worker (an async page fault, see thread-id). A signal ends KVM_RUN, but the
 * worker continues to wait, and close() of the vCPU waits for the worker. Only
 * the page, UFFDIO_UNREGISTER or the close of the userfaultfd ends its wait: a
 * VMM must do one of these before it closes its vCPUs, or it hangs.
 */
#include "kguest.h"

static struct closing {
	struct guest g;
	pthread_t vcpu;
	pthread_t closer;
	atomic_bool done;
} cl;

static void *run_main(void *arg)
{
	guest_run(arg);
	return NULL;
}

static void on_kick(int sig)
{
	(void)sig;
}

static void *close_main(void *arg)
{
	(void)arg;
	munmap(cl.g.run, (size_t)ioctl(cl.g.kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(cl.g.vcpu);
	close(cl.g.vm);
	cl.done = true;
	return NULL;
}

static void close_blocked(struct mapping *m, unsigned flags)
{
	struct sigaction sa = { .sa_handler = on_kick };
	int uffd = uffd_missing(m);
	struct uffd_msg msg;
	bool waited;

	guest_create(&cl.g, m, flags);
	guest_set(&cl.g, OP_READ, GUEST_RAM, 0);
	sigaction(SIGUSR1, &sa, NULL);
	CHECK(!pthread_create(&cl.vcpu, NULL, run_main, &cl.g), "no thread");
	uffd_wait_fault(uffd, &msg);
	pthread_kill(cl.vcpu, SIGUSR1);
	CHECK(!pthread_join(cl.vcpu, NULL), "pthread_join failed");

	CHECK(!pthread_create(&cl.closer, NULL, close_main, NULL),
	      "no thread");
	ktest_rest();
	waited = !cl.done;
	EXPECT(0, uffd_unregister(uffd, m->addr, m->len));
	CHECK(!pthread_join(cl.closer, NULL), "pthread_join failed");
	NOTE("%s", waited ? "close() waited for UFFDIO_UNREGISTER" :
	     "close() did not wait");
}

static void closed(struct mapping *m)
{
	close_blocked(m, 0);
}

static void closed_irqchip(struct mapping *m)
{
	close_blocked(m, GUEST_IRQCHIP);
}

static const struct kcase cases[] = {
	{ "close", "a VM can be closed once its range is unregistered",
	  closed, ON_BOTH },
	{ "irqchip", "the same where async page faults are possible",
	  closed_irqchip, ON_BOTH },
};

KTEST_MAIN(cases)
