/* SPDX-License-Identifier: MIT */
/* source_thread.h - The session thread of a source */
#ifndef FERRY_SOURCE_THREAD_H
#define FERRY_SOURCE_THREAD_H

#include <stdint.h>

/** source_thread_main() - The thread; @arg: the source */
void *source_thread_main(void *arg);

/**
 * source_retry_ns() - How long a source waits before it opens a new link
 * @attempts:	that have failed since the last link carried pages
 * @dice:	random, so that the sources of a network that has failed do not
 *		all retry at one moment
 *
 * Return: ns: 0.1 s, doubled for each attempt, 5 s at most; 25 % less where
 * @dice is 0, 25 % more where it is UINT16_MAX
 */
uint64_t source_retry_ns(unsigned attempts, uint16_t dice);

#endif /* FERRY_SOURCE_THREAD_H */
