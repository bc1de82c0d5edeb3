// SPDX-License-Identifier: MIT
/*
 * vcpu-mce.c - KVM_X86_SETUP_MCE and KVM_X86_SET_MCE, where they work
 */
#include "kguest.h"

static void offered(struct mapping *m)
{
	struct guest g;
	uint64_t cap;

	guest_create(&g, m, 0);
	cap = guest_mce_cap(&g);
	CHECK((cap & MCG_CTL_P) && (cap & MCG_SER_P), "mcg_cap 0x%llx",
	      (unsigned long long)cap);
	CHECK(ioctl(g.kvm, KVM_CHECK_EXTENSION, KVM_CAP_MCE) > (int)MCE_BANK,
	      "too few banks");
	NOTE("mcg_cap 0x%llx, %d banks", (unsigned long long)cap,
	     ioctl(g.kvm, KVM_CHECK_EXTENSION, KVM_CAP_MCE));
}

static void stored(struct mapping *m)
{
	static const uint64_t status[] = { AR_INTEL, AR_AMD };

	for (size_t i = 0; i < ARRAY_SIZE(status); i++) {
		struct kvm_vcpu_events ev;
		struct guest g;

		guest_mce_create(&g, m, 0, true);
		CHECK(guest_msr(&g, MSR_CTL) == ~0ULL, "MCi_CTL");
		CHECK(guest_msr(&g, MSR_MCG_CTL) == ~0ULL, "MCG_CTL");
		EXPECT(0, guest_mce(&g, status[i]));
		CHECK(guest_msr(&g, MSR_STATUS) == status[i], "STATUS");
		CHECK(guest_msr(&g, MSR_ADDR) == GUEST_RAM, "ADDR");
		CHECK(guest_msr(&g, MSR_MISC) == 0x8c, "MISC");
		CHECK(guest_msr(&g, MSR_MCG_STATUS) == MCG_IN_PROGRESS,
		      "MCG_STATUS");
		CHECK(!ioctl(g.vcpu, KVM_GET_VCPU_EVENTS, &ev), "%m");
		CHECK(ev.exception.nr == 18 && (ev.exception.injected ||
		      ev.exception.pending), "no #MC is waiting");
	}
}

static void no_uc(struct mapping *m)
{
	struct kvm_vcpu_events ev;
	struct guest g;

	guest_mce_create(&g, m, 0, false);
	EXPECT(0, guest_mce(&g, AO_AMD));
	CHECK(guest_msr(&g, MSR_STATUS) == AO_AMD, "not stored");
	CHECK(!ioctl(g.vcpu, KVM_GET_VCPU_EVENTS, &ev), "%m");
	CHECK(!ev.exception.injected && !ev.exception.pending, "#MC waits");
	EXPECT(-EINVAL, guest_mce(&g, AO_AMD & ~(1ULL << 63)));
}

static const struct kcase cases[] = {
	{ "cap", "KVM offers MCG_CTL_P and MCG_SER_P and bank 9", offered,
	  ON_ANON },
	{ "stored", "SET_MCE fills bank and MCG_STATUS, and #MC waits", stored,
	  ON_ANON },
	{ "bank", "not UC: the bank only, no #MC; VAL clear: EINVAL", no_uc,
	  ON_ANON },
};

KTEST_MAIN(cases)
