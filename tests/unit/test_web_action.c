// SPDX-License-Identifier: MIT
/* test_web_action.c - What a page may ask for */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/web/web_action.h"

static int parse(const char *text, struct web_action *a, struct error *err)
{
	json_t *body = json_loads(text, JSON_ALLOW_NUL, NULL);
	int rc;

	assert_non_null(body);
	rc = web_action_parse(body, a, err);
	json_decref(body);
	return rc;
}

static struct web_action good(const char *text)
{
	struct error err = { 0 };
	struct web_action a;

	if (parse(text, &a, &err))
		fail_msg("%s was refused: %s", text, err.text);
	return a;
}

static void bad(const char *text, const char *word)
{
	struct error err = { 0 };
	struct web_action a;

	if (parse(text, &a, &err) != -EINVAL)
		fail_msg("%s was accepted", text);
	if (!strstr(err.text, word))
		fail_msg("%s: no '%s' in: %s", text, word, err.text);
}

/* The command and arguments of an action, as text */
static void command_is(const char *text, const char *uri, const char *name,
		       const char *wanted)
{
	struct web_action a = good(text);
	json_t *args, *want = wanted ? json_loads(wanted, 0, NULL) : NULL;

	assert_string_equal(web_action_command(&a, uri, &args), name);
	assert_true(wanted ? json_equal(args, want) : !args);
	json_decref(args);
	json_decref(want);
}

/* `stop` waits up to 5 s for a vCPU, and fails then */
static void many_pages_have_more_time(void **state)
{
	struct web_action
	stop = good("{\"action\":\"stop\",\"id\":\"a\"}"),
	one = good("{\"action\":\"poison\",\"id\":\"a\",\"address\":0}"),
	many = good("{\"action\":\"poison\",\"id\":\"a\",\"address\":0,"
		    "\"count\":4096}");

	(void)state;
	assert_true(web_action_ms(&stop) > 5000);
	assert_true(web_action_ms(&one) > web_action_ms(&stop));
	assert_true(web_action_ms(&many) > web_action_ms(&stop) + 4096);
}

static void actions_are_commands(void **state)
{
	(void)state;
	command_is("{\"action\":\"migrate\",\"id\":\"a\",\"to\":\"b\"}",
		   "unix:/x", "migrate", "{\"uri\":\"unix:/x\"}");
	command_is("{\"action\":\"migrate\",\"id\":\"a\",\"bandwidth\":5}",
		   "tcp:h:1", "migrate", "{\"uri\":\"tcp:h:1\","
		   "\"ferry-parameters\":{\"max-postcopy-bandwidth\":5,"
		   "\"max-bandwidth\":5}}");
	command_is("{\"action\":\"migrate\",\"id\":\"a\",\"passes\":\"auto\"}",
		   "tcp:h:1", "migrate", "{\"uri\":\"tcp:h:1\","
		   "\"ferry-parameters\":{\"ferry-precopy-passes\":\"auto\"}}");
	command_is("{\"action\":\"postcopy\",\"id\":\"a\"}", NULL,
		   "migrate-start-postcopy", NULL);
	command_is("{\"action\":\"recover\",\"id\":\"a\"}", "tcp:h:1",
		   "migrate", "{\"uri\":\"tcp:h:1\",\"resume\":true}");
	command_is("{\"action\":\"bandwidth\",\"id\":\"a\",\"bandwidth\":0}",
		   NULL, "migrate-set-parameters",
		   "{\"max-postcopy-bandwidth\":0,\"max-bandwidth\":0}");
	command_is("{\"action\":\"poison\",\"id\":\"a\",\"address\":4096}",
		   NULL, "ferry-poison", "{\"address\":4096,\"count\":1}");
	command_is("{\"action\":\"cut\",\"id\":\"a\"}", NULL, "migrate-pause",
		   NULL);
	command_is("{\"action\":\"quit\",\"id\":\"a\"}", NULL, "quit", NULL);
}

static void the_demonstration_has_defaults(void **state)
{
	struct web_action a = good("{\"action\":\"demo\"}");

	(void)state;
	assert_int_equal(a.kind, ACT_DEMO);
	assert_int_equal(a.memory, 256);
	assert_int_equal(a.cpus, 2);
	assert_string_equal(a.work, "dirty");
	a = good("{\"action\":\"demo\",\"memory\":64,\"work\":\"idle\"}");
	assert_int_equal(a.memory, 64);
	assert_string_equal(a.work, "idle");
}

static void wrong_actions_are_refused(void **state)
{
	char text[ACTION_TEXT + 60];
	int n;

	(void)state;
	bad("{}", "no action");
	bad("{\"action\":1}", "no action");
	bad("{\"action\":\"fly\",\"id\":\"a\"}", "'fly'");
	bad("{\"action\":\"stop\"}", "needs 'id'");
	bad("{\"action\":\"stop\",\"id\":\"a\",\"uri\":\"x\"}", "has no 'uri'");
	bad("{\"action\":\"stop\",\"id\":\"a\",\"x\":1}", "unknown");
	bad("{\"action\":\"cut\",\"id\":\"a\",\"passes\":\"1\"}", "has no");
	bad("{\"action\":\"migrate\",\"id\":\"a\",\"passes\":1}", "'passes'");
	bad("{\"action\":\"stop\",\"id\":7}", "'id'");
	bad("{\"action\":\"stop\",\"id\":\"a\\u0000b\"}", "'id'");
	bad("{\"action\":\"poison\",\"id\":\"a\",\"address\":-1}", "'address'");
	bad("{\"action\":\"poison\",\"id\":\"a\",\"address\":1.5}",
	    "'address'");
	bad("{\"action\":\"poison\",\"id\":\"a\",\"address\":0,"
	    "\"count\":4097}", "'count'");
	bad("{\"action\":\"demo\",\"memory\":65536}", "'memory'");
	bad("{\"action\":\"demo\",\"cpus\":0}", "'cpus'");
	bad("{\"action\":\"demo\",\"work\":\"dirty x=1\"}", "'work'");
	n = snprintf(text, sizeof(text), "{\"action\":\"type\",\"id\":\"a\","
		     "\"text\":\"%0*d\"}", ACTION_TEXT, 0);
	assert_in_range(n, ACTION_TEXT, sizeof(text) - 1);
	bad(text, "'text'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(actions_are_commands),
		cmocka_unit_test(many_pages_have_more_time),
		cmocka_unit_test(the_demonstration_has_defaults),
		cmocka_unit_test(wrong_actions_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
