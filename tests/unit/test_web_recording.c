// SPDX-License-Identifier: MIT
/* test_web_recording.c - Recordings, and a guest's output as text */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/web/web_recording.h"
#include "vmm/web/web_text.h"

static int read_text(const char *text, struct error *err)
{
	struct web_recording r = { 0 };
	int rc = web_recording_read(&r, text, strlen(text), err);

	web_recording_clear(&r);
	return rc;
}

static void bad(const char *text, const char *word)
{
	struct error err = { 0 };

	assert_int_equal(read_text(text, &err), -EINVAL);
	if (!strstr(err.text, word))
		fail_msg("no '%s' in: %s", word, err.text);
}

static void what_was_added_can_be_read(void **state)
{
	struct web_recording r = { 0 }, again = { 0 };
	const char *at, *line;
	size_t n;

	(void)state;
	assert_int_equal(web_recording_add(&r, "{\"t\":1,\"kind\":\"a\"}"), 0);
	assert_int_equal(web_recording_add(&r, "{\"t\":1,\"kind\":\"b\"}"), 0);
	assert_int_equal(web_recording_read(&again, r.text, r.len, NULL), 0);
	assert_int_equal(again.len, r.len);
	assert_memory_equal(again.text, r.text, r.len);
	at = again.text;
	assert_true(web_recording_next(&at, again.text + again.len, &line,
				       &n));
	assert_int_equal(n, 18);
	assert_true(web_recording_next(&at, again.text + again.len, &line,
				       &n));
	assert_memory_equal(line, "{\"t\":1,\"kind\":\"b\"}", n);
	assert_false(web_recording_next(&at, again.text + again.len, &line,
					&n));
	web_recording_clear(&r);
	web_recording_clear(&again);
}

static void a_text_that_is_held_stays(void **state)
{
	struct web_recording r = { 0 };
	struct web_recording_text *first, *second;
	const char *at, line[] = "{\"t\":1,\"kind\":\"a\"}";
	size_t len = 0;

	(void)state;
	assert_int_equal(web_recording_add(&r, line), 0);
	at = r.text;
	len = r.len;
	first = web_recording_hold(&r);
	second = web_recording_hold(&r);
	assert_ptr_equal(first, second);
	while (r.text == at)
		assert_int_equal(web_recording_add(&r, line), 0);
	assert_memory_equal(at, line, sizeof(line) - 1);
	assert_memory_equal(r.text, at, len);
	web_recording_release(first);
	assert_memory_equal(at, line, sizeof(line) - 1);
	web_recording_release(second);
	at = r.text;
	first = web_recording_hold(&r);
	web_recording_clear(&r);
	assert_memory_equal(at, line, sizeof(line) - 1);
	web_recording_release(first);
	web_recording_release(NULL);
}

static void files_are_checked(void **state)
{
	(void)state;
	bad("", "empty");
	bad("x\n", "line 1");
	bad("[1]\n", "object");
	bad("{\"t\":1}\n", "kind");
	bad("{\"t\":\"1\",\"kind\":\"a\"}\n", "'t'");
	bad("{\"t\":2,\"kind\":\"a\"}\n{\"t\":1,\"kind\":\"a\"}\n", "line 2");
	bad("{\"t\":2,\"kind\":\"a\"}\n\n", "line 2");
	assert_int_equal(read_text("{\"t\":2,\"kind\":\"a\"}", NULL), 0);
}

static void lines_and_recordings_are_bounded(void **state)
{
	struct web_recording r = { 0 };
	char *line = malloc(RECORDING_LINE + 2);

	(void)state;
	assert_non_null(line);
	memset(line, 'x', RECORDING_LINE + 1);
	line[RECORDING_LINE + 1] = '\0';
	assert_int_equal(web_recording_add(&r, line), -EMSGSIZE);
	line[RECORDING_LINE] = '\0';
	for (unsigned i = 1; i < RECORDING_MAX / RECORDING_LINE; i++)
		assert_int_equal(web_recording_add(&r, line), 0);
	assert_int_equal(web_recording_add(&r, line), -ENOSPC);
	web_recording_clear(&r);
	assert_int_equal(web_recording_add(&r, line), 0);
	web_recording_clear(&r);
	free(line);
}

static void output_becomes_text(void **state)
{
	static const char bytes[] = "a\r\n\t\033[1m<b>\0\200\377z\177";
	char text[WEB_TEXT_SIZE(sizeof(bytes))];

	(void)state;
	assert_int_equal(web_text(text, bytes, sizeof(bytes) - 1), 12);
	assert_string_equal(text, "a\n\t[1m<b>??z");
	assert_int_equal(web_text(text, "", 0), 0);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_added_can_be_read),
		cmocka_unit_test(a_text_that_is_held_stays),
		cmocka_unit_test(files_are_checked),
		cmocka_unit_test(lines_and_recordings_are_bounded),
		cmocka_unit_test(output_becomes_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
