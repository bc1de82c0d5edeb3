// SPDX-License-Identifier: MIT
/*
 * test_place.c - Pages and poison into registered RAM, and against each other
 *
 * Real memory and a real userfaultfd, no KVM, no session: a page_store around
 * RAM. Proves that poison is terminal (invariant 2) when a copy comes late and
 * when it comes at the same moment, that a page is placed once (1), that the
 * counts add up (10), that the fault thread does not wait for a bulk thread,
 * and that each error of the ioctl names the address.
 *
 * The same tests run with small pages and with staged huge pages: RAM whose
 * unit is set to 2 MiB takes the latter's path without a pool of huge pages.
 */

#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

#include "migration/pages/page_store.h"
#include "vmm/memory/poison.h"

/* See race_point.h. Calls @at_point, once for each time that it is set */
static _Thread_local void (*at_point)(struct page_store *s, size_t page,
				      const char *name);

#define RACE_POINT(name) \
	(at_point ? at_point(s, first + k, #name) : (void)0)

#include "migration/pages/place_huge.c"
#include "vmm/memory/ram_huge.h"
#include "vmm/memory/uffd.h"

#define RAM_BYTES	(64 * MIB)
#define PAGES		(RAM_BYTES / WIRE_PAGE)

struct fixture {
	struct ram ram;
	struct poison_list poison;
	struct page_stats stats;
	struct page_store s;
	_Atomic unsigned events, crashes;
	uint8_t data[WIRE_RUN_PAGES * WIRE_PAGE];
};

static int on_poisoned(void *ctx, uint64_t gpa, uint64_t size, bool delivered)
{
	struct poison p = { .gpa = gpa, .size = size,
			    .delivered = delivered };
	struct fixture *x = ctx;

	x->events++;
	return poison_add(&x->poison, &p) < 0 ? -ENOMEM : 0;
}

static void on_crash(void *ctx)
{
	struct fixture *x = ctx;

	x->crashes++;
}

static void open_store(struct fixture *x, bool can_poison)
{
	const struct page_store_events ev = {
		.ctx = x, .poisoned = on_poisoned, .crash = on_crash,
	};
	struct error err = { 0 };

	page_store_init(&x->s, &x->stats, &ev, can_poison);
	if (page_store_open(&x->s, &x->ram, &err))
		fail_msg("%s", err.text);
}

static void open_again(struct fixture *x)
{
	struct error err = { 0 };

	if (page_store_open(&x->s, &x->ram, &err))
		fail_msg("%s", err.text);
}

static struct fixture *set_up(enum ram_backing backing, bool can_poison)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct error err = { 0 };

	assert_non_null(x);
	assert_int_equal(ram_create(&x->ram, RAM_BYTES,
				    backing == RAM_MEMFD ? RAM_MEMFD
							 : RAM_ANON, &err), 0);
	if (backing == RAM_HUGETLB) {
		x->ram.unit = RAM_HUGE;
		x->ram.small = calloc(RAM_BYTES / RAM_HUGE, 1);
		assert_non_null(x->ram.small);
	}
	poison_init(&x->poison);
	open_store(x, can_poison);
	memset(x->data, 0x5a, sizeof(x->data));
	return x;
}

static void tear_down(struct fixture *x)
{
	page_store_close(&x->s);
	page_store_fini(&x->s);
	poison_fini(&x->poison);
	ram_destroy(&x->ram);
	free(x);
}

static int put_message(struct fixture *x, enum wire_type type, uint64_t gpa,
		       size_t n, bool demanded, struct error *err)
{
	struct wire_msg m = { .type = type, .a = gpa, .b = n };

	if (type == WIRE_MSG_PAGES)
		m.length = (uint32_t)(n * WIRE_PAGE);
	return page_store_message(&x->s, &m, x->data, demanded, err);
}

static void put(struct fixture *x, enum wire_type type, uint64_t gpa,
		size_t n)
{
	struct error err = { 0 };

	if (put_message(x, type, gpa, n, false, &err))
		fail_msg("%s", err.text);
}

static int read_byte(struct fixture *x, uint64_t gpa, uint8_t *byte)
{
	return ram_read(&x->ram, gpa, byte, 1);
}

static void assert_lost(struct fixture *x, uint64_t gpa)
{
	uint8_t byte = 0;

	assert_true(read_byte(x, gpa, &byte) < 0);
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
	struct pages *p = &x->s.table;

	assert_int_equal(p->missing + p->zero + p->present + p->poisoned,
			 PAGES);
}

static void late_copy(struct fixture *x)
{
	struct page_wants wants;
	struct error err = { 0 };

	put(x, WIRE_MSG_POISON, 0x5000, 1);
	put(x, WIRE_MSG_PAGES, 0x4000, 3);
	assert_holds(x, 0x4000, 0x5a);
	assert_lost(x, 0x5000);
	assert_holds(x, 0x6000, 0x5a);
	/* Demanded contents, and zeroes: in a memfd the kernel would let them */
	assert_int_equal(put_message(x, WIRE_MSG_PAGES, 0x5000, 1, true,
				     &err), 0);
	put(x, WIRE_MSG_ZERO, 0x5000, 1);
	assert_int_equal(put_message(x, WIRE_MSG_ZERO, 0x5000, 1, true,
				     &err), 0);
	assert_int_equal(page_store_fault(&x->s, 5, 0, true, &wants, &err),
			 0);
	assert_false(wants.any);
	assert_lost(x, 0x5000);
	assert_int_equal(x->events, 1);
	assert_int_equal(x->s.table.poisoned, 1);
	assert_adds_up(x);
}

static void late_poison(struct fixture *x)
{
	put(x, WIRE_MSG_PAGES, 0x8000, 1);
	put(x, WIRE_MSG_POISON, 0x8000, 1);
	assert_holds(x, 0x8000, 0x5a);
	assert_int_equal(x->stats.refused, 1);
	assert_int_equal(x->events, 0);
	assert_false(poison_find(&x->poison, 0x8000, NULL));
	assert_adds_up(x);
}

/* One range: one ioctl, one entry, one event; known pages divide it */
static _Atomic unsigned poison_calls;

static int count_poison(int fd, void *dst, size_t len, size_t *done)
{
	poison_calls++;
	return uffd_poison(fd, dst, len, done);
}

static void a_range_of_poison_is_one_event(struct fixture *x)
{
	struct error err = { 0 };

	poison_calls = 0;
	x->s.call.poison = count_poison;
	assert_int_equal(page_store_poison(&x->s, 0x100000, 3000, true, &err),
			 0);
	assert_int_equal(poison_calls, 1);
	assert_int_equal(x->events, 1);
	assert_int_equal(x->poison.n, 1);
	assert_true(x->poison.entry[0].delivered);
	assert_int_equal(x->stats.pages[COUNT_POISON], 3000);
	assert_lost(x, 0x100000);
	assert_lost(x, 0x100000 + 2999 * WIRE_PAGE);
	put(x, WIRE_MSG_PAGES, 0x3000, 1);
	assert_int_equal(page_store_poison(&x->s, 0x1000, 5, false, &err), 0);
	assert_int_equal(x->events, 3);
	assert_int_equal(x->stats.refused, 1);
	assert_holds(x, 0x3000, 0x5a);
	assert_lost(x, 0x2000);
	assert_lost(x, 0x4000);
	assert_adds_up(x);
}

/*
 * Poison is in the list before the table counts it, and while its reporter
 * waits for a lock the page path goes on. Closing makes the last reports.
 */
static sem_t reporting, report_on;
static _Atomic unsigned reports;

static void slow_report(void *ctx)
{
	(void)ctx;
	if (!reports++) {
		sem_post(&reporting);
		sem_wait(&report_on);
	}
}

static int post_poisoned(void *ctx, uint64_t gpa, uint64_t size,
			 bool delivered)
{
	struct poison p = { .gpa = gpa, .size = size,
			    .delivered = delivered };
	struct fixture *x = ctx;
	uint64_t offset;

	if (ram_offset(&x->ram, gpa, size, &offset))
		x->crashes += pages_get(&x->s.table, offset / WIRE_PAGE) ==
			      PAGE_POISONED;
	x->events++;
	return poison_post(&x->poison, &p);
}

static void poison_waits_for_no_report(struct fixture *x)
{
	unsigned seen;

	page_store_close(&x->s);
	sem_init(&reporting, 0, 0);
	sem_init(&report_on, 0, 0);
	reports = 0;
	x->s.events.poisoned = post_poisoned;
	x->s.events.report = slow_report;
	open_again(x);
	/* Whoever reports or reads holds the list's lock, and is preempted */
	pthread_mutex_lock(&x->poison.lock);
	put(x, WIRE_MSG_POISON, 0x5000, 1);
	sem_wait(&reporting);
	for (unsigned i = 0; i < 20; i++)
		put(x, WIRE_MSG_POISON, 0x8000 + 2 * i * WIRE_PAGE, 1);
	pthread_mutex_unlock(&x->poison.lock);
	assert_int_equal(x->s.table.poisoned, 21);
	assert_int_equal(x->events, 21);
	assert_int_equal(x->crashes, 0);
	assert_true(poison_find(&x->poison, 0x5000, NULL));
	assert_true(poison_find(&x->poison, 0x8000 + 38 * WIRE_PAGE, NULL));
	seen = reports;
	assert_int_equal(seen, 1);
	sem_post(&report_on);
	/* What came while it reported */
	for (unsigned ms = 0; reports == seen; ms++) {
		assert_in_range(ms, 0, 10000);
		usleep(1000);
	}
	seen = reports;
	page_store_close(&x->s);
	assert_true(reports > seen);
	assert_false(x->s.reporter.started);
	x->s.events.report = NULL;
	sem_destroy(&reporting);
	sem_destroy(&report_on);
}

/* A bulk thread, the fault thread, and poison meet at each page */
struct racer {
	struct fixture *x;
	pthread_barrier_t *start;
	unsigned role;		/* 0 bulk, 1 fault, 2 poison, 3 by hand */
};

#define ROLES	4
#define RACES	2000

static void *race(void *arg)
{
	struct racer *r = arg;
	struct error err = { 0 }, no = { 0 };

	for (uint64_t i = 0; i < RACES; i++) {
		uint64_t gpa = i * WIRE_PAGE;

		pthread_barrier_wait(r->start);
		/* Now one, now another comes a little later */
		for (volatile unsigned n = (unsigned)(i * (r->role + 3) % 41);
		     n < 40; n++)
			for (volatile unsigned k = 0; k < 8; k++)
				;
		if (r->role < 2)
			put_message(r->x, WIRE_MSG_PAGES, gpa, 1, r->role,
				    &err);
		else if (r->role == 2)
			put_message(r->x, WIRE_MSG_POISON, gpa, 1, false,
				    &err);
		else if (i % 2)
			page_store_inject(&r->x->s, gpa, true, &no);
	}
	if (err.code)
		fail_msg("%s", err.text);
	return NULL;
}

static void copies_and_poison_at_once(struct fixture *x)
{
	pthread_barrier_t start;
	struct racer r[ROLES];
	pthread_t thread[ROLES];
	unsigned lost = 0;

	pthread_barrier_init(&start, NULL, ROLES);
	for (unsigned k = 0; k < ROLES; k++) {
		r[k] = (struct racer){ x, &start, k };
		assert_int_equal(pthread_create(&thread[k], NULL, race,
						&r[k]), 0);
	}
	for (unsigned k = 0; k < ROLES; k++)
		pthread_join(thread[k], NULL);
	pthread_barrier_destroy(&start);

	for (uint64_t i = 0; i < RACES; i++)
		if (pages_get(&x->s.table, i) == PAGE_POISONED) {
			assert_lost(x, i * WIRE_PAGE);
			lost++;
		} else {
			assert_int_equal(pages_get(&x->s.table, i),
					 PAGE_PRESENT);
			assert_holds(x, i * WIRE_PAGE, 0x5a);
		}
	/* A race that always ends the same way was none */
	assert_in_range(lost, 1, RACES - 1);
	assert_int_equal(x->crashes, 0);
	assert_adds_up(x);
}

/*
 * A bulk thread that is stopped in its ioctl, before the kernel did anything:
 * what the fault thread brings is placed; poison waits; then the bulk thread
 * goes on and changes nothing.
 */
static sem_t entered, go_on;
static _Thread_local bool stops;

static int stopping_copy(int fd, void *dst, const void *src, size_t len,
			 size_t *done)
{
	if (stops) {
		stops = false;
		sem_post(&entered);
		sem_wait(&go_on);
	}
	return uffd_copy(fd, dst, src, len, done);
}

static void *bulk_main(void *arg)
{
	struct fixture *x = arg;

	stops = true;
	put(x, WIRE_MSG_PAGES, 0x10000, 8);
	return NULL;
}

static void the_fault_thread_does_not_wait(struct fixture *x)
{
	struct error err = { 0 };
	struct page_wants wants;
	pthread_t bulk;

	sem_init(&entered, 0, 0);
	sem_init(&go_on, 0, 0);
	x->s.call.copy = stopping_copy;
	assert_int_equal(pthread_create(&bulk, NULL, bulk_main, x), 0);
	sem_wait(&entered);
	assert_int_equal(pages_get(&x->s.table, 0x12), PAGE_COPYING);

	/* A vCPU touches the page: it is requested, once */
	assert_int_equal(page_store_fault(&x->s, 0x12, 0, true, &wants, &err),
			 0);
	assert_true(wants.any);
	assert_int_equal(wants.bits[0], 1);
	assert_int_equal(page_store_fault(&x->s, 0x12, 1, true, &wants, &err),
			 0);
	assert_false(wants.any);
	assert_int_equal(put_message(x, WIRE_MSG_PAGES, 0x12000, 1, true,
				     &err), 0);
	assert_holds(x, 0x12000, 0x5a);
	assert_int_equal(x->stats.demand.count, 2);
	assert_int_equal(x->stats.pages[COUNT_DEMAND], 1);

	/* The bulk thread may still copy: no poison yet, of either kind */
	assert_int_equal(pages_get(&x->s.table, 0x12), PAGE_HELD);
	assert_int_equal(page_store_inject(&x->s, 0x12000, true, &err),
			 -EAGAIN);
	put(x, WIRE_MSG_POISON, 0x12000, 1);
	assert_holds(x, 0x12000, 0x5a);

	sem_post(&go_on);
	pthread_join(bulk, NULL);
	assert_int_equal(pages_get(&x->s.table, 0x12), PAGE_PRESENT);
	assert_int_equal(x->stats.pages[COUNT_PUSH], 7);
	assert_int_equal(x->stats.duplicates, 1);
	assert_int_equal(x->s.table.present, 8);
	error_clear(&err);
	assert_int_equal(page_store_inject(&x->s, 0x12000, true, &err), 0);
	assert_lost(x, 0x12000);
	assert_adds_up(x);
	sem_destroy(&entered);
	sem_destroy(&go_on);
}

/* The same with zeroes that the fault thread brings, and a bulk failure */
static int failing_copy(int fd, void *dst, const void *src, size_t len,
			size_t *done)
{
	if (!stops)
		return uffd_copy(fd, dst, src, len, done);
	sem_post(&entered);
	sem_wait(&go_on);
	*done = 0;
	return -ESRCH;
}

static void *failing_main(void *arg)
{
	struct error err = { 0 };
	struct fixture *x = arg;

	stops = true;
	assert_refused(put_message(x, WIRE_MSG_PAGES, 0x10000, 8, false,
				   &err), ESRCH, err, "0x10000");
	return NULL;
}

static void a_failed_bulk_copy_loses_nothing(struct fixture *x)
{
	struct error err = { 0 };
	pthread_t bulk;

	sem_init(&entered, 0, 0);
	sem_init(&go_on, 0, 0);
	x->s.call.copy = failing_copy;
	assert_int_equal(pthread_create(&bulk, NULL, failing_main, x), 0);
	sem_wait(&entered);
	assert_int_equal(put_message(x, WIRE_MSG_ZERO, 0x12000, 1, true,
				     &err), 0);
	assert_holds(x, 0x12000, 0);
	sem_post(&go_on);
	pthread_join(bulk, NULL);
	assert_int_equal(pages_get(&x->s.table, 0x12), PAGE_PRESENT);
	assert_int_equal(pages_get(&x->s.table, 0x13), PAGE_MISSING);
	put(x, WIRE_MSG_PAGES, 0x10000, 8);
	assert_holds(x, 0x13000, 0x5a);
	assert_holds(x, 0x12000, 0);
	assert_adds_up(x);
	sem_destroy(&entered);
	sem_destroy(&go_on);
}

/*
 * Out of memory for a while: repeated; for too long: an error. Of a run one
 * page is placed each time, and is not to be placed again.
 */
static _Atomic unsigned no_memory_left;

static int poor_copy(int fd, void *dst, const void *src, size_t len,
		     size_t *done)
{
	size_t part = len == 5 * WIRE_PAGE ? WIRE_PAGE : 0;
	int rc;

	*done = 0;
	if (!no_memory_left)
		return uffd_copy(fd, dst, src, len, done);
	no_memory_left--;
	rc = part ? uffd_copy(fd, dst, src, part, done) : 0;
	return rc ? rc : -ENOMEM;
}

static void out_of_memory_is_repeated(struct fixture *x)
{
	struct error err = { 0 };

	x->s.call.copy = poor_copy;
	no_memory_left = 4;
	put(x, WIRE_MSG_PAGES, 0x1000, 5);
	assert_int_equal(no_memory_left, 0);
	assert_holds(x, 0x5000, 0x5a);
	assert_int_equal(x->stats.pages[COUNT_PUSH], 5);
	assert_int_equal(x->stats.duplicates, 0);
	no_memory_left = 1000;
	assert_refused(put_message(x, WIRE_MSG_PAGES, 0x9000, 1, false, &err),
		       ENOMEM, err, "0x9000");
	assert_int_equal(pages_get(&x->s.table, 9), PAGE_MISSING);
	no_memory_left = 0;
	put(x, WIRE_MSG_PAGES, 0x9000, 1);
	assert_holds(x, 0x9000, 0x5a);
	assert_adds_up(x);
}

static unsigned raced_left;

/* Another thread has moved a huge page there: see placement_copy() */
static int raced_copy(int fd, void *dst, const void *src, size_t len,
		      size_t *done)
{
	*done = 0;
	if (!raced_left)
		return uffd_copy(fd, dst, src, len, done);
	raced_left--;
	return -EFAULT;
}

static void an_efault_is_repeated_once(void **state)
{
	struct fixture *x = set_up(RAM_ANON, true);
	struct error err = { 0 };

	(void)state;
	x->s.call.copy = raced_copy;
	raced_left = 1;
	put(x, WIRE_MSG_PAGES, 0x1000, 5);
	assert_holds(x, 0x5000, 0x5a);
	raced_left = 2;
	assert_refused(put_message(x, WIRE_MSG_PAGES, 0x9000, 1, false, &err),
		       EFAULT, err, "0x9000");
	assert_int_equal(raced_left, 0);
	assert_adds_up(x);
	tear_down(x);
}

/* Something is there that the table doesn't know of: EEXIST */
static void present_without_the_table(struct fixture *x)
{
	uint8_t other[WIRE_PAGE];
	size_t done;

	memset(other, 0x11, sizeof(other));
	assert_int_equal(uffd_copy(x->s.uffd, x->ram.base + 0x3000, other,
				   WIRE_PAGE, &done), 0);
	/* In the middle of a run: the kernel stops with EAGAIN and a count */
	put(x, WIRE_MSG_PAGES, 0x1000, 5);
	for (uint64_t gpa = 0x1000; gpa < 0x6000; gpa += WIRE_PAGE)
		assert_holds(x, gpa, gpa == 0x3000 ? 0x11 : 0x5a);
	assert_int_equal(x->stats.pages[COUNT_PUSH], 4);
	assert_int_equal(x->stats.duplicates, 1);

	assert_int_equal(uffd_copy(x->s.uffd, x->ram.base + 0x9000, other,
				   WIRE_PAGE, &done), 0);
	put(x, WIRE_MSG_POISON, 0x8000, 3);
	assert_lost(x, 0x8000);
	assert_holds(x, 0x9000, 0x11);
	assert_lost(x, 0xa000);
	assert_int_equal(x->stats.refused, 1);
	assert_int_equal(x->events, 2);
	assert_adds_up(x);
}

/* Errors name the address, and leave the page as it was: it may come again */
static void errors_name_the_address(struct fixture *x)
{
	struct error err = { 0 };

	assert_int_equal(uffd_unregister(x->s.uffd, x->ram.base + 0x2000,
					 WIRE_PAGE), 0);
	assert_refused(put_message(x, WIRE_MSG_PAGES, 0x1000, 3, false, &err),
		       ENOENT, err, "0x1000");
	assert_true(strstr(err.text, "not registered"));
	assert_int_equal(pages_get(&x->s.table, 2), PAGE_MISSING);
	error_clear(&err);
	assert_refused(put_message(x, WIRE_MSG_POISON, 0x2000, 1, false,
				   &err), ENOENT, err, "0x2000");
	error_clear(&err);
	assert_refused(put_message(x, WIRE_MSG_PAGES, RAM_BYTES, 1, false,
				   &err), EBADMSG, err, "0x4000000");
	error_clear(&err);
	assert_refused(put_message(x, WIRE_MSG_POISON, RAM_BYTES - WIRE_PAGE,
				   2, false, &err), EBADMSG, err, "no RAM");
	error_clear(&err);
	assert_refused(put_message(x, WIRE_MSG_PREPARE, 0, 0, false, &err),
		       EBADMSG, err, "PREPARE");
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
	put(x, WIRE_MSG_PAGES, 0x1000, 1);
	assert_int_equal(page_store_inject(&x->s, 0x1000, true, &err), 0);
	put(x, WIRE_MSG_PAGES, 0x1000, 1);
	assert_lost(x, 0x1000);
	/* Missing, then lost */
	assert_int_equal(page_store_inject(&x->s, 0x2000, true, &err), 0);
	put(x, WIRE_MSG_PAGES, 0x2000, 1);
	assert_lost(x, 0x2000);
	/* For real only where a page is */
	assert_int_equal(page_store_inject(&x->s, 0x3000, false, &err),
			 -EAGAIN);
	/* Without a registered RAM in the ordinary way */
	assert_adds_up(x);
	page_store_close(&x->s);
	assert_int_equal(page_store_inject(&x->s, 0x4000, true, &err), 1);
	assert_lost(x, 0x1000);
}

/* No UFFDIO_POISON: no guest with lost pages is taken; after the hand-over the
 * page can't be reached, whatever comes late, also without userfaultfd
 */
static void walled(struct fixture *x)
{
	struct error err = { 0 };

	page_store_close(&x->s);
	page_store_fini(&x->s);
	open_store(x, false);
	assert_refused(put_message(x, WIRE_MSG_POISON, 0x5000, 1, false,
				   &err), ENOTSUP, err, "0x5000");
	assert_int_equal(x->events, 0);
	assert_int_equal(x->s.table.missing, PAGES);
	assert_false(x->ram.walled);

	x->s.accepted = true;
	error_clear(&err);
	late_copy(x);
	assert_true(x->ram.walled);
	assert_true(poison_find(&x->poison, 0x5000, NULL));
	error_clear(&err);
	assert_refused(page_store_inject(&x->s, 0x4000, true, &err), ENOTSUP,
		       err, "hwpoison");
	assert_holds(x, 0x4000, 0x5a);
	page_store_close(&x->s);
	assert_lost(x, 0x5000);
	assert_holds(x, 0x7000, 0);
}

/* Is this flag among the VmFlags of the mapping at an address? */
static bool has_vm_flag(const void *at, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from = 0, to = 0;
	char line[512];
	bool has = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long a, b;

		if (sscanf(line, "%lx-%lx ", &a, &b) == 2) {
			from = a;
			to = b;
		}
		if (!strncmp(line, "VmFlags:", 8) && from <= (uintptr_t)at &&
		    (uintptr_t)at < to)
			has = strstr(line, flag);
	}
	fclose(f);
	return has;
}

/* Invariant 11: a huge page over missing pages would make them present */
static void no_huge_page_can_form(struct fixture *x)
{
	struct error err = { 0 };

	if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK))
		return;
	assert_true(has_vm_flag(x->ram.base, " nh"));
	assert_true(has_vm_flag(x->ram.base + RAM_BYTES - 1, " nh"));
	assert_true(has_vm_flag(x->ram.base, " um"));
	page_store_close(&x->s);
	assert_false(has_vm_flag(x->ram.base, " um"));
	assert_null(x->s.table.word);
	/* A second guest may come to the same store */
	assert_int_equal(page_store_open(&x->s, &x->ram, &err), 0);
	assert_int_equal(x->s.table.missing, PAGES);
}

/* Zero pages cost nothing until a vCPU touches one */
static void zeroes_are_placed_when_touched(struct fixture *x)
{
	struct error err = { 0 };
	struct page_wants wants;

	assert_int_equal(page_store_fault(&x->s, 7, 0, true, &wants, &err),
			 0);
	assert_true(wants.any);
	page_store_set_zero(&x->s, 0, 100);
	assert_int_equal(pages_get(&x->s.table, 7), PAGE_REQUESTED);
	assert_int_equal(x->s.table.zero, 99);
	put(x, WIRE_MSG_ZERO, 0x5000, 10);
	assert_holds(x, 0x7000, 0);
	assert_int_equal(x->s.table.zero, 99);
	assert_int_equal(page_store_fault(&x->s, 60, 0, true, &wants, &err),
			 0);
	assert_false(wants.any);
	/* First: to read a page that is not there waits for ever */
	assert_int_equal(x->s.table.zero, 99 - 32);
	assert_holds(x, 60 * WIRE_PAGE, 0);
	assert_holds(x, 91 * WIRE_PAGE, 0);
	assert_int_equal(x->stats.demand.count, 1);
	assert_adds_up(x);
}

/* ---- After a lost link ---- */

/* What the store must report of a page that no thread is placing */
static enum page_have have_of(struct fixture *x, size_t page)
{
	switch (pages_get(&x->s.table, page)) {
	case PAGE_PRESENT:
		return HAVE_PRESENT;
	case PAGE_ZERO:
		return HAVE_ZERO;
	case PAGE_POISONING:	/* of a huge page that is not complete */
	case PAGE_POISONED:
		return HAVE_POISONED;
	case PAGE_COPYING:
		return HAVE_STAGED;
	default:
		return HAVE_ABSENT;
	}
}

/* Something of each kind, at random */
static void bring_some(struct fixture *x, uint64_t *seed)
{
	struct page_wants wants;
	struct error err = { 0 };

	for (unsigned k = 0; k < 400; k++) {
		size_t page = dice(seed) % (PAGES - 600);
		size_t n = 1 + dice(seed) % WIRE_RUN_PAGES;

		switch (dice(seed) % 8) {
		case 0:
			page_store_set_zero(&x->s, page, dice(seed) % 600);
			break;
		case 1:
			put(x, WIRE_MSG_POISON, page * WIRE_PAGE, n % 5 + 1);
			break;
		case 2:
			page_store_fault(&x->s, page, (unsigned)k % 64,
					 k % 16, &wants, &err);
			break;
		case 3:
			put(x, WIRE_MSG_ZERO, page * WIRE_PAGE, n);
			break;
		default:
			put(x, WIRE_MSG_PAGES, page * WIRE_PAGE, n);
		}
	}
}

/* Zeroes that are staged are zeroes, too */
static bool is_have(struct fixture *x, size_t page, enum page_have have)
{
	const enum page_have is = have_of(x, page);

	return is == have || (is == HAVE_STAGED && have == HAVE_ZERO);
}

/* Runs that were reported must be what the pages are, and maximal */
static size_t check_runs(struct fixture *x, const struct page_run *run,
			 size_t runs, size_t next)
{
	for (size_t i = 0; i < runs; i++) {
		assert_true(run[i].pages && run[i].first >= next);
		for (; next < run[i].first; next++)
			assert_int_equal(have_of(x, next), HAVE_ABSENT);
		for (; next < run[i].first + run[i].pages; next++)
			if (!is_have(x, next, run[i].have))
				fail_msg("page %zu: %u, reported as %u", next,
					 have_of(x, next), run[i].have);
		assert_true(next <= PAGES);
		if (i + 1 < runs && run[i + 1].first == next)
			assert_int_not_equal(run[i + 1].have, run[i].have);
		else if (next < PAGES && have_of(x, next) != HAVE_STAGED)
			assert_int_not_equal(have_of(x, next), run[i].have);
	}
	return next;
}

static void a_report_tells_what_is_here(struct fixture *x)
{
	uint64_t seed = 77;

	for (unsigned round = 0; round < 6; round++) {
		struct page_run run[7];
		size_t from = 0, next = 0, runs, all = 0;
		bool found[PAGE_HAVES] = { false };

		while ((runs = page_store_report(&x->s, &from, run, 7))) {
			next = check_runs(x, run, runs, next);
			for (size_t i = 0; i < runs; i++)
				found[run[i].have] = true;
			all += runs;
		}
		assert_int_equal(from, PAGES);
		for (; next < PAGES; next++)
			assert_int_equal(have_of(x, next), HAVE_ABSENT);
		/* At first nothing; later something of each kind */
		for (unsigned k = HAVE_PRESENT; k < PAGE_HAVES; k++)
			assert_int_equal(found[k], round && (k == HAVE_STAGED
				? x->ram.unit > WIRE_PAGE
				: k != HAVE_PRESENT || !x->s.staging ||
				  x->s.table.present));
		assert_int_equal(all > 0, round > 0);
		bring_some(x, &seed);
	}
}

/*
 * Faults that came while there was no source, and requests whose answers were
 * lost, are requested again, the oldest first
 */
static void waits_are_requested_again(struct fixture *x)
{
	static const size_t touched[] = { 700, 5, 9000, 701 };
	struct error err = { 0 };
	struct page_wants wants;
	struct page_waits w;

	for (unsigned i = 0; i < 4; i++) {
		page_store_fault(&x->s, touched[i], i, i < 2, &wants, &err);
		assert_int_equal(wants.any, i < 2);
	}
	/* One that has arrived, one known to be zeroes, one with no entry */
	page_store_fault(&x->s, 30, 5, true, &wants, &err);
	put(x, WIRE_MSG_PAGES, 30 * WIRE_PAGE, 1);
	page_store_set_zero(&x->s, 40, 1);
	page_store_fault(&x->s, 40, 6, false, &wants, &err);
	pages_request(&x->s.table, 8000);
	page_store_waits_begin(&x->s, &w);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(page_store_waits_next(&x->s, &w, &wants));
		assert_int_equal(wants.first, touched[i]);
		assert_int_equal(wants.bits[0], 1);
		/* An answer that comes meanwhile ends the wait for another */
		put(x, WIRE_MSG_PAGES, touched[i] * WIRE_PAGE, 1);
	}
	assert_true(page_store_waits_next(&x->s, &w, &wants));
	assert_int_equal(wants.first, 8000);
	assert_false(page_store_waits_next(&x->s, &w, &wants));
	assert_false(page_store_waits_next(&x->s, &w, &wants));
	put(x, WIRE_MSG_PAGES, 8000 * WIRE_PAGE, 1);
	page_store_waits_begin(&x->s, &w);
	assert_false(page_store_waits_next(&x->s, &w, &wants));
	assert_adds_up(x);
}

/* More faults than @waiters has room for: none is forgotten */
static void many_waits_are_requested_again(struct fixture *x)
{
	struct error err = { 0 };
	struct page_wants wants;
	struct page_waits w;
	size_t n = 0;

	for (size_t i = 0; i < WAITERS_MAX + 50; i++)
		page_store_fault(&x->s, 3 * i, PAGE_STATS_OTHER, false, &wants,
				 &err);
	page_store_waits_begin(&x->s, &w);
	for (; page_store_waits_next(&x->s, &w, &wants); n++)
		assert_int_equal(wants.first, 3 * n);
	assert_int_equal(n, WAITERS_MAX + 50);
}

/* ---- Staged huge pages ---- */

#define HUGE_GPA	(4 * RAM_HUGE)
#define HUGE_FIRST	(HUGE_GPA / WIRE_PAGE)

/* Bring pages of the huge page at HUGE_GPA, in messages of at most 64 */
static void bring(struct fixture *x, size_t from, size_t to)
{
	for (size_t n; from < to; from += n) {
		n = to - from < WIRE_RUN_PAGES ? to - from : WIRE_RUN_PAGES;
		put(x, WIRE_MSG_PAGES, HUGE_GPA + from * WIRE_PAGE, n);
	}
}

static unsigned count_bits(const struct page_wants *w)
{
	unsigned n = 0;

	for (size_t i = 0; i < CHUNK_PAGES / 64; i++)
		n += (unsigned)__builtin_popcountll(w->bits[i]);
	return n;
}

static void huge_is_placed_whole(struct fixture *x)
{
	struct error err = { 0 };
	struct page_wants wants;

	bring(x, 0, 100);
	page_store_set_zero(&x->s, HUGE_FIRST + 100, 50);
	assert_int_equal(page_store_settle(&x->s, &err), 0);
	assert_int_equal(x->s.table.present, 0);
	/* A vCPU touches it: what is neither staged nor zero is requested */
	assert_int_equal(page_store_fault(&x->s, HUGE_FIRST + 300, 3, true,
					  &wants, &err), 0);
	assert_int_equal(wants.first, HUGE_FIRST);
	assert_int_equal(count_bits(&wants), CHUNK_PAGES - 150);
	assert_int_equal(page_store_fault(&x->s, HUGE_FIRST + 300, 3, true,
					  &wants, &err), 0);
	assert_false(wants.any);
	bring(x, 150, 511);
	assert_int_equal(x->s.table.present, 0);
	assert_int_equal(put_message(x, WIRE_MSG_PAGES, HUGE_GPA + 511 *
				     WIRE_PAGE, 1, true, &err), 0);
	assert_int_equal(x->s.table.present, CHUNK_PAGES);
	assert_holds(x, HUGE_GPA, 0x5a);
	assert_holds(x, HUGE_GPA + 120 * WIRE_PAGE, 0);
	assert_holds(x, HUGE_GPA + 511 * WIRE_PAGE, 0x5a);
	assert_int_equal(x->stats.vcpu[3].count, 1);
	bring(x, 0, CHUNK_PAGES);
	assert_int_equal(x->stats.duplicates, CHUNK_PAGES);
	/* A part of it can't be lost while pages arrive */
	assert_int_equal(page_store_inject(&x->s, HUGE_GPA, true, &err),
			 -EAGAIN);
	assert_int_equal(pages_get(&x->s.table, HUGE_FIRST), PAGE_PRESENT);
	assert_adds_up(x);
}

static void huge_keeps_poison(struct fixture *x)
{
	struct error err = { 0 };

	put(x, WIRE_MSG_POISON, HUGE_GPA + 3 * WIRE_PAGE, 4);
	put(x, WIRE_MSG_POISON, HUGE_GPA + 9 * WIRE_PAGE, 1);
	/* By hand, on a page known to be zeroes */
	page_store_set_zero(&x->s, HUGE_FIRST + 500, 12);
	assert_int_equal(page_store_inject(&x->s, HUGE_GPA + 505 * WIRE_PAGE,
					   true, &err), 0);
	assert_int_equal(x->events, 0);
	bring(x, 0, 500);
	assert_int_equal(x->s.table.poisoned, 6);
	assert_int_equal(x->s.table.present, 506);
	assert_int_equal(x->events, 3);
	for (size_t k = 0; k < CHUNK_PAGES; k++) {
		bool lost = (k >= 3 && k < 7) || k == 9 || k == 505;

		assert_int_equal(pages_get(&x->s.table, HUGE_FIRST + k),
				 lost ? PAGE_POISONED : PAGE_PRESENT);
		if (lost)
			assert_lost(x, HUGE_GPA + k * WIRE_PAGE);
		else
			assert_holds(x, HUGE_GPA + k * WIRE_PAGE,
				     k < 500 ? 0x5a : 0);
	}
	assert_adds_up(x);
}

static void huge_only_zeroes_and_poison(struct fixture *x)
{
	struct error err = { 0 };

	put(x, WIRE_MSG_POISON, HUGE_GPA, 1);
	page_store_set_zero(&x->s, 0, PAGES);
	assert_int_equal(x->s.table.poisoned, 0);
	assert_int_equal(page_store_settle(&x->s, &err), 0);
	assert_int_equal(x->s.table.poisoned, 1);
	assert_int_equal(x->s.table.present, 511);
	assert_lost(x, HUGE_GPA);
	assert_holds(x, HUGE_GPA + WIRE_PAGE, 0);
	assert_adds_up(x);
}

/* A part was received, and is neither requested nor sent again */
static void huge_waits_are_requested_again(struct fixture *x)
{
	struct error err = { 0 };
	struct page_wants wants;
	struct page_waits w;

	page_store_fault(&x->s, HUGE_FIRST + 300, 3, true, &wants, &err);
	page_store_fault(&x->s, 2, 4, false, &wants, &err);
	assert_false(wants.any);
	bring(x, 0, 100);
	put(x, WIRE_MSG_ZERO, HUGE_GPA + 200 * WIRE_PAGE, 50);
	put(x, WIRE_MSG_POISON, HUGE_GPA + 300 * WIRE_PAGE, 2);
	pages_request(&x->s.table, HUGE_FIRST + CHUNK_PAGES + 7);
	pages_request(&x->s.table, HUGE_FIRST + CHUNK_PAGES + 9);
	page_store_waits_begin(&x->s, &w);
	assert_true(page_store_waits_next(&x->s, &w, &wants));
	assert_int_equal(wants.first, HUGE_FIRST);
	assert_int_equal(count_bits(&wants), CHUNK_PAGES - 152);
	assert_int_equal(wants.bits[0], 0);
	assert_true(page_store_waits_next(&x->s, &w, &wants));
	assert_int_equal(wants.first, 0);
	assert_int_equal(count_bits(&wants), CHUNK_PAGES);
	assert_true(page_store_waits_next(&x->s, &w, &wants));
	assert_int_equal(wants.first, HUGE_FIRST + CHUNK_PAGES);
	assert_int_equal(wants.bits[0], 1 << 7 | 1 << 9);
	assert_false(page_store_waits_next(&x->s, &w, &wants));
	bring(x, 0, CHUNK_PAGES);
	assert_lost(x, HUGE_GPA + 301 * WIRE_PAGE);
	assert_int_equal(x->stats.vcpu[3].count, 1);
	assert_adds_up(x);
}

/* Pages of small pages that the machine would poison by itself */
static _Atomic bool left_to_machine[16 * CHUNK_PAGES];

/* Bulk threads, the fault thread and poison by hand on the same huge pages */
static void *huge_race(void *arg)
{
	struct racer *r = arg;
	struct error err = { 0 }, no = { 0 };
	uint64_t seed = r->role + 1;

	for (unsigned i = 0; i < 16 * CHUNK_PAGES; i++) {
		if (i % 4 == 0)		/* keep them at the same pages */
			pthread_barrier_wait(r->start);
		uint64_t page = r->role == 1 ? i : dice(&seed) % (16 * CHUNK_PAGES);

		if (r->role == 0)
			put_message(r->x, WIRE_MSG_PAGES,
				    (uint64_t)i * WIRE_PAGE, 1, false, &err);
		else if (r->role == 1)
			put_message(r->x, WIRE_MSG_PAGES, page * WIRE_PAGE, 1,
				    true, &err);
		else if (r->role == 2 && i % 64 == 0)
			put_message(r->x, WIRE_MSG_POISON, page * WIRE_PAGE,
				    1, false, &err);
		else if (r->role == 3 && i % 64 == 0)
			left_to_machine[page] |= page_store_inject(&r->x->s,
				page * WIRE_PAGE, true, &no) == 1;
	}
	if (err.code)
		fail_msg("%s", err.text);
	return NULL;
}

static void huge_threads_at_once(struct fixture *x)
{
	pthread_barrier_t start;
	struct racer r[ROLES];
	pthread_t thread[ROLES];

	pthread_barrier_init(&start, NULL, ROLES);
	for (unsigned k = 0; k < ROLES; k++) {
		r[k] = (struct racer){ x, &start, k };
		assert_int_equal(pthread_create(&thread[k], NULL, huge_race,
						&r[k]), 0);
	}
	for (unsigned k = 0; k < ROLES; k++)
		pthread_join(thread[k], NULL);
	pthread_barrier_destroy(&start);
	assert_int_equal(x->s.table.present + x->s.table.poisoned, 16 * CHUNK_PAGES);
	for (uint64_t i = 0; i < 16 * CHUNK_PAGES; i++)
		if (pages_get(&x->s.table, i) == PAGE_PRESENT)
			assert_holds(x, i * WIRE_PAGE, 0x5a);
		else if (pages_get(&x->s.table, i) != PAGE_POISONED)
			fail_msg("page %llu has a copier left",
				 (unsigned long long)i);
		else if (!left_to_machine[i])
			assert_lost(x, i * WIRE_PAGE);
	assert_adds_up(x);
}

/*
 * The last contents of a huge page complete it, while poison by hand takes one
 * of its zero pages: the thread that places it must withdraw, and the poison
 * must complete it
 */
static void *inject_last(void *arg)
{
	struct racer *r = arg;
	struct error no = { 0 };

	for (unsigned i = 0; i < RAM_BYTES / RAM_HUGE; i++) {
		pthread_barrier_wait(r->start);
		/* The thread that places it claims the zeroes in ascending order */
		while (pages_get(&r->x->s.table, i * CHUNK_PAGES + 1) == PAGE_ZERO)
			;
		page_store_inject(&r->x->s, i * RAM_HUGE + 511 * WIRE_PAGE,
				  true, &no);
	}
	return NULL;
}

static void huge_zeroes_against_poison(struct fixture *x)
{
	pthread_barrier_t start;
	struct racer r = { x, &start, 0 };
	pthread_t thread;

	pthread_barrier_init(&start, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, inject_last, &r), 0);
	for (unsigned i = 0; i < RAM_BYTES / RAM_HUGE; i++) {
		page_store_set_zero(&x->s, i * CHUNK_PAGES + 1, 511);
		pthread_barrier_wait(&start);
		put(x, WIRE_MSG_PAGES, i * RAM_HUGE, 1);
	}
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&start);
	assert_int_equal(x->s.table.missing + x->s.table.zero, 0);
	for (unsigned i = 0; i < RAM_BYTES / RAM_HUGE; i++)
		if (pages_get(&x->s.table, i * CHUNK_PAGES + 511) == PAGE_POISONED)
			assert_lost(x, i * RAM_HUGE + 511 * WIRE_PAGE);
	assert_adds_up(x);
}

/* A thread that is stopped while it stages a page that the fault thread also
 * brings: see pages.h. Here by the table, as the stop has no hook
 */
static void huge_is_placed_without_a_slow_thread(struct fixture *x)
{
	struct error err = { 0 };

	assert_int_equal(pages_claim(&x->s.table, HUGE_FIRST + 8, 1), 1);
	bring(x, 0, CHUNK_PAGES);
	assert_int_equal(x->s.table.present, 0);
	assert_int_equal(put_message(x, WIRE_MSG_PAGES, HUGE_GPA + 8 *
				     WIRE_PAGE, 1, true, &err), 0);
	assert_int_equal(x->s.table.present, CHUNK_PAGES);
	assert_int_equal(pages_get(&x->s.table, HUGE_FIRST + 8), PAGE_HELD);
	assert_holds(x, HUGE_GPA + 8 * WIRE_PAGE, 0x5a);
	pages_released(&x->s.table, HUGE_FIRST + 8, 1);
	assert_int_equal(pages_get(&x->s.table, HUGE_FIRST + 8),
			 PAGE_PRESENT);
	assert_adds_up(x);
}

/*
 * The same with a thread that is stopped while it stores into the buffer: what
 * it stores is read from a page that is missing. The buffer must not be that of
 * another huge page when the thread goes on.
 */
struct slow_store {
	struct fixture *x;
	uint8_t *data;
};

static void *slow_store_main(void *arg)
{
	const struct wire_msg m = { .type = WIRE_MSG_PAGES, .b = 1,
		.a = HUGE_GPA + 8 * WIRE_PAGE, .length = WIRE_PAGE };
	struct slow_store *o = arg;
	struct error err = { 0 };

	page_store_message(&o->x->s, &m, o->data, false, &err);
	return NULL;
}

static void await_fault(int fd)
{
	struct uffd_fault fault;

	for (unsigned ms = 0; !uffd_read(fd, &fault, 1); ms++) {
		if (ms > 10000)
			fail_msg("the thread reads no page that is missing");
		usleep(1000);
	}
}

static void huge_buffer_stays_with_its_users(struct fixture *x)
{
	const uint64_t other = HUGE_GPA + RAM_HUGE;
	struct error err = { 0 };
	struct slow_store o = { .x = x };
	int fd = uffd_open(false, &err);
	pthread_t slow;
	size_t done;

	assert_true(fd >= 0);
	o.data = mmap(NULL, WIRE_PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(o.data, MAP_FAILED);
	assert_int_equal(uffd_register(fd, o.data, WIRE_PAGE, UFFD_MISSING,
				       &err), 0);
	assert_int_equal(pthread_create(&slow, NULL, slow_store_main, &o), 0);
	await_fault(fd);
	bring(x, 0, CHUNK_PAGES);
	assert_int_equal(put_message(x, WIRE_MSG_PAGES, HUGE_GPA + 8 *
				     WIRE_PAGE, 1, true, &err), 0);
	assert_int_equal(x->s.table.present, CHUNK_PAGES);
	memset(x->data, 0x33, sizeof(x->data));
	put(x, WIRE_MSG_PAGES, other, 16);
	memset(x->data, 0x5a, sizeof(x->data));
	assert_int_equal(uffd_copy(fd, o.data, x->data, WIRE_PAGE, &done), 0);
	pthread_join(slow, NULL);
	for (unsigned k = 16; k < CHUNK_PAGES; k += 16)
		put(x, WIRE_MSG_PAGES, other + k * WIRE_PAGE, 16);
	assert_holds(x, other + 8 * WIRE_PAGE, 0x33);
	assert_holds(x, HUGE_GPA + 8 * WIRE_PAGE, 0x5a);
	assert_int_equal(pages_get(&x->s.table, HUGE_FIRST + 8),
			 PAGE_PRESENT);
	assert_adds_up(x);
	munmap(o.data, WIRE_PAGE);
	close(fd);
}

/* As the fault thread: a vCPU touches the huge page at HUGE_GPA */
static unsigned touch_huge(struct page_store *s, unsigned vcpu)
{
	struct error err = { 0 };
	struct page_wants wants;

	if (page_store_fault(s, HUGE_FIRST + 300, vcpu, true, &wants, &err))
		fail_msg("%s", err.text);
	return count_bits(&wants);
}

static void *bring_huge(void *arg)
{
	stops = true;
	bring(arg, 0, CHUNK_PAGES);
	return NULL;
}

/*
 * A bulk thread has brought the last page and is preempted before its ioctl:
 * the fault thread places the huge page. The bulk thread then changes nothing.
 */
static void huge_waits_for_no_bulk_thread(struct fixture *x)
{
	struct error err = { 0 };
	pthread_t bulk;

	sem_init(&entered, 0, 0);
	sem_init(&go_on, 0, 0);
	x->s.call.copy = stopping_copy;
	page_store_set_zero(&x->s, HUGE_FIRST, 3);
	assert_int_equal(pthread_create(&bulk, NULL, bring_huge, x), 0);
	sem_wait(&entered);
	assert_int_equal(x->s.table.present, 0);
	assert_int_equal(touch_huge(&x->s, 3), 0);
	assert_int_equal(x->s.table.present, CHUNK_PAGES);
	assert_int_equal(x->stats.vcpu[3].count, 1);
	assert_holds(x, HUGE_GPA + 300 * WIRE_PAGE, 0x5a);
	/* The bulk thread may still copy: the page can't become poison */
	put(x, WIRE_MSG_POISON, HUGE_GPA, 1);
	assert_int_equal(page_store_inject(&x->s, HUGE_GPA, true, &err),
			 -EAGAIN);
	assert_int_equal(x->events, 0);
	sem_post(&go_on);
	pthread_join(bulk, NULL);
	for (size_t k = 0; k < CHUNK_PAGES; k++)
		assert_int_equal(pages_get(&x->s.table, HUGE_FIRST + k),
				 PAGE_PRESENT);
	assert_holds(x, HUGE_GPA, 0x5a);
	assert_null(x->s.staging->page[HUGE_FIRST / CHUNK_PAGES].data);
	assert_int_equal(x->stats.duplicates, 0);
	assert_adds_up(x);
	sem_destroy(&entered);
	sem_destroy(&go_on);
}

/* Contents are requested after the bulk thread was stopped with the last page */
static void huge_demand_completes_it(struct fixture *x)
{
	struct error err = { 0 };

	bring(x, 0, 510);
	assert_int_equal(pages_claim(&x->s.table, HUGE_FIRST + 511, 1), 1);
	/* As if another thread had seen the last bit, and were preempted */
	x->s.staging->page[HUGE_FIRST / CHUNK_PAGES].placing = true;
	assert_int_equal(touch_huge(&x->s, 3), 2);
	assert_int_equal(x->s.table.missing, PAGES);
	bring(x, 510, 511);
	assert_int_equal(put_message(x, WIRE_MSG_PAGES, HUGE_GPA +
				     511 * WIRE_PAGE, 1, true, &err), 0);
	assert_int_equal(x->s.table.present, CHUNK_PAGES);
	assert_int_equal(x->stats.vcpu[3].count, 1);
	assert_holds(x, HUGE_GPA + 510 * WIRE_PAGE, 0x5a);
	pages_released(&x->s.table, HUGE_FIRST + 511, 1);
	assert_adds_up(x);
}

/* A bulk thread is stopped with a claim of one of the zeroes */
static void touch_at_zero(struct page_store *s, size_t page, const char *name)
{
	if (strcmp(name, "huge_zero_claimed") || page != HUGE_FIRST + 40)
		return;
	at_point = NULL;
	assert_int_equal(touch_huge(s, 3), 0);
	assert_int_equal(s->table.present, 1024);
}

static void huge_claimed_zeroes_are_zeroes(struct fixture *x)
{
	/* A buffer that was used before: zeroes are stored, not found */
	for (uint64_t k = 0; k < CHUNK_PAGES; k += 16)
		put(x, WIRE_MSG_PAGES, k * WIRE_PAGE, 16);
	page_store_set_zero(&x->s, HUGE_FIRST + 30, 20);
	at_point = touch_at_zero;
	bring(x, 0, 30);
	bring(x, 50, CHUNK_PAGES);
	assert_null(at_point);
	assert_int_equal(x->s.table.present, 1024);
	for (size_t k = 0; k < CHUNK_PAGES; k++)
		assert_holds(x, HUGE_GPA + k * WIRE_PAGE,
			     k >= 30 && k < 50 ? 0 : 0x5a);
	for (size_t k = 0; k < CHUNK_PAGES; k++)
		assert_int_equal(pages_get(&x->s.table, HUGE_FIRST + k),
				 PAGE_PRESENT);
	assert_int_equal(x->stats.vcpu[3].count, 1);
	assert_int_equal(x->stats.duplicates, 0);
	assert_adds_up(x);
}

/*
 * Poison made on purpose takes one of the zeroes, after the placing thread has
 * seen a complete huge page and before it claims that one: it withdraws, looks
 * again, and places the huge page with the poison.
 */
static unsigned injected;

static void inject_now(struct page_store *s, size_t page)
{
	struct error err = { 0 };

	injected++;
	if (page_store_inject(s, page * WIRE_PAGE, true, &err))
		fail_msg("%s", err.text);
}

static void inject_at_claim(struct page_store *s, size_t page,
			    const char *name)
{
	if (strcmp(name, "huge_claim_zero") || page != HUGE_FIRST + 500)
		return;
	at_point = NULL;
	inject_now(s, page);
	assert_int_equal(s->table.poisoned, 0);
}

static void assert_only_lost(struct fixture *x, size_t lost)
{
	assert_int_equal(x->s.table.present, 511);
	assert_int_equal(x->s.table.poisoned, 1);
	for (size_t k = 0; k < CHUNK_PAGES; k++)
		assert_int_equal(pages_get(&x->s.table, HUGE_FIRST + k),
				 k == lost ? PAGE_POISONED : PAGE_PRESENT);
	assert_lost(x, HUGE_GPA + lost * WIRE_PAGE);
	assert_holds(x, HUGE_GPA, 0x5a);
	assert_adds_up(x);
}

static void huge_withdraws_before_poison(struct fixture *x)
{
	injected = 0;
	page_store_set_zero(&x->s, HUGE_FIRST + 100, 412);
	at_point = inject_at_claim;
	bring(x, 0, 100);
	assert_int_equal(injected, 1);
	assert_only_lost(x, 500);
}

/* The same while the fault thread places it, too */
static void inject_at_join(struct page_store *s, size_t page,
			   const char *name)
{
	if (!strcmp(name, "huge_claim_zero") && page == HUGE_FIRST + 200)
		touch_huge(s, 3);
	if (strcmp(name, "huge_join_zero") || page != HUGE_FIRST + 500)
		return;
	at_point = NULL;
	inject_now(s, page);
}

static void huge_join_withdraws_before_poison(struct fixture *x)
{
	injected = 0;
	page_store_set_zero(&x->s, HUGE_FIRST + 100, 412);
	at_point = inject_at_join;
	bring(x, 0, 100);
	assert_int_equal(injected, 1);
	assert_only_lost(x, 500);
	assert_int_equal(x->stats.vcpu[3].count, 1);
}

/*
 * The fault thread has claimed a zero page and not yet staged it, when the
 * other thread withdraws and poison made on purpose finds the huge page
 * incomplete: the fault thread is the last one, and must look again.
 */
static void inject_and_leave(struct page_store *s, size_t page,
			     const char *name)
{
	if (strcmp(name, "huge_join_claimed") || page != HUGE_FIRST + 300)
		return;
	at_point = NULL;
	s->staging->page[page / CHUNK_PAGES].placing = false;
	inject_now(s, HUGE_FIRST + 500);
	assert_int_equal(s->table.present, 0);
}

static void huge_is_not_left_by_all(struct fixture *x)
{
	injected = 0;
	page_store_set_zero(&x->s, HUGE_FIRST + 100, 412);
	bring(x, 0, 99);
	x->s.staging->page[HUGE_FIRST / CHUNK_PAGES].placing = true;
	bring(x, 99, 100);
	at_point = inject_and_leave;
	touch_huge(&x->s, 3);
	assert_int_equal(injected, 1);
	assert_only_lost(x, 500);
}

/* Poison made on purpose has claimed a zero page, and is preempted then */
static void claim_for_poison(struct page_store *s, size_t page,
			     const char *name)
{
	if (strcmp(name, "huge_claim_zero") || page != HUGE_FIRST + 500)
		return;
	at_point = NULL;
	assert_int_equal(pages_claim_poison(&s->table, page, 1), 1);
}

static void huge_waits_for_claimed_poison(struct fixture *x)
{
	struct huge_page *h = &x->s.staging->page[HUGE_FIRST / CHUNK_PAGES];
	struct error err = { 0 };

	page_store_set_zero(&x->s, HUGE_FIRST + 100, 412);
	at_point = claim_for_poison;
	bring(x, 0, 100);
	assert_null(at_point);
	assert_int_equal(x->s.table.present, 0);
	assert_false(h->placing);
	stage_loss(h, 500, false);
	assert_int_equal(place_if_complete(&x->s, h, HUGE_FIRST, false, &err),
			 0);
	assert_only_lost(x, 500);
}

/* A huge page that could not be placed is complete, and is placed later */
static _Atomic unsigned failing;

static int fail_once(int fd, void *dst, const void *src, size_t len,
		     size_t *done)
{
	*done = 0;
	return failing++ ? uffd_copy(fd, dst, src, len, done) : -ESRCH;
}

static void huge_is_placed_later(struct fixture *x)
{
	struct error err = { 0 };

	failing = 0;
	x->s.call.copy = fail_once;
	bring(x, 0, 448);
	assert_refused(put_message(x, WIRE_MSG_PAGES, HUGE_GPA + 448 *
				   WIRE_PAGE, 64, false, &err), ESRCH, err,
		       "0x800000");
	assert_int_equal(x->s.table.present, 0);
	assert_int_equal(page_store_settle(&x->s, &err), 0);
	assert_int_equal(x->s.table.present, CHUNK_PAGES);
	assert_holds(x, HUGE_GPA, 0x5a);
	assert_adds_up(x);
}

static void huge_out_of_memory_is_repeated(struct fixture *x)
{
	x->s.call.copy = poor_copy;
	no_memory_left = 3;
	bring(x, 0, CHUNK_PAGES);
	assert_int_equal(x->s.table.present, CHUNK_PAGES);
	assert_holds(x, HUGE_GPA, 0x5a);
}

#define WITH(name, kind) \
static void name##_##kind(void **state) \
{ \
	struct fixture *x = set_up(RAM_##kind, true); \
	(void)state; \
	name(x); \
	tear_down(x); \
}
/* A message of a precopy pass: @n pages of @byte */
static void pass(struct fixture *x, enum wire_type type, size_t page, size_t n,
		 uint8_t byte)
{
	struct wire_msg m = { .type = type, .a = page * WIRE_PAGE, .b = n };
	struct error err = { 0 };

	memset(x->data, byte, sizeof(x->data));
	if (type == WIRE_MSG_PAGES)
		m.length = (uint32_t)(n * WIRE_PAGE);
	if (page_store_pass(&x->s, &m, x->data, &err))
		fail_msg("%s", err.text);
}

static void assert_byte(struct fixture *x, size_t page, uint8_t is)
{
	uint8_t byte = 0;

	assert_int_equal(read_byte(x, page * WIRE_PAGE + 5, &byte), 0);
	assert_int_equal(byte, is);
}

static void discard(struct fixture *x, size_t page, size_t n)
{
	struct error err = { 0 };

	if (page_store_discard(&x->s, page, n, &err))
		fail_msg("%s", err.text);
}

/* Contents replace zeroes and contents, zeroes replace contents */
static void passes_replace_what_is_here(struct fixture *x)
{
	page_store_set_zero(&x->s, 0, 40);
	pass(x, WIRE_MSG_PAGES, 10, 20, 1);
	assert_int_equal(x->s.table.present, 20);
	assert_int_equal(x->stats.pages[COUNT_ZERO], 20);
	pass(x, WIRE_MSG_PAGES, 5, 10, 2);
	pass(x, WIRE_MSG_ZERO, 20, 30, 0);
	assert_byte(x, 5, 2);
	assert_byte(x, 14, 2);
	assert_byte(x, 15, 1);
	assert_byte(x, 19, 1);
	assert_byte(x, 20, 0);
	assert_int_equal(pages_get(&x->s.table, 45), PAGE_ZERO);
	assert_int_equal(x->stats.duplicates, 0);
	assert_true(page_store_has_old(&x->s, 0, 6));
	assert_false(page_store_has_old(&x->s, 30, PAGES - 30));
}

static void what_is_discarded_is_missing(struct fixture *x)
{
	pass(x, WIRE_MSG_PAGES, 100, 50, 1);
	pass(x, WIRE_MSG_ZERO, 150, 10, 0);
	discard(x, 120, 35);
	assert_int_equal(x->s.table.present, 20);
	assert_int_equal(x->s.table.zero, 5);
	assert_int_equal(x->stats.again, 30);
	assert_int_equal(pages_get(&x->s.table, 120), PAGE_MISSING);
	assert_int_equal(pages_get(&x->s.table, 152), PAGE_MISSING);
	assert_byte(x, 119, 1);
	/* The kernel has no page there: it can be placed once more, or lost */
	memset(x->data, 7, sizeof(x->data));
	put(x, WIRE_MSG_PAGES, 121 * WIRE_PAGE, 1);
	assert_byte(x, 121, 7);
	put(x, WIRE_MSG_POISON, 120 * WIRE_PAGE, 1);
	assert_lost(x, 120 * WIRE_PAGE);
	assert_int_equal(x->stats.duplicates + x->stats.refused, 0);
}

static void poison_is_not_discarded(struct fixture *x)
{
	put(x, WIRE_MSG_POISON, 7 * WIRE_PAGE, 1);
	pass(x, WIRE_MSG_PAGES, 6, 3, 1);
	discard(x, 0, 20);
	assert_lost(x, 7 * WIRE_PAGE);
	assert_int_equal(x->s.table.poisoned, 1);
	assert_int_equal(x->s.table.missing, PAGES - 1);
}

static void no_poison_in_a_pass(struct fixture *x)
{
	const struct wire_msg m = { .type = WIRE_MSG_POISON, .b = 1 };
	struct error err = { 0 };

	assert_refused(page_store_pass(&x->s, &m, x->data, &err), EBADMSG,
		       err, "POISON in a precopy pass");
}

/* Work that a peer can ask for with one message is bounded */
static void no_long_zero_in_a_pass(struct fixture *x)
{
	struct wire_msg m = { .type = WIRE_MSG_ZERO, .b = WIRE_RUN_PAGES };
	struct error err = { 0 };

	assert_int_equal(page_store_pass(&x->s, &m, NULL, &err), 0);
	m.b++;
	assert_refused(page_store_pass(&x->s, &m, NULL, &err), EBADMSG, err,
		       "has 65 pages, not 1 to 64");
}

/* Staged, or in place: a later pass replaces a part */
static void huge_parts_are_replaced(struct fixture *x)
{
	for (size_t i = 0; i < HUGE_PAGES - WIRE_RUN_PAGES;
	     i += WIRE_RUN_PAGES)
		pass(x, WIRE_MSG_PAGES, i, WIRE_RUN_PAGES, 1);
	pass(x, WIRE_MSG_PAGES, 3, 2, 2);
	pass(x, WIRE_MSG_ZERO, 4, 1, 0);
	assert_int_equal(x->s.table.present, 0);
	pass(x, WIRE_MSG_PAGES, HUGE_PAGES - WIRE_RUN_PAGES, WIRE_RUN_PAGES,
	     3);
	assert_int_equal(x->s.table.present, HUGE_PAGES);
	pass(x, WIRE_MSG_PAGES, 100, 1, 4);
	pass(x, WIRE_MSG_ZERO, 101, 1, 0);
	assert_byte(x, 2, 1);
	assert_byte(x, 3, 2);
	assert_byte(x, 4, 0);
	assert_byte(x, 100, 4);
	assert_byte(x, 101, 0);
	assert_byte(x, 102, 1);
	assert_byte(x, HUGE_PAGES - 1, 3);
}

static void huge_are_discarded_whole(struct fixture *x)
{
	struct error err = { 0 };

	for (size_t i = 0; i < HUGE_PAGES; i += WIRE_RUN_PAGES)
		pass(x, WIRE_MSG_PAGES, i, WIRE_RUN_PAGES, 1);
	page_store_set_zero(&x->s, HUGE_PAGES + 10, 10);
	pass(x, WIRE_MSG_PAGES, HUGE_PAGES, 10, 2);
	assert_refused(page_store_discard(&x->s, 0, 5, &err), EBADMSG, err,
		       "a part of a huge page");
	discard(x, 0, 2 * HUGE_PAGES);
	assert_int_equal(x->s.table.missing, PAGES);
	assert_int_equal(x->stats.again, HUGE_PAGES + 10);
	assert_false(page_store_has_old(&x->s, 0, 2 * HUGE_PAGES));
	/* As if nothing had come */
	for (size_t i = 0; i < 2 * HUGE_PAGES; i += WIRE_RUN_PAGES)
		pass(x, WIRE_MSG_PAGES, i, WIRE_RUN_PAGES, 5);
	assert_int_equal(x->s.table.present, 2 * HUGE_PAGES);
	assert_byte(x, 0, 5);
	assert_byte(x, HUGE_PAGES + 15, 5);
}

#define BOTH(name) WITH(name, ANON) WITH(name, MEMFD)

BOTH(late_copy)
BOTH(late_poison)
BOTH(a_range_of_poison_is_one_event)
BOTH(poison_waits_for_no_report)
BOTH(copies_and_poison_at_once)
BOTH(the_fault_thread_does_not_wait)
BOTH(a_failed_bulk_copy_loses_nothing)
BOTH(out_of_memory_is_repeated)
BOTH(present_without_the_table)
BOTH(errors_name_the_address)
BOTH(poison_by_hand)
BOTH(walled)
BOTH(no_huge_page_can_form)
BOTH(zeroes_are_placed_when_touched)
BOTH(a_report_tells_what_is_here)
BOTH(waits_are_requested_again)
BOTH(many_waits_are_requested_again)
BOTH(passes_replace_what_is_here)
BOTH(what_is_discarded_is_missing)
BOTH(poison_is_not_discarded)
BOTH(no_poison_in_a_pass)
BOTH(no_long_zero_in_a_pass)
WITH(huge_parts_are_replaced, HUGETLB)
WITH(huge_are_discarded_whole, HUGETLB)
WITH(a_report_tells_what_is_here, HUGETLB)
WITH(huge_waits_are_requested_again, HUGETLB)
WITH(huge_is_placed_whole, HUGETLB)
WITH(huge_keeps_poison, HUGETLB)
WITH(huge_only_zeroes_and_poison, HUGETLB)
WITH(huge_threads_at_once, HUGETLB)
WITH(huge_zeroes_against_poison, HUGETLB)
WITH(huge_is_placed_without_a_slow_thread, HUGETLB)
WITH(huge_buffer_stays_with_its_users, HUGETLB)
WITH(huge_waits_for_no_bulk_thread, HUGETLB)
WITH(huge_demand_completes_it, HUGETLB)
WITH(huge_claimed_zeroes_are_zeroes, HUGETLB)
WITH(huge_withdraws_before_poison, HUGETLB)
WITH(huge_join_withdraws_before_poison, HUGETLB)
WITH(huge_is_not_left_by_all, HUGETLB)
WITH(huge_waits_for_claimed_poison, HUGETLB)
WITH(huge_is_placed_later, HUGETLB)
WITH(huge_out_of_memory_is_repeated, HUGETLB)

#define CASES(name) \
	cmocka_unit_test(name##_ANON), cmocka_unit_test(name##_MEMFD)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASES(late_copy),
		CASES(late_poison),
		CASES(a_range_of_poison_is_one_event),
		CASES(poison_waits_for_no_report),
		CASES(copies_and_poison_at_once),
		CASES(the_fault_thread_does_not_wait),
		CASES(a_failed_bulk_copy_loses_nothing),
		CASES(out_of_memory_is_repeated),
		CASES(present_without_the_table),
		CASES(errors_name_the_address),
		CASES(poison_by_hand),
		CASES(walled),
		CASES(no_huge_page_can_form),
		CASES(zeroes_are_placed_when_touched),
		CASES(a_report_tells_what_is_here),
		CASES(waits_are_requested_again),
		CASES(many_waits_are_requested_again),
		CASES(passes_replace_what_is_here),
		CASES(what_is_discarded_is_missing),
		CASES(poison_is_not_discarded),
		CASES(no_poison_in_a_pass),
		CASES(no_long_zero_in_a_pass),
		cmocka_unit_test(huge_parts_are_replaced_HUGETLB),
		cmocka_unit_test(huge_are_discarded_whole_HUGETLB),
		cmocka_unit_test(a_report_tells_what_is_here_HUGETLB),
		cmocka_unit_test(huge_waits_are_requested_again_HUGETLB),
		cmocka_unit_test(huge_is_placed_whole_HUGETLB),
		cmocka_unit_test(huge_keeps_poison_HUGETLB),
		cmocka_unit_test(huge_only_zeroes_and_poison_HUGETLB),
		cmocka_unit_test(huge_threads_at_once_HUGETLB),
		cmocka_unit_test(huge_zeroes_against_poison_HUGETLB),
		cmocka_unit_test(huge_is_placed_without_a_slow_thread_HUGETLB),
		cmocka_unit_test(huge_buffer_stays_with_its_users_HUGETLB),
		cmocka_unit_test(huge_waits_for_no_bulk_thread_HUGETLB),
		cmocka_unit_test(huge_demand_completes_it_HUGETLB),
		cmocka_unit_test(huge_claimed_zeroes_are_zeroes_HUGETLB),
		cmocka_unit_test(huge_withdraws_before_poison_HUGETLB),
		cmocka_unit_test(huge_join_withdraws_before_poison_HUGETLB),
		cmocka_unit_test(huge_is_not_left_by_all_HUGETLB),
		cmocka_unit_test(huge_waits_for_claimed_poison_HUGETLB),
		cmocka_unit_test(huge_is_placed_later_HUGETLB),
		cmocka_unit_test(an_efault_is_repeated_once),
		cmocka_unit_test(huge_out_of_memory_is_repeated_HUGETLB),
		cmocka_unit_test(every_errno_has_its_words),
	};

	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
