// SPDX-License-Identifier: MIT
/*
 * test_resolve.c - A host name is resolved once, and the wait can be given up;
 * all its addresses are listened at
 *
 * getaddrinfo() and freeaddrinfo() are this program's: it takes as long as a
 * test says, and gives the addresses that belong to a name here.
 */

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migration/link/link.h"
#include "migration/link/listener.h"
#include "unit.h"

static _Atomic unsigned lookups, freed, take_ms;
static uint16_t dead_port, live_port;

/* An IPv4 address, as the name service gives it */
static struct addrinfo *make_v4(uint32_t host, uint16_t port,
				struct addrinfo *next)
{
	struct addrinfo *a = calloc(1, sizeof(*a));
	struct sockaddr_in *in = calloc(1, sizeof(*in));

	*in = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(host) };
	*a = (struct addrinfo){ .ai_family = AF_INET, .ai_next = next,
		.ai_addr = (struct sockaddr *)in, .ai_addrlen = sizeof(*in) };
	return a;
}

static struct addrinfo *make_v6(uint16_t port, struct addrinfo *next)
{
	struct addrinfo *a = calloc(1, sizeof(*a));
	struct sockaddr_in6 *in = calloc(1, sizeof(*in));

	*in = (struct sockaddr_in6){ .sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	*a = (struct addrinfo){ .ai_family = AF_INET6, .ai_next = next,
		.ai_addr = (struct sockaddr *)in, .ai_addrlen = sizeof(*in) };
	return a;
}

/* Three addresses of this host, one of them twice, and one of another host */
static struct addrinfo *make_several(uint16_t port)
{
	struct addrinfo *a = make_v4(0xc0000201, port, NULL);	/* 192.0.2.1 */

	a = make_v4(INADDR_LOOPBACK, port, make_v4(INADDR_LOOPBACK, port, a));
	return make_v4(INADDR_LOOPBACK + 1, port, make_v6(port, a));
}

int getaddrinfo(const char *node, const char *service,
		const struct addrinfo *hints, struct addrinfo **res)
{
	(void)hints;
	lookups++;
	usleep(take_ms * 1000);
	if (!strcmp(node, "nowhere"))
		return EAI_NONAME;
	if (!strcmp(node, "several"))
		*res = make_several((uint16_t)atoi(service));
	else if (!strcmp(node, "elsewhere"))
		*res = make_v4(0xc0000201, (uint16_t)atoi(service), NULL);
	else
		*res = make_v4(INADDR_LOOPBACK, dead_port,
			       make_v4(INADDR_LOOPBACK, live_port, NULL));
	return 0;
}

void freeaddrinfo(struct addrinfo *a)
{
	while (a) {
		struct addrinfo *next = a->ai_next;

		free(a->ai_addr);
		free(a);
		a = next;
	}
	freed++;
}

static int make_listener(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static const struct uri where = { .kind = URI_TCP, .host = "ferry.example",
				  .port = "7000" };

static void one_lookup_for_all_connections(void **state)
{
	int dead = make_listener(&dead_port), live = make_listener(&live_port);
	struct error err = { 0 };
	struct link l;

	(void)state;
	close(dead);
	lookups = take_ms = 0;
	link_init(&l);
	link_begin(&l, 1, 0);
	assert_int_equal(link_resolve(&l, &where, 5000, &err), 0);
	assert_int_equal(l.peer.n, 2);
	assert_int_equal(link_connect(&l, WIRE_MAIN, 0, 5000, &err), 0);
	/* The address that answered, and no other one, is used from now on */
	assert_int_equal(l.peer.n, 1);
	dead_port = live_port = 0;
	assert_int_equal(link_connect(&l, WIRE_DEMAND, 0, 5000, &err), 0);
	assert_int_equal(link_connect(&l, WIRE_PUSH, 0, 5000, &err), 0);
	assert_int_equal(lookups, 1);
	link_fini(&l);
	close(live);
}

static void *shut_soon(void *arg)
{
	usleep(100000);
	link_shut(arg);
	return NULL;
}

/* migrate_cancel, quit: not when the name service gives up, but now */
static void a_slow_lookup_can_be_cancelled(void **state)
{
	uint64_t start = now_ns();
	struct error err = { 0 };
	pthread_t thread;
	struct link l;

	(void)state;
	take_ms = 1500;
	freed = 0;
	link_init(&l);
	link_begin(&l, 1, 0);
	pthread_create(&thread, NULL, shut_soon, &l);
	assert_refused(link_resolve(&l, &where, 60000, &err), ECANCELED, err,
		       "cancelled");
	assert_true(now_ns() - start < 1000000000);
	pthread_join(thread, NULL);
	link_fini(&l);
	/* The thread that was abandoned frees what it found */
	for (unsigned i = 0; i < 100 && !freed; i++)
		usleep(50000);
	assert_int_equal(freed, 1);
}

static void a_slow_lookup_has_a_limit(void **state)
{
	struct error err = { 0 };
	struct link l;

	(void)state;
	take_ms = 1000;
	link_init(&l);
	link_begin(&l, 1, 0);
	assert_refused(link_resolve(&l, &where, 200, &err), ETIMEDOUT, err,
		       "not resolved in time");
	link_fini(&l);
	usleep(1200000);
}

static void an_unknown_name_is_said(void **state)
{
	const struct uri u = { .kind = URI_TCP, .host = "nowhere",
			       .port = "7000" };
	struct error err = { 0 };
	struct link l;

	(void)state;
	take_ms = 0;
	link_init(&l);
	link_begin(&l, 1, 0);
	assert_refused(link_resolve(&l, &u, 5000, &err), EHOSTUNREACH, err,
		       "tcp:nowhere:7000");
	link_fini(&l);
}

/* Return: 0, or errno */
static int connect_to(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM, 0);
	int rc = fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) ? errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

static bool has_v6(void)
{
	struct addrinfo *a = make_v6(0, NULL);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool has = fd >= 0 && !bind(fd, a->ai_addr, a->ai_addrlen);

	if (fd >= 0)
		close(fd);
	freeaddrinfo(a);
	return has;
}

/* A port that is free at the moment, in decimal */
static void free_port(struct uri *u)
{
	uint16_t port;

	close(make_listener(&port));
	snprintf(u->port, sizeof(u->port), "%u", port);
}

/* Each address of a name, once; those that are not here do not matter */
static void all_addresses_are_listened_at(void **state)
{
	struct uri u = { .kind = URI_TCP, .host = "several" };
	struct error err = { 0 };
	struct addrinfo *a;
	struct listener l;
	struct channel c;
	unsigned n = has_v6() ? 3 : 2, taken = 0;

	(void)state;
	take_ms = 0;
	free_port(&u);
	assert_int_equal(listener_open(&l, &u, NULL, NULL, &err), 0);
	assert_int_equal(l.n, n);
	assert_int_equal(listener_accept(&l, &c), -EAGAIN);
	a = make_v4(INADDR_LOOPBACK, (uint16_t)atoi(u.port), NULL);
	assert_int_equal(connect_to(a), 0);
	freeaddrinfo(a);
	a = make_v4(INADDR_LOOPBACK + 1, (uint16_t)atoi(u.port), NULL);
	assert_int_equal(connect_to(a), 0);
	freeaddrinfo(a);
	a = make_v6((uint16_t)atoi(u.port), NULL);
	assert_int_equal(connect_to(a), n == 3 ? 0 : errno);
	freeaddrinfo(a);
	for (unsigned ms = 0; taken < n && ms < 5000; ms++) {
		if (!listener_accept(&l, &c)) {
			channel_close(&c);
			taken++;
		}
		usleep(1000);
	}
	assert_int_equal(taken, n);
	listener_close(&l);
}

static void no_address_of_ones_own_is_refused(void **state)
{
	struct uri u = { .kind = URI_TCP, .host = "elsewhere" };
	struct error err = { 0 };
	struct listener l;

	(void)state;
	free_port(&u);
	assert_refused(listener_open(&l, &u, NULL, NULL, &err), EADDRNOTAVAIL,
		       err, "cannot listen at tcp:elsewhere:");
	assert_int_equal(l.n, 0);
}

/* Also if one of several addresses is free: half a listener is a riddle */
static void a_port_in_use_is_refused(void **state)
{
	struct uri u = { .kind = URI_TCP, .host = "several" };
	struct error err = { 0 };
	struct listener l;
	uint16_t port;
	int fd = make_listener(&port);

	(void)state;
	snprintf(u.port, sizeof(u.port), "%u", port);
	assert_refused(listener_open(&l, &u, NULL, NULL, &err), EADDRINUSE, err,
		       "tcp:several:");
	close(fd);
	/* Nothing is left of the attempt */
	assert_int_equal(listener_open(&l, &u, NULL, NULL, &err), 0);
	listener_close(&l);
}

/* "tcp::PORT" */
static void no_host_is_both_families(void **state)
{
	struct uri u = { .kind = URI_TCP };
	struct error err = { 0 };
	struct addrinfo *v4, *v6;
	struct listener l;

	(void)state;
	free_port(&u);
	v4 = make_v4(INADDR_LOOPBACK, (uint16_t)atoi(u.port), NULL);
	v6 = make_v6((uint16_t)atoi(u.port), NULL);
	assert_int_equal(listener_open(&l, &u, NULL, NULL, &err), 0);
	assert_int_equal(connect_to(v4), 0);
	if (has_v6())
		assert_int_equal(connect_to(v6), 0);
	listener_close(&l);
	freeaddrinfo(v4);
	freeaddrinfo(v6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_lookup_for_all_connections),
		cmocka_unit_test(a_slow_lookup_can_be_cancelled),
		cmocka_unit_test(a_slow_lookup_has_a_limit),
		cmocka_unit_test(an_unknown_name_is_said),
		cmocka_unit_test(all_addresses_are_listened_at),
		cmocka_unit_test(no_address_of_ones_own_is_refused),
		cmocka_unit_test(a_port_in_use_is_refused),
		cmocka_unit_test(no_host_is_both_families),
	};

	return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
