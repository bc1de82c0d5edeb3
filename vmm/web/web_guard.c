// SPDX-License-Identifier: MIT
/* web_guard.c - Which HTTP requests are answered */

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "web_guard.h"

#define HOST_MAX	255

/* HOST[:PORT] or [V6][:PORT]. Return: the host's length, 0 if it is none */
static size_t host_length(const char *text, const char **host)
{
	const char *end;
	size_t n;

	*host = text + (*text == '[');
	end = *text == '[' ? strchr(text, ']') : text + strcspn(text, ":");
	if (!end)
		return 0;
	n = (size_t)(end - *host);
	end += *end == ']';
	if (*end == ':')
		end += 1 + strspn(end + 1, "0123456789");
	return *end || n > HOST_MAX ? 0 : n;
}

static bool is_address(const char *host)
{
	uint8_t bytes[16];

	return inet_pton(AF_INET, host, bytes) == 1 ||
	       inet_pton(AF_INET6, host, bytes) == 1;
}

static bool host_allowed(const struct web_rules *r, const char *text)
{
	char host[HOST_MAX + 1];
	const char *at;
	size_t n = text ? host_length(text, &at) : 0;

	if (!n)
		return false;
	memcpy(host, at, n);
	host[n] = '\0';
	return is_address(host) || !strcasecmp(host, "localhost") ||
	       (*r->name && !strcasecmp(host, r->name));
}

static bool origin_is_own(const char *origin, const char *host)
{
	static const char scheme[] = "http://";

	return !strncmp(origin, scheme, strlen(scheme)) &&
	       !strcasecmp(origin + strlen(scheme), host);
}

/* The time does not depend on where the two differ */
static bool token_is(const char *given, const char *token)
{
	unsigned differ = 0;

	if (!given || strlen(given) != WEB_TOKEN)
		return false;
	for (unsigned i = 0; i < WEB_TOKEN; i++)
		differ |= (unsigned)(given[i] ^ token[i]);
	return !differ;
}

static int refuse(struct error *err, int status, const char *why)
{
	error_set(err, EACCES, "%s", why);
	return status;
}

int web_guard_check(const struct web_rules *r, const struct web_headers *h,
		    unsigned needs, struct error *err)
{
	if (!host_allowed(r, h->host))
		return refuse(err, 403, "the header Host must have an IP "
			      "address, localhost, or the name of --listen");
	if (h->origin && !origin_is_own(h->origin, h->host))
		return refuse(err, 403, "the request comes from another site's "
			      "page (header Origin)");
	if (h->post != !!(needs & WEB_ACTION))
		return refuse(err, 405, h->post ? "this can only be read: use "
			      "GET" : "this is an action: use POST");
	if (needs & WEB_ACTION && !h->origin)
		return refuse(err, 403, "an action needs the header Origin, "
			      "with this server's own address");
	if (needs & WEB_TOKEN_NEEDED && !token_is(h->token, r->token))
		return refuse(err, 401, "the token is missing or wrong: open "
			      "the address that `ferry web` printed");
	if (needs & WEB_WRITES && r->fixed)
		return refuse(err, 403, "this page is read-only (--read-only "
			      "or --replay)");
	return 0;
}

bool web_guard_loopback(const char *host)
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &six) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six);
	return !strcasecmp(host, "localhost");
}
