/* SPDX-License-Identifier: MIT */
/*
 * ram.h - Guest RAM, and the one way into it
 *
 * One mapping holds all of it; offsets into that mapping number the pages.
 * The guest sees it in at most two regions, below and above the hole that
 * x86 keeps under 4 GiB for devices:
 *
 *	offset	0 ........ RAM_LOW_MAX ........ size
 *	gpa	0 ........ RAM_LOW_MAX     4 GiB ....
 *
 * Nothing else dereferences a guest address. ram_read() and ram_write() ask
 * the kernel to copy, so that poison is an error code here and not a signal.
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
 * struct ram_region - A stretch of guest-physical addresses that is RAM
 * @gpa:	where it starts
 * @size:	bytes
 * @offset:	where it starts in the mapping
 */
struct ram_region {
	uint64_t gpa, size, offset;
};

/**
 * struct ram - All RAM of a machine
 * @base:	the mapping (hva of offset 0)
 * @size:	bytes
 * @page_size:	what can be lost at least
 * @unit:	what can be placed at least: more with huge pages
 * @small:	of huge pages: one byte for each that was replaced by small ones
 *		(ram_split()), else NULL
 * @backing:	what kind of memory it is
 * @memfd:	its file, or -1
 * @regions:	how many of @region are used
 * @walled:	ram_wall() has taken pages away
 */
struct ram {
	uint8_t *base;
	uint64_t size;
	size_t page_size, unit;
	_Atomic uint8_t *small;
	enum ram_backing backing;
	int memfd;
	unsigned regions;
	_Atomic bool walled;
	struct ram_region region[RAM_REGIONS];
};

/** ram_backing_name() - "anon", "memfd", "hugetlb"; NULL for anything else */
const char *ram_backing_name(enum ram_backing b);

/**
 * ram_backing_find() - The kind with that name
 * @name:	e.g. "memfd"
 * @b:		where to put it
 *
 * Return: 0, -ENOENT
 */
int ram_backing_find(const char *name, enum ram_backing *b);

/**
 * ram_create() - Map RAM, empty
 * @ram:	filled in
 * @size:	bytes, a multiple of 1 MiB; of 2 MiB for RAM_HUGETLB
 * @backing:	what kind
 * @err:	why not, with the cure
 *
 * Huge pages are reserved: what fits now does not fail later.
 *
 * Return: 0, -errno
 */
int ram_create(struct ram *ram, uint64_t size, enum ram_backing backing,
	       struct error *err);

/**
 * ram_wall() - Let nobody reach pages that can't be poisoned here
 * @ram:	the RAM
 * @offset:	of the first page, a multiple of the page size
 * @len:	bytes, likewise
 *
 * For a kernel without UFFDIO_POISON: this process's mapping loses its access rights
 * there, so ram_read() and the like say -EFAULT, and KVM_RUN fails with EFAULT, which
 * doesn't tell the address. Whoever waits for the page must be woken. Only
 * ram_renew() opens it again.
 *
 * Return: 0, -errno
 */
int ram_wall(struct ram *ram, uint64_t offset, size_t len);

/** ram_destroy() - Unmap it; fine on one that was never created */
void ram_destroy(struct ram *ram);

/**
 * ram_renew() - Drop all contents, and whatever poisons or walls off a page of it
 * @ram:	the RAM, used by nobody, registered with no userfaultfd
 * @err:	why not
 *
 * Every page is a fresh one then, of zeroes (tests/kernel/renew.c).
 *
 * Return: 0, -errno
 */
int ram_renew(struct ram *ram, struct error *err);

/**
 * ram_offset() - Where in the mapping guest-physical addresses are
 * @ram:	the RAM
 * @gpa:	first address
 * @len:	bytes, all of which must be RAM in one region
 * @offset:	filled in
 *
 * Return: true, or false if any byte is not RAM
 */
bool ram_offset(const struct ram *ram, uint64_t gpa, uint64_t len,
		uint64_t *offset);

/** ram_gpa() - The guest-physical address of an offset below ram->size */
uint64_t ram_gpa(const struct ram *ram, uint64_t offset);

/**
 * ram_from_hva() - Is this host address guest RAM, and where in it?
 * @ram:	the RAM
 * @hva:	host virtual address
 * @offset:	filled in
 *
 * Return: true if it is
 */
bool ram_from_hva(const struct ram *ram, uint64_t hva, uint64_t *offset);

/**
 * ram_copy_out() - Copy from RAM by offset, as far as it can be read
 * @ram:	the RAM
 * @offset:	from where
 * @to:		to where
 * @len:	bytes
 * @done:	bytes copied. When it's less than @len, the page that holds the byte
 *		at @offset + @done can't be read
 *
 * A page that is missing from a registered range is waited for, whatever
 * signals come: a vCPU takes ram_read(). Of a huge page that lost a part the
 * rest can still be read (Linux 6.6).
 *
 * Return: 0, -EFAULT (poison at @offset + @done), -ERANGE
 */
int ram_copy_out(const struct ram *ram, uint64_t offset, void *to,
		 size_t len, size_t *done);

/**
 * ram_read() - Copy from RAM by guest-physical address
 * @ram:	the RAM
 * @gpa:	from where
 * @to:		to where
 * @len:	bytes
 *
 * Return: 0, -EFAULT if a page of it is poisoned, -ERANGE if it isn't RAM
 */
int ram_read(const struct ram *ram, uint64_t gpa, void *to, size_t len);

/**
 * ram_write() - Copy to RAM by guest-physical address
 * @ram:	the RAM
 * @gpa:	to where
 * @from:	from where
 * @len:	bytes
 *
 * Return: as ram_read()
 */
int ram_write(const struct ram *ram, uint64_t gpa, const void *from,
	      size_t len);

/**
 * ram_extent_fn - Takes a stretch of RAM
 * @ctx:	the caller's
 * @offset:	where it starts
 * @len:	bytes
 *
 * Return: 0 to go on, else what ram_holes() returns at once
 */
typedef int ram_extent_fn(void *ctx, uint64_t offset, uint64_t len);

/**
 * ram_holes() - Find RAM that was never written: it reads as zeroes
 * @ram:	the RAM
 * @from:	offset to start at
 * @to:		offset to end at
 * @fn:		called for each stretch, in ascending order
 * @ctx:	for @fn
 *
 * Only as true as the guest leaves it: a running guest may fill a hole at any time.
 *
 * Return: 0, -ENOTSUP (this kernel can't tell), -errno, or what @fn returned
 */
int ram_holes(const struct ram *ram, uint64_t from, uint64_t to,
	      ram_extent_fn *fn, void *ctx);

#endif /* FERRY_RAM_H */
