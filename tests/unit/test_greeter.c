// SPDX-License-Identifier: MIT
/*
 * test_greeter.c - The listener: what is a HELLO, each within one deadline, and
 * no peer delays another
 */

#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#include "migration/link/greeter.h"

#define HELLO_BYTES	(WIRE_HEADER + WIRE_HELLO)
#define LONG_MS		10000	/* what must happen happens within this time */

struct fixture {
	struct greeter *g;
	struct uri uri;
	char dir[40];
	_Atomic unsigned hello_ms;
	_Atomic unsigned not_ready;	/* times that the owner says -EAGAIN */
	_Atomic unsigned taken;		/* connections that the owner has */
	struct channel c[4];
	struct wire_hello hello;	/* of the last one */
};

static int on_hello(void *ctx, const struct channel *c,
		    const struct wire_hello *h, struct error *err)
{
	struct fixture *x = ctx;

	if (x->not_ready) {
		x->not_ready--;
		return -EAGAIN;
	}
	if (h->role == WIRE_DEMAND)
		return error_set(err, EBUSY, "no demand connection");
	assert_true(x->taken < 4);
	x->c[x->taken] = *c;
	x->hello = *h;
	x->taken++;
	return 0;
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	struct error err = { 0 };

	*state = x;
	if (!x)
		return -1;
	strcpy(x->dir, "/tmp/ferry-test.XXXXXX");
	if (!mkdtemp(x->dir))
		return -1;
	x->uri.kind = URI_UNIX;
	snprintf(x->uri.path, sizeof(x->uri.path), "%s/s", x->dir);
	x->hello_ms = LONG_MS;
	x->g = greeter_new(&x->uri, &(struct greeter_env){
		.hello_ms = &x->hello_ms, .fn = on_hello, .ctx = x,
	}, &err);
	return !x->g;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	greeter_free(x->g);
	for (unsigned i = 0; i < x->taken; i++)
		channel_close(&x->c[i]);
	/* The socket's name is gone, or the directory could not be removed */
	assert_int_equal(rmdir(x->dir), 0);
	free(x);
	return 0;
}

static int connect_to(const struct fixture *x)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(a.sun_path, x->uri.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static const struct wire_hello good = {
	.version = WIRE_VERSION, .role = WIRE_MAIN, .page_size = WIRE_PAGE,
	.push = 2, .id = { 1, 2, 3 },
};

static void encode(uint8_t *to, enum wire_type type,
		   const struct wire_hello *h)
{
	const struct wire_msg m = { .type = type, .length = WIRE_HELLO };

	wire_put(to, &m);
	wire_put_hello(to + WIRE_HEADER, h);
}

static void say(int fd, enum wire_type type, const struct wire_hello *h)
{
	uint8_t out[HELLO_BYTES];

	encode(out, type, h);
	assert_int_equal(send(fd, out, sizeof(out), 0), sizeof(out));
}

static void wait_taken(struct fixture *x, unsigned n)
{
	for (unsigned ms = 0; x->taken < n && ms < LONG_MS; ms++)
		usleep(1000);
	assert_int_equal(x->taken, n);
}

/* Wait for input. Return: bytes read; 0 at the end of the connection */
static size_t hear(int fd, void *to, size_t max)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (!poll(&p, 1, LONG_MS))
		fail_msg("the connection stays open, and nothing is sent");
	n = recv(fd, to, max, 0);
	return n > 0 ? (size_t)n : 0;
}

/* REFUSE with these words, then the end of the connection */
static void assert_refusal(int fd, const char *words)
{
	char in[WIRE_HEADER + WIRE_TEXT_MAX + 1] = { 0 };
	struct error err = { 0 };
	size_t have = 0, n;
	struct wire_msg m;

	while ((n = hear(fd, in + have, sizeof(in) - 1 - have)))
		have += n;
	assert_true(have > WIRE_HEADER);
	assert_int_equal(wire_get((uint8_t *)in, &m, &err), 0);
	assert_int_equal(m.type, WIRE_MSG_REFUSE);
	if (!strstr(in + WIRE_HEADER, words))
		fail_msg("'%s' does not say '%s'", in + WIRE_HEADER, words);
	close(fd);
}

static void a_hello_reaches_the_owner(void **state)
{
	struct fixture *x = *state;
	uint8_t out[HELLO_BYTES];
	int fd = connect_to(x);
	char byte = 0;

	encode(out, WIRE_MSG_HELLO, &good);
	for (unsigned i = 0; i < sizeof(out); i++) {
		assert_int_equal(x->taken, 0);
		assert_int_equal(send(fd, out + i, 1, 0), 1);
		usleep(500);
	}
	wait_taken(x, 1);
	assert_int_equal(x->hello.role, WIRE_MAIN);
	assert_int_equal(x->hello.push, 2);
	assert_memory_equal(x->hello.id, good.id, WIRE_ID);
	/* The connection is the owner's, and what follows was not read */
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(channel_recv(&x->c[0], &byte, 1, NULL), 0);
	assert_int_equal(byte, 'x');
	close(fd);
}

static void anything_else_is_refused(void **state)
{
	struct wire_hello h = good;
	struct fixture *x = *state;
	int fd = connect_to(x);

	assert_int_equal(send(fd, "GET / HTTP/1.1\r\nHost: ferry.example\r\n",
			      37, 0), 37);
	assert_refusal(fd, "is it a Ferry?");
	fd = connect_to(x);
	say(fd, WIRE_MSG_WELCOME, &h);
	assert_refusal(fd, "WELCOME where HELLO belongs");
	fd = connect_to(x);
	h.page_size = 65536;
	say(fd, WIRE_MSG_HELLO, &h);
	assert_refusal(fd, "65536 bytes");
	h.page_size = WIRE_PAGE;
	h.version++;
	fd = connect_to(x);
	say(fd, WIRE_MSG_HELLO, &h);
	assert_refusal(fd, "version");
	/* The owner's own reason */
	h.version = WIRE_VERSION;
	h.role = WIRE_DEMAND;
	fd = connect_to(x);
	say(fd, WIRE_MSG_HELLO, &h);
	assert_refusal(fd, "no demand connection");
	assert_int_equal(x->taken, 0);
}

/* A byte every 20 ms: the deadline is for the whole HELLO */
static void a_hello_has_one_deadline(void **state)
{
	struct fixture *x = *state;
	uint8_t out[HELLO_BYTES];
	int slow, silent, fd;
	unsigned i = 0;

	x->hello_ms = 300;
	encode(out, WIRE_MSG_HELLO, &good);
	silent = connect_to(x);
	slow = connect_to(x);
	while (i < sizeof(out) - 1 &&
	       send(slow, out + i, 1, MSG_NOSIGNAL) == 1) {
		i++;
		usleep(20000);
	}
	/* 300 ms are less than 15 bytes; some more on a busy machine */
	assert_true(i < sizeof(out) - 1);
	assert_refusal(silent, "no HELLO came in time");
	close(slow);
	x->hello_ms = LONG_MS;
	fd = connect_to(x);
	say(fd, WIRE_MSG_HELLO, &good);
	wait_taken(x, 1);
	close(fd);
}

/* When all places are taken, the oldest greeting is closed */
static void the_oldest_makes_room(void **state)
{
	struct fixture *x = *state;
	int fd[GREETINGS_MAX], new;
	char byte;

	for (unsigned i = 0; i < GREETINGS_MAX; i++) {
		fd[i] = connect_to(x);
		usleep(2000);
	}
	new = connect_to(x);
	say(new, WIRE_MSG_HELLO, &good);
	wait_taken(x, 1);
	assert_int_equal(hear(fd[0], &byte, 1), 0);
	/* The others keep their places */
	say(fd[1], WIRE_MSG_HELLO, &good);
	say(fd[GREETINGS_MAX - 1], WIRE_MSG_HELLO, &good);
	wait_taken(x, 3);
	for (unsigned i = 0; i < GREETINGS_MAX; i++)
		close(fd[i]);
	close(new);
}

/* The session that is there is about to end: the owner is asked again */
static void the_owner_may_not_be_ready(void **state)
{
	struct fixture *x = *state;
	int fd = connect_to(x), other = connect_to(x);

	x->not_ready = 3;
	say(fd, WIRE_MSG_HELLO, &good);
	wait_taken(x, 1);
	assert_int_equal(x->not_ready, 0);
	/* Not for ever */
	x->hello_ms = 100;
	x->not_ready = 1000000;
	close(other);
	other = connect_to(x);
	say(other, WIRE_MSG_HELLO, &good);
	assert_refusal(other, "no HELLO came in time");
	assert_int_equal(x->taken, 1);
	close(fd);
}

/* It ends at once, whatever connections there are */
static void it_ends_with_open_greetings(void **state)
{
	struct fixture *x = *state;
	uint64_t start = now_ns();
	int fd = connect_to(x);
	char byte;

	usleep(10000);
	greeter_stop(x->g);
	assert_int_equal(hear(fd, &byte, 1), 0);
	greeter_free(x->g);
	x->g = NULL;
	assert_true(now_ns() - start < LONG_MS * 1000000ull / 2);
	assert_int_equal(access(x->uri.path, F_OK), -1);
	close(fd);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Let this process open one more descriptor. Return: the limit before */
static struct rlimit leave_one_descriptor(void)
{
	int next = dup(STDERR_FILENO);
	struct rlimit had, low;

	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
	low = had;
	low.rlim_cur = (rlim_t)next + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	return had;
}

/*
 * A connection that can't be accepted is accepted later. Meanwhile poll() does
 * not fail (EINVAL: more entries than descriptors are allowed), the thread does
 * not spin, and the log does not fill
 */
static void few_descriptors_are_waited_for(void **state)
{
	struct fixture *x = *state;
	FILE *log = tmpfile();
	int fd, terminal = dup(STDERR_FILENO);
	struct rlimit had;
	struct stat st;
	uint64_t cpu;

	assert_non_null(log);
	dup2(fileno(log), STDERR_FILENO);
	had = leave_one_descriptor();
	fd = connect_to(x);
	cpu = cpu_ns();
	usleep(800000);
	cpu = cpu_ns() - cpu;
	setrlimit(RLIMIT_NOFILE, &had);
	dup2(terminal, STDERR_FILENO);
	close(terminal);
	assert_int_equal(fstat(fileno(log), &st), 0);
	fclose(log);
	assert_in_range(cpu, 0, 100000000);
	assert_in_range(st.st_size, 1, 200);
	say(fd, WIRE_MSG_HELLO, &good);
	wait_taken(x, 1);
	close(fd);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_hello_reaches_the_owner),
		CASE(anything_else_is_refused),
		CASE(a_hello_has_one_deadline),
		CASE(the_oldest_makes_room),
		CASE(the_owner_may_not_be_ready),
		CASE(it_ends_with_open_greetings),
		CASE(few_descriptors_are_waited_for),
	};

	return cmocka_run_group_tests_name("greeter", tests, NULL, NULL);
}
