// SPDX-License-Identifier: MIT
/* test_capabilities.c - Capabilities that can be changed, and those that can't */

#include "unit.h"

#include "migration/capabilities.h"

static json_t *list_of(const char *text)
{
	json_t *list = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(list);
	return list;
}

static void refused(const char *text, int code, const char *words)
{
	json_t *list = list_of(text);
	struct error err = { 0 };

	assert_refused(capabilities_check(list, &err), code, err, words);
	json_decref(list);
}

static void what_cannot_be_set_is_refused(void **state)
{
	(void)state;
	refused("{}", EINVAL, "must be an array");
	refused("[1]", EINVAL, "'capability'");
	refused("[{\"capability\": \"events\"}]", EINVAL, "'state'");
	refused("[{\"capability\": \"events\", \"state\": 1}]", EINVAL,
		"'state'");
	refused("[{\"capability\": \"x\", \"state\": true}]", EINVAL,
		"no capability 'x'");
	refused("[{\"capability\": \"xbzrle\", \"state\": true}]", ENOTSUP,
		"'xbzrle' is always off");
	/* Nothing of a list is set if one of it can't be */
	refused("[{\"capability\": \"ferry-poison\", \"state\": false},"
		"{\"capability\": \"events\", \"state\": false}]", ENOTSUP,
		"'events' is always on");
}

static void the_last_state_of_a_name_counts(void **state)
{
	json_t *list = list_of(
		"[{\"capability\": \"ferry-poison\", \"state\": true},"
		"{\"capability\": \"events\", \"state\": true},"
		"{\"capability\": \"ferry-poison\", \"state\": false}]");
	bool on = true;

	(void)state;
	assert_int_equal(capabilities_check(list, NULL), 0);
	assert_true(capabilities_get(list, CAPABILITY_POISON, &on));
	assert_false(on);
	on = true;
	assert_false(capabilities_get(list, CAPABILITY_AUTOMATIC, &on));
	assert_true(on);
	json_decref(list);
}

/* What is listed can be set to what it says */
static void what_is_listed_can_be_set(void **state)
{
	json_t *list = capabilities_json(false, true);
	bool on = true;

	(void)state;
	assert_int_equal(capabilities_check(list, NULL), 0);
	assert_true(capabilities_get(list, CAPABILITY_POISON, &on));
	assert_false(on);
	assert_true(capabilities_get(list, CAPABILITY_AUTOMATIC, &on));
	assert_true(on);
	assert_true(capabilities_get(list, "xbzrle", &on));
	assert_false(on);
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_set_is_refused),
		cmocka_unit_test(the_last_state_of_a_name_counts),
		cmocka_unit_test(what_is_listed_can_be_set),
	};

	return cmocka_run_group_tests_name("capabilities", tests, NULL, NULL);
}
