// SPDX-License-Identifier: MIT
/* stranger.c - Connections that are not the source's */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "migration/wire/wire.h"
#include "network.h"
#include "sched.h"
#include "stranger.h"
#include "wrap.h"

#define STAYS_NS	(20 * SECOND)	/* at most */
#define GARBAGE_MAX	400		/* bytes */
#define MESSAGE		(WIRE_HEADER + WIRE_HELLO)

static unsigned port_now;

const char *stranger_name(enum stranger kind)
{
	static const char *const name[STRANGERS] = {
		"is silent", "sends garbage", "guesses the secret",
		"resumes another session", "joins with a wrong secret",
		"migrates, too", "replays a HELLO",
	};

	return name[kind];
}

bool stranger_is_harmless(enum stranger kind)
{
	return kind < STRANGER_MIGRATES;
}

void strangers_port(unsigned port)
{
	port_now = port;
}

static void randomize(uint8_t *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)sim_random();
}

/* Return: false: there is nothing of which it could make one */
static bool make_hello(enum stranger kind, struct wire_hello *h)
{
	const bool heard = network_heard(h);

	if (!heard && kind != STRANGER_MIGRATES && kind != STRANGER_RESUMES)
		return false;
	if (!heard || kind == STRANGER_MIGRATES || kind == STRANGER_RESUMES) {
		*h = (struct wire_hello){
			.version = WIRE_VERSION, .features = WIRE_POISON,
			.page_size = WIRE_PAGE, .push = 1, .epoch = 1,
		};
		randomize(h->id, sizeof(h->id));
	}
	if (kind == STRANGER_REPLAYS)
		return true;
	randomize(h->secret, sizeof(h->secret));
	h->resume = kind == STRANGER_GUESSES || kind == STRANGER_RESUMES;
	if (h->resume)
		h->epoch += 1 + (uint32_t)sim_below(3);
	if (kind == STRANGER_JOINS)
		h->role = sim_chance(2) ? WIRE_DEMAND : WIRE_PUSH;
	else
		h->role = WIRE_MAIN;
	return true;
}

/* Return: bytes of @to, which has GARBAGE_MAX */
static size_t make_greeting(enum stranger kind, uint8_t *to)
{
	const struct wire_msg m = { .type = WIRE_MSG_HELLO,
				    .length = WIRE_HELLO };
	struct wire_hello h;

	if (kind == STRANGER_GARBAGE ||
	    !make_hello(kind == STRANGER_SILENT ? STRANGER_MIGRATES : kind,
			&h)) {
		randomize(to, GARBAGE_MAX);
		return sim_below(GARBAGE_MAX);
	}
	wire_put(to, &m);
	wire_put_hello(to + WIRE_HEADER, &h);
	return kind == STRANGER_SILENT ? sim_below(MESSAGE) : MESSAGE;
}

/* Return: false: there is no listener */
static bool is_connected(int fd)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port_now) };
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int error = 0;

	if (__wrap_connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)) &&
	    errno != EINPROGRESS)
		return false;
	__wrap_poll(&p, 1, 20000);
	__wrap_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return p.revents == POLLOUT && !error;
}

/* It reads what it gets, until the destination closes or it has enough */
static void stay(int fd)
{
	const uint64_t end = sched_now() + sim_log(STAYS_NS);
	uint8_t bytes[512];

	while (sched_now() < end && !sim_failed()) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		const uint64_t left = (end - sched_now()) / MS;

		if (__wrap_poll(&p, 1, (int)left + 1) <= 0)
			return;
		if (__wrap_recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return;
	}
}

static void *stranger_main(void *arg)
{
	const enum stranger kind = (enum stranger)(uintptr_t)arg;
	uint8_t greeting[GARBAGE_MAX];
	const size_t n = make_greeting(kind, greeting);
	int fd = __wrap_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return NULL;
	if (is_connected(fd)) {
		sim_trace("a stranger %s", stranger_name(kind));
		__wrap_send(fd, greeting, n, MSG_NOSIGNAL);
		stay(fd);
	}
	__wrap_close(fd);
	return NULL;
}

void stranger_come(enum stranger kind)
{
	struct co *c = sched_spawn(stranger_main, (void *)(uintptr_t)kind,
				   SIDE_NONE, "stranger");

	if (c)
		sched_detach(c);
}
