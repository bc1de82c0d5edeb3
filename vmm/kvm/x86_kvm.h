/* SPDX-License-Identifier: MIT */
/*
 * x86_kvm.h - The part of KVM's interface that only x86 has
 *
 * Included by kvm.h, and only there. Source: the kernel's
 * Documentation/virt/kvm/api.rst.
 */
#ifndef FERRY_X86_KVM_H
#define FERRY_X86_KVM_H

/*
 * Four pages that KVM's real-mode helpers use on Intel hosts. api.rst wants them
 * under 4 GiB; this is the usual place, above all devices (layout.h).
 */
#define KVM_IDENTITY_MAP_GPA	0xfffbc000ull
#define KVM_TSS_GPA		0xfffbd000ull

#define KVM_CPUID_MAX	256

/* struct kvm_cpuid2, with room for the leaves */
struct kvm_cpuid_table {
	uint32_t nent, padding;
	struct kvm_cpuid_entry2 entry[KVM_CPUID_MAX];
};

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
 * @index:	number of the MSR
 * @value:	filled in
 *
 * Return: 0, -ENOENT if KVM does not have it, -errno
 */
int kvm_get_msr(int fd, uint32_t index, uint64_t *value);

/**
 * kvm_take_msr() - Make the guest's reads of one MSR exit to user space
 * @k:		the VM
 * @index:	number of the MSR
 * @err:	why not
 *
 * A read then ends in KVM_EXIT_X86_RDMSR. KVM_GET_MSRS is not affected. One MSR
 * only: a second call replaces the first.
 *
 * Return: 0, -errno; fails on a kernel before 5.10
 */
int kvm_take_msr(struct kvm *k, uint32_t index, struct error *err);

/**
 * kvm_msr_list() - The MSRs that make up a vCPU's state
 * @k:		the VM
 * @list:	set to an array, which the caller frees
 * @n:		set to its length
 * @err:	why not
 *
 * KVM's own list (KVM_GET_MSR_INDEX_LIST) without the machine-check banks: how
 * many there are depends on the argument of KVM_X86_SETUP_MCE. With the MTRRs,
 * which KVM leaves out. Not each MSR of the list can be read on each vCPU.
 *
 * Return: 0, -errno
 */
int kvm_msr_list(struct kvm *k, uint32_t **list, unsigned *n,
		 struct error *err);

#endif /* FERRY_X86_KVM_H */
