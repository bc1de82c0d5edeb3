// SPDX-License-Identifier: MIT
/* parameters.c - migrate-set-parameters and query-migrate-parameters */

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "migration/pages/passes.h"
#include "parameters.h"
#include "vmm/base/bytes.h"
#include "vmm/base/limits.h"

#define BANDWIDTH_MIN	(1u << 20)	/* slower looks like a dead peer */
#define CONNECTIONS	"multifd-channels"
#define CONNECTIONS_AT_FIRST 2		/* as in QEMU */
static_assert(CONNECTIONS_MAX == WIRE_PUSH_MAX, "--connections has this limit");

/* Bytes per second, as in QEMU */
static const struct {
	const char *name;
	size_t offset;
} rates[] = {
#define RATE(name, member) { name, offsetof(struct parameters, member) }
	RATE("max-bandwidth", pass_bandwidth),
	RATE("max-postcopy-bandwidth", bandwidth),
};

/* Limits, in ms */
static const struct {
	const char *name;
	size_t offset;
} limits[] = {
#define LIMIT(name, member) { name, offsetof(struct session_limits, member) }
	LIMIT("downtime-limit", downtime_ms),
	LIMIT("ferry-connect-timeout", connect_ms),
	LIMIT("ferry-hello-timeout", hello_ms),
	LIMIT("ferry-build-timeout", build_ms),
	LIMIT("ferry-silence-timeout", silence_ms),
	LIMIT("ferry-answer-timeout", answer_ms),
	LIMIT("ferry-last-pages-timeout", last_pages_ms),
	LIMIT("ferry-beat-interval", beat_ms),
	LIMIT("ferry-dead-peer-timeout", dead_peer_ms),
	LIMIT("ferry-confirm-timeout", confirm_ms),
};

#define PASSES		"ferry-precopy-passes"
#define TLS_DIR		"ferry-tls-dir"
#define TLS_HOST	"tls-hostname"	/* as in QEMU */
#define TLS_REQUIRED	"ferry-require-tls"

static _Atomic unsigned *limit_at(const struct parameters *p, size_t i)
{
	return (_Atomic unsigned *)((char *)(uintptr_t)&p->limits +
				    limits[i].offset);
}

static uint64_t *rate_at(const struct parameters *p, size_t i)
{
	return (uint64_t *)((char *)(uintptr_t)p + rates[i].offset);
}

void parameters_init(struct parameters *p)
{
	p->bandwidth = p->pass_bandwidth = 0;
	p->connections = CONNECTIONS_AT_FIRST;
	p->passes = 0;
	session_limits_init(&p->limits);
}

static int check_rates(json_t *args, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		json_t *v = json_object_get(args, rates[i].name);
		json_int_t bytes = json_integer_value(v);

		if (v && (bytes < 0 || (bytes && bytes < BANDWIDTH_MIN)))
			return error_set(err, EINVAL,
				"%s is in bytes per second: at least %u, or 0 for no limit",
				rates[i].name, BANDWIDTH_MIN);
	}
	return 0;
}

static int check_limits(json_t *args, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		json_t *v = json_object_get(args, limits[i].name);
		json_int_t ms = json_integer_value(v);

		if (v && (ms < 1 || ms > DOWNTIME_LIMIT_MAX))
			return error_set(err, EINVAL,
				"%s is in milliseconds: 1 to %d",
				limits[i].name, DOWNTIME_LIMIT_MAX);
	}
	return 0;
}

/* "auto", or a number of one or two digits. Return: it, or -1 */
static int parse_passes(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (!strcmp(text, "auto"))
		return PASSES_AUTO;
	if (!digits || digits > 2 || text[digits] ||
	    atoi(text) > (int)PASSES_MAX)
		return -1;
	return atoi(text);
}

static int check_passes(json_t *args, struct error *err)
{
	const char *text = json_string_value(json_object_get(args, PASSES));

	return !text || parse_passes(text) >= 0 ? 0 : error_set(err, EINVAL,
		PASSES " is the number of precopy passes, \"0\" to \"%u\", or \"auto\"; not '%.40s'",
		PASSES_MAX, text);
}

static int check(json_t *args, struct error *err)
{
	json_t *conns = json_object_get(args, CONNECTIONS);
	json_int_t n = json_integer_value(conns);

	if (conns && (n < 1 || n > WIRE_PUSH_MAX))
		return error_set(err, EINVAL,
			CONNECTIONS " is the number of connections that push: 1 to %d",
			WIRE_PUSH_MAX);
	return check_rates(args, err) ?: check_limits(args, err);
}

static int check_tls(json_t *args, struct error *err)
{
	const char *dir = json_string_value(json_object_get(args, TLS_DIR));
	const char *host = json_string_value(json_object_get(args, TLS_HOST));

	if (dir && *dir && *dir != '/')
		return error_set(err, EINVAL,
			TLS_DIR " must be an absolute path, not '%.100s'", dir);
	if (dir && strlen(dir) >= PATH_MAX)
		return error_set(err, EINVAL, TLS_DIR " is too long");
	if (host && strlen(host) >= TLS_HOSTNAME)
		return error_set(err, EINVAL, TLS_HOST " is too long");
	return 0;
}

static void set_tls(struct tls_config *tls, json_t *args)
{
	const char *dir = json_string_value(json_object_get(args, TLS_DIR));
	const char *host = json_string_value(json_object_get(args, TLS_HOST));
	json_t *required = json_object_get(args, TLS_REQUIRED);

	if (dir)
		strcpy(tls->dir, dir);
	if (host)
		strcpy(tls->hostname, host);
	if (required)
		tls->required = json_is_true(required);
}

int parameters_set(struct parameters *p, json_t *args, struct error *err)
{
	json_t *conns = json_object_get(args, CONNECTIONS);
	json_t *passes = json_object_get(args, PASSES);
	int rc = check(args, err);

	if (!rc)
		rc = check_tls(args, err);
	if (!rc)
		rc = check_passes(args, err);
	if (rc)
		return rc;
	set_tls(&p->tls, args);
	if (passes)
		p->passes = (unsigned)parse_passes(json_string_value(passes));
	if (conns)
		p->connections = (unsigned)json_integer_value(conns);
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		json_t *v = json_object_get(args, rates[i].name);

		if (v)
			*rate_at(p, i) = (uint64_t)json_integer_value(v);
	}
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		json_t *v = json_object_get(args, limits[i].name);

		if (v)
			*limit_at(p, i) = (unsigned)json_integer_value(v);
	}
	return 0;
}

json_t *parameters_json(const struct parameters *p)
{
	json_t *o = json_pack("{s:I, s:s, s:s, s:b}",
			      CONNECTIONS, (json_int_t)p->connections,
			      TLS_DIR, p->tls.dir, TLS_HOST, p->tls.hostname,
			      TLS_REQUIRED, p->tls.required);

	json_object_set_new(o, PASSES, p->passes == PASSES_AUTO
		? json_string("auto") : json_sprintf("%u", p->passes));
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
		json_object_set_new(o, rates[i].name,
				    json_integer((json_int_t)*rate_at(p, i)));
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		json_object_set_new(o, limits[i].name,
				    json_integer(*limit_at(p, i)));
	return o;
}
