// SPDX-License-Identifier: MIT
/*
 * trap.c - Ring 0: calls of ring 3, machine checks, and fatal exceptions
 */
#include "board.h"
#include "console.h"
#include "mce.h"
#include "trap.h"

/* Only the vCPU that console_seize() returns to uses it */
static struct line last_line;

static struct cpu *this_cpu(void)
{
	return (struct cpu *)((uint64_t)__builtin_frame_address(0) &
			      ~(uint64_t)(CPU_BLOCK - 1));
}

static void cpu_halt(uint32_t ticks)
{
	volatile uint32_t *count =
		(volatile uint32_t *)(LAPIC_BASE + LAPIC_TIMER_COUNT);

	/* STI delays interrupts until after HLT, so no wake-up is lost */
	*count = ticks;
	asm volatile("sti\n\thlt\n\tcli" : : : "memory");
}

static void flush_tlb(void)
{
	uint64_t cr3;

	asm volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=r" (cr3) : :
		     "memory");
}

void call_entry(enum call what, uint64_t a, uint64_t b)
{
	switch (what) {
	case CALL_HALT:
		cpu_halt(a);
		break;
	case CALL_FLUSH:
		flush_tlb();
		break;
	case CALL_SCAN:
		mce_poll(this_cpu());
		break;
	case CALL_WRMSR:
		wrmsr(a, b);
		break;
	case CALL_CPUID:
		cpuid(a, (uint32_t *)b);
		break;
	}
}

static void fatal_trap(struct cpu *c, const struct trap_frame *f)
{
	uint64_t cr2;

	asm volatile("mov %%cr2, %0" : "=r" (cr2));
	console_seize();
	line_begin(&last_line, "fatal");
	line_dec(&last_line, "trap", f->vector);
	line_hex(&last_line, "rip", f->rip);
	line_hex(&last_line, "err", f->error);
	line_hex(&last_line, "cr2", cr2);
	line_dec(&last_line, "vcpu", c->index);
	console_print(&last_line);
	board_exit(EXIT_TRAP);
}

void trap_entry(struct trap_frame *f)
{
	struct cpu *c = this_cpu();

	if (f->vector == VECTOR_MC)
		mce_handle(c, f);
	else
		fatal_trap(c, f);
}
