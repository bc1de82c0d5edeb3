/* SPDX-License-Identifier: MIT */
/*
 * histogram.h - Latencies, kept as counts (pure)
 *
 * Eight buckets to the octave: a percentile is right to within a tenth. Any
 * thread may add while another reads.
 */
#ifndef FERRY_HISTOGRAM_H
#define FERRY_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS	(8 * 40)
/* Summary by powers of two: below 2^14 ns, below 2^15 ns, …; last: the rest */
#define LATENCY_FIRST		14
#define LATENCY_BUCKETS		21

struct histogram {
	_Atomic uint64_t bucket[HISTOGRAM_BUCKETS];
	_Atomic uint64_t count, max, sum;
};

/** struct latency - Summary of a histogram; times in ns */
struct latency {
	uint64_t count, p50, p90, p99, max, sum;
	uint64_t bucket[LATENCY_BUCKETS];
};

/** histogram_add() - Count one latency, ns */
void histogram_add(struct histogram *h, uint64_t ns);

/** histogram_read() - The summary; all 0 if nothing was counted */
struct latency histogram_read(const struct histogram *h);

#endif /* FERRY_HISTOGRAM_H */
