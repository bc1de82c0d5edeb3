// SPDX-License-Identifier: MIT
/* kvm.c - KVM through typed wrappers */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm.h"
#include "vmm/cpu/x86_mce.h"

/*
 * Where Intel's real-mode and identity-map helpers of KVM live: four pages
 * under 4 GiB, inside the hole, as api.rst asks for and other VMMs have it.
 */
#define KVM_IDENTITY_MAP_GPA	0xfffbc000ull
#define KVM_TSS_GPA		0xfffbd000ull

_Static_assert(offsetof(struct kvm_cpuid_table, entry) ==
	       offsetof(struct kvm_cpuid2, entries), "one is the other");

int kvm_call(int fd, unsigned long request, const char *name, void *arg,
	     struct error *err)
{
	int rc = ioctl(fd, request, arg);

	return rc >= 0 ? rc : error_set(err, errno, "%s: %s", name,
					strerrordesc_np(errno));
}

int kvm_has(const struct kvm *k, int cap)
{
	int rc = ioctl(k->vm >= 0 ? k->vm : k->sys, KVM_CHECK_EXTENSION,
		       (unsigned long)cap);

	return rc > 0 ? rc : 0;
}

static int open_dev(struct kvm *k, struct error *err)
{
	int version;

	k->sys = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (k->sys < 0)
		return error_set(err, errno, "cannot open /dev/kvm: %s (%s)",
			strerrordesc_np(errno), errno == EACCES ?
			"add this user to the group 'kvm'" :
			"is virtualization on in the firmware, and kvm_intel or kvm_amd loaded?");

	version = ioctl(k->sys, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION)
		return error_set(err, ENOTSUP,
			"/dev/kvm speaks API version %d, not %d", version,
			KVM_API_VERSION);
	return 0;
}

static int make_vm(struct kvm *k, struct error *err)
{
	struct kvm_pit_config pit = { .flags = 0 };
	uint64_t identity = KVM_IDENTITY_MAP_GPA;
	struct kvm_enable_cap payload = {
		.cap = KVM_CAP_EXCEPTION_PAYLOAD, .args = { 1 },
	};
	int rc;

	k->vm = rc = KVM_CALL(k->sys, KVM_CREATE_VM, 0, err);
	if (rc < 0)
		return rc;
	rc = KVM_CALL(k->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity, err);
	if (!rc)
		rc = KVM_CALL(k->vm, KVM_SET_TSS_ADDR, KVM_TSS_GPA, err);
	if (!rc)
		rc = KVM_CALL(k->vm, KVM_CREATE_IRQCHIP, 0, err);
	if (!rc)
		rc = KVM_CALL(k->vm, KVM_CREATE_PIT2, &pit, err);
	/* So that a pending exception and an injected one stay apart */
	if (!rc && kvm_has(k, KVM_CAP_EXCEPTION_PAYLOAD))
		rc = KVM_CALL(k->vm, KVM_ENABLE_CAP, &payload, err);
	return rc;
}

static int ask(struct kvm *k, struct error *err)
{
	int rc;

	rc = KVM_CALL(k->sys, KVM_GET_VCPU_MMAP_SIZE, 0, err);
	if (rc < 0)
		return rc;
	k->run_size = (size_t)rc;
	rc = kvm_has(k, KVM_CAP_XSAVE2);
	k->xsave_size = rc > 4096 ? (size_t)rc : 4096;
	k->clock_realtime = kvm_has(k, KVM_CAP_ADJUST_CLOCK) &
			    KVM_CLOCK_REALTIME;
	if (!kvm_has(k, KVM_CAP_MCE))
		return error_set(err, ENOTSUP,
			"this KVM has no KVM_CAP_MCE: a guest could not be told of a memory error");
	rc = KVM_CALL(k->sys, KVM_X86_GET_MCE_CAP_SUPPORTED, &k->mce_cap,
		      err);
	/* Without LMCE, so that Intel's format means broadcast everywhere */
	k->mce_cap = (k->mce_cap & (MCG_CTL_P | MCG_SER_P)) | MCE_BANKS;
	return rc;
}

int kvm_open(struct kvm *k, struct error *err)
{
	int rc;

	*k = (struct kvm){ .sys = -1, .vm = -1 };
	rc = open_dev(k, err);
	if (!rc)
		rc = make_vm(k, err);
	if (!rc)
		rc = ask(k, err);
	if (rc)
		kvm_close(k);
	return rc;
}

void kvm_close(struct kvm *k)
{
	if (k->vm >= 0)
		close(k->vm);
	if (k->sys >= 0)
		close(k->sys);
	*k = (struct kvm){ .sys = -1, .vm = -1 };
}

int kvm_set_memory(struct kvm *k, uint32_t slot, uint64_t gpa, uint64_t size,
		   void *hva, struct error *err)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return KVM_CALL(k->vm, KVM_SET_USER_MEMORY_REGION, &r, err);
}

void kvm_irq_line(struct kvm *k, unsigned irq, int level)
{
	struct kvm_irq_level l = { .irq = irq, .level = (uint32_t)level };

	/* Fails only for a line that the in-kernel irqchip doesn't have */
	ioctl(k->vm, KVM_IRQ_LINE, &l);
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
	/* A clear bit is an access that KVM does not carry out itself */
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

	/* The first call fails with E2BIG, and says how many there are */
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
