// SPDX-License-Identifier: MIT
/* test_web_deadline.c - A request must come whole, in a total time */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/http.h>

#include "unit.h"

#include "vmm/base/clock.h"
#include "vmm/base/loop.h"
#include "vmm/web/web_http.h"
#include "vmm/web/web_private.h"
#include "vmm/web/web_stream.h"

#define LIMIT_MS	300
#define LONG_NS		20000000000ull	/* much longer: nothing ends it */
#define OPEN_NS		(4ull * LIMIT_MS * 1000000)
#define REQUEST		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
#define STREAM		"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n" \
			"Ferry-Token: 0123456789abcdef0123456789abcdef\r\n\r\n"

struct fixture {
	struct web w;
	struct web_config config;
	struct sockaddr_in at;
};

static void find_port(struct evhttp_bound_socket *s, void *ctx)
{
	struct fixture *x = ctx;
	socklen_t n = sizeof(x->at);

	assert_int_equal(getsockname(evhttp_bound_socket_get_fd(s),
				     (struct sockaddr *)&x->at, &n), 0);
}

static int set_up(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct error err = { 0 };

	assert_non_null(x);
	x->w.config = &x->config;
	strcpy(x->w.at.host, "127.0.0.1");
	strcpy(x->w.at.port, "0");
	strcpy(x->w.token, "0123456789abcdef0123456789abcdef");
	x->w.rules = (struct web_rules){ .token = x->w.token,
					 .name = x->w.at.host };
	TAILQ_INIT(&x->w.machines.list);
	x->w.loop = loop_new(&err);
	assert_non_null(x->w.loop);
	if (web_http_open(&x->w, &err))
		fail_msg("%s", err.text);
	x->w.deadlines.ms = LIMIT_MS;
	evhttp_foreach_bound_socket(x->w.http, find_port, x);
	*state = x;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *x = *state;

	web_stream_close(&x->w);
	web_http_close(&x->w);
	loop_free(x->w.loop);
	free(x);
	return 0;
}

static int connect_to(struct fixture *x)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&x->at,
				 sizeof(x->at)), 0);
	return fd;
}

static void serve(struct fixture *x)
{
	event_base_loop(loop_base(x->w.loop), EVLOOP_NONBLOCK);
	usleep(1000);
}

/* Does the server end the connection? Sends a byte of @drip now and then */
static bool is_ended(struct fixture *x, int fd, const char *drip, uint64_t ns)
{
	const uint64_t end = now_ns() + ns;
	char byte[256];
	ssize_t n;

	for (unsigned i = 0; now_ns() < end; i++) {
		serve(x);
		if (*drip && i % 20 == 0)
			send(fd, drip++, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		n = recv(fd, byte, sizeof(byte), MSG_DONTWAIT);
		if (!n || (n < 0 && errno == ECONNRESET))
			return true;
	}
	return false;
}

/* A request is answered */
static void ask(struct fixture *x, int fd, const char *request)
{
	char answer[12];
	ssize_t n = -1;

	assert_int_equal(send(fd, request, strlen(request), 0),
			 strlen(request));
	for (unsigned ms = 0; n < 0 && ms < 20000; ms++) {
		serve(x);
		n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
	}
	assert_int_equal(n, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200", sizeof(answer));
}

static void a_byte_renews_no_time(void **state)
{
	static char drip[100000];
	struct fixture *x = *state;
	int fd = connect_to(x);

	memset(drip, 'G', sizeof(drip) - 1);
	assert_true(is_ended(x, fd, drip, LONG_NS));
	close(fd);
}

/* The time counts for each request of a connection, from the last answer on */
static void the_next_request_has_its_own(void **state)
{
	static char drip[100000];
	struct fixture *x = *state;
	int fd = connect_to(x);

	ask(x, fd, REQUEST);
	memset(drip, 'G', sizeof(drip) - 1);
	assert_true(is_ended(x, fd, drip, LONG_NS));
	close(fd);
}

static void an_answer_has_no_limit(void **state)
{
	struct fixture *x = *state;
	int fd = connect_to(x);

	ask(x, fd, STREAM);
	assert_false(is_ended(x, fd, "", OPEN_NS));
	close(fd);
}

/* A client that closes leaves nothing: its descriptor may be another's soon */
static void what_was_closed_is_left_alone(void **state)
{
	struct fixture *x = *state;
	int fd;

	for (unsigned i = 0; i < 50; i++) {
		fd = connect_to(x);
		for (unsigned k = 0; k < 3; k++)
			serve(x);
		close(fd);
		for (unsigned k = 0; k < 3; k++)
			serve(x);
	}
	/* It has a low number again, and its stream none of their deadlines */
	fd = connect_to(x);
	ask(x, fd, STREAM);
	assert_false(is_ended(x, fd, "", OPEN_NS));
	for (uint64_t end = ns_after(20000); now_ns() < end &&
	     !TAILQ_EMPTY(&x->w.deadlines.waits);)
		serve(x);
	assert_true(TAILQ_EMPTY(&x->w.deadlines.waits));
	close(fd);
}

static void count_bytes(evutil_socket_t fd, short what, void *ctx)
{
	size_t *bytes = ctx;
	char text[100];
	ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);

	(void)what;
	*bytes += n > 0 ? (size_t)n : 0;
}

/* The server closes a connection; what has its number then is not touched */
static void a_number_is_used_again(struct fixture *x, const char *request)
{
	int fd = connect_to(x), pair[2];
	size_t bytes = 0, sent = 0;
	struct event *e;

	send(fd, request, strlen(request), 0);
	assert_true(is_ended(x, fd, "", LONG_NS));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    pair), 0);
	e = event_new(loop_base(x->w.loop), pair[0], EV_READ | EV_PERSIST,
		      count_bytes, &bytes);
	assert_int_equal(event_add(e, NULL), 0);
	/* Longer than the deadline of the connection that is gone */
	for (uint64_t end = now_ns() + OPEN_NS; now_ns() < end; sent += 4) {
		assert_int_equal(send(pair[1], "text", 4,
				      MSG_NOSIGNAL | MSG_DONTWAIT), 4);
		serve(x);
	}
	serve(x);
	assert_int_equal(bytes, sent);
	event_free(e);
	close(pair[0]);
	close(pair[1]);
	close(fd);
}

static void what_comes_after_is_left_alone(void **state)
{
	a_number_is_used_again(*state, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
				       "Connection: close\r\n\r\n");
	a_number_is_used_again(*state, "HEAD / HTTP/1.1\r\n"
				       "Host: 127.0.0.1\r\n"
				       "Connection: close\r\n\r\n");
}

static void break_loop(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(base);
}

static void activate(evutil_socket_t fd, short what, void *event)
{
	(void)fd;
	(void)what;
	event_active(event, EV_TIMEOUT, 0);
}

static void find_listener(struct evhttp_bound_socket *s, void *ctx)
{
	*(evutil_socket_t *)ctx = evhttp_bound_socket_get_fd(s);
}

/*
 * The loop ends between a connection's accept and what follows it in the same
 * turn. The event of @seen runs before the accept, and adds @last behind it.
 */
static void a_loop_may_end_at_an_accept(void **state)
{
	struct fixture *x = *state;
	struct event_base *base = loop_base(x->w.loop);
	struct event *last, *seen;
	evutil_socket_t listener = -1;
	int fd;

	evhttp_foreach_bound_socket(x->w.http, find_listener, &listener);
	last = event_new(base, -1, 0, break_loop, base);
	seen = event_new(base, listener, EV_READ, activate, last);
	assert_int_equal(event_add(seen, NULL), 0);
	fd = connect_to(x);
	event_base_loop(base, 0);
	assert_false(TAILQ_EMPTY(&x->w.accepted));
	web_http_close(&x->w);
	assert_true(TAILQ_EMPTY(&x->w.accepted));
	event_free(seen);
	event_free(last);
	close(fd);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_byte_renews_no_time),
		CASE(the_next_request_has_its_own),
		CASE(an_answer_has_no_limit),
		CASE(what_was_closed_is_left_alone),
		CASE(what_comes_after_is_left_alone),
		CASE(a_loop_may_end_at_an_accept),
	};

	return cmocka_run_group_tests_name("web_deadline", tests, NULL, NULL);
}
