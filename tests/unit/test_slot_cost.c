// SPDX-License-Identifier: MIT
/* test_slot_cost.c - RAM for which KVM needs more memory than the host has */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/base/limits.h"
#include "vmm/kvm/x86_slot_cost.h"

static void ten_bytes_a_page(void **state)
{
	(void)state;
	assert_int_equal(slot_cost(4096), 10);
	assert_int_equal(slot_cost(TIB), 2560 * MIB);
	assert_int_equal(slot_cost(RAM_SIZE_MAX), 40 * GIB);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(slot_cost_check(RAM_SIZE_MAX, 40 * GIB, &err), 0);
	assert_int_equal(slot_cost_check(RAM_SIZE_MIN, UINT64_MAX, &err), 0);
	assert_int_equal(slot_cost_check(RAM_SIZE_MAX, 40 * GIB - 1, &err),
			 -ENOMEM);
	assert_non_null(strstr(err.text, "16384.0 GiB of RAM need 40.0 GiB"));
	assert_non_null(strstr(err.text, "--memory"));
	/* A small guest fits into any host that runs at all */
	error_clear(&err);
	assert_int_equal(slot_cost_check_host(RAM_SIZE_MIN, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_bytes_a_page),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
