/* SPDX-License-Identifier: MIT */
/* switch.h - Change from one stack to another */
#ifndef FERRY_TESTS_SIM_SWITCH_H
#define FERRY_TESTS_SIM_SWITCH_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct context - Where a stack was left
 * @sp:		its stack pointer, or the ucontext's place
 * @stack, @size: its memory; NULL for the program's own stack
 * @fake:	AddressSanitizer's
 */
struct context {
	void *sp;
	void *stack;
	size_t size;
	void *fake;
};

/** context_stack() - Map a stack with a guard page. Return: false: no memory */
bool context_stack(struct context *c, size_t size);

/** context_prepare() - The next switch to @c calls @fn, which never returns */
void context_prepare(struct context *c, void (*fn)(void));

/** context_switch() - Leave @from, continue @to */
void context_switch(struct context *from, struct context *to);

/** context_entered() - To be called first by the function of @c */
void context_entered(struct context *c);

#endif /* FERRY_TESTS_SIM_SWITCH_H */
