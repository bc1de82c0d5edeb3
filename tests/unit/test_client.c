// SPDX-License-Identifier: MIT
/* test_client.c - The QMP client, and the path of its socket */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "server.h"
#include "vmm/base/runtime.h"
#include "vmm/client/qmp_client.h"

static struct qmp_client *open_good(const char *path)
{
	struct error err = { 0 };
	struct qmp_client *q = qmp_open("src", path, QMP_TIMEOUT_MS, &err);

	if (!q)
		fail_msg("%s", err.text);
	return q;
}

static void open_bad(const char *path, int code, const char *word)
{
	struct error err = { 0 };

	/* A short deadline only where no answer comes: the test may run slowly */
	assert_null(qmp_open("src", path, code == ETIMEDOUT ? 100 : 10000,
			     &err));
	assert_int_equal(err.code, code);
	if (!strstr(err.text, word))
		fail_msg("no '%s' in: %s", word, err.text);
}

static void commands_return_values(void **state)
{
	struct server *s = *state;
	struct qmp_client *q = open_good(s->path);
	struct error err = { 0 };
	json_t *ret;

	assert_int_equal(qmp_execute(q, "echo", json_pack("{s:s}", "text", "x"),
				     &ret, &err), 0);
	assert_string_equal(json_string_value(json_object_get(ret, "text")),
			    "x");
	json_decref(ret);
	assert_int_equal(qmp_execute(q, "query-version", NULL, NULL, &err), 0);
	qmp_close(q);
}

static void refusals_have_codes(void **state)
{
	struct server *s = *state;
	struct qmp_client *q = open_good(s->path);
	struct error err = { 0 };
	json_t *ret;

	assert_int_equal(qmp_execute(q, "fail", json_pack("{s:s}", "text",
				     "disk full"), &ret, &err), -EREMOTEIO);
	assert_string_equal(err.text, "disk full");
	assert_null(ret);
	error_clear(&err);
	assert_int_equal(qmp_execute(q, "launch", NULL, &ret, &err), -ENOSYS);
	assert_non_null(strstr(err.text, "'launch'"));
	qmp_close(q);
}

static void long_answers_fit(void **state)
{
	struct server *s = *state;
	struct qmp_client *q = open_good(s->path);
	struct error err = { 0 };
	json_t *ret;

	assert_int_equal(qmp_execute(q, "big", json_pack("{s:i}", "size",
				     6000000), &ret, &err), 0);
	assert_int_equal(json_string_length(ret), 6000000);
	json_decref(ret);
	qmp_close(q);
}

static void events_wait_for_their_turn(void **state)
{
	struct server *s = *state;
	struct qmp_client *q = open_good(s->path);
	struct error err = { 0 };
	json_t *event;
	int i;

	for (i = 0; i < 20; i++)
		control_event(s->control, "TEST", json_pack("{s:i}", "n", i));
	assert_int_equal(qmp_execute(q, "query-version", NULL, NULL, &err), 0);
	for (i = 0; i < 20; i++) {
		assert_int_equal(qmp_next_event(q, 10000, &event, &err), 0);
		assert_int_equal(json_integer_value(json_object_get(
				 json_object_get(event, "data"), "n")), i);
		json_decref(event);
	}
	assert_int_equal(qmp_next_event(q, 10, &event, &err), -ETIMEDOUT);
	assert_null(event);
	assert_int_equal(err.code, 0);
	qmp_close(q);
}

static void a_descriptor_ends_the_wait(void **state)
{
	struct server *s = *state;
	struct qmp_client *q = open_good(s->path);
	int fd = eventfd(1, EFD_CLOEXEC);
	struct error err = { 0 };
	json_t *event;

	qmp_watch(q, fd);
	assert_int_equal(qmp_next_event(q, -1, &event, &err), -EINTR);
	assert_int_equal(err.code, 0);
	/* Commands are not affected */
	assert_int_equal(qmp_execute(q, "query-version", NULL, NULL, &err), 0);
	qmp_close(q);
	close(fd);
}

/* A late answer is not taken for the answer to the next command */
static void late_answers_are_dropped(void **state)
{
	struct server *s = *state;
	struct error err = { 0 };
	struct qmp_client *q = open_good(s->path);
	json_t *ret = NULL;
	int rc, i;

	qmp_timeout(q, 300);
	assert_int_equal(qmp_execute(q, "hang", json_pack("{s:i}", "ms", 3000),
				     NULL, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "machine 'src' did not answer"));
	for (i = 0, rc = -1; rc && i < 100; i++)
		rc = qmp_execute(q, "echo", json_pack("{s:s}", "text", "x"),
				 &ret, NULL);
	assert_non_null(json_object_get(ret, "text"));
	json_decref(ret);
	qmp_close(q);
}

static void the_end_is_noticed(void **state)
{
	struct server *s = *state;
	struct qmp_client *q = open_good(s->path);
	struct error err = { 0 };
	json_t *event;

	assert_int_equal(qmp_execute(q, "end", NULL, NULL, &err), 0);
	server_close(s);
	assert_int_equal(qmp_next_event(q, 10000, &event, &err), -ECONNRESET);
	assert_non_null(strstr(err.text, "machine 'src' ended"));
	error_clear(&err);
	assert_int_equal(qmp_execute(q, "echo", NULL, NULL, &err),
			 -ECONNRESET);
	qmp_close(q);
	open_bad(s->path, ENOENT, "machine 'src' is not running here");
}

/* A server that answers each connection with a text, or not at all */
static int listen_at(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

struct impostor {
	pthread_t id;
	int fd;
	const char *says;
};

static void *impersonate(void *arg)
{
	struct impostor *im = arg;
	int fd = accept(im->fd, NULL, NULL);
	char drop;

	raw_send(fd, im->says);
	shutdown(fd, SHUT_WR);
	while (recv(fd, &drop, 1, 0) > 0)
		;
	close(fd);
	return NULL;
}

static void expect_impostor(const char *path, const char *says, int code,
			    const char *word)
{
	struct impostor im = { .fd = listen_at(path), .says = says };

	pthread_create(&im.id, NULL, impersonate, &im);
	open_bad(path, code, word);
	pthread_join(im.id, NULL);
	close(im.fd);
	unlink(path);
}

static void impostors_are_detected(void **state)
{
	struct server *s = *state;
	char path[80];

	snprintf(path, sizeof(path), "%s/i.sock", s->dir);
	expect_impostor(path, "SSH-2.0-x\r\n", EPROTO, "is this a ferry?");
	expect_impostor(path, "{}\n", EPROTO, "is this a ferry?");
	expect_impostor(path, "[1]\n", EPROTO, "is this a ferry?");
	expect_impostor(path, "", ECONNRESET, "ended the connection");
	expect_impostor(path, "{\"QMP\":{}}\n{\"x\":1}\n", EPROTO,
			"is this a ferry?");
}

static void silence_times_out(void **state)
{
	struct server *s = *state;
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "%s/i.sock", s->dir);
	fd = listen_at(path);
	open_bad(path, ETIMEDOUT, "did not answer");
	close(fd);
	open_bad(path, ECONNREFUSED, "is not running any more");
	unlink(path);
}

/* Sends events until the client closes, and answers nothing */
static void *chatter(void *arg)
{
	static const char event[] = "{\"event\":\"E\",\"data\":{}}\n";
	struct impostor *im = arg;
	int fd = accept(im->fd, NULL, NULL);

	while (send(fd, event, strlen(event), MSG_NOSIGNAL) > 0)
		usleep(10000);
	close(fd);
	return NULL;
}

/* The limit is of the answer, whatever else comes meanwhile */
static void events_do_not_delay_the_time_out(void **state)
{
	struct server *s = *state;
	struct impostor im;
	char path[80];

	snprintf(path, sizeof(path), "%s/i.sock", s->dir);
	im = (struct impostor){ .fd = listen_at(path) };
	pthread_create(&im.id, NULL, chatter, &im);
	open_bad(path, ETIMEDOUT, "did not answer");
	pthread_join(im.id, NULL);
	close(im.fd);
	unlink(path);
}

static void names_have_sockets(void **state)
{
	char path[RUNTIME_PATH_MAX], want[RUNTIME_PATH_MAX];
	struct server *s = *state;
	struct error err = { 0 };

	setenv("XDG_RUNTIME_DIR", s->dir, 1);
	assert_int_equal(runtime_path("src", path, sizeof(path), &err), 0);
	snprintf(want, sizeof(want), "%s/ferry/src.sock", s->dir);
	assert_string_equal(path, want);
	assert_int_equal(runtime_console(want, path, 10, &err),
			 -ENAMETOOLONG);
	assert_int_equal(runtime_console("/r/a.sock", path, sizeof(path),
					 &err), 0);
	assert_string_equal(path, "/r/a.console");
	assert_int_equal(runtime_console("sock", path, sizeof(path), &err), 0);
	assert_string_equal(path, "sock.console");
	error_clear(&err);
	assert_int_equal(runtime_path("a/b", path, sizeof(path), &err),
			 -EINVAL);

	error_clear(&err);
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	assert_int_equal(runtime_path("src", path, sizeof(path), &err),
			 -EINVAL);
	error_clear(&err);
	setenv("XDG_RUNTIME_DIR", "/a/path/that/goes/on/and/on/until/it/is/"
	       "longer/than/any/address/of/a/unix/socket/may/ever/be/and/more",
	       1);
	assert_int_equal(runtime_path("src", path, sizeof(path), &err),
			 -ENAMETOOLONG);

	error_clear(&err);
	unsetenv("XDG_RUNTIME_DIR");
	if (geteuid()) {
		assert_int_equal(runtime_dir(path, sizeof(path), &err),
				 -ENOENT);
		return;
	}
	assert_int_equal(runtime_path("src", path, sizeof(path), &err), 0);
	assert_string_equal(path, "/run/ferry/src.sock");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVER_TEST(commands_return_values),
		SERVER_TEST(refusals_have_codes),
		SERVER_TEST(long_answers_fit),
		SERVER_TEST(events_wait_for_their_turn),
		SERVER_TEST(a_descriptor_ends_the_wait),
		SERVER_TEST(late_answers_are_dropped),
		SERVER_TEST(the_end_is_noticed),
		SERVER_TEST(impostors_are_detected),
		SERVER_TEST(silence_times_out),
		SERVER_TEST(events_do_not_delay_the_time_out),
		SERVER_TEST(names_have_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
