/* SPDX-License-Identifier: MIT */
/*
 * stalls.h - A histogram of stalls in one line (pure)
 */
#ifndef FERRY_STALLS_H
#define FERRY_STALLS_H

#include <jansson.h>

/**
 * stalls_line() - The distribution of stalls, as text in UTF-8
 * @buckets:	the member of that name of ferry.demand-latency-us
 *
 * A column for each bucket from the first to the last that counted any, between
 * the limits of these two: "16 us ▂█▁ 131 us". The height is the share of the
 * fullest bucket, in eighths, rounded up.
 *
 * Return: text for free(); NULL if nothing was counted
 */
char *stalls_line(const json_t *buckets);

#endif /* FERRY_STALLS_H */
