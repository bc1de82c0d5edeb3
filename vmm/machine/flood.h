/* SPDX-License-Identifier: MIT */
/*
 * flood.h - Limit how often a guest's actions are reported (pure)
 *
 * A guest can repeat an action a million times a second, and each report is a
 * line in the log and an event for each client. A limit lets the first
 * FLOOD_BURST reports pass, then one each FLOOD_INTERVAL_MS, and counts the
 * rest. What was unused is available again after a quiet time.
 */
#ifndef FERRY_FLOOD_H
#define FERRY_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

#define FLOOD_BURST		16
#define FLOOD_INTERVAL_MS	1000

/**
 * struct flood - One limit; all zero at the beginning
 * @used:	reports that count against the burst
 * @since:	time in ms up to which @used has been reduced
 * @held:	reports that did not pass since the last one that did
 */
struct flood {
	unsigned used;
	uint64_t since;
	uint64_t held;
};

/**
 * flood_pass() - May this report be made?
 * @f:		the limit; the caller serializes
 * @now_ms:	monotonic time
 *
 * Return: true if it may: the caller reports @f->held with it, and sets that
 *	   to 0. Otherwise @f->held has grown by one
 */
bool flood_pass(struct flood *f, uint64_t now_ms);

#endif /* FERRY_FLOOD_H */
