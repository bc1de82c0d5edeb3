// SPDX-License-Identifier: MIT
/* test_uri.c - tcp:HOST:PORT and unix:PATH, and nothing else */

#include "unit.h"

#include "vmm/base/uri.h"

static void check_tcp(const char *text, const char *host, const char *port)
{
	struct error err = { 0 };
	struct uri u;

	assert_int_equal(uri_parse(text, &u, &err), 0);
	assert_int_equal(u.kind, URI_TCP);
	assert_string_equal(u.host, host);
	assert_string_equal(u.port, port);
}

static void tcp_hosts(void **state)
{
	(void)state;
	check_tcp("tcp:localhost:1", "localhost", "1");
	check_tcp("tcp:192.0.2.1:65535", "192.0.2.1", "65535");
	check_tcp("tcp:[2001:db8::1]:4444", "2001:db8::1", "4444");
	check_tcp("tcp::4444", "", "4444");
	check_tcp("tcp:[::]:4444", "::", "4444");
}

static void unix_paths(void **state)
{
	struct error err = { 0 };
	struct uri u;

	(void)state;
	assert_int_equal(uri_parse("unix:/run/a:b", &u, &err), 0);
	assert_int_equal(u.kind, URI_UNIX);
	assert_string_equal(u.path, "/run/a:b");
}

static void lengths_have_limits(void **state)
{
	struct error err = { 0 };
	char text[400];
	struct uri u;

	(void)state;
	/* 107 characters fit a socket address, 108 don't */
	snprintf(text, sizeof(text), "unix:%0107d", 0);
	assert_int_equal(uri_parse(text, &u, &err), 0);
	snprintf(text, sizeof(text), "unix:%0108d", 0);
	assert_refused(uri_parse(text, &u, &err), EINVAL, err, "107");

	err.code = 0;
	snprintf(text, sizeof(text), "tcp:%0255d:1", 0);
	assert_int_equal(uri_parse(text, &u, &err), 0);
	snprintf(text, sizeof(text), "tcp:%0256d:1", 0);
	assert_refused(uri_parse(text, &u, &err), EINVAL, err, "too long");
}

static void refusals_say_why(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "", "is not a URI" },
		{ "tcp", "is not a URI" },
		{ "localhost:4444", "is not a URI" },
		{ "TCP:localhost:4444", "is not a URI" },
		{ "exec:cat", "is not a URI" },
		{ "tcp:", "port" },
		{ "tcp:localhost", "port" },
		{ "tcp:localhost:", "port" },
		{ "tcp:localhost:0", "port" },
		{ "tcp:localhost:65536", "port" },
		{ "tcp:localhost:+1", "port" },
		{ "tcp:localhost: 1", "port" },
		{ "tcp:localhost:1x", "port" },
		{ "tcp:localhost:0x1", "port" },
		{ "tcp:localhost:000001", "port" },
		{ "tcp:localhost:18446744073709551617", "port" },
		{ "tcp:::1:4444", "brackets" },
		{ "tcp:a:b:4444", "brackets" },
		{ "tcp:[[::1]]:4444", "a bracket in the host name" },
		{ "tcp:a]:4444", "a bracket in the host name" },
		{ "unix:", "path" },
	};
	struct uri u;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = { 0 };

		assert_refused(uri_parse(bad[i].text, &u, &err), EINVAL, err,
			       bad[i].words);
		assert_non_null(strstr(err.text, bad[i].text));
	}
}

/* uri_text() gives a text that uri_parse() accepts */
static void as_it_was_typed(void **state)
{
	static const char *const good[] = {
		"tcp:localhost:4444", "tcp::4444", "tcp:[fe80::1]:65535",
		"unix:/run/x y",
	};
	char text[URI_TEXT];
	struct uri u;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(uri_parse(good[i], &u, NULL), 0);
		uri_text(&u, text);
		assert_string_equal(text, good[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_hosts),
		cmocka_unit_test(unix_paths),
		cmocka_unit_test(lengths_have_limits),
		cmocka_unit_test(refusals_say_why),
		cmocka_unit_test(as_it_was_typed),
	};

	return cmocka_run_group_tests_name("uri", tests, NULL, NULL);
}
