// SPDX-License-Identifier: MIT
/*
 * test_processor.c - What CPUID shows a guest of its processor on this host
 */

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/*
 * A KVM that can scale the TSC, where the host's can't: this definition comes
 * before the C library's
 */
static bool scaling;
static uint32_t set_khz;

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == KVM_CHECK_EXTENSION &&
	    (uintptr_t)arg == KVM_CAP_TSC_CONTROL)
		return scaling;
	if (request == KVM_SET_TSC_KHZ) {
		set_khz = (uint32_t)(uintptr_t)arg;
		return 0;
	}
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static void a_tsc_of_another_host_is_scaled(void **state)
{
	struct rig *r = rig_new(16, 1, RAM_ANON, "host", "");
	const uint32_t host = r->cfg.arch.tsc_khz;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(machine_config_check(&r->cfg, &err), 0);
	rig_build(r);
	assert_int_equal(set_khz, 0);
	machine_free(r->m);
	r->m = NULL;

	r->cfg.arch.tsc_khz = host / 2;
	assert_int_equal(machine_config_check(&r->cfg, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "ferry,tsc-khz"));
	scaling = true;
	assert_int_equal(machine_config_check(&r->cfg, &err), 0);
	rig_build(r);
	assert_int_equal(set_khz, host / 2);
	assert_true(r->m->arch.tsc_scaled);
	r->cfg.arch.tsc_khz = host / 20;
	assert_int_equal(machine_config_check(&r->cfg, &err), -ENOTSUP);
	scaling = false;
	rig_free(r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hypercalls_are_for_the_host_s_vendor_only),
		cmocka_unit_test(a_tsc_of_another_host_is_scaled),
	};

	(void)argc;
	rig_check_kvm(argv[0]);
	return cmocka_run_group_tests_name("processor", tests, NULL, NULL);
}
