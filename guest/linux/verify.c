// SPDX-License-Identifier: MIT
/*
 * verify.c - Most of RAM, checked and rewritten repeatedly
 *
 * Each thread has a slice. Round g checks every page of it against generation
 * g - 1 and writes generation g. A lost page is counted, and replaced by a
 * fresh one with the contents that it should have.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus.h"
#include "options.h"
#include "page.h"
#include "say.h"
#include "verify.h"

struct slice {
	uint64_t *base;
	uint64_t pages, gen, at;	/* pages below @at have @gen */
	_Atomic uint64_t visits, passes, lost;
	unsigned swept;
	pthread_t thread;
};

static struct slice slices[THREADS_MAX];
static unsigned threads;

static pthread_mutex_t verify_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* Under verify_lock: */
static bool going;
static unsigned sweeps, filled, swept;

static uint64_t *slice_page(const struct slice *s, uint64_t i)
{
	return s->base + i * PAGE_WORDS;
}

static void slice_replace(struct slice *s, uint64_t i, uint64_t gen,
			  const siginfo_t *info)
{
	bus_report("verify", (uint64_t)(slice_page(s, i) - slices[0].base) /
			     PAGE_WORDS, info);
	s->lost++;
	page_map(slice_page(s, i), 1);
	page_write(slice_page(s, i), gen);
}

/* Check a page against one generation, leave it at another */
static __attribute__((noinline)) void
slice_visit(struct slice *s, uint64_t i, uint64_t from, uint64_t to)
{
	struct bus_catch c;

	if (BUS_CAUGHT(&c)) {
		slice_replace(s, i, to, &c.info);
		return;
	}
	page_check(slice_page(s, i), from, "verify");
	if (from != to)
		page_write(slice_page(s, i), to);
	bus_catching = NULL;
	s->visits++;
}

static void slice_sweep(struct slice *s)
{
	for (uint64_t i = 0; i < s->pages; i++) {
		uint64_t gen = i < s->at ? s->gen : s->gen - 1;

		slice_visit(s, i, gen, gen);
	}
}

/* Before each visit: wait for "go", make a sweep if one is requested */
static void slice_poll(struct slice *s)
{
	pthread_mutex_lock(&verify_lock);
	while (!going && s->swept == sweeps)
		pthread_cond_wait(&changed, &verify_lock);
	if (s->swept != sweeps) {
		s->swept = sweeps;
		pthread_mutex_unlock(&verify_lock);
		slice_sweep(s);
		pthread_mutex_lock(&verify_lock);
		swept++;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&verify_lock);
}

static void *verify_thread(void *arg)
{
	struct slice *s = arg;

	for (s->at = 0; s->at < s->pages; s->at++)
		page_write(slice_page(s, s->at), 0);
	pthread_mutex_lock(&verify_lock);
	filled++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&verify_lock);
	for (s->gen = 1, s->at = 0; ; s->at++) {
		if (s->at == s->pages) {
			s->at = 0;
			s->gen++;
			s->passes++;
		}
		slice_poll(s);
		slice_visit(s, s->at, s->gen - 1, s->gen);
	}
	return NULL;
}

static uint64_t mem_available_mib(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib / 1024;
}

/* Four fifths of the free memory that the other workloads leave */
static uint64_t area_mib(void)
{
	uint64_t mib = mem_available_mib();

	mib -= options_want(WORK_STRESS) ? 2 * options.stress_mib : 0;
	mib -= options_want(WORK_MEMTESTER) ? options.memtester_mib : 0;
	return (int64_t)mib > 10 ? mib * 4 / 5 : 8;
}

static void threads_start(uint64_t *base, uint64_t pages)
{
	for (unsigned i = 0; i < threads; i++) {
		struct slice *s = &slices[i];
		uint64_t first = pages * i / threads;

		s->base = base + first * PAGE_WORDS;
		s->pages = pages * (i + 1) / threads - first;
		pthread_create(&s->thread, NULL, verify_thread, s);
	}
	pthread_mutex_lock(&verify_lock);
	while (filled < threads)
		pthread_cond_wait(&changed, &verify_lock);
	pthread_mutex_unlock(&verify_lock);
}

void verify_start(void)
{
	uint64_t mib = options.mib ? options.mib : area_mib();
	uint64_t pages = mib * (MIB / PAGE_BYTES);
	uint64_t *base = page_map(NULL, pages);

	threads = options.threads ? (unsigned)options.threads
				  : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	threads_start(base, pages);
	say("verify mib=%llu pages=%llu threads=%u base=%p",
	    (unsigned long long)mib, (unsigned long long)pages, threads,
	    (void *)base);
}

void verify_go(void)
{
	pthread_mutex_lock(&verify_lock);
	going = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&verify_lock);
}

void verify_sweep(void)
{
	uint64_t pages = 0;
	unsigned n;

	pthread_mutex_lock(&verify_lock);
	n = ++sweeps;
	pthread_cond_broadcast(&changed);
	while (swept < n * threads)
		pthread_cond_wait(&changed, &verify_lock);
	pthread_mutex_unlock(&verify_lock);
	for (unsigned i = 0; i < threads; i++)
		pages += slices[i].pages;
	say("sweep n=%u pages=%llu", n, (unsigned long long)pages);
}

struct verify_tally verify_tally(void)
{
	struct verify_tally t = { .passes = threads ? ~0ull : 0 };

	for (unsigned i = 0; i < threads; i++) {
		uint64_t passes = slices[i].passes;

		t.pages += slices[i].visits;
		t.lost += slices[i].lost;
		if (passes < t.passes)
			t.passes = passes;
	}
	return t;
}
