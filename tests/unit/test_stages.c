// SPDX-License-Identifier: MIT
/* test_stages.c - The table that both sides walk through is well-formed */

#include "unit.h"

#include "migration/session/images.h"
#include "migration/session/source_connect.h"
#include "migration/session/source_precopy.h"
#include "migration/session/source_relink.h"
#include "migration/session/source_stages.h"
#include "migration/session/source_zero_list.h"
#include "migration/session/stages.h"
#include "migration/session/target_connect.h"
#include "migration/session/target_load.h"
#include "migration/session/target_relink.h"
#include "migration/session/target_stages.h"

static size_t count(void)
{
	size_t n = 0;

	while (stages[n].name)
		n++;
	return n;
}

static size_t row_of_source(int (*fn)(struct source *, struct error *))
{
	for (size_t i = 0; stages[i].name; i++)
		if (stages[i].source == fn)
			return i;
	fail_msg("a stage of the source is not in the table");
	return 0;
}

static size_t row_of_target(int (*fn)(struct target *, struct error *))
{
	for (size_t i = 0; stages[i].name; i++)
		if (stages[i].target == fn)
			return i;
	fail_msg("a stage of the destination is not in the table");
	return 0;
}

static void names_are_unique(void **state)
{
	size_t n = count();

	(void)state;
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++) {
		assert_true(*stages[i].name);
		for (size_t k = i + 1; k < n; k++)
			assert_string_not_equal(stages[i].name,
						stages[k].name);
	}
}

static void it_ends_with_nothing(void **state)
{
	size_t n = count();

	(void)state;
	assert_null(stages[n].source);
	assert_null(stages[n].target);
}

static void every_row_does_something_once(void **state)
{
	size_t n = count();

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_true(stages[i].source || stages[i].target);
		for (size_t k = i + 1; k < n; k++) {
			if (stages[i].source)
				assert_true(stages[i].source !=
					    stages[k].source);
			if (stages[i].target)
				assert_true(stages[i].target !=
					    stages[k].target);
		}
	}
}

/* A conversation: what one side says is what the other one expects */
static void both_sides_stand_in_one_row(void **state)
{
	(void)state;
	assert_int_equal(row_of_source(source_hello),
			 row_of_target(target_hello));
	assert_int_equal(row_of_source(source_describe),
			 row_of_target(target_build));
	assert_int_equal(row_of_source(source_attach),
			 row_of_target(target_attach));
	assert_int_equal(row_of_source(source_images),
			 row_of_target(target_images));
	assert_int_equal(row_of_source(source_scan),
			 row_of_target(target_zero_list));
	assert_int_equal(row_of_source(source_state),
			 row_of_target(target_state));
	assert_int_equal(row_of_source(source_poison),
			 row_of_target(target_poison_list));
	assert_int_equal(row_of_source(source_zero),
			 row_of_target(target_written_list));
	assert_int_equal(row_of_source(source_prepare),
			 row_of_target(target_prepare));
	assert_int_equal(row_of_source(source_commit),
			 row_of_target(target_commit));
	assert_int_equal(row_of_source(source_push),
			 row_of_target(target_receive));
	assert_int_equal(row_of_source(source_finish),
			 row_of_target(target_finish));
}

/* Invariants 4 to 6: the guest stands still while its state is read, all of
 * that has arrived before the hand-over, and no page moves before it
 */
static void the_order_that_safety_needs(void **state)
{
	size_t pause = row_of_source(source_hold);
	size_t prepare = row_of_source(source_prepare);
	size_t commit = row_of_source(source_commit);

	(void)state;
	assert_true(row_of_source(source_describe) < pause);
	assert_true(row_of_source(source_attach) < pause);
	assert_true(row_of_source(source_images) < pause);
	assert_true(row_of_source(source_scan) < pause);
	assert_true(pause < row_of_source(source_state));
	assert_true(row_of_source(source_state) < prepare);
	assert_true(row_of_source(source_poison) < prepare);
	assert_true(row_of_source(source_zero) < prepare);
	/* A page that was announced as zeroes and poisoned since is poison */
	assert_true(row_of_source(source_zero) <
		    row_of_source(source_poison));
	assert_int_equal(commit, prepare + 1);
	assert_true(commit < row_of_source(source_push));
	assert_int_equal(row_of_source(source_finish), count() - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_unique),
		cmocka_unit_test(it_ends_with_nothing),
		cmocka_unit_test(every_row_does_something_once),
		cmocka_unit_test(both_sides_stand_in_one_row),
		cmocka_unit_test(the_order_that_safety_needs),
	};

	return cmocka_run_group_tests_name("stages", tests, NULL, NULL);
}
