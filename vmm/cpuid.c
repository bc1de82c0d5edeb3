// SPDX-License-Identifier: MIT
/*
 * cpuid.c - What a guest is told about its processors
 *
 * KVM's list of what it supports, with a few changes. Left out: nested
 * virtualization, because its state isn't saved, and asynchronous page
 * faults, because a fault that KVM hands to a kernel worker waits for its
 * page on nobody's account. Put in: what a guest needs to survive a memory error
 * in its vendor's format (AMD APM vol. 3, CPUID Fn8000_0007_EBX: overflow recovery, SUCCOR).
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm_para.h>

#include "machine.h"

#define LEAF1_ECX_VMX		(1u << 5)
#define LEAF1_ECX_X2APIC	(1u << 21)
#define LEAF1_ECX_TSC_DEADLINE	(1u << 24)
#define LEAF1_ECX_HYPERVISOR	(1u << 31)
#define LEAF1_EDX_MCE		(1u << 7)
#define LEAF1_EDX_MCA		(1u << 14)
#define EXT1_ECX_SVM		(1u << 2)
#define EXT7_EBX_RECOVERY	3u	/* MCA overflow recovery, SUCCOR */

static struct kvm_cpuid_entry2 *find(struct kvm_cpuid_table *t, uint32_t leaf)
{
	for (uint32_t i = 0; i < t->nent; i++)
		if (t->entry[i].function == leaf)
			return &t->entry[i];
	return NULL;
}

/* The identification's order of registers is EBX, EDX, ECX */
static void get_id(const struct kvm_cpuid_entry2 *e, char id[12])
{
	memcpy(id, &e->ebx, 4);
	memcpy(id + 4, &e->edx, 4);
	memcpy(id + 8, &e->ecx, 4);
}

static void set_id(struct kvm_cpuid_entry2 *e, const char *id)
{
	memcpy(&e->ebx, id, 4);
	memcpy(&e->edx, id + 4, 4);
	memcpy(&e->ecx, id + 8, 4);
}

static void set_vendor(struct kvm_cpuid_table *t, enum cpu_vendor vendor)
{
	struct kvm_cpuid_entry2 *e = find(t, 0);

	set_id(e, vendor_id(vendor));
	e = find(t, 0x80000000);
	if (e && vendor == VENDOR_AMD)
		set_id(e, vendor_id(vendor));
	else if (e)
		e->ebx = e->ecx = e->edx = 0;	/* as Intel has it */

	e = find(t, 0x80000007);
	if (e && vendor == VENDOR_AMD)
		e->ebx |= EXT7_EBX_RECOVERY;
	else if (e)
		e->ebx = 0;
}

static void set_features(const struct kvm *k, struct kvm_cpuid_table *t,
			 unsigned cpus)
{
	struct kvm_cpuid_entry2 *e = find(t, 1);

	e->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_X2APIC;
	e->ecx &= ~LEAF1_ECX_VMX;
	/* KVM leaves it to us to say so. A timer that needs no calibration: a
	 * guest that is slow, or paused at the wrong moment, fails at that
	 */
	if (kvm_has(k, KVM_CAP_TSC_DEADLINE_TIMER))
		e->ecx |= LEAF1_ECX_TSC_DEADLINE;
	e->edx |= LEAF1_EDX_MCE | LEAF1_EDX_MCA;
	e->ebx = (e->ebx & 0xff00ffff) | (cpus & 0xff) << 16;

	e = find(t, 0x80000001);
	if (e)
		e->ecx &= ~EXT1_ECX_SVM;
	e = find(t, KVM_CPUID_FEATURES);
	if (e)
		e->eax &= ~(1u << KVM_FEATURE_ASYNC_PF |
			    1u << KVM_FEATURE_ASYNC_PF_VMEXIT |
			    1u << KVM_FEATURE_ASYNC_PF_INT);
}

/* Leaves that a guest of at most this highest leaf would not look for */
static int add_recovery_leaf(struct kvm_cpuid_table *t)
{
	struct kvm_cpuid_entry2 *top = find(t, 0x80000000);

	if (find(t, 0x80000007))
		return 0;
	if (!top || t->nent == KVM_CPUID_MAX)
		return -ENOTSUP;
	if (top->eax < 0x80000007)
		top->eax = 0x80000007;
	t->entry[t->nent++] =
		(struct kvm_cpuid_entry2){ .function = 0x80000007 };
	return 0;
}

static int pick_vendor(struct kvm_cpuid_table *t, const char *name,
		       enum cpu_vendor *vendor, struct error *err)
{
	const struct kvm_cpuid_entry2 *e = find(t, 0);
	char id[13] = { 0 };

	if (!e || !find(t, 1))
		return error_set(err, ENOTSUP,
				 "KVM offers no CPUID leaf 0 or 1");
	if (!strcmp(name, "host")) {
		get_id(e, id);
		if (vendor_find(id, vendor))
			return 0;
		return error_set(err, ENOTSUP,
			"this host's processor says '%s', whose machine checks are unknown: use --cpu-vendor amd or intel",
			id);
	}
	for (unsigned i = 0; i < VENDORS; i++) {
		*vendor = (enum cpu_vendor)i;
		if (!strcmp(name, vendor_name(*vendor)))
			return 0;
	}
	return error_set(err, EINVAL, "no CPU vendor '%s': amd, intel or host",
			 name);
}

int machine_config_host(struct machine_config *cfg, const char *vendor,
			struct error *err)
{
	struct kvm k;
	int fd, rc;

	rc = kvm_open(&k, err);
	if (rc)
		return rc;
	rc = kvm_supported_cpuid(&k, &cfg->cpuid, err);
	if (rc >= 0)
		rc = pick_vendor(&cfg->cpuid, vendor, &cfg->vendor, err);
	if (rc >= 0 && cfg->vendor == VENDOR_AMD &&
	    add_recovery_leaf(&cfg->cpuid))
		rc = error_set(err, ENOTSUP,
			"KVM offers no extended CPUID leaves for an AMD guest");
	if (rc < 0)
		goto out;

	set_vendor(&cfg->cpuid, cfg->vendor);
	set_features(&k, &cfg->cpuid, cfg->cpus);
	fd = rc = KVM_CALL(k.vm, KVM_CREATE_VCPU, 0, err);
	if (rc < 0)
		goto out;
	rc = KVM_CALL(fd, KVM_GET_TSC_KHZ, 0, err);
	cfg->tsc_khz = rc > 0 ? (uint32_t)rc : 0;
	close(fd);
out:
	kvm_close(&k);
	return rc < 0 ? rc : 0;
}
