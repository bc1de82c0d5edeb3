// SPDX-License-Identifier: MIT
/*
 * test_control.c - Commands and answers on the control socket
 *
 * The server runs in a thread; the clients are plain sockets, so that the
 * tests can violate the protocol.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server.h"

#define GENERIC "GenericError"
#define NOT_FOUND "CommandNotFound"

static void greeting_suits_qemus_clients(void **state)
{
	struct server *s = *state;
	int fd = raw_connect(s->path);
	json_t *msg = raw_read(fd), *qmp, *version;

	qmp = json_object_get(msg, "QMP");
	version = json_object_get(qmp, "version");
	assert_true(json_is_array(json_object_get(qmp, "capabilities")));
	raw_number(version, "qemu", "major");
	raw_number(version, "qemu", "minor");
	raw_number(version, "qemu", "micro");
	assert_true(json_is_string(json_object_get(version, "package")));
	json_decref(msg);
	close(fd);
}

static void negotiation_comes_first(void **state)
{
	struct server *s = *state;
	int fd = raw_connect(s->path);

	json_decref(raw_read(fd));
	raw_send(fd, "{\"execute\":\"echo\",\"arguments\":{\"text\":\"\"}}");
	assert_non_null(strstr(raw_error(fd, NOT_FOUND), "qmp_capabilities"));
	raw_send(fd, "{\"execute\":\"qmp_capabilities\","
		 "\"arguments\":{\"enable\":[\"oob\"]}}");
	raw_error(fd, GENERIC);
	raw_send(fd, "{\"execute\":\"qmp_capabilities\",\"id\":1}");
	raw_expect_id(fd, 1);
	raw_send(fd, "{\"execute\":\"qmp_capabilities\"}");
	raw_error(fd, NOT_FOUND);
	raw_expect_alive(fd);
	close(fd);
}

static void ids_of_any_kind_come_back(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path);
	json_t *msg, *id;

	raw_send(fd, "{\"execute\":\"fail\",\"arguments\":{\"text\":\"x\"},"
		 "\"id\":{\"a\":[1,null]}}");
	msg = raw_read(fd);
	id = json_pack("{s:[i,n]}", "a", 1);
	assert_true(json_equal(json_object_get(msg, "id"), id));
	assert_non_null(json_object_get(msg, "error"));
	json_decref(id);
	json_decref(msg);
	close(fd);
}

static void bad_json_ends_no_connection(void **state)
{
	static const char *const bad[] = {
		"hello\n", "{\"execute\":}", "{\"execute\":\"echo\"\xff",
		"{\"a\":1,\"a\":2}", "}\n", "\xff\n", "{\"x\":\"\\u0000\"}",
		"{\"execute\":\"\xc3\"}", "[[[[\n\xff", "nul\n",
	};
	struct server *s = *state;
	int fd = raw_ready(s->path);
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		raw_send(fd, bad[i]);
		assert_non_null(strstr(raw_error(fd, GENERIC),
				       "invalid JSON"));
	}
	raw_expect_alive(fd);
	close(fd);
}

static void bad_commands_are_explained(void **state)
{
	static const struct {
		const char *text, *class, *word;
	} bad[] = {
		{ "[]", GENERIC, "must be an object" },
		{ "12\n", GENERIC, "must be an object" },
		{ "{}", GENERIC, "'execute'" },
		{ "{\"execute\":1}", GENERIC, "a string" },
		{ "{\"execute\":\"echo\",\"arguments\":[]}", GENERIC,
		  "'arguments' must be an object" },
		{ "{\"execute\":\"echo\",\"control\":{}}", GENERIC,
		  "unknown member 'control'" },
		{ "{\"execute\":\"launch\"}", NOT_FOUND, "'launch'" },
		{ "{\"execute\":\"echo\"}", GENERIC, "'text' is missing" },
		{ "{\"execute\":\"echo\",\"arguments\":{\"txt\":\"\"}}",
		  GENERIC, "unknown argument 'txt'" },
		{ "{\"execute\":\"echo\",\"arguments\":{\"text\":0}}",
		  GENERIC, "'text' must be a string" },
		{ "{\"execute\":\"fail\",\"arguments\":{\"text\":\"full\"}}",
		  GENERIC, "full" },
	};
	struct server *s = *state;
	int fd = raw_ready(s->path);
	const char *said;
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		raw_send(fd, bad[i].text);
		said = raw_error(fd, bad[i].class);
		if (!strstr(said, bad[i].word))
			fail_msg("%s: no '%s' in: %s", bad[i].text,
				 bad[i].word, said);
	}
	raw_expect_alive(fd);
	close(fd);
}

static void commands_may_come_all_at_once(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path), i;
	char all[40 * 100] = "", one[100];

	for (i = 0; i < 40; i++) {
		snprintf(one, sizeof(one), "{\"execute\":\"echo\",\"id\":%d,"
			 "\"arguments\":{\"text\":\"}{\"}}%s", i,
			 i % 2 ? "\r\n" : "");
		strcat(all, one);
	}
	raw_send(fd, all);
	for (i = 0; i < 40; i++)
		raw_expect_id(fd, i);
	close(fd);
}

static void commands_may_look_as_qemu_allows(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path);

	raw_send(fd, "{\n  'execute': 'echo',\n  'arguments': {\n    'text': "
		 "'it\\'s'\n  },\n  'id': 1\n}\n");
	raw_expect_id(fd, 1);
	raw_send(fd, "{\"execute\": [\"lost\xff{'execute':'echo','id':2,"
		 "'arguments':{'text':''}}");
	raw_error(fd, GENERIC);
	raw_expect_id(fd, 2);
	raw_expect_alive(fd);
	close(fd);
}

static void commands_may_come_in_bits(void **state)
{
	static const char text[] = "{\"execute\":\"echo\",\"id\":5,"
				   "\"arguments\":{\"text\":\"\\\"}\"}}";
	struct server *s = *state;
	int fd = raw_ready(s->path);
	char bit[2] = "";
	unsigned i;

	for (i = 0; i < sizeof(text) - 1; i++) {
		bit[0] = text[i];
		raw_send(fd, bit);
	}
	raw_expect_id(fd, 5);
	close(fd);
}

/* A command of exactly @len bytes; the last one is its brace */
static char *long_command(size_t len)
{
	static const char head[] = "{\"execute\":\"echo\",\"id\":6,"
				   "\"arguments\":{\"text\":\"";
	static const char tail[] = "\"}}";
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + len - (sizeof(tail) - 1), tail, sizeof(tail));
	return text;
}

static void the_longest_command_is_taken(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path);
	char *text = long_command(64 * 1024);

	raw_send(fd, text);
	raw_expect_id(fd, 6);
	free(text);
	close(fd);
}

static void a_longer_command_is_refused(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path), other = raw_ready(s->path);
	char *text = long_command(64 * 1024 + 1);

	raw_send(fd, text);
	assert_non_null(strstr(raw_error(fd, GENERIC), "64 KiB"));
	assert_null(raw_read(fd));
	raw_expect_alive(other);
	free(text);
	close(fd);
	close(other);
}

static void a_line_without_end_is_refused(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path);
	char *text = malloc(100 * 1024);

	assert_non_null(text);
	memset(text, '[', 100 * 1024 - 1);
	text[100 * 1024 - 1] = '\0';
	raw_send(fd, text);
	assert_non_null(strstr(raw_error(fd, GENERIC), "64 KiB"));
	assert_null(raw_read(fd));
	free(text);
	close(fd);
}

static void a_long_answer_is_no_backlog(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path);
	size_t len = 0, want = 6 * 1024 * 1024 + strlen("{\"return\":\"\"}\r\n");
	char buf[65536];
	ssize_t n;

	raw_send(fd, "{\"execute\":\"big\",\"arguments\":{\"size\":6291456}}");
	while (len < want) {
		n = recv(fd, buf, sizeof(buf), 0);
		assert_true(n > 0);
		len += n;
	}
	assert_int_equal(len, want);
	raw_expect_alive(fd);
	close(fd);
}

static void half_closed_clients_get_answers(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path);

	raw_send(fd, "{\"execute\":\"echo\",\"arguments\":{\"text\":\"\"},"
		 "\"id\":1}\n{\"execute\":\"echo\","
		 "\"arguments\":{\"text\":\"\"},\"id\":2}");
	shutdown(fd, SHUT_WR);
	raw_expect_id(fd, 1);
	raw_expect_id(fd, 2);
	assert_null(raw_read(fd));
	close(fd);
}

static void one_client_too_many_is_disconnected(void **state)
{
	struct server *s = *state;
	int fds[64], fd, i;

	for (i = 0; i < 64; i++)
		fds[i] = raw_ready(s->path);
	fd = raw_connect(s->path);
	assert_non_null(strstr(raw_error(fd, GENERIC),
			       "64 control clients are connected"));
	assert_null(raw_read(fd));
	close(fd);
	raw_expect_alive(fds[63]);
	for (i = 0; i < 64; i++)
		close(fds[i]);
}

static void built_in_queries_answer(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path);
	json_t *msg, *list, *name;
	unsigned i, found = 0;

	raw_send(fd, "{\"execute\":\"query-commands\"}");
	msg = raw_read(fd);
	list = json_object_get(msg, "return");
	for (i = 0; i < json_array_size(list); i++) {
		name = json_object_get(json_array_get(list, i), "name");
		found += !strcmp(json_string_value(name), "echo");
		found += !strcmp(json_string_value(name), "query-version");
		found += !strcmp(json_string_value(name), "slow");
	}
	assert_int_equal(found, 3);
	json_decref(msg);

	raw_send(fd, "{\"execute\":\"query-version\"}");
	msg = raw_read(fd);
	raw_number(json_object_get(msg, "return"), "qemu", "major");
	json_decref(msg);
	close(fd);
}

#define SLOW(ms, id)	"{\"execute\":\"slow\",\"arguments\":{\"ms\":" #ms \
			"},\"id\":" #id "}"
#define ECHO(id)	"{\"execute\":\"echo\",\"arguments\":{\"text\":\"\"}," \
			"\"id\":" #id "}"

static void late_answers_keep_the_order(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path), other = raw_ready(s->path);

	raw_send(fd, ECHO(1) SLOW(200, 2) ECHO(3) SLOW(1, 4) SLOW(0, 5)
		 ECHO(6));
	raw_expect_id(fd, 1);
	raw_expect_alive(other);	/* answered meanwhile */
	for (int id = 2; id <= 6; id++)
		raw_expect_id(fd, id);
	raw_expect_alive(fd);
	close(fd);
	close(other);
}

static void late_answers_may_be_errors(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path);

	raw_send(fd, "{\"execute\":\"slow\",\"arguments\":{\"ms\":1,"
		 "\"fail\":\"\"}}");
	assert_non_null(strstr(raw_error(fd, GENERIC), "slow failure"));
	raw_send(fd, "{\"execute\":\"slow\",\"arguments\":{\"ms\":-1}}");
	assert_non_null(strstr(raw_error(fd, GENERIC), "can't begin"));
	raw_send(fd, "{\"execute\":\"slow\"}");
	assert_non_null(strstr(raw_error(fd, GENERIC), "'ms' is missing"));
	raw_expect_alive(fd);
	close(fd);
}

static void half_closed_clients_get_late_answers(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path);

	raw_send(fd, SLOW(100, 1) ECHO(2) SLOW(50, 3));
	shutdown(fd, SHUT_WR);
	raw_expect_id(fd, 1);
	raw_expect_id(fd, 2);
	raw_expect_id(fd, 3);
	assert_null(raw_read(fd));
	close(fd);
}

static void a_client_that_is_owed_an_answer_may_disconnect(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path), other = raw_ready(s->path);

	raw_send(fd, SLOW(100, 1));
	close(fd);
	raw_send(other, SLOW(200, 2));
	raw_expect_id(other, 2);	/* the first was answered by then */
	/* And the server may end before the answer is given */
	raw_send(other, SLOW(2000, 3) ECHO(4));
	usleep(20000);
	server_close(s);
	assert_null(raw_read(other));
	close(other);
}

#define MANY	400
#define COUNT	"{\"execute\":\"count\"}"

/* Its many commands are in the server's buffer when the other one comes */
static void many_commands_keep_no_client_waiting(void **state)
{
	static char text[64 + MANY * sizeof(COUNT)];
	struct server *s = *state;
	int many = raw_ready(s->path), other = raw_ready(s->path);
	char *to = stpcpy(text, "{\"execute\":\"hold\"}");
	json_t *msg;

	for (unsigned i = 0; i < MANY; i++)
		to = stpcpy(to, COUNT);
	raw_send(many, text);
	while (!s->held)
		usleep(1000);
	raw_send(other, COUNT);
	/* The end of the connection waits for its turn, too */
	shutdown(many, SHUT_WR);
	s->held = false;
	msg = raw_read(other);
	assert_true(raw_number(msg, "return", "n") < MANY / 4);
	json_decref(msg);
	for (unsigned i = 0; i <= MANY; i++) {
		msg = raw_read(many);
		assert_non_null(json_object_get(msg, "return"));
		json_decref(msg);
	}
	assert_null(raw_read(many));
	close(many);
	close(other);
}

/* The module of a command may be freed already when the server ends */
static void commands_after_the_last_answer_are_dropped(void **state)
{
	struct server *s = *state;
	int fd = raw_ready(s->path);

	raw_send(fd, SLOW(1000, 1) ECHO(2));
	while (!s->slow)
		usleep(1000);
	server_stop(s);
	while (s->slow)
		usleep(1000);
	server_close(s);
	raw_expect_id(fd, 1);
	assert_null(raw_read(fd));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVER_TEST(greeting_suits_qemus_clients),
		SERVER_TEST(negotiation_comes_first),
		SERVER_TEST(ids_of_any_kind_come_back),
		SERVER_TEST(bad_json_ends_no_connection),
		SERVER_TEST(bad_commands_are_explained),
		SERVER_TEST(commands_may_come_all_at_once),
		SERVER_TEST(commands_may_come_in_bits),
		SERVER_TEST(commands_may_look_as_qemu_allows),
		SERVER_TEST(the_longest_command_is_taken),
		SERVER_TEST(a_longer_command_is_refused),
		SERVER_TEST(a_line_without_end_is_refused),
		SERVER_TEST(a_long_answer_is_no_backlog),
		SERVER_TEST(half_closed_clients_get_answers),
		SERVER_TEST(one_client_too_many_is_disconnected),
		SERVER_TEST(built_in_queries_answer),
		SERVER_TEST(late_answers_keep_the_order),
		SERVER_TEST(late_answers_may_be_errors),
		SERVER_TEST(half_closed_clients_get_late_answers),
		SERVER_TEST(a_client_that_is_owed_an_answer_may_disconnect),
		SERVER_TEST(many_commands_keep_no_client_waiting),
		SERVER_TEST(commands_after_the_last_answer_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
