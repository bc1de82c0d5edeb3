/* SPDX-License-Identifier: MIT */
/*
 * server.h - A control socket in a thread, for tests
 *
 * Its commands: "echo" returns its arguments (text:s ?n:i ?flag:b ?list:o),
 * "fail" fails with its text:s, "emit" sends event TEST with its n:i before
 * it answers, "big" returns a string of size:i bytes, "hang" keeps the main
 * thread busy for ms:i, "hold" until @held is false again, "count" returns as n
 * how often it ran before, "end" stops the loop. "slow" is answered by another
 * thread after ms:i, with its arguments, or with an error if it has a fail:s;
 * it can't begin with ms < 0.
 */
#ifndef FERRY_TESTS_SERVER_H
#define FERRY_TESTS_SERVER_H

#include <pthread.h>
#include <stdbool.h>

#include "vmm/base/loop.h"
#include "vmm/control/control.h"

#define SERVER_PATH_MAX 100

struct server {
	char dir[40];
	char path[SERVER_PATH_MAX];
	struct loop *loop;
	struct control *control;
	pthread_t thread;
	bool stopped;
	_Atomic unsigned slow;		/* threads that owe an answer */
	_Atomic unsigned count;
	_Atomic bool held;
};

/* cmocka fixtures: *state is a struct server that listens on @path */
int server_setup(void **state);
int server_teardown(void **state);

/* Stop the loop, and join its thread */
void server_stop(struct server *s);

/* Stop the loop, and close the control from this thread */
void server_close(struct server *s);

/* Connected socket with a deadline of 10 s for each read and write */
int raw_connect(const char *path);

/* Write a text, without a newline after it */
void raw_send(int fd, const char *text);

/*
 * Next line as JSON, or NULL at the end of the connection. Bytes after the line
 * stay in the socket.
 */
json_t *raw_read(int fd);

/* Connect, check the greeting, and negotiate */
int raw_ready(const char *path);

/* Text of the error in an answer, freed at the next call; fails if none */
const char *raw_error(int fd, const char *class);

/* msg[outer][inner], which must be there */
json_int_t raw_number(json_t *msg, const char *outer, const char *inner);

/* The next message must be an answer without error, with this id */
void raw_expect_id(int fd, json_int_t id);

/* The connection must work, and have no unread input */
void raw_expect_alive(int fd);

#define SERVER_TEST(f)                                                       \
	cmocka_unit_test_setup_teardown(f, server_setup, server_teardown)

#endif /* FERRY_TESTS_SERVER_H */
