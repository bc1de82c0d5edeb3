/* SPDX-License-Identifier: MIT */
/*
 * guest.h - What both rings of the test guest know
 *
 * Ring 0 is small: it brings a vCPU up, takes machine checks, ends the guest on
 * any other trap, and does for ring 3 the few things that need privilege
 * (enum call). All the rest, page tables included, is ring 3's.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "console.h"
#include "layout.h"

#define PAGE_SHIFT	12
#define PAGE_SIZE	4096
#define PAGE_WORDS	(PAGE_SIZE / sizeof(uint64_t))
#define NO_GPA		(~0ULL)
#define MC_QUEUE	40		/* more than the 32 banks KVM has */

/* Debug-exit codes */
enum { EXIT_CLEAN, EXIT_UNCLEAN, EXIT_USAGE, EXIT_MCE, EXIT_TRAP };

/* What ring 3 may ask of ring 0: see call_entry() for arguments */
enum call {
	CALL_HALT,
	CALL_FLUSH,
	CALL_SCAN,
	CALL_RDMSR,
	CALL_WRMSR,
	CALL_CPUID,
};

/* The registers that context_save() keeps; traps.S knows the offsets */
struct context {
	uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
};

/* What traps.S pushes, below what the CPU pushed */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

enum mc_kind {
	MC_ACTION_REQUIRED,	/* a vCPU consumed poison */
	MC_ACTION_OPTIONAL,	/* the host found poison */
	MC_BROADCAST,		/* another vCPU's, Intel without LMCE */
	MC_DEFERRED,		/* AMD: found by the host, bank only */
	MC_CORRECTED,		/* nothing was lost */
};

/* One valid bank, as ring 0 found it */
struct mc_record {
	uint64_t status, addr, misc, mcg_status;
	uint32_t bank;
	uint32_t kind;		/* enum mc_kind */
};

/* Filled by ring 0, emptied by ring 3 of the same vCPU, so no lock */
struct mc_queue {
	uint32_t head;		/* ring 0 writes */
	uint32_t tail;		/* ring 3 writes */
	struct mc_record record[MC_QUEUE];
};

/* Where the data area is; its pages are numbered from 0 without a gap */
struct area {
	uint64_t low_end;	/* gpa after the last low page */
	uint64_t high;		/* gpa of the first page above 4 GiB */
	uint64_t low_pages;
	uint64_t ram_pages;	/* from AREA_GPA up, whole 2 MiB */
	uint64_t pages;		/* of the data area */
};

enum phase {
	PHASE_FILL,		/* writing the slice for the first time */
	PHASE_READY,		/* waiting for the others, or for "go" */
	PHASE_WORK,
	PHASE_SWEEP,		/* checking every page whole */
	PHASE_DONE,		/* all passes made */
	PHASE_PARKED,		/* not one of the vcpus= that take part */
};

/* An order in which positions 0..n-1 are visited; see order.c */
struct order {
	uint64_t n, at, step, start;
	uint64_t mask, mul, add;
	bool random;
};

/* One vCPU's part of the workload */
struct worker {
	uint32_t phase;			/* enum phase */
	uint32_t part;			/* token: which half of a hand-over */
	uint64_t first, pages;		/* its slice of the area */
	uint64_t pos;			/* visits made in this pass */
	uint64_t pass;			/* passes completed */
	uint64_t touched;		/* pages visited since the start */
	uint64_t bad;			/* wrong words seen */
	uint64_t due;			/* TSC of the next visit */
	uint64_t wakes, late_max;	/* idle */
	uint64_t sweeps;		/* sweeps made, cf. sweep_wanted */
	uint64_t swept;			/* position in a sweep */
	uint64_t next_scan;		/* TSC */
	bool expected;			/* page in hand was said to be poison */
	struct order order;
};

#define STALL_OCTAVE_MIN	2
#define STALL_OCTAVE_MAX	23
#define STALL_OCTAVES		(STALL_OCTAVE_MAX - STALL_OCTAVE_MIN + 1)
#define STALL_SUB		8

/* One vCPU's waits for memory; see stall.c */
struct stall {
	uint64_t octave[STALL_OCTAVES];		/* since the start */
	uint32_t fine[STALL_OCTAVES * STALL_SUB];	/* since the mark */
	uint32_t mark;				/* the mark they belong to */
	uint64_t interval_max;			/* TSC ticks */
	uint64_t mark_max;			/* TSC ticks */
};

/* Everything one vCPU has; at the start of its block (layout.h) */
struct cpu {
	struct context resume;		/* first: CPU_RESUME */
	uint64_t visit_gpa;		/* page that ring 3 is touching */
	uint64_t stray_gpa;		/* last machine check elsewhere */
	uint64_t mce;			/* machine checks, broadcast aside */
	uint64_t broadcasts;
	uint64_t map_seen;		/* mappings known to this TLB */
	uint32_t index;
	uint32_t banks;
	bool scanning, rescan;		/* mce_poll() */
	struct mc_queue mc;
	struct worker work;
	struct stall stall;
	struct line line;
};

union cpu_block {
	struct cpu cpu;
	uint8_t space[CPU_BLOCK];
};

extern union cpu_block cpu_blocks[CPUS_MAX];
extern struct area area;
extern uint32_t start_info_gpa;
extern bool vendor_amd;

/**
 * area_holds() - Is this address in the data area?
 * @gpa:	guest physical address
 */
static inline bool area_holds(uint64_t gpa)
{
	uint64_t high_pages = area.pages > area.low_pages ?
			      area.pages - area.low_pages : 0;
	uint64_t low_pages = area.pages - high_pages;

	return (gpa >= AREA_GPA &&
		gpa < AREA_GPA + (low_pages << PAGE_SHIFT)) ||
	       (gpa >= area.high &&
		gpa < area.high + (high_pages << PAGE_SHIFT));
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	asm volatile("rdmsr" : "=a" (lo), "=d" (hi) : "c" (msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	asm volatile("wrmsr" : : "c" (msr), "a" ((uint32_t)v),
		     "d" ((uint32_t)(v >> 32)) : "memory");
}

static inline void pause(void)
{
	asm volatile("pause" : : : "memory");
}

/* traps.S, ap.S, pvh.S */
extern char trap_entries[], timer_entry[], spurious_entry[], undefined_entry[];
extern const char ap_trampoline[];
extern const uint32_t ap_trampoline_size;
extern uint64_t gdt[], boot_pml4[], window_pdpt[];
void enter_user(void (*entry)(struct cpu *), void *stack, struct cpu *c);
uint64_t call_ring0(enum call what, uint64_t a, uint64_t b);
void context_save(struct context *ctx) __attribute__((returns_twice));
void context_resume(struct cpu *c) __attribute__((noreturn));

/* cpu.c, trap.c, mce.c: ring 0 */
void cpu_start(uint32_t index);
void trap_entry(struct trap_frame *f);
uint64_t call_entry(enum call what, uint64_t a, uint64_t b);
void mce_enable(struct cpu *c);
void mce_poll(struct cpu *c);
void mce_handle(struct cpu *c, struct trap_frame *f);

/* main.c: ring 3 */
void user_main(struct cpu *c);

#endif
