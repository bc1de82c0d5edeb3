// SPDX-License-Identifier: MIT
/*
 * victim.c - Pages that lie where they can be found, to be lost
 *
 * Each is printed with its guest-physical address. When one is gone the process
 * gets a SIGBUS; it says what the kernel said, maps a fresh page there,
 * fills it again, and goes on.
 */

#include <pthread.h>

#include "linux.h"

static uint64_t *base;

/* One touch at a time */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t *page_at(uint64_t n)
{
	return base + n * PAGE_WORDS;
}

static void where(uint64_t n)
{
	uint64_t gpa = page_gpa(page_at(n));

	say("victim n=%llu addr=%p pfn=0x%llx gpa=0x%llx",
	    (unsigned long long)n, (void *)page_at(n),
	    (unsigned long long)gpa / PAGE_BYTES, (unsigned long long)gpa);
}

static __attribute__((noinline)) bool touch(uint64_t n)
{
	struct catch c;

	if (CAUGHT(&c)) {
		bus_report("victim", n, &c.info);
		page_map(page_at(n), 1);
		page_write(page_at(n), 0);
		where(n);
		return false;
	}
	page_check(page_at(n), 0, "victim");
	catching = NULL;
	return true;
}

void victim_touch(uint64_t n)
{
	bool whole;

	if (!base || n >= options.victims) {
		say("error command=touch n=%llu reason=no-such-page",
		    (unsigned long long)n);
		return;
	}
	pthread_mutex_lock(&lock);
	whole = touch(n);
	pthread_mutex_unlock(&lock);
	say("touched n=%llu lost=%d", (unsigned long long)n, !whole);
}

void victim_where(void)
{
	for (uint64_t n = 0; base && n < options.victims; n++)
		where(n);
}

static void *keep_touching(void *arg)
{
	for (uint64_t n = 0; ; n = (n + 1) % options.victims) {
		pthread_mutex_lock(&lock);
		touch(n);
		pthread_mutex_unlock(&lock);
		sleep_ms(options.touch_ms);
	}
	return arg;
}

void victim_start(void)
{
	base = page_map(NULL, options.victims);
	for (uint64_t n = 0; n < options.victims; n++)
		page_write(page_at(n), 0);
	victim_where();
}

void victim_go(void)
{
	pthread_t thread;

	if (options.touch_ms)
		pthread_create(&thread, NULL, keep_touching, NULL);
}
