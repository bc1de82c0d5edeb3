// SPDX-License-Identifier: MIT
/*
 * poison-wake.c - Waiters that UFFDIO_POISON wakes
 *
 * Man page: "UFFDIO_POISON_MODE_DONTWAKE: Do not wake up the thread that waits
 * for page-fault resolution." Without it the waiters wake, and get SIGBUS.
 */
#include "ktest.h"

static void wakes(struct mapping *m)
{
	struct toucher t[3];
	int uffd = uffd_missing(m);
	struct uffd_msg msg;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		toucher_start(&t[i], m->addr);
		uffd_wait_fault(uffd, &msg);
	}
	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		CHECK(toucher_join(&t[i]).signo == SIGBUS,
		      "thread %zu read the page", i);
}

static void dontwake(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct uffd_msg msg;
	struct toucher t;
	int64_t updated = 0;

	toucher_start(&t, m->addr);
	uffd_wait_fault(uffd, &msg);
	EXPECT(0, uffd_poison_mode(uffd, m->addr, PAGE,
				   UFFDIO_POISON_MODE_DONTWAKE, &updated));
	CHECK(updated == PAGE, "updated = %lld", (long long)updated);
	CHECK(toucher_blocked(&t), "the waiter woke");
	CHECK(poisoned(m->addr), "the page is not poisoned meanwhile");
	EXPECT(0, uffd_wake(uffd, m->addr, PAGE));
	CHECK(toucher_join(&t).signo == SIGBUS, "the waiter read the page");
}

static void others_sleep(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct uffd_msg msg;
	struct toucher t;

	toucher_start(&t, m->addr + 2 * PAGE);
	uffd_wait_fault(uffd, &msg);
	EXPECT(0, uffd_poison(uffd, m->addr, 2 * PAGE));
	CHECK(toucher_blocked(&t), "a waiter on another page went on");
	EXPECT(0, uffd_copy(uffd, m->addr + 2 * PAGE, 0x42));
	CHECK(toucher_join(&t).value == 0x42, "it read something else");
}

static const struct kcase cases[] = {
	{ "wakes", "mode 0 wakes all waiters, with SIGBUS", wakes, ON_BOTH },
	{ "dontwake", "MODE_DONTWAKE wakes none; UFFDIO_WAKE then does",
	  dontwake, ON_BOTH },
	{ "others", "waiters on other pages stay blocked", others_sleep,
	  ON_BOTH },
};

KTEST_MAIN(cases)
