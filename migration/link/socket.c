// SPDX-License-Identifier: MIT
/* socket.c - Channels over TCP and Unix sockets */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "resolve.h"
#include "socket.h"

#define CONNECT_LOOK_MS	100
#define BACKLOG		32

/* Return: @n, or -errno; -ETIMEDOUT and 0 for a wait that was too long */
static ssize_t result(ssize_t n, bool wait)
{
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return wait ? -ETIMEDOUT : 0;
	return -errno;
}

static ssize_t socket_recv(struct channel *c, void *data, size_t max,
			   bool wait)
{
	ssize_t n;

	do
		n = recv(c->fd, data, max, wait ? 0 : MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n ? result(n, wait) : -EPIPE;
}

static ssize_t socket_sendv(struct channel *c, const struct iovec *iov,
			    size_t n, bool wait)
{
	struct msghdr mh = { .msg_iov = (struct iovec *)(uintptr_t)iov,
			     .msg_iovlen = n };
	ssize_t done;

	do
		done = sendmsg(c->fd, &mh,
			       MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
	while (done < 0 && errno == EINTR);
	return result(done, wait);
}

static bool socket_ended(const struct channel *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0;
}

static void socket_timeout(struct channel *c, unsigned ms)
{
	struct timeval t = { .tv_sec = ms / 1000,
			     .tv_usec = ms % 1000 * 1000 };

	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static void socket_shut_in(struct channel *c)
{
	shutdown(c->fd, SHUT_RD);
}

static void socket_shut(struct channel *c)
{
	shutdown(c->fd, SHUT_RDWR);
}

static void socket_close(struct channel *c)
{
	close(c->fd);
}

static const struct channel_ops socket_ops = {
	.recv		= socket_recv,
	.sendv		= socket_sendv,
	.ended		= socket_ended,
	.timeout	= socket_timeout,
	.shut_in	= socket_shut_in,
	.shut		= socket_shut,
	.close		= socket_close,
};

void socket_channel(struct channel *c, int fd)
{
	int one = 1;

	*c = (struct channel){ .ops = &socket_ops, .fd = fd };
	/* Fails on Unix sockets, which have no delay to turn off */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* Return: 0, or a positive errno value */
static int finish_connect(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t n = sizeof(int);
	int why = EINPROGRESS;

	if (poll(&p, 1, CONNECT_LOOK_MS) > 0)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n);
	return why;
}

/*
 * Connect, and ask now and then whether to go on. A Unix socket whose backlog
 * is full reports nothing to wait for: connect again.
 *
 * Return: 0, or a positive errno value
 */
static int try_connect(int fd, const struct sockaddr *a, socklen_t len,
		       const struct socket_wait *w)
{
	int flags = fcntl(fd, F_GETFL), why = EINPROGRESS;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (!connect(fd, a, len))
		why = 0;
	else if (errno != EINPROGRESS && errno != EAGAIN)
		why = errno;
	for (unsigned ms = 0; why == EINPROGRESS && ms < w->ms &&
	     !w->stop(w->ctx); ms += CONNECT_LOOK_MS) {
		if (a->sa_family != AF_UNIX)
			why = finish_connect(fd);
		else if (!connect(fd, a, len))
			why = 0;
		else
			usleep(CONNECT_LOOK_MS * 1000);
	}
	fcntl(fd, F_SETFL, flags);
	if (why == EINPROGRESS)
		why = w->stop(w->ctx) ? ECANCELED : ETIMEDOUT;
	return why;
}

static socklen_t unix_address(const struct uri *u, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(a->sun_path, u->path, strlen(u->path));
	return sizeof(*a);
}

int socket_resolve(struct socket_peer *p, const struct uri *u,
		   const struct socket_wait *w, struct error *err)
{
	*p = (struct socket_peer){ .uri = *u };
	if (u->kind != URI_UNIX && !u->host[0])
		return error_set(err, EINVAL,
				 "tcp::%s names no host to connect to",
				 u->port);
	if (u->kind != URI_UNIX)
		return resolve_tcp(p, w, err);
	p->length[0] = unix_address(u, (struct sockaddr_un *)&p->address[0]);
	p->n = 1;
	return 0;
}

/* Later connections go where this one went */
static void keep_address(struct socket_peer *p, unsigned i)
{
	p->address[0] = p->address[i];
	p->length[0] = p->length[i];
	p->n = 1;
}

int socket_connect(struct channel *c, struct socket_peer *p,
		   const struct socket_wait *w, struct error *err)
{
	int why = ECONNREFUSED;
	char text[URI_TEXT];

	for (unsigned i = 0; i < p->n; i++) {
		const struct sockaddr *a = (struct sockaddr *)&p->address[i];
		int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		why = fd < 0 ? errno : try_connect(fd, a, p->length[i], w);
		if (!why) {
			keep_address(p, i);
			socket_channel(c, fd);
			channel_set_silence(c, w->ms);
			return 0;
		}
		if (fd >= 0)
			close(fd);
		if (why == ECANCELED)
			break;
	}
	uri_text(&p->uri, text);
	return error_set(err, why,
		"cannot connect to %s: %s (is 'ferry receive' running there?)",
		text, strerrordesc_np(why));
}

/* No process listens at it: left from an earlier run */
static bool is_stale(const struct sockaddr_un *a)
{
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			   0);
	struct stat st;
	bool refused;

	refused = connect(probe, (const struct sockaddr *)a, sizeof(*a)) &&
		  errno == ECONNREFUSED;
	close(probe);
	/* A regular file refuses, too; it is not Ferry's to remove */
	return refused && !lstat(a->sun_path, &st) && S_ISSOCK(st.st_mode);
}

static int listen_unix(const struct uri *u, struct error *err)
{
	struct sockaddr_un a;
	socklen_t len = unix_address(u, &a);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);

	if (fd < 0)
		return error_set(err, errno, "socket: %s",
				 strerrordesc_np(errno));
	if (is_stale(&a))
		unlink(u->path);
	if (!bind(fd, (struct sockaddr *)&a, len))
		return fd;
	error_set(err, errno, "cannot listen at unix:%s: %s", u->path,
		  strerrordesc_np(errno));
	close(fd);
	return -err->code;
}

/* Return: a bound socket, or -errno */
static int bind_tcp(const struct sockaddr *a, socklen_t len)
{
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC |
			SOCK_NONBLOCK, 0);
	int one = 1, zero = 0, rc;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (!bind(fd, a, len))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* All addresses of both families: an IPv6 socket receives IPv4, too */
static int bind_any(const struct uri *u)
{
	const struct sockaddr_in6 any = {
		.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT,
		.sin6_port = htons((uint16_t)strtoul(u->port, NULL, 10)),
	};

	return bind_tcp((const struct sockaddr *)&any, sizeof(any));
}

static int listen_tcp(const struct uri *u, struct error *err)
{
	int fd = u->host[0] ? -EAFNOSUPPORT : bind_any(u), rc;
	struct sockaddr_storage a;
	socklen_t len;

	/* Without IPv6 in this kernel, one without addresses included */
	if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) {
		rc = resolve_passive(u, &a, &len, err);
		if (rc)
			return rc;
		fd = bind_tcp((struct sockaddr *)&a, len);
	}
	return fd >= 0 ? fd : error_set(err, -fd, "cannot listen at tcp:%s:%s: %s",
					u->host, u->port,
					strerrordesc_np(-fd));
}

int socket_listen(const struct uri *u, struct error *err)
{
	int fd = u->kind == URI_UNIX ? listen_unix(u, err)
				     : listen_tcp(u, err);

	if (fd >= 0 && listen(fd, BACKLOG)) {
		error_set(err, errno, "listen: %s", strerrordesc_np(errno));
		close(fd);
		return -err->code;
	}
	return fd;
}

int socket_accept(struct channel *c, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	socket_channel(c, fd);
	return 0;
}
