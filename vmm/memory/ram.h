/* SPDX-License-Identifier: MIT */
/*
 * ram.h - Guest RAM and all access to it
 *
 * One mapping holds all of RAM; offsets into that mapping number the pages. The
 * guest sees RAM in at most two regions, below and above the hole that x86 has
 * under 4 GiB for devices:
 *
 *	offset	0 ........ RAM_LOW_MAX ........ size
 *	gpa	0 ........ RAM_LOW_MAX     4 GiB ....
 *
 * No other code dereferences a guest address. ram_read() and ram_write() have
 * the kernel copy, so that poison is an error code and not a signal.
 */
#ifndef FERRY_RAM_H
#define FERRY_RAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/error.h"
#include "vmm/base/limits.h"
#include "vmm/base/units.h"

#define RAM_LOW_MAX		(3 * GIB)
#define RAM_HIGH_GPA		(4 * GIB)
#define RAM_REGIONS		2
#define RAM_HUGE		(2 * MIB)

enum ram_backing { RAM_ANON, RAM_MEMFD, RAM_HUGETLB, RAM_BACKINGS };

/**
 * struct ram_region - A range of guest-physical addresses that is RAM
 * @gpa:	where it starts
 * @size:	bytes
 * @offset:	where it starts in the mapping
 */
struct ram_region {
	uint64_t gpa, size, offset;
};

/** struct ram_extent - A range of RAM: offset in the mapping, bytes */
struct ram_extent {
	uint64_t offset, len;
};

/**
 * struct ram - All RAM of a machine
 * @base:	the mapping (host virtual address of offset 0)
 * @size:	bytes
 * @page_size:	the smallest unit that can be lost: GUEST_PAGE_SIZE
 * @unit:	the smallest unit that can be placed: RAM_HUGE for huge pages,
 *		else @page_size
 * @small:	for huge pages: one byte for each, nonzero if ram_split()
 *		replaced it by small ones; else NULL
 * @backing:	kind of memory
 * @memfd:	its file, or -1
 * @pagemap:	/proc/self/pagemap for ram_holes.h, or -1
 * @regions:	number of entries of @region in use
 * @walled:	ram_wall() has removed access to pages
 * @written:	bits: pages that this process has written (ram_dirty.h), or NULL
 */
struct ram {
	uint8_t *base;
	uint64_t size;
	size_t page_size, unit;
	_Atomic uint8_t *small;
	enum ram_backing backing;
	int memfd, pagemap;
	unsigned regions;
	_Atomic bool walled;
	_Atomic(_Atomic uint64_t *) written;
	struct ram_region region[RAM_REGIONS];
};

/** ram_backing_name() - "anon", "memfd", "hugetlb"; NULL for anything else */
const char *ram_backing_name(enum ram_backing b);

/**
 * ram_backing_find() - The kind of RAM with a name
 * @name:	e.g. "memfd"
 * @b:		filled in
 *
 * Return: 0, -ENOENT
 */
int ram_backing_find(const char *name, enum ram_backing *b);

/**
 * ram_layout() - Divide RAM into the regions that the guest sees
 * @size:	bytes
 * @region:	RAM_REGIONS entries, filled in
 *
 * Return: number of entries
 */
unsigned ram_layout(uint64_t size, struct ram_region *region);

/** ram_end() - The first guest-physical address after @size bytes of RAM */
uint64_t ram_end(uint64_t size);

/**
 * ram_create() - Map RAM, empty
 * @ram:	filled in
 * @size:	bytes, a multiple of 1 MiB; of 2 MiB for RAM_HUGETLB
 * @backing:	kind of memory
 * @err:	the reason on failure, with the remedy
 *
 * Huge pages are reserved: what fits now does not fail later.
 *
 * Return: 0, -errno
 */
int ram_create(struct ram *ram, uint64_t size, enum ram_backing backing,
	       struct error *err);

/**
 * ram_wall() - Remove all access to pages that can't be poisoned here
 * @ram:	the RAM
 * @offset:	of the first page, a multiple of the page size
 * @len:	bytes, a multiple of the page size
 *
 * For a kernel without UFFDIO_POISON: this process's mapping loses its access
 * rights there. ram_read() and the like return -EHWPOISON, and KVM_RUN fails
 * with EFAULT, which does not tell the address. The caller must wake the
 * threads that wait for the page. Only ram_renew() restores access.
 *
 * Return: 0, -errno
 */
int ram_wall(struct ram *ram, uint64_t offset, size_t len);

/** ram_destroy() - Unmap RAM; accepts RAM that was never created */
void ram_destroy(struct ram *ram);

/**
 * ram_renew() - Drop all contents, all poison and all walls
 * @ram:	the RAM; no thread uses it, no userfaultfd has it registered
 * @err:	the reason on failure
 *
 * Every page is a fresh one afterwards, of zeroes (tests/kernel/renew.c).
 *
 * Return: 0, -errno
 */
int ram_renew(struct ram *ram, struct error *err);

/**
 * ram_drop() - Drop the contents of a range; nothing is there afterwards
 * @ram:	the RAM
 * @offset:	of the first page, a multiple of @ram->unit
 * @len:	bytes, likewise
 * @err:	the reason on failure
 *
 * Only while no vCPU runs. The pages of a registered range are missing
 * afterwards; RAM of huge pages is mapped anew, which reserves them again, and
 * must be registered again.
 *
 * Return: 0, -errno
 */
int ram_drop(struct ram *ram, uint64_t offset, size_t len, struct error *err);

/**
 * ram_offset() - Translate guest-physical addresses to an offset
 * @ram:	the RAM
 * @gpa:	first address
 * @len:	bytes; all must be RAM in one region
 * @offset:	filled in
 *
 * Return: true, or false if any byte is not RAM
 */
bool ram_offset(const struct ram *ram, uint64_t gpa, uint64_t len,
		uint64_t *offset);

/** ram_gpa() - The guest-physical address of an offset below ram->size */
uint64_t ram_gpa(const struct ram *ram, uint64_t offset);

/**
 * ram_from_hva() - Translate a host address to an offset
 * @ram:	the RAM
 * @hva:	host virtual address
 * @offset:	filled in
 *
 * Return: true if the address is guest RAM
 */
bool ram_from_hva(const struct ram *ram, uint64_t hva, uint64_t *offset);

/**
 * ram_copy_out() - Copy from RAM by offset, as far as it can be read
 * @ram:	the RAM
 * @offset:	where from
 * @to:		where to
 * @len:	bytes
 * @done:	bytes copied. If it is less than @len, the page that contains
 *		the byte at @offset + @done can't be read
 *
 * Waits for a page that is missing from a registered range; a signal does not
 * end the wait, so a vCPU's thread uses ram_read(). Of a huge page that lost a
 * part, the rest can be read (Linux 6.6).
 *
 * -EHWPOISON is proof: the kernel or a wall says that the page is lost
 * (ram_probe()). A read that fails for another reason is repeated for a quarter
 * of a second before an error is returned.
 *
 * Return: 0, -EHWPOISON (the page at @offset + @done is lost), -ERANGE,
 *	   -ENOMEM (the kernel lacks memory), -EFAULT (another reason)
 */
int ram_copy_out(const struct ram *ram, uint64_t offset, void *to,
		 size_t len, size_t *done);

/**
 * ram_read() - Copy from RAM by guest-physical address
 * @ram:	the RAM
 * @gpa:	where from
 * @to:		where to
 * @len:	bytes
 *
 * Return: 0, -EHWPOISON (a page is lost), -ERANGE (not RAM), -ENOMEM, -EFAULT:
 *	   as ram_copy_out()
 */
int ram_read(const struct ram *ram, uint64_t gpa, void *to, size_t len);

/**
 * ram_write() - Copy to RAM by guest-physical address
 * @ram:	the RAM
 * @gpa:	where to
 * @from:	where from
 * @len:	bytes
 *
 * Return: as ram_read()
 */
int ram_write(const struct ram *ram, uint64_t gpa, const void *from,
	      size_t len);

/**
 * ram_probe() - Ask the kernel why a page can't be read
 * @ram:	the RAM
 * @offset:	of a byte in the page
 *
 * By madvise(MADV_POPULATE_READ), which tells lost memory from a lack of memory
 * (tests/kernel/probe.c). Where the kernel does not have it (before Linux
 * 5.14), a page that can't be read counts as lost.
 *
 * Return: 0 (it can be read now), -EHWPOISON (it is lost), -ENOMEM, -EFAULT
 */
int ram_probe(const struct ram *ram, uint64_t offset);

#endif /* FERRY_RAM_H */
