/* SPDX-License-Identifier: MIT */
/*
 * trap.h - Ring 0: entries from ring 3
 */
#ifndef GUEST_TRAP_H
#define GUEST_TRAP_H

#include "call.h"

/* traps.S: what the IDT points to; trap_entries has one each 16 bytes */
extern char trap_entries[], timer_entry[], spurious_entry[], undefined_entry[];

/**
 * trap_entry() - Handle an exception (called by traps.S)
 * @f:		registers; changing them changes where and how ring 3 resumes
 */
void trap_entry(struct trap_frame *f);

/**
 * call_entry() - Serve a call of ring 3 (called by traps.S)
 * @what, @a, @b: as for call_ring0()
 */
void call_entry(enum call what, uint64_t a, uint64_t b);

#endif
