// SPDX-License-Identifier: MIT
/*
 * cpuid.c - What a guest is told about its processors, and what KVM can tell
 *
 * "host": KVM's list of what it supports, with a few changes. Left out: nested
 * virtualization, because its state isn't saved, and asynchronous page
 * faults, because a fault that KVM hands to a kernel worker waits for its
 * page on nobody's account. Put in: what a guest needs to survive a memory error
 * in its vendor's format (AMD APM vol. 3, CPUID Fn8000_0007_EBX: overflow recovery, SUCCOR).
 * "baseline": cpuid_baseline.c, if this host has it.
 */

#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm_para.h>

#include "cpuid.h"
#include "vmm/machine/machine.h"

#define LEAF1_ECX_VMX		(1u << 5)
#define LEAF1_ECX_X2APIC	(1u << 21)
#define LEAF1_ECX_TSC_DEADLINE	(1u << 24)
#define LEAF1_ECX_HYPERVISOR	(1u << 31)
#define LEAF1_EDX_MCE		(1u << 7)
#define LEAF1_EDX_MCA		(1u << 14)
#define EXT1_ECX_SVM		(1u << 2)
#define EXT7_EBX_RECOVERY	3u	/* MCA overflow recovery, SUCCOR */

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

void cpuid_vendor(struct kvm_cpuid_table *t, enum cpu_vendor vendor)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 0, 0);

	set_id(e, vendor_id(vendor));
	e = cpuid_find(t, 0x80000000, 0);
	if (e && vendor == VENDOR_AMD)
		set_id(e, vendor_id(vendor));
	else if (e)
		e->ebx = e->ecx = e->edx = 0;	/* as Intel has it */

	e = cpuid_find(t, 0x80000007, 0);
	if (e && vendor == VENDOR_AMD)
		e->ebx |= EXT7_EBX_RECOVERY;
	else if (e)
		e->ebx = 0;
}

void cpuid_no_hypercalls(struct kvm_cpuid_table *t)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, KVM_CPUID_FEATURES, 0);

	if (e)
		e->eax &= ~(1u << KVM_FEATURE_PV_UNHALT |
			    1u << KVM_FEATURE_PV_SEND_IPI |
			    1u << KVM_FEATURE_PV_SCHED_YIELD |
			    1u << KVM_FEATURE_HC_MAP_GPA_RANGE |
			    1u << KVM_FEATURE_MIGRATION_CONTROL);
}

static void set_features(const struct kvm *k, struct kvm_cpuid_table *t)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 1, 0);

	e->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_X2APIC;
	e->ecx &= ~LEAF1_ECX_VMX;
	/* KVM leaves it to us to say so. A timer that needs no calibration: a
	 * guest that is slow, or paused at the wrong moment, fails at that
	 */
	if (kvm_has(k, KVM_CAP_TSC_DEADLINE_TIMER))
		e->ecx |= LEAF1_ECX_TSC_DEADLINE;
	e->edx |= LEAF1_EDX_MCE | LEAF1_EDX_MCA;

	e = cpuid_find(t, 0x80000001, 0);
	if (e)
		e->ecx &= ~EXT1_ECX_SVM;
	e = cpuid_find(t, KVM_CPUID_FEATURES, 0);
	if (e)
		e->eax &= ~(1u << KVM_FEATURE_ASYNC_PF |
			    1u << KVM_FEATURE_ASYNC_PF_VMEXIT |
			    1u << KVM_FEATURE_ASYNC_PF_INT);
}

/* Leaves that a guest of at most this highest leaf would not look for */
static int add_recovery_leaf(struct kvm_cpuid_table *t)
{
	struct kvm_cpuid_entry2 *top = cpuid_find(t, 0x80000000, 0);

	if (cpuid_find(t, 0x80000007, 0))
		return 0;
	if (!top)
		return -ENOTSUP;
	if (top->eax < 0x80000007)
		top->eax = 0x80000007;
	return cpuid_add(t, &(struct kvm_cpuid_entry2){
				.function = 0x80000007 });
}

/* The guest's vendor, by name, and this host's own identification */
static int pick_vendor(struct machine_config *cfg, const char *name,
		       struct error *err)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(&cfg->cpuid, 0, 0);

	if (!e || !cpuid_find(&cfg->cpuid, 1, 0))
		return error_set(err, ENOTSUP,
				 "KVM offers no CPUID leaf 0 or 1");
	get_id(e, cfg->host_id);
	if (!strcmp(name, "host")) {
		if (vendor_find(cfg->host_id, &cfg->vendor))
			return 0;
		return error_set(err, ENOTSUP,
			"this host's processor says '%s', whose machine checks are unknown: use --cpu-vendor amd or intel",
			cfg->host_id);
	}
	for (unsigned i = 0; i < VENDORS; i++) {
		cfg->vendor = (enum cpu_vendor)i;
		if (!strcmp(name, vendor_name(cfg->vendor)))
			return 0;
	}
	return error_set(err, EINVAL, "no CPU vendor '%s': amd, intel or host",
			 name);
}

/* Without these a guest dies of its first memory error, whoever it hits */
static int check_recovery(const struct kvm *k, struct machine_config *cfg,
			  struct error *err)
{
	if (cfg->vendor == VENDOR_AMD && add_recovery_leaf(&cfg->cpuid))
		return error_set(err, ENOTSUP,
			"KVM offers no extended CPUID leaves for an AMD guest");
	if (cfg->vendor == VENDOR_INTEL && !(k->mce_cap & MCG_SER_P))
		return error_set(err, ENOTSUP,
			"this KVM has no MCG_SER_P: an Intel guest could not survive a memory error");
	return 0;
}

void cpuid_add_user(struct kvm_cpuid_table *t)
{
	/* pni, ssse3, sse4_1, sse4_2, popcnt */
	const uint32_t harmless = 1u << 0 | 1u << 9 | 1u << 19 | 1u << 20 |
				  1u << 23;
	struct kvm_cpuid_entry2 *e = cpuid_find(t, 1, 0);
	uint32_t a, b, c, d;

	if (e && __get_cpuid(1, &a, &b, &c, &d))
		e->ecx |= c & harmless;
}

/* Put the baseline in the place of what KVM has, if it has that */
static int take_baseline(struct machine_config *cfg, struct error *err)
{
	struct kvm_cpuid_table have = cfg->cpuid;
	char text[ERROR_TEXT_MAX - 80];

	cpuid_add_user(&have);
	cpuid_baseline(&cfg->cpuid, cfg->vendor, cfg->memory);
	if (!cpuid_lacks(&cfg->cpuid, &have, text, sizeof(text)))
		return 0;
	return error_set(err, ENOTSUP,
			 "--cpu baseline: this host's KVM lacks %s", text);
}

static int get_tsc(const struct kvm *k, uint32_t *khz, struct error *err)
{
	int fd, rc;

	fd = rc = KVM_CALL(k->vm, KVM_CREATE_VCPU, 0, err);
	if (rc < 0)
		return rc;
	rc = KVM_CALL(fd, KVM_GET_TSC_KHZ, 0, err);
	*khz = rc > 0 ? (uint32_t)rc : 0;
	close(fd);
	return rc < 0 ? rc : 0;
}

int machine_config_host(struct machine_config *cfg, const char *model,
			const char *vendor, struct error *err)
{
	struct kvm k;
	int rc;

	rc = kvm_open(&k, err);
	if (rc)
		return rc;
	rc = kvm_supported_cpuid(&k, &cfg->cpuid, err);
	if (rc >= 0)
		rc = pick_vendor(cfg, vendor, err);
	if (!rc)
		rc = check_recovery(&k, cfg, err);
	if (rc)
		goto out;

	cpuid_vendor(&cfg->cpuid, cfg->vendor);
	set_features(&k, &cfg->cpuid);
	if (memcmp(cfg->host_id, vendor_id(cfg->vendor), 12))
		cpuid_no_hypercalls(&cfg->cpuid);
	if (!strcmp(model, "baseline"))
		rc = take_baseline(cfg, err);
	if (!rc && cpuid_topology(&cfg->cpuid, cfg->vendor, cfg->cpus))
		rc = error_set(err, ENOTSUP, "KVM offers too many CPUID leaves");
	if (!rc)
		rc = get_tsc(&k, &cfg->tsc_khz, err);
out:
	kvm_close(&k);
	return rc < 0 ? rc : 0;
}
