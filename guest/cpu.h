/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - What ring 0 keeps of each vCPU, and shares with ring 3
 *
 * Ring 0 is small: it starts a vCPU, takes machine checks, ends the guest on
 * any other exception, and does for ring 3 what needs privilege (call.h). All
 * else, page tables included, is ring 3's.
 */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"
#include "line.h"

#define MC_QUEUE	40		/* more than the 32 banks KVM has */

/* The registers that context_save() keeps; traps.S has the offsets */
struct context {
	uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
};

/* What traps.S pushes, below what the CPU pushes */
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

/* Contents of one valid bank */
struct mc_record {
	uint64_t status, addr, misc, mcg_status;
	uint32_t bank;
	uint32_t kind;		/* enum mc_kind */
};

/* Ring 0 fills it, ring 3 of the same vCPU empties it, so it needs no lock */
struct mc_queue {
	uint32_t head;		/* ring 0 writes */
	uint32_t tail;		/* ring 3 writes */
	struct mc_record record[MC_QUEUE];
};

/**
 * struct cpu - One vCPU; at the start of its block (layout.h)
 * @resume:	where a machine check sends ring 3; first, at CPU_RESUME
 * @visit_gpa:	page that ring 3 is accessing, or NO_GPA
 * @stray_gpa:	page of the last machine check elsewhere, or NO_GPA
 * @mce:	machine checks, broadcasts excluded
 * @broadcasts:	broadcasts
 * @map_seen:	number of mapping changes that this vCPU's TLB has seen
 * @index:	APIC id
 * @banks:	machine-check banks
 * @scanning:	mce_poll() reads the banks: the handler leaves them alone
 * @rescan:	a machine check came meanwhile: mce_poll() reads them again
 * @mc:		records for ring 3
 * @line:	the line that this vCPU composes
 */
struct cpu {
	struct context resume;
	uint64_t visit_gpa;
	uint64_t stray_gpa;
	uint64_t mce;
	uint64_t broadcasts;
	uint64_t map_seen;
	uint32_t index;
	uint32_t banks;
	bool scanning, rescan;
	struct mc_queue mc;
	struct line line;
};

union cpu_block {
	struct cpu cpu;
	uint8_t space[CPU_BLOCK];
};

extern union cpu_block cpu_blocks[CPUS_MAX];
extern bool vendor_amd;		/* by CPUID: the format of machine checks */

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

/**
 * cpuid() - The CPUID instruction, subleaf 0
 * @leaf:	leaf
 * @out:	EAX, EBX, ECX, EDX
 */
static inline void cpuid(uint32_t leaf, uint32_t *out)
{
	asm volatile("cpuid" : "=a" (out[0]), "=b" (out[1]), "=c" (out[2]),
		     "=d" (out[3]) : "a" (leaf), "c" (0));
}

#endif
