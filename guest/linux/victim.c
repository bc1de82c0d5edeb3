// SPDX-License-Identifier: MIT
/*
 * victim.c - Pages at printed addresses, for tests to poison
 *
 * Each page's guest-physical address is printed. After a SIGBUS the thread
 * prints what the kernel reported, maps a fresh page there, and fills it.
 */

#include <pthread.h>
#include <stdbool.h>

#include "bus.h"
#include "options.h"
#include "page.h"
#include "say.h"
#include "time.h"
#include "victim.h"

static uint64_t *victim_base;

/* Serializes the accesses */
static pthread_mutex_t victim_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t *victim_page(uint64_t n)
{
	return victim_base + n * PAGE_WORDS;
}

static void victim_print_one(uint64_t n)
{
	uint64_t gpa = page_gpa(victim_page(n));

	say("victim n=%llu addr=%p pfn=0x%llx gpa=0x%llx",
	    (unsigned long long)n, (void *)victim_page(n),
	    (unsigned long long)gpa / PAGE_BYTES, (unsigned long long)gpa);
}

static __attribute__((noinline)) bool victim_access(uint64_t n)
{
	struct bus_catch c;

	if (BUS_CAUGHT(&c)) {
		bus_report("victim", n, &c.info);
		page_map(victim_page(n), 1);
		page_write(victim_page(n), 0);
		victim_print_one(n);
		return false;
	}
	page_check(victim_page(n), 0, "victim");
	bus_catching = NULL;
	return true;
}

void victim_touch(uint64_t n)
{
	bool whole;

	if (!victim_base || n >= options.victims) {
		say("error command=touch n=%llu reason=no-such-page",
		    (unsigned long long)n);
		return;
	}
	pthread_mutex_lock(&victim_lock);
	whole = victim_access(n);
	pthread_mutex_unlock(&victim_lock);
	say("touched n=%llu lost=%d", (unsigned long long)n, !whole);
}

void victim_print(void)
{
	for (uint64_t n = 0; victim_base && n < options.victims; n++)
		victim_print_one(n);
}

static void *victim_thread(void *arg)
{
	for (uint64_t n = 0; ; n = (n + 1) % options.victims) {
		pthread_mutex_lock(&victim_lock);
		victim_access(n);
		pthread_mutex_unlock(&victim_lock);
		sleep_ms(options.touch_ms);
	}
	return arg;
}

void victim_start(void)
{
	victim_base = page_map(NULL, options.victims);
	for (uint64_t n = 0; n < options.victims; n++)
		page_write(victim_page(n), 0);
	victim_print();
}

void victim_go(void)
{
	pthread_t thread;

	if (options.touch_ms)
		pthread_create(&thread, NULL, victim_thread, NULL);
}
