// SPDX-License-Identifier: MIT
/*
 * stall.c - How long single accesses to memory took
 *
 * Two histograms per vCPU: octaves of microseconds since the start, and a finer
 * one (eight steps an octave) since the last mark, for percentiles. Each vCPU
 * writes only its own; vCPU 0 adds them up when it reports. A mark is a number
 * that each vCPU notices by itself and then clears its own, so there is no lock
 * either; what a vCPU has not cleared yet is left out.
 */
#include "work.h"

#define STALL_US	(1 << STALL_OCTAVE_MIN)
#define FINE		(STALL_OCTAVES * STALL_SUB)

uint64_t stall_threshold = ~0ULL;	/* TSC ticks */
static uint32_t mark;

/**
 * stall_init() - From now on, accesses count
 */
void stall_init(void)
{
	stall_threshold = clock_ticks(STALL_US);
}

static unsigned int octave_of(uint64_t us)
{
	unsigned int k = us ? 63 - __builtin_clzll(us) : 0;

	if (k < STALL_OCTAVE_MIN)
		return STALL_OCTAVE_MIN;
	return k > STALL_OCTAVE_MAX ? STALL_OCTAVE_MAX : k;
}

/**
 * stall_add() - Count one access
 * @c:		this vCPU
 * @ticks:	how long it took, TSC
 */
void __attribute__((noinline)) stall_add(struct cpu *c, uint64_t ticks)
{
	uint64_t us = clock_us(ticks), sub;
	unsigned int k = octave_of(us), i = k - STALL_OCTAVE_MIN;
	struct stall *s = &c->stall;

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

/**
 * stall_sync() - Start again if a mark was set
 * @c:		this vCPU
 */
void stall_sync(struct cpu *c)
{
	uint32_t now = __atomic_load_n(&mark, __ATOMIC_ACQUIRE);

	if (c->stall.mark == now)
		return;
	memset(c->stall.fine, 0, sizeof(c->stall.fine));
	c->stall.mark_max = 0;
	__atomic_store_n(&c->stall.mark, now, __ATOMIC_RELEASE);
}

/**
 * stall_mark() - Forget the fine histogram, on every vCPU
 */
void stall_mark(void)
{
	__atomic_add_fetch(&mark, 1, __ATOMIC_RELEASE);
}

/* Middle of a bucket, in microseconds */
static uint64_t bucket_us(unsigned int i)
{
	unsigned int k = i / STALL_SUB + STALL_OCTAVE_MIN;
	uint64_t width = (1ULL << k) / STALL_SUB;

	return (1ULL << k) + ((i % STALL_SUB) << k) / STALL_SUB + width / 2;
}

static uint64_t percentile(const uint64_t *fine, uint64_t total,
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
	return bucket_us(i);
}

/* Add up what all vCPUs had since the mark. Return: how many stalls */
static uint64_t since_mark(uint64_t *fine, uint64_t *mark_max)
{
	uint64_t total = 0;
	unsigned int i, k;

	memset(fine, 0, FINE * sizeof(*fine));
	*mark_max = 0;
	for (i = 0; i < options.vcpus; i++) {
		const struct stall *s = &cpu_blocks[i].cpu.stall;

		if (__atomic_load_n(&s->mark, __ATOMIC_ACQUIRE) != mark)
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

static void line_octaves(struct line *l, const uint64_t *octave)
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

/**
 * stall_report() - Append the stalls of all vCPUs; starts a new interval
 * @l:		report line
 */
void stall_report(struct line *l)
{
	static uint64_t octave[STALL_OCTAVES], fine[FINE];
	uint64_t max = 0, mark_max, total = since_mark(fine, &mark_max), v;
	unsigned int i, k;

	memset(octave, 0, sizeof(octave));
	for (i = 0; i < options.vcpus; i++) {
		struct stall *s = &cpu_blocks[i].cpu.stall;

		for (k = 0; k < STALL_OCTAVES; k++)
			octave[k] += s->octave[k];
		v = __atomic_exchange_n(&s->interval_max, 0, __ATOMIC_RELAXED);
		max = v > max ? v : max;
	}
	line_dec(l, "stall_max_us", clock_us(max));
	line_dec(l, "stalln", total);
	line_dec(l, "stall_p50_us", percentile(fine, total, 500));
	line_dec(l, "stall_p99_us", percentile(fine, total, 990));
	line_dec(l, "stall_mark_max_us", clock_us(mark_max));
	line_octaves(l, octave);
}

/**
 * stall_fine() - Append the fine histogram of all vCPUs since the mark
 * @l:		line
 *
 * Pairs of a bucket's middle (us) and its count, the longest first: should the
 * line be full, the shortest are what lacks.
 */
void stall_fine(struct line *l)
{
	static uint64_t fine[FINE];
	uint64_t mark_max;
	unsigned int i;

	line_dec(l, "n", since_mark(fine, &mark_max));
	line_key(l, "fine");
	for (i = FINE; i-- > 0; ) {
		if (!fine[i])
			continue;
		line_number(l, bucket_us(i));
		line_text(l, ":");
		line_number(l, fine[i]);
		line_text(l, ",");
	}
}
