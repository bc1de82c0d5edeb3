// SPDX-License-Identifier: MIT
/*
 * trap.c - Ring 0: what ring 3 asks for, and traps that nobody expects
 */
#include "guest.h"

static struct line last_line;	/* console_seize() lets one vCPU have it */

static struct cpu *this_cpu(void)
{
	return (struct cpu *)((uint64_t)__builtin_frame_address(0) &
			      ~(uint64_t)(CPU_BLOCK - 1));
}

static void halt(uint32_t ticks)
{
	volatile uint32_t *count =
		(volatile uint32_t *)(LAPIC_BASE + LAPIC_TIMER_COUNT);

	/* No interrupt comes between the first two, so no wake-up is lost */
	*count = ticks;
	asm volatile("sti\n\thlt\n\tcli" : : : "memory");
}

static void flush_tlb(void)
{
	uint64_t cr3;

	asm volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=r" (cr3) : :
		     "memory");
}

static uint64_t call_cpuid(uint32_t leaf, uint32_t *out)
{
	asm volatile("cpuid" : "=a" (out[0]), "=b" (out[1]), "=c" (out[2]),
		     "=d" (out[3]) : "a" (leaf), "c" (0));
	return 0;
}

/**
 * call_entry() - Serve ring 3
 * @what:	CALL_HALT: sleep until an interrupt or a machine check
 *		CALL_FLUSH: forget all cached translations
 *		CALL_SCAN: queue what valid machine-check banks hold
 *		CALL_RDMSR, CALL_WRMSR: a model-specific register
 *		CALL_CPUID: as the VMM shows it to ring 0
 * @a:		ticks of the LAPIC timer until it wakes; MSR; leaf
 * @b:		value for CALL_WRMSR; uint32_t[4] for CALL_CPUID
 *
 * Return: value of the MSR for CALL_RDMSR, else 0
 */
uint64_t call_entry(enum call what, uint64_t a, uint64_t b)
{
	if (what == CALL_HALT)
		halt(a);
	else if (what == CALL_FLUSH)
		flush_tlb();
	else if (what == CALL_SCAN)
		mce_poll(this_cpu());
	else if (what == CALL_RDMSR)
		return rdmsr(a);
	else if (what == CALL_WRMSR)
		wrmsr(a, b);
	else if (what == CALL_CPUID)
		return call_cpuid(a, (uint32_t *)b);
	return 0;
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
	line_end(&last_line);
	debug_exit(EXIT_TRAP);
}

/**
 * trap_entry() - Any exception
 * @f:		registers; changing them changes where and how it resumes
 */
void trap_entry(struct trap_frame *f)
{
	struct cpu *c = this_cpu();

	if (f->vector == VECTOR_MC)
		mce_handle(c, f);
	else
		fatal_trap(c, f);
}
