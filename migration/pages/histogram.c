// SPDX-License-Identifier: MIT
/* histogram.c - Latencies, kept as counts */

#include "histogram.h"

/* Below 8 one bucket a value, then eight buckets to each power of two */
static unsigned bucket_of(uint64_t v)
{
	unsigned octave, b;

	if (v < 8)
		return (unsigned)v;
	octave = 63 - (unsigned)__builtin_clzll(v);
	b = (octave - 2) * 8 + (unsigned)(v >> (octave - 3) & 7);
	return b < HISTOGRAM_BUCKETS ? b : HISTOGRAM_BUCKETS - 1;
}

/* The middle of the values of a bucket */
static uint64_t value_of(unsigned b)
{
	unsigned octave = b / 8 + 2;

	if (b < 8)
		return b;
	return (8ull + b % 8) << (octave - 3) | (1ull << (octave - 3)) / 2;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
	uint64_t max = h->max;

	atomic_fetch_add(&h->bucket[bucket_of(ns)], 1);
	atomic_fetch_add(&h->count, 1);
	atomic_fetch_add(&h->sum, ns);
	while (ns > max &&
	       !atomic_compare_exchange_weak(&h->max, &max, ns))
		;
}

static uint64_t percentile(const struct histogram *h, uint64_t count,
			   unsigned percent)
{
	uint64_t want = (count * percent + 99) / 100, seen = 0;

	for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
		seen += h->bucket[b];
		if (seen >= want)
			return value_of(b) < h->max ? value_of(b) : h->max;
	}
	return h->max;
}

struct latency histogram_read(const struct histogram *h)
{
	uint64_t n = h->count;
	struct latency l = { 0 };

	if (!n)
		return l;
	l = (struct latency){
		.count = n, .max = h->max, .sum = h->sum,
		.p50 = percentile(h, n, 50), .p90 = percentile(h, n, 90),
		.p99 = percentile(h, n, 99),
	};
	for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
		unsigned octave = b < 8 ? 0 : b / 8 + 2;
		unsigned i = octave < LATENCY_FIRST ? 0 :
			     octave - LATENCY_FIRST + 1;

		l.bucket[i < LATENCY_BUCKETS ? i : LATENCY_BUCKETS - 1] +=
			h->bucket[b];
	}
	return l;
}
