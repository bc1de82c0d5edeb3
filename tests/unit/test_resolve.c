// SPDX-License-Identifier: MIT
/*
 * test_resolve.c - A host name is resolved once, and the wait can be given up
 *
 * getaddrinfo() and freeaddrinfo() are this program's: it takes as long as a
 * test says, and gives two addresses, of which only the second one listens.
 */

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migration/link/link.h"
#include "unit.h"

static _Atomic unsigned lookups, freed, take_ms;
static uint16_t dead_port, live_port;

static struct addrinfo *make_address(uint16_t port, struct addrinfo *next)
{
	struct addrinfo *a = calloc(1, sizeof(*a));
	struct sockaddr_in *in = calloc(1, sizeof(*in));

	*in = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	*a = (struct addrinfo){ .ai_family = AF_INET, .ai_next = next,
		.ai_addr = (struct sockaddr *)in, .ai_addrlen = sizeof(*in) };
	return a;
}

int getaddrinfo(const char *node, const char *service,
		const struct addrinfo *hints, struct addrinfo **res)
{
	(void)service;
	(void)hints;
	lookups++;
	usleep(take_ms * 1000);
	if (!strcmp(node, "nowhere"))
		return EAI_NONAME;
	*res = make_address(dead_port, make_address(live_port, NULL));
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
	link_begin(&l, 1);
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
	uint64_t start = channel_now_ns();
	struct error err = { 0 };
	pthread_t thread;
	struct link l;

	(void)state;
	take_ms = 1500;
	freed = 0;
	link_init(&l);
	link_begin(&l, 1);
	pthread_create(&thread, NULL, shut_soon, &l);
	assert_refused(link_resolve(&l, &where, 60000, &err), ECANCELED, err,
		       "cancelled");
	assert_true(channel_now_ns() - start < 1000000000);
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
	link_begin(&l, 1);
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
	link_begin(&l, 1);
	assert_refused(link_resolve(&l, &u, 5000, &err), EHOSTUNREACH, err,
		       "tcp:nowhere:7000");
	link_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_lookup_for_all_connections),
		cmocka_unit_test(a_slow_lookup_can_be_cancelled),
		cmocka_unit_test(a_slow_lookup_has_a_limit),
		cmocka_unit_test(an_unknown_name_is_said),
	};

	return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
