// SPDX-License-Identifier: MIT
/* x86_vcpu.c - x86: configure a vCPU, resume it */

#include <sys/ioctl.h>

#include "arch.h"
#include "vcpu.h"
#include "vmm/cpu/x86_cpuid.h"

/* KVM_SET_CPUID2 wants each vCPU's own APIC ID in the leaves that name it */
static int set_cpuid(struct vcpu *v, struct error *err)
{
	struct kvm_cpuid_table t = v->m->cfg.arch.cpuid;

	cpuid_vcpu(&t, v->index);
	return KVM_CALL(v->fd, KVM_SET_CPUID2, &t, err);
}

/*
 * kvm_amd removes MCG_SER_P from its vCPUs' MCG_CAP (svm_setup_mce()), since
 * AMD's processors do not have it. A guest that sees an Intel processor needs
 * the bit, and Ferry keeps what it promises: so Ferry answers reads of MCG_CAP.
 */
static int offer_recovery(struct vcpu *v, struct error *err)
{
	uint64_t cap;

	if (v->m->cfg.arch.vendor != VENDOR_INTEL ||
	    kvm_get_msr(v->fd, MSR_MCG_CAP, &cap) ||
	    cap == v->m->kvm.mce_cap)
		return 0;
	return kvm_take_msr(&v->m->kvm, MSR_MCG_CAP, err);
}

/* A guest keeps the frequency of the host that it was started on */
static int set_tsc_khz(struct vcpu *v, struct error *err)
{
	const uint32_t want = v->m->cfg.arch.tsc_khz;
	int rc = KVM_CALL(v->fd, KVM_GET_TSC_KHZ, 0, err);

	if (rc < 0 || x86_config_same_tsc(want, (uint32_t)rc))
		return rc;
	v->m->arch.tsc_scaled = true;
	return KVM_CALL(v->fd, KVM_SET_TSC_KHZ, want, err);
}

int arch_vcpu_init(struct vcpu *v, struct error *err)
{
	int rc = set_cpuid(v, err);

	if (rc >= 0)
		rc = set_tsc_khz(v, err);
	if (rc >= 0)
		rc = KVM_CALL(v->fd, KVM_X86_SETUP_MCE, &v->m->kvm.mce_cap,
			      err);
	if (rc >= 0 && !v->index) {
		x86_msr_probe(v);
		rc = offer_recovery(v, err);
	}
	return rc < 0 ? rc : 0;
}

/*
 * At the next entry KVM sets PVCLOCK_GUEST_STOPPED in the vCPU's kvmclock page
 * (api.rst, KVM_KVMCLOCK_CTRL). Linux then restarts its watchdogs of soft
 * lockups, RCU stalls and hung tasks. EINVAL: the guest has no such page.
 */
void arch_vcpu_resume(struct vcpu *v)
{
	ioctl(v->fd, KVM_KVMCLOCK_CTRL, 0);
}
