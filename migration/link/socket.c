// SPDX-License-Identifier: MIT
/* socket.c - Channels over TCP and Unix sockets */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel_fault.h"
#include "resolve.h"
#include "socket.h"

#define CONNECT_LOOK_MS	100

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
	channel_fault_wrap(c);
}

/* These fail on other sockets than TCP's, whose peer can't vanish silently */
void socket_set_dead_peer(const struct channel *c, unsigned ms)
{
	/* The kernel counts whole seconds. Two or more probes in the limit, if
	 * that is longer than 2 s; the limit ends the connection, not the
	 * number of probes (tcp(7), TCP_USER_TIMEOUT)
	 */
	int s = (int)(ms / 3000) > 0 ? (int)(ms / 3000) : 1;
	int on = ms > 0;

	setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(c->fd, IPPROTO_TCP, TCP_KEEPIDLE, &s, sizeof(s));
	setsockopt(c->fd, IPPROTO_TCP, TCP_KEEPINTVL, &s, sizeof(s));
	setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
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
				 "%s::%s names no host to connect to",
				 u->kind == URI_TLS ? "tls" : "tcp", u->port);
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
