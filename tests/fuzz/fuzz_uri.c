// SPDX-License-Identifier: MIT
/*
 * fuzz_uri.c - Arbitrary addresses of a migration peer
 *
 * What is accepted must be the same again after it was formatted and parsed.
 */

#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "vmm/base/uri.h"

static void check_uri(const struct uri *u)
{
	char text[URI_TEXT];
	struct uri again;

	uri_text(u, text);
	CHECK(!uri_parse(text, &again, NULL));
	CHECK(!memcmp(u, &again, sizeof(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { 0 };
	char *text = malloc(size + 1);
	struct uri u;
	int rc;

	CHECK(text);
	memcpy(text, data, size);
	text[size] = 0;
	rc = uri_parse(text, &u, &err);
	CHECK(!rc ? !err.code : rc == -EINVAL && err.text[0]);
	if (!rc)
		check_uri(&u);
	free(text);
	return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	static const char *const seeds[] = {
		"tcp:host.example:4444", "tcp:[fe80::1%eth0]:1", "tcp::65535",
		"tcp:[::]:4444", "tcp:127.0.0.1:99999", "unix:/run/ferry/x",
		"unix:", "tls:host:4444",
		NULL
	};

	return fuzz_text_seed(seeds, i, to);
}
