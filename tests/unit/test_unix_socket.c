// SPDX-License-Identifier: MIT
/*
 * test_unix_socket.c - Opening a control socket where a file exists
 *
 * No thread runs the loop, because no client here needs an answer.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server.h"
#include "vmm/base/unix_socket.h"

/* A path in a directory that does not exist yet */
struct opening {
	char dir[40], path[80];
	struct loop *loop;
	struct error err;
};

static int opening_setup(void **state)
{
	struct opening *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	strcpy(o->dir, "/tmp/ferry-test.XXXXXX");
	assert_non_null(mkdtemp(o->dir));
	snprintf(o->path, sizeof(o->path), "%s/sub/c.sock", o->dir);
	o->loop = loop_new(&o->err);
	*state = o;
	return o->loop ? 0 : -1;
}

static int opening_teardown(void **state)
{
	struct opening *o = *state;

	loop_free(o->loop);
	unlink(o->path);
	*strrchr(o->path, '/') = '\0';
	rmdir(o->path);
	rmdir(o->dir);
	free(o);
	return 0;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void only_the_owner_has_access(void **state)
{
	struct opening *o = *state;
	struct control *c;
	char sub[80];

	umask(0);
	c = control_open(o->loop, o->path, &o->err);
	assert_non_null(c);
	snprintf(sub, sizeof(sub), "%s/sub", o->dir);
	assert_int_equal(mode_of(sub), 0700);
	assert_int_equal(mode_of(o->path), 0600);
	control_close(c);
	assert_int_equal(access(o->path, F_OK), -1);
}

static void a_stale_socket_is_replaced(void **state)
{
	struct opening *o = *state;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct control *c;
	int fd;

	/* Create the directory first */
	control_close(control_open(o->loop, o->path, &o->err));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", o->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);

	c = control_open(o->loop, o->path, &o->err);
	if (!c)
		fail_msg("%s", o->err.text);
	close(raw_connect(o->path));
	control_close(c);
}

static void a_live_socket_is_refused(void **state)
{
	struct opening *o = *state;
	struct control *c = control_open(o->loop, o->path, &o->err);

	assert_non_null(c);
	assert_null(control_open(o->loop, o->path, &o->err));
	assert_int_equal(o->err.code, EADDRINUSE);
	assert_non_null(strstr(o->err.text, "in use"));
	close(raw_connect(o->path));
	control_close(c);
}

static void another_file_is_not_replaced(void **state)
{
	struct opening *o = *state;
	int fd;

	control_close(control_open(o->loop, o->path, &o->err));
	fd = open(o->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_null(control_open(o->loop, o->path, &o->err));
	assert_int_equal(o->err.code, EEXIST);
	assert_int_equal(access(o->path, F_OK), 0);
}

static void anothers_socket_is_not_removed(void **state)
{
	struct opening *o = *state;
	struct control *old = control_open(o->loop, o->path, &o->err), *new;

	assert_non_null(old);
	unlink(o->path);
	new = control_open(o->loop, o->path, &o->err);
	assert_non_null(new);
	control_close(old);
	assert_int_equal(access(o->path, F_OK), 0);
	control_close(new);
}

/* The lock of a path: only a process that can open its file can hold it */
static int lock_file(const struct opening *o, char *name, size_t size)
{
	snprintf(name, size, "%s.lock", o->path);
	return open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static void a_locked_directory_is_no_obstacle(void **state)
{
	struct opening *o = *state;
	char sub[80], name[100];
	struct control *c;
	int fd;

	control_close(control_open(o->loop, o->path, &o->err));
	snprintf(sub, sizeof(sub), "%s/sub", o->dir);
	fd = open(sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	c = control_open(o->loop, o->path, &o->err);
	if (!c)
		fail_msg("%s", o->err.text);
	close(fd);

	/* No file remains, also where a killed process has left one */
	close(lock_file(o, name, sizeof(name)));
	control_close(c);
	c = control_open(o->loop, o->path, &o->err);
	assert_non_null(c);
	assert_int_equal(access(name, F_OK), -1);
	control_close(c);
}

static void a_lock_is_waited_for(void **state)
{
	struct opening *o = *state;
	char name[100];
	int fd;

	control_close(control_open(o->loop, o->path, &o->err));
	fd = lock_file(o, name, sizeof(name));
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_null(control_open(o->loop, o->path, &o->err));
	assert_int_equal(o->err.code, EAGAIN);
	assert_non_null(strstr(o->err.text, name));
	close(fd);
	unlink(name);
}

static void anothers_lock_is_refused(void **state)
{
	struct opening *o = *state;
	char name[100];

	if (geteuid())
		skip();
	control_close(control_open(o->loop, o->path, &o->err));
	close(lock_file(o, name, sizeof(name)));
	assert_int_equal(chown(name, 65534, 65534), 0);
	assert_null(control_open(o->loop, o->path, &o->err));
	assert_int_equal(o->err.code, EPERM);
	unlink(name);
	error_clear(&o->err);
	assert_int_equal(symlink("/dev/null", name), 0);
	assert_null(control_open(o->loop, o->path, &o->err));
	assert_int_equal(o->err.code, ELOOP);
	unlink(name);
}

#define RIVALS	8
#define ROUNDS	10

/* Starts when @start is closed, and keeps the socket until @done is closed */
static void rival(const char *path, int start, int result, int done)
{
	struct unix_socket s;
	char c;

	if (read(start, &c, 1))
		_exit(1);
	c = unix_socket_open(&s, path, NULL) ? 'n' : 'y';
	if (write(result, &c, 1) != 1 || read(done, &c, 1))
		_exit(1);
	_exit(0);
}

/* Several processes replace one stale socket: one of them gets its name */
static void one_of_many_gets_the_name(void **state)
{
	struct opening *o = *state;
	int start[2], result[2], done[2], status;
	char c;

	control_close(control_open(o->loop, o->path, &o->err));
	for (int round = 0; round < ROUNDS; round++) {
		int won = 0;

		assert_int_equal(pipe(start) | pipe(result) | pipe(done), 0);
		for (int i = 0; i < RIVALS; i++) {
			if (fork())
				continue;
			close(start[1]);
			close(done[1]);
			rival(o->path, start[0], result[1], done[0]);
		}
		close(start[1]);
		for (int i = 0; i < RIVALS; i++) {
			assert_int_equal(read(result[0], &c, 1), 1);
			won += c == 'y';
		}
		close(done[1]);
		for (int i = 0; i < RIVALS; i++)
			assert_true(wait(&status) > 0 && !status);
		assert_int_equal(won, 1);
		close(start[0]);
		close(result[0]);
		close(result[1]);
		close(done[0]);
	}
}

static void bad_paths_are_refused(void **state)
{
	struct opening *o = *state;
	char path[300];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_null(control_open(o->loop, path, &o->err));
	assert_int_equal(o->err.code, ENAMETOOLONG);

	/* Only the last component is created */
	error_clear(&o->err);
	snprintf(path, sizeof(path), "%s/a/b/c.sock", o->dir);
	assert_null(control_open(o->loop, path, &o->err));
	assert_int_equal(o->err.code, ENOENT);
	assert_null(control_open(o->loop, "", NULL));
}

#define OPENING_TEST(f)                                                      \
	cmocka_unit_test_setup_teardown(f, opening_setup, opening_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPENING_TEST(only_the_owner_has_access),
		OPENING_TEST(a_stale_socket_is_replaced),
		OPENING_TEST(a_live_socket_is_refused),
		OPENING_TEST(another_file_is_not_replaced),
		OPENING_TEST(anothers_socket_is_not_removed),
		OPENING_TEST(a_locked_directory_is_no_obstacle),
		OPENING_TEST(a_lock_is_waited_for),
		OPENING_TEST(anothers_lock_is_refused),
		OPENING_TEST(one_of_many_gets_the_name),
		OPENING_TEST(bad_paths_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
