// SPDX-License-Identifier: MIT
/*
 * fuzz_qmp.c - Arbitrary bytes from a client of the control socket
 *
 * The bytes are split into messages as the server does it, at once and in
 * pieces: both must find the same messages. Each message must get an answer
 * that is JSON on one line.
 */

#include <string.h>

#include "fuzz.h"
#include "vmm/control/control_dispatch.h"
#include "vmm/control/qmp.h"

static int echo(void *ctx, json_t *args, json_t **ret, struct error *err)
{
	(void)ctx;
	if (json_object_get(args, "fail"))
		return error_set(err, 5, "%s", json_string_value(
				json_object_get(args, "text")));
	*ret = json_incref(args);
	return 0;
}

static const struct control_command table[] = {
	{ "query-status", NULL, .fn = echo },
	{ "migrate", "uri:s ?detach:b", .fn = echo },
	{ "ferry-poison", "address:i ?count:i text:s ?fail:b", .fn = echo },
	{ "object", "?x:o", .fn = echo },
	{ 0 },
};

static void answer(const struct dispatch *d, struct dispatch_client *from,
		   const char *text, size_t n)
{
	json_t *reply = dispatch_message(d, from, text, n), *again;
	char *line = qmp_text(reply);
	size_t len;

	CHECK(reply && line);
	len = strlen(line);
	CHECK(len > 2 && !strcmp(line + len - 2, "\r\n"));
	CHECK(!memchr(line, '\n', len - 1));
	/* An "id" beyond 64 bits is repeated as it is */
	again = json_loads(line, JSON_DECODE_INT_AS_REAL, NULL);
	CHECK(json_object_get(again, "return") ||
	      json_object_get(again, "error"));
	CHECK(json_object_size(again) == json_object_size(reply));
	json_decref(again);
	json_decref(reply);
	free(line);
}

/* Length of the first message when the bytes arrive in pieces */
static size_t by_pieces(const char *p, size_t n, size_t piece)
{
	struct qmp_frame f = { 0 };
	size_t got = 0, end;

	while (got < n) {
		got = n - got < piece ? n : got + piece;
		end = qmp_frame_next(&f, p, got);
		if (end)
			return end;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	struct dispatch d = { 0 };
	struct dispatch_client from = { 0 };
	size_t piece = 1 + size % 7, n;

	dispatch_add(&d, table, NULL);
	for (;; p += n, size -= n) {
		struct qmp_frame f = { 0 };

		n = qmp_frame_next(&f, p, size);
		CHECK(n <= size && n == by_pieces(p, size, piece));
		if (!n)
			return 0;
		if (!qmp_blank(p, n))
			answer(&d, &from, p, n);
	}
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	static const char *const seeds[] = {
		"{\"execute\":\"qmp_capabilities\"}\n"
		"{\"execute\":\"query-status\",\"id\":7}\r\n",
		"{\"execute\":\"qmp_capabilities\",\"arguments\":{}}"
		"{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"tcp:a:1\","
		"\"detach\":true},\"id\":{\"a\":[1,null,\"\\u00e4\\\\\"]}}",
		"{\"execute\":\"qmp_capabilities\"}{\"execute\":"
		"\"ferry-poison\",\"arguments\":{\"address\":4096,\"count\":1,"
		"\"text\":\"\xc3\xa4 \\ud83d\\ude00\",\"fail\":false}}\n",
		"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"object\","
		"\"arguments\":{\"x\":[{\"y\":1e3},-0.5,9223372036854775807]}"
		"}\n{\"execute\":\"none\"}\n[1,2]\n\"x\"\n \n",
		NULL
	};

	return fuzz_text_seed(seeds, i, to);
}
