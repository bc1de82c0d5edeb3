// SPDX-License-Identifier: MIT
/*
 * fuzz_web.c - What `ferry web` parses itself: requests, recordings, output
 *
 * The first byte chooses. 0: lines are the headers Host, Origin, token and the
 * body of a request; whatever they are, an action is carried out only with the
 * token, this server's Origin and a Host that is no foreign name, and is one of
 * the commands that the page has. 1: a recording. 2: a guest's output.
 */

#include <string.h>

#include "fuzz.h"
#include "vmm/web/web_action.h"
#include "vmm/web/web_guard.h"
#include "vmm/web/web_recording.h"
#include "vmm/web/web_text.h"

#define TOKEN	"0123456789abcdef0123456789abcdef"
#define NEEDS	(WEB_TOKEN_NEEDED | WEB_ACTION | WEB_WRITES)

/* Take the next line. Return: it, terminated; NULL if it is empty */
static char *take_line(char **at, char *end)
{
	char *line = *at, *stop = memchr(line, '\n', (size_t)(end - line));

	stop = stop ? stop : end;
	*stop = '\0';
	*at = stop < end ? stop + 1 : end;
	return *line ? line : NULL;
}

static void try_action(const char *text, size_t n)
{
	json_t *body = json_loadb(text, n, JSON_ALLOW_NUL, NULL), *args;
	struct error err = { 0 };
	struct web_action a;
	const char *command;

	if (json_is_object(body) && !web_action_parse(body, &a, &err)) {
		CHECK(a.kind < WEB_ACTIONS);
		CHECK(!err.code);
		CHECK(!strchr(a.work, ' '));
		command = web_action_command(&a, "unix:/x", &args);
		CHECK(!command == (a.kind <= ACT_TYPE));
		json_decref(args);
	} else if (json_is_object(body)) {
		CHECK(err.code);
	}
	json_decref(body);
}

static void try_request(char *at, char *end)
{
	static const struct web_rules rules = { TOKEN, "here", false };
	struct web_headers h = { .post = true };
	struct error err = { 0 };
	char host[600];

	h.host = take_line(&at, end);
	h.origin = take_line(&at, end);
	h.token = take_line(&at, end);
	if (!web_guard_check(&rules, &h, NEEDS, &err)) {
		CHECK(!strcmp(h.token, TOKEN));
		CHECK(strlen(h.host) < sizeof(host) - 8);
		strcpy(stpcpy(host, "http://"), h.host);
		CHECK(!strcasecmp(host, h.origin));
		CHECK(!strchr(h.host, '/') && !strchr(h.host, '@'));
	} else {
		CHECK(err.code);
	}
	try_action(at, (size_t)(end - at));
}

static void try_recording(const char *text, size_t n)
{
	struct web_recording r = { 0 }, again = { 0 };

	if (!web_recording_read(&r, text, n, NULL)) {
		CHECK(r.len >= n && r.len <= n + 1);
		CHECK(!web_recording_read(&again, r.text, r.len, NULL));
		CHECK(again.len == r.len);
	}
	web_recording_clear(&r);
	web_recording_clear(&again);
}

static void try_output(const char *bytes, size_t n)
{
	char *text = malloc(WEB_TEXT_SIZE(n));
	size_t len;

	CHECK(text);
	len = web_text(text, bytes, n);
	CHECK(len <= n && strlen(text) == len);
	for (size_t i = 0; i < len; i++)
		CHECK(text[i] == '\n' || text[i] == '\t' ||
		      (text[i] >= ' ' && text[i] < 0x7f));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy;

	if (!size)
		return 0;
	copy = malloc(size);
	CHECK(copy);
	memcpy(copy, data + 1, size - 1);
	copy[size - 1] = '\0';
	if (data[0] % 3 == 0)
		try_request(copy, copy + size - 1);
	else if (data[0] % 3 == 1)
		try_recording(copy, size - 1);
	else
		try_output(copy, size - 1);
	free(copy);
	return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	static const char *const seeds[] = {
		"0127.0.0.1:8080\nhttp://127.0.0.1:8080\n" TOKEN "\n"
		"{\"action\":\"migrate\",\"id\":\"a\",\"to\":\"b\","
		"\"bandwidth\":1000}",
		"0[::1]:8080\nhttp://[::1]:8080\n" TOKEN "\n"
		"{\"action\":\"poison\",\"id\":\"a\",\"address\":4096,"
		"\"count\":2}",
		"0here\nhttp://here\n" TOKEN "\n{\"action\":\"demo\","
		"\"memory\":64,\"cpus\":2,\"work\":\"idle\"}",
		"0localhost:1\nhttp://localhost:1\n" TOKEN "\n"
		"{\"action\":\"type\",\"id\":\"a\",\"text\":\"report\\n\"}",
		("1{\"t\":1,\"kind\":\"console\",\"id\":\"a\",\"text\":\"x\"}\n"
		 "{\"t\":2,\"kind\":\"ended\",\"id\":\"a\",\"why\":\"y\"}\n"),
		"2report t_us=1 pages=2\r\n\033[1mb\x80\xff\n",
		NULL
	};

	return fuzz_text_seed(seeds, i, to);
}
