// SPDX-License-Identifier: MIT
/*
 * x86_config.c - x86: the processor that this host can give a guest
 *
 * "host" is KVM's list of what it supports, changed by cpuid_set_features() and
 * cpuid_vendor(). "baseline" is cpuid_baseline(), if this host has all of it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine_config.h"
#include "vmm/cpu/x86_cpuid.h"
#include "vmm/cpu/x86_regs.h"

/* Set vendor and host_id. @name: the guest's vendor, or "host" */
static int pick_vendor(struct machine_config *cfg, const char *name,
		       struct error *err)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(&cfg->arch.cpuid, 0, 0);

	if (!e || !cpuid_find(&cfg->arch.cpuid, 1, 0))
		return error_set(err, ENOTSUP,
				 "KVM offers no CPUID leaf 0 or 1");
	cpuid_get_id(e, cfg->arch.host_id);
	if (!strcmp(name, "host")) {
		if (vendor_find(cfg->arch.host_id, &cfg->arch.vendor))
			return 0;
		return error_set(err, ENOTSUP,
			"this host's processor says '%s', whose machine checks are unknown: use --cpu-vendor amd or intel",
			cfg->arch.host_id);
	}
	for (unsigned i = 0; i < VENDORS; i++) {
		cfg->arch.vendor = (enum cpu_vendor)i;
		if (!strcmp(name, vendor_name(cfg->arch.vendor)))
			return 0;
	}
	return error_set(err, EINVAL, "no CPU vendor '%s': amd, intel or host",
			 name);
}

/* Without these a guest does not survive its first memory error */
static int check_recovery(const struct kvm *k, struct machine_config *cfg,
			  struct error *err)
{
	if (cfg->arch.vendor == VENDOR_AMD &&
	    cpuid_add_recovery(&cfg->arch.cpuid))
		return error_set(err, ENOTSUP,
			"KVM offers no extended CPUID leaves for an AMD guest");
	if (cfg->arch.vendor == VENDOR_INTEL && !(k->mce_cap & MCG_SER_P))
		return error_set(err, ENOTSUP,
			"this KVM has no MCG_SER_P: an Intel guest could not survive a memory error");
	return 0;
}

/* Replace what KVM offers by the baseline, if KVM offers all of that */
static int take_baseline(struct machine_config *cfg, struct error *err)
{
	struct kvm_cpuid_table have = cfg->arch.cpuid;
	char text[ERROR_TEXT_MAX - 80];

	cpuid_add_user(&have);
	cpuid_baseline(&cfg->arch.cpuid, cfg->arch.vendor,
		       ram_end(cfg->memory));
	if (!cpuid_lacks(&cfg->arch.cpuid, &have, text, sizeof(text)))
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

#define LEAF1_ECX_PDCM			(1u << 15)
#define LEAF7_EDX_ARCH_CAPABILITIES	(1u << 29)

/* A new vCPU has KVM's values of these MSRs, if its CPUID has the features */
static void get_capabilities(const struct kvm *k, struct arch_config *a)
{
	const struct kvm_cpuid_entry2 *one = cpuid_find(&a->cpuid, 1, 0);
	const struct kvm_cpuid_entry2 *seven = cpuid_find(&a->cpuid, 7, 0);

	a->arch_capabilities = a->perf_capabilities = 0;
	if (seven && seven->edx & LEAF7_EDX_ARCH_CAPABILITIES)
		kvm_get_msr(k->sys, MSR_ARCH_CAPABILITIES,
			    &a->arch_capabilities);
	if (one && one->ecx & LEAF1_ECX_PDCM)
		kvm_get_msr(k->sys, MSR_PERF_CAPABILITIES,
			    &a->perf_capabilities);
}

int machine_config_host(struct machine_config *cfg, const char *model,
			const char *vendor, struct error *err)
{
	struct kvm k;
	int rc;

	rc = kvm_open(&k, err);
	if (rc)
		return rc;
	rc = kvm_supported_cpuid(&k, &cfg->arch.cpuid, err);
	if (rc >= 0)
		rc = pick_vendor(cfg, vendor, err);
	if (!rc)
		rc = check_recovery(&k, cfg, err);
	if (rc)
		goto out;

	cpuid_vendor(&cfg->arch.cpuid, cfg->arch.vendor);
	/* The TSC deadline timer needs no calibration, which fails in a guest
	 * that is slow or paused at the wrong moment. KVM does not list it
	 */
	cpuid_set_features(&cfg->arch.cpuid,
			   kvm_has(&k, KVM_CAP_TSC_DEADLINE_TIMER));
	if (memcmp(cfg->arch.host_id, vendor_id(cfg->arch.vendor),
		   CPU_VENDOR_ID))
		cpuid_no_hypercalls(&cfg->arch.cpuid);
	if (!strcmp(model, "baseline"))
		rc = take_baseline(cfg, err);
	if (!rc && cpuid_topology(&cfg->arch.cpuid, cfg->arch.vendor,
				  cfg->cpus))
		rc = error_set(err, ENOTSUP, "KVM offers too many CPUID leaves");
	if (!rc)
		rc = get_tsc(&k, &cfg->arch.tsc_khz, err);
	cfg->arch.tsc_scaling = k.tsc_scaling;
	get_capabilities(&k, &cfg->arch);
out:
	kvm_close(&k);
	return rc < 0 ? rc : 0;
}

static int check_cpuid(const struct machine_config *cfg,
		       struct machine_config *host, struct error *err)
{
	struct kvm_cpuid_table want = cfg->arch.cpuid;
	char text[ERROR_TEXT_MAX - 80];

	if (strcmp(cfg->arch.host_id, host->arch.host_id))
		return error_set(err, ENOTSUP,
			"the guest was started on a processor that says '%s', this host's says '%s': a guest stays with its vendor",
			cfg->arch.host_id, host->arch.host_id);
	cpuid_add_user(&host->arch.cpuid);
	if (!cpuid_lacks(&want, &host->arch.cpuid, text, sizeof(text)))
		return 0;
	return error_set(err, ENOTSUP, "this host lacks what the guest has: %s",
			 text);
}

/* A frequency that is off by more is no processor's */
#define TSC_FACTOR	10

static bool can_scale_tsc(const struct arch_config *host, uint32_t khz)
{
	return host->tsc_scaling && khz >= host->tsc_khz / TSC_FACTOR &&
	       khz / TSC_FACTOR <= host->tsc_khz;
}

static int check_capabilities(const struct arch_config *guest,
			      const struct arch_config *host,
			      struct error *err)
{
	uint64_t lack = arch_capabilities_lack(guest->arch_capabilities,
					       host->arch_capabilities);

	if (guest->arch_capabilities && lack)
		return error_set(err, ENOTSUP,
			"this host's IA32_ARCH_CAPABILITIES is 0x%llx, where the guest's is 0x%llx: it differs in 0x%llx",
			(unsigned long long)host->arch_capabilities,
			(unsigned long long)guest->arch_capabilities,
			(unsigned long long)lack);
	lack = perf_capabilities_lack(guest->perf_capabilities,
				      host->perf_capabilities);
	if (lack)
		return error_set(err, ENOTSUP,
			"this host's IA32_PERF_CAPABILITIES is 0x%llx, where the guest's is 0x%llx: it differs in 0x%llx",
			(unsigned long long)host->perf_capabilities,
			(unsigned long long)guest->perf_capabilities,
			(unsigned long long)lack);
	return 0;
}

int machine_config_check(const struct machine_config *cfg, struct error *err)
{
	struct machine_config *host = calloc(1, sizeof(*host));
	int rc;

	if (!host)
		return error_set(err, ENOMEM, "out of memory");
	host->cpus = cfg->cpus;
	host->memory = cfg->memory;
	rc = machine_config_host(host, "host", vendor_name(cfg->arch.vendor), err);
	if (!rc)
		rc = check_cpuid(cfg, host, err);
	if (!rc)
		rc = check_capabilities(&cfg->arch, &host->arch, err);
	if (!rc && !can_scale_tsc(&host->arch, cfg->arch.tsc_khz) &&
	    !x86_config_same_tsc(cfg->arch.tsc_khz, host->arch.tsc_khz))
		rc = error_set(err, ENOTSUP,
			"machine description: /cpus, property ferry,tsc-khz: the guest's TSC runs at %u kHz, this host's at %u kHz, which its KVM cannot change (KVM_CAP_TSC_CONTROL)",
			cfg->arch.tsc_khz, host->arch.tsc_khz);
	free(host);
	return rc;
}
