// SPDX-License-Identifier: MIT
/*
 * switch.c - Change from one stack to another
 *
 * On x86-64 by hand: swapcontext(3) makes two system calls each time, which
 * would be most of the simulator's time. Elsewhere swapcontext(3).
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "asan.h"
#include "switch.h"

#define GUARD	4096

void *__real_mmap(void *at, size_t len, int prot, int flags, int fd,
		  off_t offset);

static struct context *leaving;

bool context_stack(struct context *c, size_t size)
{
	char *at = __real_mmap(NULL, size + GUARD, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return false;
	mprotect(at, GUARD, PROT_NONE);
	*c = (struct context){ .stack = at + GUARD, .size = size };
	return true;
}

static void asan_leave(struct context *from, struct context *to)
{
	leaving = from;
#ifdef HAS_ASAN
	__sanitizer_start_switch_fiber(&from->fake, to->stack, to->size);
#else
	(void)to;
#endif
}

static void asan_return(struct context *c)
{
#ifdef HAS_ASAN
	__sanitizer_finish_switch_fiber(c->fake,
			leaving ? (const void **)&leaving->stack : NULL,
			leaving ? &leaving->size : NULL);
#else
	(void)c;
#endif
}

/* A stack that is used again has the same fake stack again: to create one costs
 * more than most coroutines do */
void context_entered(struct context *c)
{
	asan_return(c);
}

#ifdef __x86_64__

void sim_switch_stack(void **from, void *to);

/* Save what the ABI preserves, exchange the stack pointer, restore */
__asm__(".text\n"
	".type sim_switch_stack, @function\n"
	"sim_switch_stack:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size sim_switch_stack, .-sim_switch_stack\n");

void context_prepare(struct context *c, void (*fn)(void))
{
	uintptr_t *sp = (uintptr_t *)(void *)((char *)c->stack + c->size);

	asan_unpoison(c->stack, c->size);
	*--sp = 0;		/* @fn has no caller */
	*--sp = (uintptr_t)fn;
	for (unsigned i = 0; i < 6; i++)
		*--sp = 0;
	c->sp = sp;
}

void context_switch(struct context *from, struct context *to)
{
	asan_leave(from, to);
	sim_switch_stack(&from->sp, to->sp);
	asan_return(from);
}

#else

/* The place of a stack's ucontext; never freed: stacks are used again */
static ucontext_t *place(struct context *c)
{
	if (!c->sp)
		c->sp = calloc(1, sizeof(ucontext_t));
	return c->sp;
}

void context_prepare(struct context *c, void (*fn)(void))
{
	ucontext_t *u = place(c);

	getcontext(u);
	u->uc_stack.ss_sp = c->stack;
	u->uc_stack.ss_size = c->size;
	u->uc_link = NULL;
	makecontext(u, fn, 0);
}

void context_switch(struct context *from, struct context *to)
{
	asan_leave(from, to);
	swapcontext(place(from), place(to));
	asan_return(from);
}

#endif
