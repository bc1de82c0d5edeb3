/* SPDX-License-Identifier: MIT */
/*
 * x86_slot_cost.h - Memory of the host that KVM takes for a memslot
 *
 * Where KVM does not have its TDP MMU (no EPT or NPT, or kvm.tdp_mmu=0), it
 * allocates two arrays when a memslot is created, in kernel memory: 8 bytes for
 * each page of 4 KiB (struct kvm_rmap_head, memslot_rmap_alloc()) and 2 bytes
 * (kvm_page_track_write_tracking_alloc()). If the host does not have that much,
 * its OOM killer ends other processes first.
 */
#ifndef FERRY_X86_SLOT_COST_H
#define FERRY_X86_SLOT_COST_H

#include <stdint.h>

#include "vmm/base/error.h"

/** slot_cost() - Bytes of the host's memory for memslots of @size bytes */
uint64_t slot_cost(uint64_t size);

/**
 * slot_cost_check() - Can this host hold what KVM needs for a guest's RAM?
 * @size:	bytes of RAM
 * @available:	bytes that the host can give
 * @err:	says how much is needed and available
 *
 * Return: 0, -ENOMEM
 */
int slot_cost_check(uint64_t size, uint64_t available, struct error *err);

/**
 * slot_cost_check_host() - The same, for this host as it is now
 * @size:	bytes of RAM
 * @err:	as for slot_cost_check()
 *
 * Return: 0 (also where KVM allocates nothing in advance, or /sys or /proc do
 *	   not say), -ENOMEM
 */
int slot_cost_check_host(uint64_t size, struct error *err);

#endif /* FERRY_X86_SLOT_COST_H */
