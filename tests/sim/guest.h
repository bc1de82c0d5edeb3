/* SPDX-License-Identifier: MIT */
/*
 * guest.h - The guest, and what is true about its memory
 *
 * There is one guest, wherever it runs. For each of its pages the simulator
 * knows the contents, by a version that each write raises, and whether they are
 * lost. vCPUs read and write pages, and compare; each page that an ioctl places
 * is compared, too. guest.c also knows on which sides vCPUs may run.
 */
#ifndef FERRY_TESTS_SIM_GUEST_H
#define FERRY_TESTS_SIM_GUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "sched.h"

struct machine;

/** guest_begin() - A guest with empty memory; sets fake_host */
void guest_begin(size_t pages);

/** guest_fill() - Write and lose pages as plan.written and plan.lost say */
void guest_fill(struct machine *m);

/** guest_forget() - The process of a side has ended: nothing runs there */
void guest_forget(enum side side);

/** guest_runs() - Is the gate open on a side? */
bool guest_runs(enum side side);

/** guest_committed() - The source has passed the point of no return */
void guest_committed(void);

/** guest_resumed() - The guest goes on at the source, to be moved again */
void guest_resumed(void);

/** guest_moved() - The process of the destination is the source from now on */
void guest_moved(void);

/** guest_ran() - Has it run on the destination? */
bool guest_ran(void);

/** guest_rolled_back() - It goes on at the source, from an older state */
void guest_rolled_back(void);

/**
 * guest_poison() - An operator poisons a random page
 * @m:		the machine
 * @simulate:	by a marker
 */
void guest_poison(struct machine *m, bool simulate);

/** guest_lose_page() - The hardware loses a random page that is there */
void guest_lose_page(struct machine *m);

/**
 * guest_check() - Compare all memory of a machine with the truth
 * @m:		the machine
 * @whole:	no page is missing
 */
void guest_check(struct machine *m, bool whole);

#endif /* FERRY_TESTS_SIM_GUEST_H */
