// SPDX-License-Identifier: MIT
/* test_error.c - The first cause is kept, context precedes it, text is cut */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/base/error.h"

static void set_gives_code_and_text(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(error_set(&err, ENOENT, "no %s", "ferry"), -ENOENT);
	assert_int_equal(err.code, ENOENT);
	assert_string_equal(err.text, "no ferry");
}

static void first_cause_wins(void **state)
{
	struct error err = { 0 };

	(void)state;
	error_set(&err, ENOENT, "first");
	assert_int_equal(error_set(&err, EIO, "second"), -EIO);
	assert_int_equal(err.code, ENOENT);
	assert_string_equal(err.text, "first");
}

static void errno_can_be_printed(void **state)
{
	struct error err = { 0 };

	(void)state;
	errno = ENOSPC;
	error_set(&err, errno, "cannot: %m");
	assert_string_equal(err.text, "cannot: No space left on device");
}

static void null_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, EPERM, "dropped"), -EPERM);
	assert_int_equal(error_prefix(NULL, "context"), 0);
	error_clear(NULL);
}

static void prefix_goes_in_front(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(error_prefix(&err, "nothing yet"), 0);
	assert_string_equal(err.text, "");

	error_set(&err, EIO, "short read");
	assert_int_equal(error_prefix(&err, "vCPU %d", 3), -EIO);
	assert_string_equal(err.text, "vCPU 3: short read");
}

static void long_texts_are_cut(void **state)
{
	char text[2 * ERROR_TEXT_MAX];
	struct error err = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';

	error_set(&err, EIO, "%s", text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
	error_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
}

static void clear_makes_room(void **state)
{
	struct error err = { 0 };

	(void)state;
	error_set(&err, EIO, "first");
	error_clear(&err);
	assert_int_equal(err.code, 0);
	error_set(&err, EPERM, "second");
	assert_string_equal(err.text, "second");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_gives_code_and_text),
		cmocka_unit_test(first_cause_wins),
		cmocka_unit_test(errno_can_be_printed),
		cmocka_unit_test(null_is_accepted),
		cmocka_unit_test(prefix_goes_in_front),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(clear_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
