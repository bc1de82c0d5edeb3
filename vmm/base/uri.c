// SPDX-License-Identifier: MIT
/* uri.c - Address of a migration peer: {tcp,tls}:HOST:PORT or unix:PATH */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uri.h"

static bool is_port(const char *s)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	return *s >= '0' && *s <= '9' && !*end && strlen(s) <= 5 && n &&
	       n <= 65535;
}

/* @u->kind is set; it has three letters and a colon */
static int parse_tcp(const char *text, struct uri *u, struct error *err)
{
	const char *host = text + 4, *colon = strrchr(host, ':');
	size_t n;

	if (!colon || !is_port(colon + 1))
		return error_set(err, EINVAL,
			"'%.200s': the port is missing or not 1 to 65535 (%.4sHOST:PORT)",
			text, text);
	n = (size_t)(colon - host);
	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	} else if (memchr(host, ':', n)) {
		return error_set(err, EINVAL,
			"'%.200s': put an IPv6 address in brackets: %.4s[ADDRESS]:PORT",
			text, text);
	}
	if (memchr(host, '[', n) || memchr(host, ']', n))
		return error_set(err, EINVAL,
			"'%.200s': a bracket in the host name (an IPv6 address is %.4s[ADDRESS]:PORT)",
			text, text);
	if (n >= sizeof(u->host))
		return error_set(err, EINVAL, "'%.200s…': too long", text);
	memcpy(u->host, host, n);
	strcpy(u->port, colon + 1);
	return 0;
}

int uri_parse(const char *text, struct uri *u, struct error *err)
{
	memset(u, 0, sizeof(*u));
	u->kind = strncmp(text, "tls:", 4) ? URI_TCP : URI_TLS;
	if (u->kind == URI_TLS || !strncmp(text, "tcp:", 4))
		return parse_tcp(text, u, err);
	if (strncmp(text, "unix:", 5))
		return error_set(err, EINVAL,
			"'%.200s' is not a URI: tcp:HOST:PORT, tls:HOST:PORT or unix:PATH",
			text);
	u->kind = URI_UNIX;
	if (!text[5] || strlen(text + 5) >= sizeof(u->path))
		return error_set(err, EINVAL,
			"'%.200s': the path must have 1 to %zu characters",
			text, sizeof(u->path) - 1);
	strcpy(u->path, text + 5);
	return 0;
}

void uri_text(const struct uri *u, char *text)
{
	bool v6 = strchr(u->host, ':');

	if (u->kind == URI_UNIX)
		snprintf(text, URI_TEXT, "unix:%s", u->path);
	else
		snprintf(text, URI_TEXT, "%s:%s%s%s:%s",
			 u->kind == URI_TLS ? "tls" : "tcp", v6 ? "[" : "",
			 u->host, v6 ? "]" : "", u->port);
}
