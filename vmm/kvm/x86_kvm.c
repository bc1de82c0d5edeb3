// SPDX-License-Identifier: MIT
/* x86_kvm.c - The part of KVM's interface that only x86 has */

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "kvm.h"

_Static_assert(offsetof(struct kvm_cpuid_table, entry) ==
	       offsetof(struct kvm_cpuid2, entries), "same layout");

int kvm_arch_init(struct kvm *k, struct error *err)
{
	uint64_t identity = KVM_IDENTITY_MAP_GPA;
	struct kvm_enable_cap payload = {
		.cap = KVM_CAP_EXCEPTION_PAYLOAD, .args = { 1 },
	};
	int rc;

	rc = KVM_CALL(k->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity, err);
	if (!rc)
		rc = KVM_CALL(k->vm, KVM_SET_TSS_ADDR, KVM_TSS_GPA, err);
	/* Keeps a pending exception and an injected one apart */
	if (!rc && kvm_has(k, KVM_CAP_EXCEPTION_PAYLOAD))
		rc = KVM_CALL(k->vm, KVM_ENABLE_CAP, &payload, err);
	if (rc)
		return rc;
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

int kvm_msr_list(struct kvm *k, uint32_t **list, unsigned *n,
		 struct error *err)
{
	struct kvm_msr_list probe = { 0 }, *all;
	int rc;

	/* The first call fails with E2BIG and returns the number of MSRs */
	ioctl(k->sys, KVM_GET_MSR_INDEX_LIST, &probe);
	all = calloc(1, sizeof(*all) + probe.nmsrs * sizeof(uint32_t));
	*list = calloc(probe.nmsrs + 1, sizeof(uint32_t));
	if (!all || !*list) {
		rc = error_set(err, ENOMEM, "out of memory for MSRs");
		goto out;
	}

	all->nmsrs = probe.nmsrs;
	rc = KVM_CALL(k->sys, KVM_GET_MSR_INDEX_LIST, all, err);
	*n = 0;
	for (unsigned i = 0; !rc && i < all->nmsrs; i++)
		if (!is_mce_bank(all->indices[i]))
			(*list)[(*n)++] = all->indices[i];
out:
	free(all);
	if (rc) {
		free(*list);
		*list = NULL;
	}
	return rc;
}
