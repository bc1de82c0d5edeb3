/* SPDX-License-Identifier: MIT */
/*
 * elf_core.h - The headers and notes of a guest's memory dump (pure)
 *
 * An ELF64 core file as QEMU's dump-guest-memory writes it without paging, so
 * that crash and gdb read it: PT_NOTE first, then a PT_LOAD for each run of
 * guest-physical memory, with its address in both p_paddr and p_vaddr. Notes,
 * in this order: the vCPUs' (arch_core.h), and FERRY/NT_FERRY_LOST if memory is
 * lost.
 *
 * Lost memory is in no PT_LOAD: a tool that reads it gets an error instead of
 * zeroes. FERRY/NT_FERRY_LOST lists it: pairs of 64 bits, guest-physical
 * address and bytes.
 */
#ifndef FERRY_ELF_CORE_H
#define FERRY_ELF_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/bytes.h"

/* Tools read small numbers as Linux's notes, whatever the name of the note */
#define NT_FERRY_LOST	0x46590001u

/**
 * struct core_load - A run of guest memory in the file
 * @gpa:	guest-physical address
 * @size:	bytes
 * @file:	offset in the file
 */
struct core_load {
	uint64_t gpa, size, file;
};

/** core_put_zeroes() - Append @n zero bytes */
void core_put_zeroes(struct writer *w, size_t n);

/**
 * core_put_note() - Append the head of a note
 * @w:		where to; the caller appends the note's contents
 * @name:	e.g. "CORE"; at most 7 characters
 * @type:	NT_…
 * @size:	bytes of its contents, a multiple of 4
 */
void core_put_note(struct writer *w, const char *name, uint32_t type,
		   uint32_t size);

/** core_note_size() - Bytes of a note with @bytes of contents */
uint64_t core_note_size(size_t bytes);

/**
 * core_put_lost() - Append the note that lists lost memory
 * @w:		where to
 * @lost:	the runs; @file is ignored
 * @n:		how many; there is no note if it is 0
 */
void core_put_lost(struct writer *w, const struct core_load *lost, size_t n);

/**
 * core_put_file() - Append everything that precedes the memory
 * @w:		where to; empty
 * @load:	the memory
 * @n:		number of runs
 * @notes:	all notes
 */
void core_put_file(struct writer *w, const struct core_load *load, size_t n,
		   const struct writer *notes);

/**
 * core_room() - The most that core_put_file() can need
 * @loads:	greatest number of runs of memory
 * @lost:	greatest number of lost runs
 * @cpu_notes:	bytes of the vCPUs' notes: arch_core_size()
 *
 * Return: bytes, rounded up to pages
 */
uint64_t core_room(size_t loads, size_t lost, uint64_t cpu_notes);

#endif /* FERRY_ELF_CORE_H */
