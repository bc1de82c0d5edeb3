// SPDX-License-Identifier: MIT
/*
 * poison-eagain.c - EAGAIN: part of the range, or none
 *
 * Man page: "The number of bytes mapped (i.e., the value returned in the
 * updated field) does not equal the value that was specified in range.len."
 * The caller then continues at start + updated, and gets the cause there.
 *
 * Not in the man page: EAGAIN also means that the owner's memory layout is
 * being changed (a remap, a removal or a fork, whose event has not been read).
 * Then nothing was done, and updated is -EAGAIN, or, on a kernel that returns
 * before it writes the field, whatever it held: a caller must set it to 0
 * first, and must not take a negative value for a number of bytes.
 */
#include <fcntl.h>

#include "ktest.h"

static void midway(struct mapping *m)
{
	int uffd = uffd_missing(m);
	int64_t updated = 0;

	EXPECT(0, uffd_copy(uffd, m->addr + 3 * PAGE, 0x33));
	EXPECT(-EAGAIN, uffd_poison_mode(uffd, m->addr, m->len, 0, &updated));
	CHECK(updated == 3 * PAGE, "updated = %lld", (long long)updated);
	for (size_t i = 0; i < 3; i++)
		CHECK(poisoned(m->addr + i * PAGE), "page %zu can be read", i);
	CHECK(touch_read(m->addr + 3 * PAGE).value == 0x33, "byte changed");

	/* Continue where it stopped: now the error is the cause */
	EXPECT(-EEXIST, uffd_poison_mode(uffd, m->addr + updated,
					 m->len - updated, 0, &updated));
	EXPECT(0, uffd_poison(uffd, m->addr + 4 * PAGE, 4 * PAGE));
	CHECK(poisoned(m->addr + 7 * PAGE), "the last page can be read");
}

static void midway_wakes(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct uffd_msg msg;
	struct toucher t;

	EXPECT(0, uffd_copy(uffd, m->addr + 3 * PAGE, 0x33));
	toucher_start(&t, m->addr + PAGE);
	uffd_wait_fault(uffd, &msg);
	EXPECT(-EAGAIN, uffd_poison(uffd, m->addr, m->len));
	CHECK(toucher_join(&t).signo == SIGBUS, "the waiter read the page");
}

static void *remover(void *arg)
{
	struct mapping *m = arg;

	/* Blocks until its UFFD_EVENT_REMOVE is read */
	madvise(m->addr, PAGE, MADV_DONTNEED);
	return NULL;
}

static void layout_changing(struct mapping *m)
{
	int uffd = uffd_open(O_NONBLOCK, UFFD_FEATURE_EVENT_REMOVE);
	int64_t updated = 0x5555;
	struct uffd_msg msg;
	pthread_t thread;
	int rc;

	EXPECT(0, uffd_register(uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	CHECK(!pthread_create(&thread, NULL, remover, m), "no thread");
	while (uffd_quiet(uffd))
		;
	rc = uffd_poison_mode(uffd, m->addr + PAGE, PAGE, 0, &updated);
	CHECK(read(uffd, &msg, sizeof(msg)) == sizeof(msg), "read: %m");
	CHECK(msg.event == UFFD_EVENT_REMOVE, "event 0x%x", msg.event);
	CHECK(!pthread_join(thread, NULL), "pthread_join failed");

	CHECK(rc == -EAGAIN, "UFFDIO_POISON: %s", strerror(-rc));
	CHECK(updated == -EAGAIN || updated == 0x5555, "updated = %lld",
	      (long long)updated);
	NOTE("updated is %s", updated == 0x5555 ? "not written" : "-EAGAIN");
	EXPECT(0, uffd_poison(uffd, m->addr + PAGE, PAGE));
}

static const struct kcase cases[] = {
	{ "midway", "a present page midway: updated = bytes before it, which "
	  "are poisoned", midway, ON_BOTH },
	{ "wake", "waiters in the part that was done are woken", midway_wakes,
	  ON_BOTH },
	{ "changing", "memory layout changing: nothing done, later it works",
	  layout_changing, ON_BOTH },
};

KTEST_MAIN(cases)
