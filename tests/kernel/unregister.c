// SPDX-License-Identifier: MIT
/*
 * unregister.c - UNREGISTER and close() wake waiters, which read wrong bytes
 *
 * A range that is unregistered, or whose userfaultfd is closed, while pages are
 * still missing reads as zeroes (memfd: as the contents of the file), and
 * waiters continue with these. So a destination unregisters only when nothing
 * is missing, and must not lose its userfaultfd before the guest's vCPUs are
 * stopped.
 */
#include "ktest.h"

static void start_waiter(struct mapping *m, int uffd, struct toucher *t)
{
	struct uffd_msg msg;

	toucher_start(t, m->addr);
	uffd_wait_fault(uffd, &msg);
	CHECK(toucher_blocked(t), "the reader did not block");
}

static void check_zero(struct toucher *t)
{
	struct touch r = toucher_join(t);

	CHECK(!r.signo && r.value == 0, "signal %d, byte 0x%x", r.signo,
	      r.value);
}

static void unregister(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct toucher t;

	start_waiter(m, uffd, &t);
	EXPECT(0, uffd_unregister(uffd, m->addr, m->len));
	check_zero(&t);
	CHECK(touch_read(m->addr + PAGE).value == 0, "not zero");
}

static void unregister_part(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct toucher t;

	start_waiter(m, uffd, &t);
	EXPECT(0, uffd_unregister(uffd, m->addr + 4 * PAGE, 4 * PAGE));
	CHECK(toucher_blocked(&t), "a waiter outside the range woke");
	EXPECT(0, uffd_copy(uffd, m->addr, 0x42));
	CHECK(toucher_join(&t).value == 0x42, "it read something else");
}

static void closed(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct toucher t;

	start_waiter(m, uffd, &t);
	close(uffd);
	check_zero(&t);
}

static void *closer(void *arg)
{
	int uffd = *(int *)arg;

	ktest_rest();
	return (void *)(intptr_t)close(uffd);
}

/* The file's bytes, where it was filled meanwhile but not mapped */
static void cached_bytes(struct mapping *m)
{
	int uffd = uffd_missing(m);
	pthread_t thread;
	struct toucher t;
	struct touch r;

	start_waiter(m, uffd, &t);
	m->alias[0] = 0x42;
	CHECK(!pthread_create(&thread, NULL, closer, &uffd), "no thread");
	r = toucher_join(&t);
	CHECK(!pthread_join(thread, NULL), "pthread_join failed");
	CHECK(!r.signo && r.value == 0x42, "signal %d, byte 0x%x", r.signo,
	      r.value);
}

static const struct kcase cases[] = {
	{ "unregister", "UFFDIO_UNREGISTER wakes a waiter, which reads zero",
	  unregister, ON_BOTH },
	{ "part", "but no waiter outside its range", unregister_part,
	  ON_BOTH },
	{ "close", "close() does the same to all", closed, ON_BOTH },
	{ "cached", "memfd: it reads what the file holds by then",
	  cached_bytes, ON_MEMFD },
};

KTEST_MAIN(cases)
