// SPDX-License-Identifier: MIT
/* test_mce.c - The register values that a guest of each vendor understands */

#include "unit.h"

#include "vmm/cpu/x86_mce.h"

#define GPA 0x123456000ull

static void check(enum cpu_vendor vendor, enum mce_kind kind, uint64_t status,
		  uint64_t mcg_status)
{
	struct mce_record r = mce_encode(vendor, kind, GPA, 12);

	assert_int_equal(r.bank, 9);
	assert_true(r.status == status);
	assert_true(r.mcg_status == mcg_status);
	assert_true(r.addr == GPA);
	assert_true(r.misc == 0x8c);
}

static void intel_required(void **state)
{
	(void)state;
	check(VENDOR_INTEL, MCE_REQUIRED, 0xbd80000000000134, 0x7);
}

static void intel_optional(void **state)
{
	(void)state;
	check(VENDOR_INTEL, MCE_OPTIONAL, 0xbd000000000000c0, 0x5);
}

static void amd_required(void **state)
{
	(void)state;
	check(VENDOR_AMD, MCE_REQUIRED, 0xbc00080000000000, 0x7);
}

static void amd_optional_is_only_logged(void **state)
{
	(void)state;
	check(VENDOR_AMD, MCE_OPTIONAL, 0x9c00180000000000, 0);
}

static void intel_broadcast_names_no_address(void **state)
{
	struct mce_record r = mce_encode(VENDOR_INTEL, MCE_BROADCAST, GPA,
					 12);

	(void)state;
	assert_int_equal(r.bank, 1);
	assert_true(r.status == 0xa000000000000000);
	assert_true(r.mcg_status == 0x5);
	assert_true(!r.addr && !r.misc);
	assert_false(r.status & (MCI_STATUS_ADDRV | MCI_STATUS_MISCV));
}

static void misc_says_how_much_is_lost(void **state)
{
	(void)state;
	assert_true(mce_encode(VENDOR_AMD, MCE_REQUIRED, 0, 21).misc ==
		    (0x80 | 21));
	assert_true(mce_encode(VENDOR_INTEL, MCE_REQUIRED, 0, 21).misc ==
		    (0x80 | 21));
}

static void only_amd_optional_comes_silently(void **state)
{
	(void)state;
	for (int v = 0; v < VENDORS; v++) {
		for (int k = MCE_REQUIRED; k <= MCE_OPTIONAL; k++) {
			struct mce_record r = mce_encode((enum cpu_vendor)v,
				(enum mce_kind)k, GPA, 12);
			bool quiet = v == VENDOR_AMD && k == MCE_OPTIONAL;

			assert_int_equal(mce_interrupts(&r), !quiet);
		}
	}
}

static void no_record_loses_the_context(void **state)
{
	(void)state;
	for (int v = 0; v < VENDORS; v++) {
		for (int k = MCE_REQUIRED; k <= MCE_OPTIONAL; k++) {
			struct mce_record r = mce_encode((enum cpu_vendor)v,
				(enum mce_kind)k, GPA, 12);

			assert_true(r.status & MCI_STATUS_VAL);
			assert_false(r.status & (MCI_STATUS_PCC |
						 MCI_STATUS_OVER));
		}
	}
}

static void vendors_have_names(void **state)
{
	enum cpu_vendor v = VENDORS;

	(void)state;
	assert_string_equal(vendor_name(VENDOR_AMD), "amd");
	assert_string_equal(vendor_name(VENDOR_INTEL), "intel");
	assert_null(vendor_name(VENDORS));
	assert_null(vendor_id(VENDORS));
	assert_true(vendor_find("GenuineIntel", &v));
	assert_int_equal(v, VENDOR_INTEL);
	assert_true(vendor_find("AuthenticAMD", &v));
	assert_int_equal(v, VENDOR_AMD);
	assert_false(vendor_find("HygonGenuine", &v));
	assert_false(vendor_find("", &v));
	for (int i = 0; i < VENDORS; i++)
		assert_int_equal(strlen(vendor_id((enum cpu_vendor)i)), 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intel_required),
		cmocka_unit_test(intel_optional),
		cmocka_unit_test(amd_required),
		cmocka_unit_test(amd_optional_is_only_logged),
		cmocka_unit_test(intel_broadcast_names_no_address),
		cmocka_unit_test(misc_says_how_much_is_lost),
		cmocka_unit_test(only_amd_optional_comes_silently),
		cmocka_unit_test(no_record_loses_the_context),
		cmocka_unit_test(vendors_have_names),
	};

	return cmocka_run_group_tests_name("mce", tests, NULL, NULL);
}
