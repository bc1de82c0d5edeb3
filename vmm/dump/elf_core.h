/* SPDX-License-Identifier: MIT */
/*
 * elf_core.h - The headers and notes of a guest's memory dump (pure)
 *
 * An ELF64 core file as QEMU's dump-guest-memory writes it without paging, so
 * that crash and gdb open it: PT_NOTE first, then a PT_LOAD for each stretch of
 * guest-physical memory, its address in p_paddr and p_vaddr both. Notes, in this
 * order: CORE/NT_PRSTATUS for each vCPU, QEMU/0 (struct QEMUCPUState, version 1)
 * for each vCPU, and FERRY/NT_FERRY_LOST, if memory was lost.
 *
 * Lost memory is in no PT_LOAD: whoever asks for it is told that it isn't there.
 * FERRY/NT_FERRY_LOST lists it: pairs of 64 bits, guest-physical address and bytes.
 */
#ifndef FERRY_ELF_CORE_H
#define FERRY_ELF_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/bytes.h"
#include "vmm/kvm/kvm.h"

/* Tools take small numbers for Linux's notes, whatever the name in front */
#define NT_FERRY_LOST	0x46590001u

/**
 * struct core_load - A stretch of guest memory in the file
 * @gpa:	guest-physical address
 * @size:	bytes
 * @file:	where it is in the file
 */
struct core_load {
	uint64_t gpa, size, file;
};

/**
 * struct core_cpu - A vCPU's registers
 * @regs, @sregs: as KVM has them
 * @kernel_gs:	MSR_KERNEL_GS_BASE
 */
struct core_cpu {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	uint64_t kernel_gs;
};

/**
 * core_put_cpus() - Append the notes of all vCPUs
 * @w:		to where
 * @cpu:	the vCPUs
 * @n:		how many
 */
void core_put_cpus(struct writer *w, const struct core_cpu *cpu, unsigned n);

/**
 * core_put_lost() - Append the note that lists lost memory
 * @w:		to where
 * @lost:	the stretches; @file isn't looked at
 * @n:		how many; no note if it's 0
 */
void core_put_lost(struct writer *w, const struct core_load *lost, size_t n);

/**
 * core_put_file() - Append all that comes before the memory
 * @w:		to where; empty
 * @load:	the memory
 * @n:		how many stretches
 * @notes:	from the two functions above
 */
void core_put_file(struct writer *w, const struct core_load *load, size_t n,
		   const struct writer *notes);

/**
 * core_room() - What core_put_file() may need
 * @loads:	stretches of memory at most
 * @lost:	lost stretches at most
 * @cpus:	vCPUs
 *
 * Return: bytes, rounded up to pages
 */
uint64_t core_room(size_t loads, size_t lost, unsigned cpus);

#endif /* FERRY_ELF_CORE_H */
