/* SPDX-License-Identifier: MIT */
/*
 * web_guard.h - Which HTTP requests are answered (pure)
 *
 * Any web site that the user visits can make the browser send requests to a
 * loopback address, and any local user can connect to it. Three rules keep both
 * out:
 *
 *	Host	must be an IP address, localhost, or the name that --listen gave.
 *		A name under an attacker's control that resolves to this host
 *		(DNS rebinding) is none of these.
 *	Origin	must be this server's own where a browser sends one, and must be
 *		there for an action.
 *	token	128 random bits, printed at the start, for all but the page's
 *		files and /metrics: the guest's console is as private as its
 *		socket.
 */
#ifndef FERRY_WEB_GUARD_H
#define FERRY_WEB_GUARD_H

#include <stdbool.h>

#include "vmm/base/error.h"

#define WEB_TOKEN	32	/* hexadecimal digits */

/* What a route demands of a request */
enum web_needs {
	WEB_TOKEN_NEEDED = 1,	/* the token */
	WEB_ACTION	 = 2,	/* POST, from this server's own page */
	WEB_WRITES	 = 4,	/* not with --read-only, nor with --replay */
};

/**
 * struct web_rules - What this server accepts
 * @token:	WEB_TOKEN digits
 * @name:	host of --listen
 * @fixed:	nothing can be changed: --read-only, --replay
 */
struct web_rules {
	const char *token, *name;
	bool fixed;
};

/**
 * struct web_headers - What a request says about itself; NULL if it does not
 * @post:	the method is POST, not GET
 * @host, @origin, @token: of the headers Host, Origin and Ferry-Token
 */
struct web_headers {
	bool post;
	const char *host, *origin, *token;
};

/**
 * web_guard_check() - Is a request answered?
 * @r:		the rules
 * @h:		its headers, not trusted
 * @needs:	of its route: bits of enum web_needs
 * @err:	why not
 *
 * Return: 0, or the HTTP status to refuse it with
 */
int web_guard_check(const struct web_rules *r, const struct web_headers *h,
		    unsigned needs, struct error *err);

/** web_guard_loopback() - Is a host a loopback address, or localhost? */
bool web_guard_loopback(const char *host);

#endif /* FERRY_WEB_GUARD_H */
