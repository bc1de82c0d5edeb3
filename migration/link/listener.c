// SPDX-License-Identifier: MIT
/* listener.c - The sockets that a destination listens at */

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "listener.h"
#include "resolve.h"

#define BACKLOG		32
#define RESOLVE_MS	5000

/* No process listens at it: left from an earlier run */
static bool is_stale(const struct sockaddr_un *a)
{
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			   0);
	struct stat st;
	bool refused;

	refused = connect(probe, (const struct sockaddr *)a, sizeof(*a)) &&
		  errno == ECONNREFUSED;
	if (probe >= 0)
		close(probe);
	/* A regular file refuses, too; it is not Ferry's to remove */
	return refused && !lstat(a->sun_path, &st) && S_ISSOCK(st.st_mode);
}

/* Add a socket that listens at an address. Return: 0, -errno */
static int listener_add(struct listener *l, const struct sockaddr *a,
			socklen_t len, bool only_v6)
{
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC |
			SOCK_NONBLOCK, 0);
	int one = 1, only = only_v6, rc;

	if (fd < 0)
		return -errno;
	if (a->sa_family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	if (!bind(fd, a, len) && !listen(fd, BACKLOG)) {
		l->fd[l->n++] = fd;
		return 0;
	}
	rc = -errno;
	close(fd);
	return rc;
}

static int listen_unix(struct listener *l, const struct uri *u)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int rc;

	memcpy(a.sun_path, u->path, strlen(u->path));
	if (is_stale(&a))
		unlink(u->path);
	rc = listener_add(l, (struct sockaddr *)&a, sizeof(a), false);
	if (rc || lstat(u->path, &st))
		return rc;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

/* An address of the other family, or of an interface, that is not here */
static bool is_absent(int rc)
{
	return rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL;
}

static int listen_any(struct listener *l, const struct uri *u)
{
	in_port_t port = htons((uint16_t)strtoul(u->port, NULL, 10));
	const struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT,
		.sin6_port = port,
	};
	const struct sockaddr_in v4 = { .sin_family = AF_INET,
					.sin_port = port };
	int rc = listener_add(l, (const struct sockaddr *)&v6, sizeof(v6),
			      false);

	if (is_absent(rc))
		rc = listener_add(l, (const struct sockaddr *)&v4, sizeof(v4),
				  false);
	return rc;
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

/* The name service may give an address twice */
static bool is_repeated(const struct socket_peer *p, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (p->length[k] == p->length[i] &&
		    !memcmp(&p->address[k], &p->address[i], p->length[i]))
			return true;
	return false;
}

static int listen_named(struct listener *l, const struct uri *u,
			const struct socket_wait *w, struct error *err)
{
	struct socket_peer p = { .uri = *u };
	int rc = resolve_tcp(&p, w, err), absent = 0;

	for (unsigned i = 0; i < p.n && !rc; i++) {
		if (is_repeated(&p, i))
			continue;
		/* "[::]" is all addresses of both families, as "" is */
		rc = listener_add(l, (struct sockaddr *)&p.address[i],
				  p.length[i], strcmp(u->host, "::") != 0);
		if (!is_absent(rc))
			continue;
		absent = rc;
		rc = 0;
	}
	return rc || l->n ? rc : absent;
}

int listener_open(struct listener *l, const struct uri *u,
		  socket_stop_fn *stop, void *ctx, struct error *err)
{
	const struct socket_wait w = { .ms = RESOLVE_MS, .ctx = ctx,
				       .stop = stop ? stop : never };
	struct error why = { 0 };
	char text[URI_TEXT];
	int rc;

	*l = (struct listener){ .uri = *u };
	if (u->kind == URI_UNIX)
		rc = listen_unix(l, u);
	else
		rc = u->host[0] ? listen_named(l, u, &w, &why) : listen_any(l, u);
	if (!rc)
		return 0;
	/* Not this process's name: it was never bound */
	l->uri.kind = URI_TCP;
	listener_close(l);
	uri_text(u, text);
	return why.code ? error_set(err, why.code, "%s", why.text)
			: error_set(err, -rc, "cannot listen at %s: %s", text,
				    strerrordesc_np(-rc));
}

int listener_accept(const struct listener *l, struct channel *c)
{
	int rc = -EAGAIN;

	for (unsigned i = 0; i < l->n && rc == -EAGAIN; i++) {
		int fd = accept4(l->fd[i], NULL, NULL, SOCK_CLOEXEC);

		rc = fd >= 0 ? 0 : errno == EWOULDBLOCK ? -EAGAIN : -errno;
		if (!rc)
			socket_channel(c, fd);
	}
	return rc;
}

static bool is_local(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)a;
	const struct in6_addr *v6 = &a6->sin6_addr;

	switch (a->ss_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	default:
		return IN6_IS_ADDR_LOOPBACK(v6) ||
		       (IN6_IS_ADDR_V4MAPPED(v6) &&
			v6->s6_addr[12] == IN_LOOPBACKNET);
	}
}

bool listener_is_reachable(const struct listener *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		struct sockaddr_storage a = { 0 };
		socklen_t n = sizeof(a);

		if (getsockname(l->fd[i], (struct sockaddr *)&a, &n) ||
		    !is_local(&a))
			return true;
	}
	return false;
}

/* The open socket keeps its inode: no other file can have the same number */
static bool has_name(const struct listener *l)
{
	struct stat st;

	return l->n && l->uri.kind == URI_UNIX && !lstat(l->uri.path, &st) &&
	       st.st_dev == l->dev && st.st_ino == l->ino;
}

void listener_close(struct listener *l)
{
	/* Before the socket is closed: then another process may take the name */
	if (has_name(l))
		unlink(l->uri.path);
	for (unsigned i = 0; i < l->n; i++)
		close(l->fd[i]);
	l->n = 0;
}
