/* SPDX-License-Identifier: MIT */
/*
 * faults.h - The number of faults found: wrong words, clocks that stepped back,
 * programs that failed
 */
#ifndef GUEST_LINUX_FAULTS_H
#define GUEST_LINUX_FAULTS_H

#include <stdint.h>

/**
 * faults_add() - Count faults; from any thread
 * @n:		how many
 */
void faults_add(uint64_t n);

/** faults_total() - Faults counted so far */
uint64_t faults_total(void);

#endif
