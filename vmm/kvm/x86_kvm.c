// SPDX-License-Identifier: MIT
/* x86_kvm.c - The part of KVM's interface that only x86 has */

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "kvm.h"
#include "vmm/base/bytes.h"

_Static_assert(offsetof(struct kvm_cpuid_table, entry) ==
	       offsetof(struct kvm_cpuid2, entries), "same layout");

/* Enable a capability if KVM has it. Return: is it enabled? */
static bool enable(struct kvm *k, uint32_t cap)
{
	struct kvm_enable_cap e = { .cap = cap, .args = { 1 } };

	return kvm_has(k, (int)cap) && !ioctl(k->vm, KVM_ENABLE_CAP, &e);
}

int kvm_arch_init(struct kvm *k, struct error *err)
{
	uint64_t identity = KVM_IDENTITY_MAP_GPA;
	int rc;

	rc = KVM_CALL(k->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity, err);
	if (!rc)
		rc = KVM_CALL(k->vm, KVM_SET_TSS_ADDR, KVM_TSS_GPA, err);
	if (rc)
		return rc;
	/* Keeps a pending exception and an injected one apart */
	enable(k, KVM_CAP_EXCEPTION_PAYLOAD);
	k->triple_fault = enable(k, KVM_CAP_X86_TRIPLE_FAULT_EVENT);
	k->sregs2 = kvm_has(k, KVM_CAP_SREGS2);
	k->tsc_scaling = kvm_has(k, KVM_CAP_TSC_CONTROL);
	rc = kvm_has(k, KVM_CAP_XSAVE2);
	k->xsave_size = rc > 4096 ? (size_t)rc : 4096;
	k->clock_realtime = kvm_has(k, KVM_CAP_ADJUST_CLOCK) &
			    KVM_CLOCK_REALTIME;
	if (!kvm_has(k, KVM_CAP_MCE))
		return error_set(err, ENOTSUP,
			"this KVM has no KVM_CAP_MCE: it cannot report a memory error to a guest");
	return KVM_CALL(k->sys, KVM_X86_GET_MCE_CAP_SUPPORTED, &k->mce_cap,
			err);
}

int kvm_supported_cpuid(struct kvm *k, struct kvm_cpuid_table *t,
			struct error *err)
{
	t->nent = KVM_CPUID_MAX;
	t->padding = 0;
	return KVM_CALL(k->sys, KVM_GET_SUPPORTED_CPUID, t, err);
}

int kvm_get_msr(int fd, uint32_t index, uint64_t *value)
{
	struct {			/* struct kvm_msrs with one entry */
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entry;
	} q = { .nmsrs = 1, .entry.index = index };
	int rc = ioctl(fd, KVM_GET_MSRS, &q);

	*value = q.entry.data;
	if (rc < 0)
		return -errno;
	return rc == 1 ? 0 : -ENOENT;
}

int kvm_take_msr(struct kvm *k, uint32_t index, struct error *err)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = { KVM_MSR_EXIT_REASON_FILTER },
	};
	/* A clear bit: KVM does not carry out that access itself */
	unsigned long none = 0;
	struct kvm_msr_filter f = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges = { {
			.flags = KVM_MSR_FILTER_READ, .base = index,
			.nmsrs = 1, .bitmap = (uint8_t *)&none,
		} },
	};
	int rc = KVM_CALL(k->vm, KVM_ENABLE_CAP, &cap, err);

	return rc ? rc : KVM_CALL(k->vm, KVM_X86_SET_MSR_FILTER, &f, err);
}

static bool is_mce_bank(uint32_t msr)
{
	return msr >= 0x400 && msr < 0x400 + 4 * 32;	/* SDM vol. 4 */
}

/*
 * KVM has the MTRRs, but lists none (Linux 6.18, kvm_init_msr_lists()). SDM
 * vol. 4: fixed ranges, default type, eight variable ranges
 */
static const uint32_t mtrrs[] = {
	0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e,
	0x26f, 0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207, 0x208,
	0x209, 0x20a, 0x20b, 0x20c, 0x20d, 0x20e, 0x20f, 0x2ff,
};

static bool is_mtrr(uint32_t msr)
{
	for (unsigned i = 0; i < ARRAY_SIZE(mtrrs); i++)
		if (mtrrs[i] == msr)
			return true;
	return false;
}

int kvm_msr_list(struct kvm *k, uint32_t **list, unsigned *n,
		 struct error *err)
{
	struct kvm_msr_list probe = { 0 }, *all;
	int rc;

	/* The first call fails with E2BIG and returns the number of MSRs */
	ioctl(k->sys, KVM_GET_MSR_INDEX_LIST, &probe);
	all = calloc(1, sizeof(*all) + probe.nmsrs * sizeof(uint32_t));
	*list = calloc(probe.nmsrs + ARRAY_SIZE(mtrrs), sizeof(uint32_t));
	if (!all || !*list) {
		rc = error_set(err, ENOMEM, "out of memory for MSRs");
		goto out;
	}

	all->nmsrs = probe.nmsrs;
	rc = KVM_CALL(k->sys, KVM_GET_MSR_INDEX_LIST, all, err);
	*n = 0;
	for (unsigned i = 0; !rc && i < all->nmsrs; i++)
		if (!is_mce_bank(all->indices[i]) && !is_mtrr(all->indices[i]))
			(*list)[(*n)++] = all->indices[i];
	for (unsigned i = 0; !rc && i < ARRAY_SIZE(mtrrs); i++)
		(*list)[(*n)++] = mtrrs[i];
out:
	free(all);
	if (rc) {
		free(*list);
		*list = NULL;
	}
	return rc;
}
