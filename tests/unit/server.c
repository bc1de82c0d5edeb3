// SPDX-License-Identifier: MIT
/* server.c - A control socket in a thread, for tests */

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "server.h"

static int do_echo(void *ctx, json_t *args, json_t **ret, struct error *err)
{
	(void)ctx;
	(void)err;
	*ret = json_incref(args);
	return 0;
}

static int do_fail(void *ctx, json_t *args, json_t **ret, struct error *err)
{
	(void)ctx;
	(void)ret;
	return error_set(err, EIO, "%s",
			 json_string_value(json_object_get(args, "text")));
}

static int do_emit(void *ctx, json_t *args, json_t **ret, struct error *err)
{
	struct server *s = ctx;

	(void)ret;
	(void)err;
	control_event(s->control, "TEST", json_incref(args));
	return 0;
}

static int do_big(void *ctx, json_t *args, json_t **ret, struct error *err)
{
	size_t size = json_integer_value(json_object_get(args, "size"));
	char *text = malloc(size + 1);

	(void)ctx;
	(void)err;
	if (!text)
		return -ENOMEM;
	memset(text, 'x', size);
	text[size] = '\0';
	*ret = json_string(text);
	free(text);
	return 0;
}

static int do_hang(void *ctx, json_t *args, json_t **ret, struct error *err)
{
	json_int_t ms = json_integer_value(json_object_get(args, "ms"));
	const struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	(void)ctx;
	(void)ret;
	(void)err;
	nanosleep(&ts, NULL);
	return 0;
}

static int do_count(void *ctx, json_t *args, json_t **ret, struct error *err)
{
	struct server *s = ctx;

	(void)args;
	(void)err;
	*ret = json_pack("{s:i}", "n", (int)s->count++);
	return 0;
}

static int do_hold(void *ctx, json_t *args, json_t **ret, struct error *err)
{
	struct server *s = ctx;

	(void)args;
	(void)ret;
	(void)err;
	s->held = true;
	while (s->held)
		usleep(1000);
	return 0;
}

static int do_end(void *ctx, json_t *args, json_t **ret, struct error *err)
{
	struct server *s = ctx;

	(void)args;
	(void)ret;
	(void)err;
	loop_stop(s->loop, 0);
	return 0;
}

struct slow {
	struct server *s;
	struct control_later *later;
	json_t *args;
	json_int_t ms;
	bool fail;
};

static void *slow_main(void *arg)
{
	struct slow *w = arg;
	const struct timespec ts = { w->ms / 1000, w->ms % 1000 * 1000000 };
	struct error err = { 0 };

	nanosleep(&ts, NULL);
	if (w->fail)
		error_set(&err, EIO, "slow failure");
	control_answer(w->later, w->args, &err);
	w->s->slow--;
	free(w);
	return NULL;
}

static int start_slow(void *ctx, json_t *args, struct control_later *later,
		      struct error *err)
{
	json_int_t ms = json_integer_value(json_object_get(args, "ms"));
	struct slow *w = malloc(sizeof(*w));
	pthread_t thread;

	if (ms < 0 || !w) {
		free(w);
		return error_set(err, EINVAL, "it can't begin");
	}
	*w = (struct slow){ .s = ctx, .later = later, .args = json_deep_copy(args),
			    .ms = ms,
			    .fail = json_object_get(args, "fail") };
	w->s->slow++;
	assert_int_equal(pthread_create(&thread, NULL, slow_main, w), 0);
	pthread_detach(thread);
	return 0;
}

static const struct control_command commands[] = {
	{ "echo", "text:s ?n:i ?flag:b ?list:o", .fn = do_echo },
	{ "fail", "text:s", .fn = do_fail },
	{ "emit", "n:i", .fn = do_emit },
	{ "big", "size:i", .fn = do_big },
	{ "hang", "ms:i", .fn = do_hang },
	{ "count", NULL, .fn = do_count },
	{ "hold", NULL, .fn = do_hold },
	{ "end", NULL, .fn = do_end },
	{ "slow", "ms:i ?fail:s", .start = start_slow },
	{ 0 }
};

static void *serve(void *arg)
{
	struct server *s = arg;

	loop_run(s->loop);
	return NULL;
}

int server_setup(void **state)
{
	struct server *s = calloc(1, sizeof(*s));
	struct error err = { 0 };

	assert_non_null(s);
	signal(SIGPIPE, SIG_IGN);
	strcpy(s->dir, "/tmp/ferry-test.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/c.sock", s->dir);

	s->loop = loop_new(&err);
	assert_non_null(s->loop);
	s->control = control_open(s->loop, s->path, &err);
	if (!s->control)
		fail_msg("%s", err.text);
	control_add(s->control, commands, s);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	*state = s;
	return 0;
}

void server_stop(struct server *s)
{
	if (s->stopped)
		return;
	s->stopped = true;
	loop_stop(s->loop, 0);
	pthread_join(s->thread, NULL);
}

void server_close(struct server *s)
{
	server_stop(s);
	control_close(s->control);
	s->control = NULL;
}

int server_teardown(void **state)
{
	struct server *s = *state;

	server_close(s);
	while (s->slow)
		usleep(1000);
	loop_free(s->loop);
	unlink(s->path);
	rmdir(s->dir);
	free(s);
	return 0;
}

int raw_connect(const char *path)
{
	const struct timeval deadline = { .tv_sec = 10 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		fail_msg("cannot connect to %s: %s", path, strerror(errno));
	return fd;
}

void raw_send(int fd, const char *text)
{
	size_t left = strlen(text);
	ssize_t n;

	for (; left; text += n, left -= n) {
		n = send(fd, text, left, MSG_NOSIGNAL);
		if (n <= 0)
			fail_msg("cannot send: %s", strerror(errno));
	}
}

/* Length of the line at the start of the socket's input, or 0 at its end */
static size_t peek_line(int fd, char *buf, size_t size)
{
	ssize_t n = 0, before;
	char *end;

	do {
		before = n;
		n = recv(fd, buf, size, MSG_PEEK);
		if (n < 0 && errno != ECONNRESET)
			fail_msg("nothing to read: %s", strerror(errno));
		if (n <= 0)
			return 0;
		end = memchr(buf, '\n', n);
		/* Until more arrives, MSG_PEEK returns the same bytes */
		if (!end && n == before)
			usleep(1000);
	} while (!end && (size_t)n < size);
	assert_non_null(end);
	return end + 1 - buf;
}

json_t *raw_read(int fd)
{
	static char buf[128 * 1024];
	json_error_t why;
	json_t *value;
	size_t len = peek_line(fd, buf, sizeof(buf));

	if (!len)
		return NULL;
	assert_int_equal(recv(fd, buf, len, 0), len);
	value = json_loadb(buf, len, 0, &why);
	if (!value)
		fail_msg("no JSON: %s in %.*s", why.text, (int)len, buf);
	return value;
}

int raw_ready(const char *path)
{
	int fd = raw_connect(path);
	json_t *msg = raw_read(fd);

	assert_non_null(json_object_get(msg, "QMP"));
	json_decref(msg);
	raw_send(fd, "{\"execute\":\"qmp_capabilities\"}");
	msg = raw_read(fd);
	assert_non_null(json_object_get(msg, "return"));
	json_decref(msg);
	return fd;
}

const char *raw_error(int fd, const char *class)
{
	static char desc[1000];
	json_t *msg = raw_read(fd), *error;

	error = json_object_get(msg, "error");
	assert_non_null(error);
	assert_string_equal(json_string_value(json_object_get(error, "class")),
			    class);
	snprintf(desc, sizeof(desc), "%s",
		 json_string_value(json_object_get(error, "desc")));
	json_decref(msg);
	return desc;
}

json_int_t raw_number(json_t *msg, const char *outer, const char *inner)
{
	json_t *o = json_object_get(msg, outer);

	assert_non_null(json_object_get(o, inner));
	return json_integer_value(json_object_get(o, inner));
}

void raw_expect_id(int fd, json_int_t id)
{
	json_t *msg = raw_read(fd);

	assert_non_null(json_object_get(msg, "return"));
	assert_int_equal(json_integer_value(json_object_get(msg, "id")), id);
	json_decref(msg);
}

void raw_expect_alive(int fd)
{
	raw_send(fd, "{\"execute\":\"echo\",\"arguments\":{\"text\":\"hi\"},"
		 "\"id\":4711}\n");
	raw_expect_id(fd, 4711);
}
