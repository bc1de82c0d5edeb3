// SPDX-License-Identifier: MIT
/* channels.c - Where a guest migrates to or from, in QEMU's two forms */

#include <errno.h>
#include <string.h>

#include "channels.h"
#include "vmm/control/control_dispatch.h"

static const char *text_of(json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "";
}

/* The URI is parsed again: a host or a path has the same limits there */
static int parse_parts(const char *before, const char *host, const char *after,
		       const char *rest, struct uri *u, struct error *err)
{
	json_t *text = json_sprintf("%s%s%s%s", before, host, after, rest);
	int rc = text ? uri_parse(json_string_value(text), u, err)
		      : error_set(err, ENOMEM, "out of memory for an address");

	json_decref(text);
	return rc;
}

static int socket_uri(json_t *addr, struct uri *u, struct error *err)
{
	const char *type = text_of(addr, "type");
	const char *host = text_of(addr, "host");
	bool v6 = strchr(host, ':');
	int rc;

	if (!strcmp(type, "unix")) {
		rc = dispatch_check_args("transport:s type:s path:s", addr,
					 err);
		return rc ? rc : parse_parts("unix:", "", "",
					     text_of(addr, "path"), u, err);
	}
	if (strcmp(type, "inet"))
		return error_set(err, ENOTSUP,
			"a socket of type '%.40s' is not supported: 'inet' or 'unix'",
			type);
	rc = dispatch_check_args("transport:s type:s host:s port:s", addr,
				 err);
	return rc ? rc : parse_parts(v6 ? "tcp:[" : "tcp:", host,
				     v6 ? "]:" : ":", text_of(addr, "port"), u,
				     err);
}

static int channel_uri(json_t *channel, struct uri *u, struct error *err)
{
	json_t *addr = json_object_get(channel, "addr");
	int rc;

	if (!json_is_object(channel))
		return error_set(err, EINVAL,
				 "'channels' must be an array of objects");
	rc = dispatch_check_args("channel-type:s addr:o", channel, err);
	if (rc)
		return rc;
	if (strcmp(text_of(channel, "channel-type"), "main"))
		return error_set(err, ENOTSUP,
			"a channel of type '%.40s' is not supported: only 'main'",
			text_of(channel, "channel-type"));
	if (strcmp(text_of(addr, "transport"), "socket"))
		return error_set(err, ENOTSUP,
			"transport '%.40s' is not supported: only 'socket'",
			text_of(addr, "transport"));
	return socket_uri(addr, u, err);
}

int channels_uri(json_t *args, struct uri *u, struct error *err)
{
	json_t *uri = json_object_get(args, "uri");
	json_t *channels = json_object_get(args, "channels");

	if (!uri == !channels)
		return error_set(err, EINVAL,
			"give the address as 'uri' or as 'channels', and not as both");
	if (uri)
		return uri_parse(json_string_value(uri), u, err);
	if (json_array_size(channels) != 1)
		return error_set(err, EINVAL,
			"'channels' must be an array of one channel, of type 'main'");
	return channel_uri(json_array_get(channels, 0), u, err);
}
