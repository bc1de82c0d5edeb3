// SPDX-License-Identifier: MIT
/*
 * stall.c - How long single accesses to memory take
 *
 * Two histograms per vCPU: octaves of microseconds since the start, and a finer
 * one (eight steps an octave) since the last mark, for percentiles. Each vCPU
 * writes only its own; vCPU 0 adds them up when it reports. A mark is a number:
 * each vCPU that sees a new one clears its own fine histogram, so no lock is
 * needed. Histograms not yet cleared are left out of the sum.
 */
#include "options.h"
#include "stall.h"

#define STALL_OCTAVE_MIN	2
#define STALL_OCTAVE_MAX	23
#define STALL_OCTAVES		(STALL_OCTAVE_MAX - STALL_OCTAVE_MIN + 1)
#define STALL_SUB		8
#define STALL_US	(1 << STALL_OCTAVE_MIN)
#define FINE		(STALL_OCTAVES * STALL_SUB)

struct stall {
	uint64_t octave[STALL_OCTAVES];		/* since the start */
	uint32_t fine[FINE];			/* since the mark */
	uint32_t mark;				/* the mark they belong to */
	uint64_t interval_max;			/* TSC ticks */
	uint64_t mark_max;			/* TSC ticks */
} __attribute__((aligned(64)));

uint64_t stall_threshold = ~0ULL;
static struct stall stalls[CPUS_MAX];
static uint32_t stall_marks;

void stall_init(void)
{
	stall_threshold = clock_ticks(STALL_US);
}

static unsigned int stall_octave(uint64_t us)
{
	unsigned int k = us ? 63 - __builtin_clzll(us) : 0;

	if (k < STALL_OCTAVE_MIN)
		return STALL_OCTAVE_MIN;
	return k > STALL_OCTAVE_MAX ? STALL_OCTAVE_MAX : k;
}

void __attribute__((noinline)) stall_count(struct cpu *c, uint64_t ticks)
{
	uint64_t us = clock_us(ticks), sub;
	unsigned int k = stall_octave(us), i = k - STALL_OCTAVE_MIN;
	struct stall *s = &stalls[c->index];

	stall_sync(c);
	sub = (us << 3 >> k) & (STALL_SUB - 1);
	if (us >> (k + 1))
		sub = STALL_SUB - 1;
	s->octave[i]++;
	s->fine[i * STALL_SUB + sub]++;
	if (ticks > s->mark_max)
		s->mark_max = ticks;
	if (ticks > __atomic_load_n(&s->interval_max, __ATOMIC_RELAXED))
		__atomic_store_n(&s->interval_max, ticks, __ATOMIC_RELAXED);
}

void stall_sync(struct cpu *c)
{
	uint32_t now = __atomic_load_n(&stall_marks, __ATOMIC_ACQUIRE);
	struct stall *s = &stalls[c->index];

	if (s->mark == now)
		return;
	memset(s->fine, 0, sizeof(s->fine));
	s->mark_max = 0;
	__atomic_store_n(&s->mark, now, __ATOMIC_RELEASE);
}

void stall_mark(void)
{
	__atomic_add_fetch(&stall_marks, 1, __ATOMIC_RELEASE);
}

/* Middle of a bucket, in microseconds */
static uint64_t fine_bucket_us(unsigned int i)
{
	unsigned int k = i / STALL_SUB + STALL_OCTAVE_MIN;
	uint64_t width = (1ULL << k) / STALL_SUB;

	return (1ULL << k) + ((i % STALL_SUB) << k) / STALL_SUB + width / 2;
}

static uint64_t fine_percentile(const uint64_t *fine, uint64_t total,
				uint64_t permille)
{
	uint64_t rank = (total * permille + 999) / 1000, sum = 0;
	unsigned int i;

	if (!total)
		return 0;
	for (i = 0; i < FINE; i++) {
		sum += fine[i];
		if (sum >= rank)
			break;
	}
	return fine_bucket_us(i);
}

/* Add up the stalls of all vCPUs since the mark. Return: their number */
static uint64_t fine_since_mark(uint64_t *fine, uint64_t *mark_max)
{
	uint64_t total = 0;
	unsigned int i, k;

	memset(fine, 0, FINE * sizeof(*fine));
	*mark_max = 0;
	for (i = 0; i < options.vcpus; i++) {
		const struct stall *s = &stalls[i];

		if (__atomic_load_n(&s->mark, __ATOMIC_ACQUIRE) != stall_marks)
			continue;
		for (k = 0; k < FINE; k++) {
			fine[k] += s->fine[k];
			total += s->fine[k];
		}
		if (s->mark_max > *mark_max)
			*mark_max = s->mark_max;
	}
	return total;
}

static void octaves_report(struct line *l, const uint64_t *octave)
{
	unsigned int i, n = STALL_OCTAVES;

	while (n > 1 && !octave[n - 1])
		n--;
	line_key(l, "stalls");
	for (i = 0; i < n; i++) {
		if (i)
			line_text(l, ",");
		line_number(l, octave[i]);
	}
}

void stall_report(struct line *l)
{
	static uint64_t octave[STALL_OCTAVES], fine[FINE];
	uint64_t max = 0, mark_max, total = fine_since_mark(fine, &mark_max), v;
	unsigned int i, k;

	memset(octave, 0, sizeof(octave));
	for (i = 0; i < options.vcpus; i++) {
		struct stall *s = &stalls[i];

		for (k = 0; k < STALL_OCTAVES; k++)
			octave[k] += s->octave[k];
		v = __atomic_exchange_n(&s->interval_max, 0, __ATOMIC_RELAXED);
		max = v > max ? v : max;
	}
	line_dec(l, "stall_max_us", clock_us(max));
	line_dec(l, "stalln", total);
	line_dec(l, "stall_p50_us", fine_percentile(fine, total, 500));
	line_dec(l, "stall_p99_us", fine_percentile(fine, total, 990));
	line_dec(l, "stall_mark_max_us", clock_us(mark_max));
	octaves_report(l, octave);
}

void stall_fine(struct line *l)
{
	static uint64_t fine[FINE];
	uint64_t mark_max;
	unsigned int i;

	line_dec(l, "n", fine_since_mark(fine, &mark_max));
	line_key(l, "fine");
	for (i = FINE; i-- > 0; ) {
		if (!fine[i])
			continue;
		line_number(l, fine_bucket_us(i));
		line_text(l, ":");
		line_number(l, fine[i]);
		line_text(l, ",");
	}
}
