/* SPDX-License-Identifier: MIT */
/*
 * kvm.h - KVM through typed wrappers
 *
 * One function for each service of KVM, in KVM's units and types. An error text
 * contains the kernel's name of the call. Source: the kernel's
 * Documentation/virt/kvm/api.rst.
 */
#ifndef FERRY_KVM_H
#define FERRY_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "vmm/base/error.h"

/**
 * struct kvm - Descriptors of KVM and of a VM, and what they can do
 * @sys:	/dev/kvm
 * @vm:		the virtual machine
 * @run_size:	bytes of struct kvm_run's mapping
 * @xsave_size:	bytes of a vCPU's XSAVE area (x86)
 * @mce_cap:	MCG_CAP that KVM supports (x86); the low byte is the number of banks
 * @sregs2:	KVM has KVM_SET_SREGS2: PDPTRs are state (x86)
 * @triple_fault: a pending triple fault is part of a vCPU's events (x86)
 * @tsc_scaling: KVM can run a guest's TSC at another frequency (x86)
 * @clock_realtime: KVM_GET_CLOCK returns the host's real time and TSC as well (x86)
 */
struct kvm {
	int sys, vm;
	size_t run_size, xsave_size;
	uint64_t mce_cap;
	bool sregs2, triple_fault, tsc_scaling;
	bool clock_realtime;
};

/**
 * kvm_open() - Open /dev/kvm and create a VM, without memory, devices and vCPUs
 * @k:		filled in
 * @err:	why not, with the remedy
 *
 * Return: 0, -errno
 */
int kvm_open(struct kvm *k, struct error *err);

/** kvm_close() - Close the VM; no effect if both descriptors are -1 */
void kvm_close(struct kvm *k);

/**
 * kvm_arch_init() - The architecture's part of kvm_open()
 * @k:		with @sys and @vm open
 * @err:	why not
 *
 * Return: 0, -errno
 */
int kvm_arch_init(struct kvm *k, struct error *err);

/**
 * kvm_call() - One ioctl, with its name in the error
 * @fd:		system, VM or vCPU descriptor
 * @request:	e.g. KVM_GET_REGS
 * @name:	the same as a string
 * @arg:	pointer or number
 * @err:	why not
 *
 * Use the KVM_CALL() macro, which fills in @name.
 *
 * Return: what the ioctl returned, or -errno
 */
int kvm_call(int fd, unsigned long request, const char *name, void *arg,
	     struct error *err);

#define KVM_CALL(fd, request, arg, err) \
	kvm_call((fd), (request), #request, \
		 (void *)(uintptr_t)(arg), (err))

/**
 * kvm_has() - Value of a capability
 * @k:		the VM
 * @cap:	KVM_CAP_…
 *
 * Return: 0 if KVM does not have it, else what KVM_CHECK_EXTENSION returns
 */
int kvm_has(const struct kvm *k, int cap);

/**
 * struct kvm_slot - A memslot
 * @slot:	its number
 * @flags:	0, or KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY
 * @gpa:	guest-physical address
 * @size:	bytes; 0 deletes the slot
 * @hva:	address in this process
 */
struct kvm_slot {
	uint32_t slot, flags;
	uint64_t gpa, size;
	void *hva;
};

/**
 * kvm_set_memory() - Create or delete a memslot, or change its flags
 * @k:		the VM
 * @s:		the slot. To change the flags: the same @gpa, @size and @hva again
 * @err:	why not
 *
 * Return: 0, -errno
 */
int kvm_set_memory(struct kvm *k, const struct kvm_slot *s,
		   struct error *err);

/**
 * kvm_dirty_log_manual() - Write protect pages by kvm_clear_dirty_log() only
 * @k:		the VM, no slot of which logs yet
 * @initially_set: a slot whose log is switched on has all pages dirty, and none
 *		write protected: switching it on costs nothing then
 * @err:	why not
 *
 * Without this kvm_get_dirty_log() clears the log and write protects all pages of
 * the slot that were dirty, while it holds KVM's mmu_lock.
 *
 * Return: 0, -ENOTSUP (a kernel before 5.2; before 5.7 with @initially_set),
 *	   -errno
 */
int kvm_dirty_log_manual(struct kvm *k, bool initially_set,
			 struct error *err);

/**
 * kvm_get_dirty_log() - Which pages the guest has written
 * @k:		the VM
 * @slot:	a slot with KVM_MEM_LOG_DIRTY_PAGES
 * @bitmap:	filled in: bit n of the words is the slot's page n (4 KiB). Has room
 *		for the slot's pages, rounded up to a multiple of 64
 * @err:	why not
 *
 * Holds writes of vCPUs and of KVM, not those of this process.
 *
 * Return: 0, -ENOENT (the slot does not log), -errno
 */
int kvm_get_dirty_log(struct kvm *k, uint32_t slot, uint64_t *bitmap,
		      struct error *err);

/**
 * struct kvm_page_range - Pages of a slot
 * @slot:	number of the slot
 * @count:	number of pages: a multiple of 64, unless the range ends with the
 *		slot
 * @first:	first page, a multiple of 64
 */
struct kvm_page_range {
	uint32_t slot, count;
	uint64_t first;
};

/**
 * kvm_clear_dirty_log() - Forget that pages are dirty, and write protect them
 * @k:		the VM, after kvm_dirty_log_manual()
 * @p:		the pages
 * @bitmap:	bit n: page @p->first + n is to be cleared
 * @err:	why not
 *
 * Read such a page only after this call: a write that follows the call sets the
 * bit again.
 *
 * Return: 0, -errno
 */
int kvm_clear_dirty_log(struct kvm *k, const struct kvm_page_range *p,
			const uint64_t *bitmap, struct error *err);

/**
 * kvm_irq_line() - Set the level of an interrupt line
 * @k:		the VM, with an irqchip
 * @irq:	line (GSI) number
 * @level:	1 raised, 0 not
 */
void kvm_irq_line(struct kvm *k, unsigned irq, int level);

/**
 * kvm_irqfd_assign() - Let an eventfd raise an interrupt
 * @k:		the VM, with an irqchip
 * @irq:	line (GSI) number
 * @fd:		the eventfd: each write to it is one edge on the line
 * @err:	why not
 *
 * A kernel worker carries the interrupt into the irqchip, some time after the
 * write. So an interrupt that a device raised before it was quiesced may be missing
 * in the irqchip's saved state: the device must raise it again when it is resumed,
 * or deassign while it is quiesced. KVM keeps a reference to the eventfd until
 * kvm_irqfd_deassign().
 *
 * Return: 0, -EBUSY (@fd is assigned already), -errno
 */
int kvm_irqfd_assign(struct kvm *k, unsigned irq, int fd, struct error *err);

/**
 * kvm_irqfd_deassign() - The opposite of kvm_irqfd_assign()
 *
 * When it returns, no interrupt of @fd is on its way into the irqchip any more.
 *
 * Return: 0, -errno
 */
int kvm_irqfd_deassign(struct kvm *k, unsigned irq, int fd,
		       struct error *err);

/**
 * struct kvm_doorbell - A guest's write that KVM turns into an event
 * @address:	I/O port or guest-physical address
 * @size:	bytes of the write: 1, 2, 4 or 8; 0, without @match: any number
 * @port:	@address is an I/O port
 * @match:	only writes of @value are meant, others exit as usual
 * @value:	the value, if @match
 */
struct kvm_doorbell {
	uint64_t address;
	uint32_t size;
	bool port, match;
	uint64_t value;
};

/**
 * kvm_ioeventfd_assign() - Let a guest's write signal an eventfd
 * @k:		the VM
 * @d:		which write; it does not exit to user space any more
 * @fd:		the eventfd: each such write adds one
 * @err:	why not
 *
 * KVM keeps a reference to the eventfd until kvm_ioeventfd_deassign().
 *
 * Return: 0, -EEXIST (the same address, size and value has one), -errno
 */
int kvm_ioeventfd_assign(struct kvm *k, const struct kvm_doorbell *d, int fd,
			 struct error *err);

/**
 * kvm_ioeventfd_deassign() - The opposite, with the same arguments
 *
 * Return: 0, -ENOENT, -errno
 */
int kvm_ioeventfd_deassign(struct kvm *k, const struct kvm_doorbell *d,
			   int fd, struct error *err);

#ifdef __x86_64__
#include "x86_kvm.h"
#endif

#endif /* FERRY_KVM_H */
