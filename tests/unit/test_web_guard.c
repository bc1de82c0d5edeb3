// SPDX-License-Identifier: MIT
/* test_web_guard.c - Which HTTP requests `ferry web` answers */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/web/web_guard.h"

#define TOKEN	"0123456789abcdef0123456789abcdef"
#define HERE	"127.0.0.1:8080"
#define OWN	"http://" HERE

static const struct web_rules rules = { .token = TOKEN, .name = "here.lan" };

static int check(const char *host, const char *origin, const char *token,
		 bool post, unsigned needs)
{
	const struct web_headers h = {
		.post = post, .host = host, .origin = origin, .token = token,
	};
	struct error err = { 0 };
	int status = web_guard_check(&rules, &h, needs, &err);

	assert_true(!status == !err.code);
	return status;
}

static void host_must_not_be_a_foreign_name(void **state)
{
	static const char *const good[] = {
		"127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:9", "localhost",
		"LOCALHOST:80", "here.lan:8080", "192.168.1.7:8080",
	}, *const bad[] = {
		NULL, "", ":8080", "evil.example", "evil.example:8080",
		"127.0.0.1.evil.example", "localhost.evil.example:8080",
		"[::1", "[::1]x", "127.0.0.1:8080x", "127.0.0.1@evil:80", "[]",
		"127.0.0.1:80/..", "127.0.0.1 evil", "here.lan.", "1.2.3",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(check(good[i], NULL, NULL, false, 0), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (check(bad[i], NULL, NULL, false, 0) != 403)
			fail_msg("Host '%s' was accepted", bad[i]);
}

static void long_hosts_are_refused(void **state)
{
	char host[5000];

	(void)state;
	memset(host, '1', sizeof(host));
	host[sizeof(host) - 1] = '\0';
	assert_int_equal(check(host, NULL, NULL, false, 0), 403);
}

static void origin_must_be_this_server(void **state)
{
	const unsigned act = WEB_ACTION | WEB_TOKEN_NEEDED;

	(void)state;
	assert_int_equal(check(HERE, OWN, TOKEN, true, act), 0);
	assert_int_equal(check(HERE, OWN, NULL, false, 0), 0);
	assert_int_equal(check(HERE, NULL, TOKEN, true, act), 403);
	assert_int_equal(check(HERE, "null", TOKEN, true, act), 403);
	assert_int_equal(check(HERE, "https://" HERE, TOKEN, true, act), 403);
	assert_int_equal(check(HERE, "http://127.0.0.1:80", TOKEN, true, act),
			 403);
	assert_int_equal(check(HERE, "http://evil.example", NULL, false, 0),
			 403);
	assert_int_equal(check(HERE, OWN ".evil.example", TOKEN, true, act),
			 403);
}

static void actions_need_post_and_reading_needs_get(void **state)
{
	(void)state;
	assert_int_equal(check(HERE, OWN, TOKEN, false, WEB_ACTION), 405);
	assert_int_equal(check(HERE, OWN, TOKEN, true, WEB_TOKEN_NEEDED), 405);
}

static void the_token_must_be_right(void **state)
{
	static const char *const bad[] = {
		NULL, "", "0123456789abcdef0123456789abcde",
		TOKEN "0", "0123456789abcdef0123456789abcdeF",
		"1123456789abcdef0123456789abcdef",
	};

	(void)state;
	assert_int_equal(check(HERE, NULL, TOKEN, false, WEB_TOKEN_NEEDED), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(check(HERE, NULL, bad[i], false,
				       WEB_TOKEN_NEEDED), 401);
}

static void read_only_refuses_writes_alone(void **state)
{
	struct web_rules fixed = rules;
	const struct web_headers h = {
		.post = true, .host = HERE, .origin = OWN, .token = TOKEN,
	};
	struct error err = { 0 };

	(void)state;
	fixed.fixed = true;
	assert_int_equal(web_guard_check(&fixed, &h, WEB_ACTION |
					 WEB_TOKEN_NEEDED, &err), 0);
	assert_int_equal(web_guard_check(&fixed, &h, WEB_ACTION | WEB_WRITES |
					 WEB_TOKEN_NEEDED, &err), 403);
}

static void loopback_addresses(void **state)
{
	(void)state;
	assert_true(web_guard_loopback("127.0.0.1"));
	assert_true(web_guard_loopback("127.9.9.9"));
	assert_true(web_guard_loopback("::1"));
	assert_true(web_guard_loopback("localhost"));
	assert_false(web_guard_loopback("0.0.0.0"));
	assert_false(web_guard_loopback("::"));
	assert_false(web_guard_loopback("128.0.0.1"));
	assert_false(web_guard_loopback("127.0.0.1.evil.example"));
	assert_false(web_guard_loopback(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_must_not_be_a_foreign_name),
		cmocka_unit_test(long_hosts_are_refused),
		cmocka_unit_test(origin_must_be_this_server),
		cmocka_unit_test(actions_need_post_and_reading_needs_get),
		cmocka_unit_test(the_token_must_be_right),
		cmocka_unit_test(read_only_refuses_writes_alone),
		cmocka_unit_test(loopback_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
