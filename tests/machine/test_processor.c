// SPDX-License-Identifier: MIT
/*
 * test_processor.c - What a guest is told of its processor on this very host
 */

#include <string.h>

#include <linux/kvm_para.h>

#include "rig.h"
#include "vmm/cpu/x86_cpuid.h"

/* What Linux makes hypercalls for, and KVM lists wherever it runs */
#define CALLS	(1u << KVM_FEATURE_PV_UNHALT | 1u << KVM_FEATURE_PV_SEND_IPI | \
		 1u << KVM_FEATURE_PV_SCHED_YIELD)

static uint32_t features(const char *vendor, bool *own)
{
	struct rig *r = rig_new(16, 1, RAM_ANON, vendor, "");
	const struct kvm_cpuid_entry2 *e =
		cpuid_find(&r->cfg.arch.cpuid, KVM_CPUID_FEATURES, 0);
	uint32_t eax;

	assert_non_null(e);
	eax = e->eax;
	*own = !strcmp(r->cfg.arch.host_id, vendor_id(r->cfg.arch.vendor));
	rig_free(r);
	return eax;
}

static void hypercalls_are_for_the_host_s_vendor_only(void **state)
{
	static const char *const vendor[] = { "host", "amd", "intel" };
	unsigned foreign = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		bool own;
		uint32_t eax = features(vendor[i], &own);

		assert_int_equal(eax & CALLS, own ? CALLS : 0);
		foreign += !own;
	}
	assert_true(foreign);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hypercalls_are_for_the_host_s_vendor_only),
	};

	(void)argc;
	rig_check_kvm(argv[0]);
	return cmocka_run_group_tests_name("processor", tests, NULL, NULL);
}
