// SPDX-License-Identifier: MIT
/*
 * poison-updated.c - The field updated, beside UFFDIO_COPY's field copy
 *
 * Man page: "The updated field is used by the kernel to return the number of
 * bytes that were actually poisoned, or an error in the same manner as
 * UFFDIO_COPY. If the value returned in the updated field doesn't match the
 * value that was specified in range.len, the operation fails with the error
 * EAGAIN."
 *
 * The first sentence holds: in the same situation both give the same errno and
 * the same value. The second holds for a number of bytes. A negated error in
 * the field does not match range.len either, but errno is then that error.
 */
#include <fcntl.h>

#include "ktest.h"

#define JUNK	0x1234567

/** struct outcome - What one call gave: 0 or -errno, and its output field */
struct outcome {
	int rc;
	int64_t field;
};

static struct outcome by_poison(int uffd, void *addr, size_t len)
{
	struct outcome o = { .field = JUNK };

	o.rc = uffd_poison_mode(uffd, addr, len, 0, &o.field);
	return o;
}

static struct outcome by_copy(int uffd, void *addr, size_t len)
{
	static unsigned char src[NPAGES * PAGE];
	struct uffdio_copy c = { .dst = (uintptr_t)addr, .len = len,
				 .src = (uintptr_t)src, .copy = JUNK };
	struct outcome o;

	o.rc = ioctl(uffd, UFFDIO_COPY, &c) ? -errno : 0;
	o.field = c.copy;
	return o;
}

static void check_same(const char *when, struct outcome poison,
		       struct outcome copy, int rc, int64_t field)
{
	CHECK(poison.rc == copy.rc && poison.field == copy.field,
	      "%s: POISON %d and %lld, COPY %d and %lld", when, poison.rc,
	      (long long)poison.field, copy.rc, (long long)copy.field);
	CHECK(poison.rc == rc && poison.field == field, "%s: %d and %lld",
	      when, poison.rc, (long long)poison.field);
}

/* Two places that are in the same state, one for each operation */
static void same_as_copy(struct mapping *m)
{
	unsigned char *a = m->addr, *b = m->addr + 4 * PAGE;
	int uffd = uffd_missing(m);

	check_same("success", by_poison(uffd, a, PAGE),
		   by_copy(uffd, b, PAGE), 0, PAGE);
	EXPECT(0, uffd_copy(uffd, a + 2 * PAGE, 1));
	EXPECT(0, uffd_copy(uffd, b + 2 * PAGE, 1));
	check_same("a page midway", by_poison(uffd, a + PAGE, 3 * PAGE),
		   by_copy(uffd, b + PAGE, 3 * PAGE), -EAGAIN, PAGE);
	check_same("a page at the start", by_poison(uffd, a + 2 * PAGE, PAGE),
		   by_copy(uffd, b + 2 * PAGE, PAGE), -EEXIST, -EEXIST);
	check_same("no whole page", by_poison(uffd, a, PAGE / 2),
		   by_copy(uffd, b, PAGE / 2), -EINVAL, JUNK);
	EXPECT(0, uffd_unregister(uffd, m->addr, m->len));
	check_same("not registered", by_poison(uffd, a + 3 * PAGE, PAGE),
		   by_copy(uffd, b + 3 * PAGE, PAGE), -ENOENT, -ENOENT);
}

/* A negated error differs from range.len, yet errno is not EAGAIN */
static void error_not_eagain(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct outcome o;

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	o = by_poison(uffd, m->addr, PAGE);
	CHECK(o.field != (int64_t)PAGE && o.rc == -EEXIST, "%d and %lld", o.rc,
	      (long long)o.field);
}

/* DONTWAKE changes who is woken, not what is returned */
static void dontwake(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct uffd_msg msg;
	struct toucher t;
	int64_t updated = JUNK;

	EXPECT(0, uffd_copy(uffd, m->addr + 3 * PAGE, 1));
	toucher_start(&t, m->addr);
	uffd_wait_fault(uffd, &msg);
	EXPECT(-EAGAIN, uffd_poison_mode(uffd, m->addr, m->len,
					 UFFDIO_POISON_MODE_DONTWAKE,
					 &updated));
	CHECK(updated == 3 * PAGE, "updated = %lld", (long long)updated);
	CHECK(toucher_blocked(&t), "the waiter woke");
	EXPECT(-EEXIST, uffd_poison_mode(uffd, m->addr, PAGE,
					 UFFDIO_POISON_MODE_DONTWAKE,
					 &updated));
	CHECK(updated == -EEXIST, "updated = %lld", (long long)updated);
	EXPECT(0, uffd_wake(uffd, m->addr, PAGE));
	CHECK(toucher_join(&t).signo == SIGBUS, "the waiter read the page");
}

/* A call that did nothing wakes no thread: EEXIST, too, although poison is there */
static void refused_wakes_none(struct mapping *m)
{
	int uffd = uffd_missing(m);
	struct uffd_msg msg;
	struct toucher t;
	int64_t updated = 0;

	toucher_start(&t, m->addr);
	uffd_wait_fault(uffd, &msg);
	EXPECT(0, uffd_poison_mode(uffd, m->addr, PAGE,
				   UFFDIO_POISON_MODE_DONTWAKE, &updated));
	EXPECT(-EEXIST, uffd_poison(uffd, m->addr, PAGE));
	CHECK(toucher_blocked(&t), "the waiter woke");
	EXPECT(0, uffd_wake(uffd, m->addr, PAGE));
	CHECK(toucher_join(&t).signo == SIGBUS, "the waiter read the page");
}

static const struct kcase cases[] = {
	{ "copy", "success, part, EEXIST, EINVAL, ENOENT: errno and field as "
	  "UFFDIO_COPY has them", same_as_copy, ON_BOTH },
	{ "errno", "a negated error in the field: errno is that error, not "
	  "EAGAIN", error_not_eagain, ON_BOTH },
	{ "dontwake", "MODE_DONTWAKE returns the same, for a part and for "
	  "EEXIST", dontwake, ON_BOTH },
	{ "refused", "a call refused with EEXIST wakes no waiter",
	  refused_wakes_none, ON_BOTH },
};

KTEST_MAIN(cases)
