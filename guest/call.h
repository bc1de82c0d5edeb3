/* SPDX-License-Identifier: MIT */
/*
 * call.h - The ways between ring 3 and ring 0 (traps.S)
 */
#ifndef GUEST_CALL_H
#define GUEST_CALL_H

#include "cpu.h"

/**
 * enum call - What ring 3 may ask of ring 0
 * @CALL_HALT:	sleep until an interrupt or a machine check; a: ticks of the
 *		LAPIC timer until it wakes the vCPU
 * @CALL_FLUSH:	drop all cached translations
 * @CALL_SCAN:	queue what valid machine-check banks hold
 * @CALL_WRMSR:	write an MSR; a: its number, b: value
 * @CALL_CPUID:	CPUID as ring 0 sees it; a: leaf, b: uint32_t[4] for the result
 */
enum call { CALL_HALT, CALL_FLUSH, CALL_SCAN, CALL_WRMSR, CALL_CPUID };

/**
 * call_ring0() - Ask ring 0 for something, from ring 3
 * @what:	which call
 * @a:		argument, see enum call
 * @b:		argument
 */
void call_ring0(enum call what, uint64_t a, uint64_t b);

/**
 * context_save() - Record where ring 3 is; context_resume() returns here again
 * @ctx:	filled in
 */
void context_save(struct context *ctx) __attribute__((returns_twice));

/**
 * context_resume() - Return from context_save() once more, in ring 3
 * @c:		vCPU. Ring 0 sends a vCPU here by changing its RIP and RDI
 */
void context_resume(struct cpu *c) __attribute__((noreturn));

/**
 * enter_user() - Go to ring 3 for the first time; does not return
 * @entry:	function in ring 3
 * @stack:	its stack pointer
 * @c:		its argument
 */
void enter_user(void (*entry)(struct cpu *), void *stack, struct cpu *c);

#endif
