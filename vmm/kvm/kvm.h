/* SPDX-License-Identifier: MIT */
/*
 * kvm.h - KVM through typed wrappers
 *
 * One function for each thing asked of KVM, in the units and types that it
 * uses, each with the kernel's own name for it in the text of its errors.
 * Source: the kernel's Documentation/virt/kvm/api.rst.
 */
#ifndef FERRY_KVM_H
#define FERRY_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#include "vmm/base/error.h"

#define KVM_CPUID_MAX	256

/* struct kvm_cpuid2, with room for the leaves */
struct kvm_cpuid_table {
	uint32_t nent, padding;
	struct kvm_cpuid_entry2 entry[KVM_CPUID_MAX];
};

/**
 * struct kvm - The system and the VM descriptors, and what they can do
 * @sys:	/dev/kvm
 * @vm:		the virtual machine
 * @run_size:	bytes of struct kvm_run's mapping
 * @xsave_size:	bytes of a vCPU's XSAVE area
 * @mce_cap:	MCG_CAP of its vCPUs; the low byte is the number of banks
 * @clock_realtime: KVM_GET_CLOCK tells the host's real time and TSC with it
 */
struct kvm {
	int sys, vm;
	size_t run_size, xsave_size;
	uint64_t mce_cap;
	bool clock_realtime;
};

/**
 * kvm_open() - Open /dev/kvm, make a VM with in-kernel irqchip and PIT
 * @k:		filled in
 * @err:	why not, with the cure
 *
 * Return: 0, -errno
 */
int kvm_open(struct kvm *k, struct error *err);

/** kvm_close() - Drop the VM; fine if both descriptors are -1 */
void kvm_close(struct kvm *k);

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
 * Return: 0 if it's lacking, else what KVM_CHECK_EXTENSION says
 */
int kvm_has(const struct kvm *k, int cap);

/**
 * kvm_set_memory() - Show a stretch of this process's memory to the guest
 * @k:		the VM
 * @slot:	number of the memslot
 * @gpa:	where the guest sees it
 * @size:	bytes
 * @hva:	where it is here
 * @err:	why not
 *
 * Return: 0, -errno
 */
int kvm_set_memory(struct kvm *k, uint32_t slot, uint64_t gpa, uint64_t size,
		   void *hva, struct error *err);

/**
 * kvm_irq_line() - Set the level of an interrupt line
 * @k:		the VM
 * @irq:	line (GSI) number
 * @level:	1 raised, 0 not
 */
void kvm_irq_line(struct kvm *k, unsigned irq, int level);

/**
 * kvm_supported_cpuid() - The CPUID leaves that KVM can give a guest
 * @k:		the VM
 * @t:		filled in
 * @err:	why not
 *
 * Return: 0, -errno
 */
int kvm_supported_cpuid(struct kvm *k, struct kvm_cpuid_table *t,
			struct error *err);

/**
 * kvm_get_msr() - Read one MSR
 * @fd:		vCPU descriptor
 * @index:	which
 * @value:	filled in
 *
 * Return: 0, -ENOENT if KVM doesn't have it, -errno
 */
int kvm_get_msr(int fd, uint32_t index, uint64_t *value);

/**
 * kvm_take_msr() - From now on, the guest's reads of one MSR are ours to answer
 * @k:		the VM
 * @index:	which
 * @err:	why not
 *
 * They end in KVM_EXIT_X86_RDMSR. KVM_GET_MSRS is as before. One MSR only: a
 * second call takes the place of the first.
 *
 * Return: 0, -errno; a kernel before 5.10 can't
 */
int kvm_take_msr(struct kvm *k, uint32_t index, struct error *err);

/**
 * kvm_msr_list() - The MSRs that make up a vCPU's state
 * @k:		the VM
 * @list:	set to an array, to be freed
 * @n:		its length
 * @err:	why not
 *
 * KVM's own list (KVM_GET_MSR_INDEX_LIST), without the machine-check banks, whose
 * number only KVM_X86_SETUP_MCE's caller knows.
 *
 * Return: 0, -errno
 */
int kvm_msr_list(struct kvm *k, uint32_t **list, unsigned *n,
		 struct error *err);

#endif /* FERRY_KVM_H */
