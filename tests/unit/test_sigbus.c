// SPDX-License-Identifier: MIT
/* test_sigbus.c - A copy out of memory that may be lost */

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

#include "vmm/base/page.h"
#include "vmm/memory/sigbus.h"

#define PAGE	GUEST_PAGE_SIZE

/* Two pages of a file that has only one: a read of the second is a SIGBUS */
static unsigned char *half_there(void)
{
	int fd = memfd_create("half", MFD_CLOEXEC);
	unsigned char *p;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	close(fd);
	memset(p, 0x5a, PAGE);
	return p;
}

/* cmocka puts handlers of its own around each test: so in each test */
static void install(void)
{
	struct error err = { 0 };

	assert_true(sigbus_install(&err) >= 0);
}

static void nobody_asked_for_it(void **state)
{
	unsigned char *p = half_there(), to[PAGE];

	(void)state;
	assert_false(sigbus_copy(to, p, PAGE));
	munmap(p, 2 * PAGE);
}

/* More than once: the signal must not stay blocked */
static void what_is_lost_is_no_end(void **state)
{
	unsigned char *p = half_there(), to[2 * PAGE];

	(void)state;
	install();
	for (unsigned i = 0; i < 3; i++) {
		memset(to, 0, sizeof(to));
		assert_true(sigbus_copy(to, p, PAGE));
		assert_memory_equal(to, p, PAGE);
		assert_false(sigbus_copy(to, p, 2 * PAGE));
		assert_false(sigbus_copy(to, p + PAGE, 1));
	}
	munmap(p, 2 * PAGE);
}

static void *copies(void *arg)
{
	unsigned char *p = arg, to[2 * PAGE];
	unsigned long good = 0;

	for (unsigned i = 0; i < 1000; i++)
		good += sigbus_copy(to, p, PAGE) &&
			!sigbus_copy(to, p, 2 * PAGE);
	return (void *)good;
}

static void each_thread_has_its_own(void **state)
{
	unsigned char *p = half_there();
	pthread_t t[4];
	void *good;

	(void)state;
	install();
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, copies, p), 0);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(t[i], &good);
		assert_int_equal((unsigned long)good, 1000);
	}
	munmap(p, 2 * PAGE);
}

/* A vCPU's thread may copy, too: its own watch is for what KVM_RUN meets */
static void who_watches_is_not_told(void **state)
{
	unsigned char *p = half_there(), to[PAGE];
	struct sigbus s = { 0 };

	(void)state;
	install();
	sigbus_watch(&s);
	assert_false(sigbus_copy(to, p + PAGE, PAGE));
	assert_false(s.seen);
	sigbus_watch(NULL);
	munmap(p, 2 * PAGE);
}

/* The access is repeated until the page is there: another thread sees to it */
struct repair {
	int fd;
	volatile struct sigbus *s;
};

/* A real session reads only its own thread's; here another one looks */
__attribute__((no_sanitize("thread"))) static void *repair_main(void *arg)
{
	struct repair *r = arg;

	for (unsigned ms = 0; !r->s->seen && ms < 5000; ms++)
		usleep(1000);
	assert_int_equal(ftruncate(r->fd, 2 * PAGE), 0);
	return NULL;
}

static void a_watch_records_the_address(void **state)
{
	struct sigbus s = { 0 };
	struct repair r = { memfd_create("half", MFD_CLOEXEC), &s };
	volatile unsigned char *p;
	pthread_t t;

	(void)state;
	install();
	assert_int_equal(ftruncate(r.fd, PAGE), 0);
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	assert_ptr_not_equal((void *)p, MAP_FAILED);
	assert_int_equal(pthread_create(&t, NULL, repair_main, &r), 0);
	sigbus_watch(&s);
	assert_int_equal(p[PAGE + 5], 0);
	assert_ptr_equal(sigbus_watch(NULL), &s);
	pthread_join(t, NULL);
	assert_true(s.seen);
	assert_int_equal(s.addr & ~(uintptr_t)(PAGE - 1), (uintptr_t)p + PAGE);
	munmap((void *)p, 2 * PAGE);
	close(r.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_asked_for_it),
		cmocka_unit_test(what_is_lost_is_no_end),
		cmocka_unit_test(each_thread_has_its_own),
		cmocka_unit_test(who_watches_is_not_told),
		cmocka_unit_test(a_watch_records_the_address),
	};

	return cmocka_run_group_tests_name("sigbus", tests, NULL, NULL);
}
