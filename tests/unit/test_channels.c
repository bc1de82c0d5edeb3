// SPDX-License-Identifier: MIT
/* test_channels.c - Addresses of migrate and migrate-incoming, as QEMU's */

#include "unit.h"

#include <errno.h>

#include "migration/channels.h"

#define MAIN(addr) "{'channels': [{'channel-type': 'main', 'addr': " addr "}]}"
#define SOCKET(rest) MAIN("{'transport': 'socket', " rest "}")

static int parse(const char *text, struct uri *u, struct error *err)
{
	char json[600];
	json_t *args;
	int rc;

	snprintf(json, sizeof(json), "%s", text);
	for (char *c = json; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	args = json_loads(json, 0, NULL);
	assert_non_null(args);
	*err = (struct error){ 0 };
	rc = channels_uri(args, u, err);
	json_decref(args);
	return rc;
}

static void check_good(const char *args, const char *wanted)
{
	char text[URI_TEXT];
	struct error err;
	struct uri u;

	assert_int_equal(parse(args, &u, &err), 0);
	uri_text(&u, text);
	assert_string_equal(text, wanted);
}

static void check_bad(const char *args, int code, const char *word)
{
	struct error err;
	struct uri u;

	assert_int_equal(parse(args, &u, &err), -code);
	if (!strstr(err.text, word))
		fail_msg("no '%s' in: %s", word, err.text);
}

static void both_forms(void **state)
{
	(void)state;
	check_good("{'uri': 'tls:h:1'}", "tls:h:1");
	check_good(SOCKET("'type': 'inet', 'host': '192.0.2.1', 'port': '4'"),
		   "tcp:192.0.2.1:4");
	check_good(SOCKET("'type': 'inet', 'host': '2001:db8::1', 'port': '4'"),
		   "tcp:[2001:db8::1]:4");
	check_good(SOCKET("'type': 'unix', 'path': '/run/a:b'"),
		   "unix:/run/a:b");
}

static void one_address_only(void **state)
{
	(void)state;
	check_bad("{}", EINVAL, "'uri' or as 'channels'");
	check_bad("{'uri': 'tcp:h:1', 'channels': []}", EINVAL, "both");
	check_bad("{'channels': []}", EINVAL, "one channel");
	check_bad("{'channels': {}}", EINVAL, "one channel");
	check_bad("{'channels': [{}, {}]}", EINVAL, "one channel");
	check_bad("{'channels': [1]}", EINVAL, "objects");
}

static void what_is_not_here(void **state)
{
	(void)state;
	check_bad("{'channels': [{'channel-type': 'cpr', 'addr': {}}]}",
		  ENOTSUP, "'cpr'");
	check_bad(MAIN("{'transport': 'exec', 'args': ['sh']}"), ENOTSUP,
		  "'exec'");
	check_bad(MAIN("[]"), ENOTSUP, "transport ''");
	check_bad(SOCKET("'type': 'vsock', 'cid': '1', 'port': '1'"), ENOTSUP,
		  "'vsock'");
}

static void wrong_members(void **state)
{
	(void)state;
	check_bad("{'channels': [{'channel-type': 'main'}]}", EINVAL,
		  "addr");
	check_bad(SOCKET("'type': 'inet', 'host': 'h'"), EINVAL, "port");
	check_bad(SOCKET("'type': 'inet', 'host': 'h', 'port': 1"), EINVAL,
		  "port");
	check_bad(SOCKET("'type': 'inet', 'host': 'h', 'port': '0'"), EINVAL,
		  "port");
	check_bad(SOCKET("'type': 'inet', 'host': 'h', 'port': '1', 'to': 2"),
		  EINVAL, "to");
	check_bad(SOCKET("'type': 'unix', 'path': ''"), EINVAL, "path");
	check_bad(SOCKET("'type': 'unix', 'path': '/x', 'host': 'h'"), EINVAL,
		  "host");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms),
		cmocka_unit_test(one_address_only),
		cmocka_unit_test(what_is_not_here),
		cmocka_unit_test(wrong_members),
	};

	return cmocka_run_group_tests_name("channels", tests, NULL, NULL);
}
