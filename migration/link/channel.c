// SPDX-License-Identifier: MIT
/* channel.c - A connection to the other side, blocking, with deadlines */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel.h"
#include "vmm/base/uri.h"

#define CONNECT_LOOK_MS	100

/* How long to try to connect, and whether to go on */
struct attempt {
	unsigned ms;
	const _Atomic bool *cancel;
};

static int lost(int code, struct error *err)
{
	if (code == EAGAIN || code == EWOULDBLOCK)
		return error_set(err, ETIMEDOUT,
			"the other side has not answered in time");
	if (!code || code == EPIPE || code == ECONNRESET)
		return error_set(err, EPIPE,
				 "the other side closed the connection");
	return error_set(err, code, "connection: %s", strerrordesc_np(code));
}

void channel_deadline(struct channel *c, unsigned ms)
{
	struct timeval t = { .tv_sec = ms / 1000,
			     .tv_usec = (long)(ms % 1000) * 1000 };

	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

/* Fails on Unix sockets, which have no delay to turn off */
static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int unix_socket(const struct uri *u, struct sockaddr_un *a,
		       struct error *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(a->sun_path, u->path, strlen(u->path));
	return fd >= 0 ? fd : error_set(err, errno, "socket: %s",
					strerrordesc_np(errno));
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
 * Connect, looking now and then whether that is still wanted. A Unix socket
 * whose backlog is full has nothing to wait for: it is tried again.
 *
 * Return: 0, or a positive errno value
 */
static int try_connect(int fd, const struct sockaddr *a, socklen_t len,
		       const struct attempt *t)
{
	int flags = fcntl(fd, F_GETFL), why = EINPROGRESS;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (!connect(fd, a, len))
		why = 0;
	else if (errno != EINPROGRESS && errno != EAGAIN)
		why = errno;
	for (unsigned ms = 0; why == EINPROGRESS && ms < t->ms &&
	     !*t->cancel; ms += CONNECT_LOOK_MS) {
		if (a->sa_family != AF_UNIX)
			why = finish_connect(fd);
		else if (!connect(fd, a, len))
			why = 0;
		else
			usleep(CONNECT_LOOK_MS * 1000);
	}
	fcntl(fd, F_SETFL, flags);
	if (why == EINPROGRESS)
		why = *t->cancel ? ECANCELED : ETIMEDOUT;
	return why;
}

static int connect_unix(const struct uri *u, const struct attempt *t,
			struct error *err)
{
	struct sockaddr_un a;
	int fd = unix_socket(u, &a, err), why;

	if (fd < 0)
		return fd;
	why = try_connect(fd, (struct sockaddr *)&a, sizeof(a), t);
	if (!why)
		return fd;
	close(fd);
	return error_set(err, why,
		"cannot connect to unix:%s: %s (is 'ferry receive' running there?)",
		u->path, strerrordesc_np(why));
}

static int resolve(const struct uri *u, int flags, struct addrinfo **ai,
		   struct error *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = flags };
	int rc;

	if (!u->host[0] && !(flags & AI_PASSIVE))
		return error_set(err, EINVAL,
				 "tcp::%s names no host to connect to",
				 u->port);
	rc = getaddrinfo(u->host[0] ? u->host : NULL, u->port, &hints, ai);
	return rc ? error_set(err, EHOSTUNREACH, "tcp:%s:%s: %s", u->host,
			      u->port, gai_strerror(rc)) : 0;
}

static int connect_tcp(const struct uri *u, const struct attempt *t,
		       struct error *err)
{
	struct addrinfo *all, *a;
	int rc = resolve(u, 0, &all, err), why = ECONNREFUSED, fd = -1;

	if (rc)
		return rc;
	for (a = all; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		why = fd < 0 ? errno
			     : try_connect(fd, a->ai_addr, a->ai_addrlen, t);
		if (why && fd >= 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(all);
	return fd >= 0 ? fd : error_set(err, why,
		"cannot connect to tcp:%s:%s: %s (is 'ferry receive' running there?)",
		u->host, u->port, strerrordesc_np(why));
}

int channel_connect(struct channel *c, const struct uri *u, unsigned ms,
		    const _Atomic bool *cancel, struct error *err)
{
	const struct attempt t = { .ms = ms, .cancel = cancel };
	int fd = u->kind == URI_UNIX ? connect_unix(u, &t, err)
				     : connect_tcp(u, &t, err);

	/* @c gets the socket when it's good: others may shut what is there */
	c->fd = fd < 0 ? -1 : fd;
	if (fd < 0)
		return fd;
	no_delay(fd);
	channel_deadline(c, ms);
	return 0;
}

/* A socket that nobody listens behind is left from an earlier run */
static bool is_stale(const struct sockaddr_un *a)
{
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			   0);
	struct stat st;
	bool refused;

	refused = connect(probe, (const struct sockaddr *)a, sizeof(*a)) &&
		  errno == ECONNREFUSED;
	close(probe);
	/* A regular file refuses, too, and is somebody's */
	return refused && !lstat(a->sun_path, &st) && S_ISSOCK(st.st_mode);
}

static int listen_unix(const struct uri *u, struct error *err)
{
	struct sockaddr_un a;
	int fd = unix_socket(u, &a, err);

	if (fd < 0)
		return fd;
	if (is_stale(&a))
		unlink(u->path);
	if (!bind(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	error_set(err, errno, "cannot listen at unix:%s: %s", u->path,
		  strerrordesc_np(errno));
	close(fd);
	return -err->code;
}

static int listen_tcp(const struct uri *u, struct error *err)
{
	struct addrinfo *ai;
	int one = 1, fd, rc = resolve(u, AI_PASSIVE, &ai, err);

	if (rc)
		return rc;
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen)) {
		rc = error_set(err, errno, "cannot listen at tcp:%s:%s: %s",
			       u->host, u->port, strerrordesc_np(errno));
		if (fd >= 0)
			close(fd);
		fd = rc;
	}
	freeaddrinfo(ai);
	return fd;
}

int channel_listen(const struct uri *u, struct error *err)
{
	int fd = u->kind == URI_UNIX ? listen_unix(u, err)
				     : listen_tcp(u, err);

	if (fd >= 0 && listen(fd, 8)) {
		error_set(err, errno, "listen: %s", strerrordesc_np(errno));
		close(fd);
		return -err->code;
	}
	return fd;
}

int channel_accept(struct channel *c, int fd, int watch, int wait_ms,
		   unsigned ms, struct error *err)
{
	struct pollfd p[2] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = watch, .events = POLLRDHUP },
	};
	int rc;

	c->fd = -1;
	do
		rc = poll(p, 2, wait_ms);
	while (rc < 0 && errno == EINTR);
	if (!rc)
		return error_set(err, ETIMEDOUT,
				 "the other side did not connect in time");
	if (p[1].revents)
		return lost(0, err);
	c->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (c->fd < 0)
		return error_set(err, errno == EINVAL ? ECANCELED : errno,
				 "accept: %s", strerrordesc_np(errno));
	no_delay(c->fd);
	channel_deadline(c, ms);
	return 0;
}

bool channel_ended(const struct channel *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0;
}

void channel_shut(struct channel *c)
{
	if (c->fd >= 0)
		shutdown(c->fd, SHUT_RDWR);
}

void channel_shut_in(struct channel *c)
{
	if (c->fd >= 0)
		shutdown(c->fd, SHUT_RD);
}

void channel_close(struct channel *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Step over what a send took */
static void advance(struct msghdr *mh, size_t n)
{
	while (mh->msg_iovlen && n >= mh->msg_iov->iov_len) {
		n -= mh->msg_iov->iov_len;
		mh->msg_iov++;
		mh->msg_iovlen--;
	}
	if (mh->msg_iovlen) {
		mh->msg_iov->iov_base = (char *)mh->msg_iov->iov_base + n;
		mh->msg_iov->iov_len -= n;
	}
}

int channel_sendv(struct channel *c, struct iovec *iov, size_t n,
		  struct error *err)
{
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = n };

	advance(&mh, 0);
	while (mh.msg_iovlen) {
		ssize_t done = sendmsg(c->fd, &mh, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return lost(errno, err);
		advance(&mh, (size_t)done);
	}
	return 0;
}

long channel_send_some(struct channel *c, const void *data, size_t n,
		       struct error *err)
{
	for (;;) {
		ssize_t done = send(c->fd, data, n,
				    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (done >= 0)
			return done;
		if (errno == EAGAIN)
			return 0;
		if (errno != EINTR)
			return lost(errno, err);
	}
}

int channel_send(struct channel *c, const void *data, size_t n,
		 struct error *err)
{
	struct iovec iov = { (void *)(uintptr_t)data, n };

	return channel_sendv(c, &iov, 1, err);
}

long channel_recv_some(struct channel *c, void *data, size_t max, bool wait,
		       struct error *err)
{
	for (;;) {
		ssize_t n = recv(c->fd, data, max, wait ? 0 : MSG_DONTWAIT);

		if (n > 0)
			return n;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !wait && errno == EAGAIN)
			return 0;
		return lost(n ? errno : 0, err);
	}
}

int channel_recv(struct channel *c, void *data, size_t n, struct error *err)
{
	char *p = data;

	while (n) {
		long got = channel_recv_some(c, p, n, true, err);

		if (got < 0)
			return (int)got;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

int channel_say(struct channel *c, const struct wire_msg *m,
		const void *payload, struct error *err)
{
	uint8_t header[WIRE_HEADER];
	struct iovec iov[2] = {
		{ header, WIRE_HEADER },
		{ (void *)(uintptr_t)payload, m->length },
	};

	wire_put(header, m);
	return channel_sendv(c, iov, 2, err);
}

int channel_hear(struct channel *c, struct wire_msg *m, struct error *err)
{
	uint8_t header[WIRE_HEADER];
	int rc = channel_recv(c, header, sizeof(header), err);

	return rc ? rc : wire_get(header, m, err);
}

/* The peer's text is shown to a person: keep it one line of printable ASCII */
static void make_printable(uint8_t *text, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
}

int channel_expect(struct channel *c, enum wire_type type, uint8_t **payload,
		   uint32_t *length, struct error *err)
{
	struct wire_msg m;
	uint8_t *data;
	int rc = channel_hear(c, &m, err);

	if (rc)
		return rc;
	if (m.type != type && m.type != WIRE_MSG_REFUSE)
		return error_set(err, EBADMSG,
			"the peer sent %s where %s belongs",
			wire_name(m.type), wire_name(type));
	data = malloc(m.length + 1);
	if (!data)
		return error_set(err, ENOMEM, "out of memory");
	rc = channel_recv(c, data, m.length, err);
	data[m.length] = 0;
	if (!rc && m.type == WIRE_MSG_REFUSE) {
		make_printable(data, m.length);
		rc = error_set(err, ECONNREFUSED,
			       "the other side refused: %s", (char *)data);
	}
	if (length)
		*length = m.length;
	if (payload && !rc)
		*payload = data;
	else
		free(data);
	return rc;
}

void channel_refuse(struct channel *c, const struct error *why)
{
	struct wire_msg m = { .type = WIRE_MSG_REFUSE };

	m.length = (uint32_t)strnlen(why->text, WIRE_TEXT_MAX);
	if (c->fd >= 0 && m.length)
		channel_say(c, &m, why->text, NULL);
}
