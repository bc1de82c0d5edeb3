// SPDX-License-Identifier: MIT
/*
 * vcpu-mce-lost.c - KVM_X86_SET_MCE returns 0, but the event is lost
 *
 * It returns 0 where it stores the event, where it drops it (MCG_CTL or MCi_CTL
 * not all ones, as they are before SETUP_MCE) and where it kills the guest
 * (CR4.MCE clear, or MCIP set: a triple fault). A VMM must check these before,
 * or read the registers back.
 */
#include "kguest.h"

static void before_setup(struct mapping *m)
{
	struct guest g;

	guest_create(&g, m, 0);
	EXPECT(0, guest_mce(&g, AR_INTEL));
	CHECK(!guest_msr(&g, MSR_STATUS), "stored");
}

static void dropped(struct mapping *m)
{
	struct guest g;

	guest_mce_create(&g, m, 0, true);
	EXPECT(0, guest_set_msr(&g, MSR_CTL, 0));
	EXPECT(0, guest_mce(&g, AR_INTEL));
	CHECK(!guest_msr(&g, MSR_STATUS), "bank off, yet stored");
	EXPECT(0, guest_set_msr(&g, MSR_CTL, ~0ULL));
	EXPECT(0, guest_set_msr(&g, MSR_MCG_CTL, 0));
	EXPECT(0, guest_mce(&g, AR_INTEL));
	CHECK(!guest_msr(&g, MSR_STATUS), "MCG_CTL 0, yet stored");
	CHECK(!guest_msr(&g, MSR_MCG_STATUS), "MCG_STATUS changed");
}

static void check_shutdown(struct guest *g)
{
	struct guest_exit e = guest_run(g);

	CHECK(!e.err && e.reason == KVM_EXIT_SHUTDOWN, "KVM_RUN: %s, reason "
	      "%u", strerror(-e.err), e.reason);
}

static void no_cr4_mce(struct mapping *m)
{
	struct guest g;

	guest_mce_create(&g, m, 0, false);
	EXPECT(0, guest_mce(&g, AR_INTEL));
	CHECK(!guest_msr(&g, MSR_STATUS), "stored");
	check_shutdown(&g);
}

static void mcip_set(struct mapping *m)
{
	struct guest g;

	guest_mce_create(&g, m, 0, true);
	EXPECT(0, guest_set_msr(&g, MSR_MCG_STATUS, 4));
	EXPECT(0, guest_mce(&g, AR_INTEL));
	CHECK(!guest_msr(&g, MSR_STATUS), "stored");
	check_shutdown(&g);
}

static const struct kcase cases[] = {
	{ "setup", "returns 0 and does nothing: no SETUP_MCE before",
	  before_setup, ON_ANON },
	{ "ctl", "returns 0 and does nothing: MCi_CTL, MCG_CTL not all ones",
	  dropped, ON_ANON },
	{ "cr4", "returns 0 and ends the guest: CR4.MCE clear", no_cr4_mce,
	  ON_ANON },
	{ "mcip", "returns 0 and ends the guest: MCIP set", mcip_set,
	  ON_ANON },
};

KTEST_MAIN(cases)
