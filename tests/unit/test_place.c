// SPDX-License-Identifier: MIT
/*
 * test_place.c - Pages and poison into registered RAM, and against each other
 *
 * Real memory and a real userfaultfd, no KVM: the destination's placing code
 * with a machine around it that is RAM and nothing else. Proves that poison is
 * terminal (invariant 2) when a copy comes late and when it comes at the same
 * moment, that a page is placed once (1), that the counts add up (10), and
 * that each error of the ioctl names the address.
 */

#include <pthread.h>
#include <unistd.h>

#include "unit.h"

#include "migration/session/target.h"
#include "vmm/machine/machine_private.h"
#include "vmm/memory/uffd.h"

#define RAM_BYTES	(64 * MIB)
#define PAGES		(RAM_BYTES / WIRE_PAGE)

struct fixture {
	struct machine m;
	struct job job;
	struct target t;
	_Atomic unsigned failures;	/* MEMORY_FAILUREs told */
	uint8_t data[WIRE_RUN_PAGES * WIRE_PAGE];
};

static void on_failure(void *ctx, const struct memory_failure *f)
{
	struct fixture *x = ctx;

	assert_int_equal(f->size, WIRE_PAGE);
	x->failures++;
}

static struct fixture *set_up(enum ram_backing backing)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct error err = { 0 };

	assert_non_null(x);
	assert_int_equal(ram_create(&x->m.ram, RAM_BYTES, backing, &err), 0);
	poison_init(&x->m.poison);
	x->m.observer = (struct machine_observer){
		.ctx = x, .failure = on_failure,
	};
	job_init(&x->job, NULL);
	x->t.m = &x->m;
	x->t.job = &x->job;
	x->t.can_poison = true;
	x->t.inflight.job = &x->job;
	pthread_mutex_init(&x->t.inflight.lock, NULL);
	pthread_mutex_init(&x->t.hook_lock, NULL);
	x->t.uffd = uffd_open(true, &err);
	if (x->t.uffd < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pages_init(&x->t.pages, PAGES), 0);
	assert_int_equal(uffd_register(x->t.uffd, x->m.ram.base, RAM_BYTES,
				       UFFD_MISSING, &err), 0);
	memset(x->data, 0x5a, sizeof(x->data));
	return x;
}

static void tear_down(struct fixture *x)
{
	close(x->t.uffd);
	pages_fini(&x->t.pages);
	poison_fini(&x->m.poison);
	ram_destroy(&x->m.ram);
	free(x);
}

static int read_byte(struct fixture *x, uint64_t gpa, uint8_t *byte)
{
	return ram_read(&x->m.ram, gpa, byte, 1);
}

static void assert_lost(struct fixture *x, uint64_t gpa)
{
	uint8_t byte = 0;

	assert_int_equal(read_byte(x, gpa, &byte), -EHWPOISON);
	assert_int_equal(byte, 0);
}

static void assert_holds(struct fixture *x, uint64_t gpa, uint8_t want)
{
	uint8_t byte = (uint8_t)~want;

	assert_int_equal(read_byte(x, gpa, &byte), 0);
	assert_int_equal(byte, want);
}

static void assert_adds_up(struct fixture *x)
{
	struct pages *p = &x->t.pages;

	assert_int_equal(p->missing + p->zero + p->present + p->poisoned,
			 PAGES);
}

static void late_copy(struct fixture *x)
{
	struct error err = { 0 };

	assert_int_equal(target_poison(&x->t, 0x5000, 1, false, &err), 0);
	assert_int_equal(target_place(&x->t, 0x4000, x->data, 3, PAGE_PUSH,
				      &err), 0);
	assert_holds(x, 0x4000, 0x5a);
	assert_lost(x, 0x5000);
	assert_holds(x, 0x6000, 0x5a);
	/* Zeroes don't come over it, either: in a memfd the kernel would let */
	assert_int_equal(target_zero(&x->t, 0x5000, 1, &err), 0);
	assert_int_equal(target_zero_fault(&x->t, 5, &err), 0);
	assert_lost(x, 0x5000);
	assert_int_equal(x->failures, 1);
	assert_int_equal(x->t.pages.poisoned, 1);
	assert_adds_up(x);
}

static void late_poison(struct fixture *x)
{
	struct error err = { 0 };

	assert_int_equal(target_place(&x->t, 0x8000, x->data, 1, PAGE_PUSH,
				      &err), 0);
	assert_int_equal(target_poison(&x->t, 0x8000, 1, false, &err), 0);
	assert_holds(x, 0x8000, 0x5a);
	assert_int_equal(x->job.refused, 1);
	assert_int_equal(x->failures, 0);
	assert_false(poison_find(&x->m.poison, 0x8000, NULL));
	assert_adds_up(x);
}

/* The two threads meet at each page, and run into it together */
struct racer {
	struct fixture *x;
	pthread_barrier_t *start;
	bool poisons;
};

#define RACES	3000

static void *race(void *arg)
{
	struct racer *r = arg;
	struct error err = { 0 };

	for (uint64_t i = 0; i < RACES; i++) {
		uint64_t gpa = i * WIRE_PAGE;

		pthread_barrier_wait(r->start);
		/* Now one, now the other comes a little later */
		for (volatile unsigned n = 0;
		     n < (r->poisons ? i % 40 : (RACES - i) % 40) * 8; n++)
			;
		if (r->poisons)
			target_poison(&r->x->t, gpa, 1, false, &err);
		else
			target_place(&r->x->t, gpa, r->x->data, 1, PAGE_PUSH,
				     &err);
	}
	assert_int_equal(err.code, 0);
	return NULL;
}

static void copy_and_poison_at_once(struct fixture *x)
{
	pthread_barrier_t start;
	struct racer a = { x, &start, false }, b = { x, &start, true };
	unsigned won[2] = { 0 };
	pthread_t thread;

	pthread_barrier_init(&start, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, race, &a), 0);
	race(&b);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&start);

	for (uint64_t i = 0; i < RACES; i++) {
		bool lost = pages_get(&x->t.pages, i) == PAGE_POISONED;

		won[lost]++;
		if (lost)
			assert_lost(x, i * WIRE_PAGE);
		else
			assert_holds(x, i * WIRE_PAGE, 0x5a);
	}
	/* A race that always ends the same way was none */
	assert_true(won[0] > 0);
	assert_true(won[1] > 0);
	assert_int_equal(won[1], x->failures);
	assert_int_equal(x->job.refused + x->t.pages.poisoned, RACES);
	assert_adds_up(x);
}

/* Something is there that the table doesn't know of: EEXIST */
static void present_behind_our_back(struct fixture *x)
{
	struct error err = { 0 };
	uint8_t other[WIRE_PAGE];
	size_t done;

	memset(other, 0x11, sizeof(other));
	assert_int_equal(uffd_copy(x->t.uffd, x->m.ram.base + 0x3000, other,
				   WIRE_PAGE, &done), 0);
	/* In the middle of a run: the kernel stops with EAGAIN and a count */
	assert_int_equal(target_place(&x->t, 0x1000, x->data, 5, PAGE_PUSH,
				      &err), 0);
	for (uint64_t gpa = 0x1000; gpa < 0x6000; gpa += WIRE_PAGE)
		assert_holds(x, gpa, gpa == 0x3000 ? 0x11 : 0x5a);
	assert_int_equal(x->job.pages[PAGE_PUSH], 4);
	assert_int_equal(x->job.duplicates, 1);

	assert_int_equal(uffd_copy(x->t.uffd, x->m.ram.base + 0x9000, other,
				   WIRE_PAGE, &done), 0);
	assert_int_equal(target_poison(&x->t, 0x8000, 3, false, &err), 0);
	assert_lost(x, 0x8000);
	assert_holds(x, 0x9000, 0x11);
	assert_lost(x, 0xa000);
	assert_int_equal(x->job.refused, 1);
	assert_int_equal(x->failures, 2);
	assert_adds_up(x);
}

/* Errors name the address, and leave the page as it was: it may come again */
static void errors_name_the_address(struct fixture *x)
{
	struct error err = { 0 };

	assert_int_equal(uffd_unregister(x->t.uffd, x->m.ram.base + 0x2000,
					 WIRE_PAGE), 0);
	assert_refused(target_place(&x->t, 0x1000, x->data, 3, PAGE_PUSH,
				    &err), ENOENT, err, "0x1000");
	assert_true(strstr(err.text, "not registered"));
	assert_int_equal(pages_get(&x->t.pages, 2), PAGE_MISSING);
	error_clear(&err);
	assert_refused(target_poison(&x->t, 0x2000, 1, false, &err), ENOENT,
		       err, "0x2000");
	error_clear(&err);
	assert_refused(target_place(&x->t, RAM_BYTES, x->data, 1, PAGE_PUSH,
				    &err), EBADMSG, err, "0x4000000");
	error_clear(&err);
	assert_refused(target_poison(&x->t, RAM_BYTES - WIRE_PAGE, 2, false,
				     &err), EBADMSG, err, "no RAM");
	assert_adds_up(x);
}

static void every_errno_has_its_words(void **state)
{
	static const int codes[] = { EEXIST, ENOENT, ESRCH, ENOMEM, EINVAL,
				     EFAULT, EPERM };

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(uffd_cause(-codes[i]),
						uffd_cause(-codes[k]));
}

static void poison_by_hand(struct fixture *x)
{
	struct error err = { 0 };

	/* Present, then lost: a copy that comes afterwards changes nothing */
	assert_int_equal(target_place(&x->t, 0x1000, x->data, 1, PAGE_PUSH,
				      &err), 0);
	assert_int_equal(target_pager_hook(&x->t, 0x1000, true, &err), 0);
	assert_int_equal(target_place(&x->t, 0x1000, x->data, 1, PAGE_PUSH,
				      &err), 0);
	assert_lost(x, 0x1000);
	/* Missing, then lost */
	assert_int_equal(target_pager_hook(&x->t, 0x2000, true, &err), 0);
	assert_int_equal(target_place(&x->t, 0x2000, x->data, 1, PAGE_PUSH,
				      &err), 0);
	assert_lost(x, 0x2000);
	/* For real only where a page is; without a pager the ordinary way */
	assert_int_equal(target_pager_hook(&x->t, 0x3000, false, &err),
			 -EAGAIN);
	assert_adds_up(x);
}

/* No UFFDIO_POISON: no guest with lost pages is taken; after the hand-over the
 * page can't be reached, whatever comes late, also with RAM let go
 */
static void walled(struct fixture *x)
{
	struct error err = { 0 };

	x->t.can_poison = false;
	assert_refused(target_poison(&x->t, 0x5000, 1, false, &err), ENOTSUP,
		       err, "0x5000");
	assert_int_equal(x->failures, 0);
	assert_int_equal(x->t.pages.missing, PAGES);
	assert_false(x->m.ram.walled);

	x->t.prepared = true;
	error_clear(&err);
	late_copy(x);
	assert_true(x->m.ram.walled);
	assert_true(poison_find(&x->m.poison, 0x5000, NULL));
	error_clear(&err);
	assert_refused(target_pager_hook(&x->t, 0x4000, true, &err), ENOTSUP,
		       err, "hwpoison");
	assert_holds(x, 0x4000, 0x5a);
	assert_int_equal(uffd_unregister(x->t.uffd, x->m.ram.base,
					 RAM_BYTES), 0);
	assert_lost(x, 0x5000);
	assert_holds(x, 0x7000, 0);
}

#define BOTH(name) \
static void name##_anon(void **state) \
{ \
	struct fixture *x = set_up(RAM_ANON); \
	(void)state; \
	name(x); \
	tear_down(x); \
} \
static void name##_memfd(void **state) \
{ \
	struct fixture *x = set_up(RAM_MEMFD); \
	(void)state; \
	name(x); \
	tear_down(x); \
}

BOTH(late_copy)
BOTH(late_poison)
BOTH(copy_and_poison_at_once)
BOTH(present_behind_our_back)
BOTH(errors_name_the_address)
BOTH(poison_by_hand)
BOTH(walled)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_copy_anon),
		cmocka_unit_test(late_copy_memfd),
		cmocka_unit_test(late_poison_anon),
		cmocka_unit_test(late_poison_memfd),
		cmocka_unit_test(copy_and_poison_at_once_anon),
		cmocka_unit_test(copy_and_poison_at_once_memfd),
		cmocka_unit_test(present_behind_our_back_anon),
		cmocka_unit_test(present_behind_our_back_memfd),
		cmocka_unit_test(errors_name_the_address_anon),
		cmocka_unit_test(errors_name_the_address_memfd),
		cmocka_unit_test(poison_by_hand_anon),
		cmocka_unit_test(poison_by_hand_memfd),
		cmocka_unit_test(walled_anon),
		cmocka_unit_test(walled_memfd),
		cmocka_unit_test(every_errno_has_its_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
