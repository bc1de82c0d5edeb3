// SPDX-License-Identifier: MIT
/* test_web_console.c - The connection of `ferry web` to a console socket */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "unit.h"

#include "vmm/web/web_console.h"

#define DESCRIPTORS	256

/**
 * struct fixture - A console socket, and what it has received
 * @dir, @path:	of the socket
 * @fd:		it
 * @base:	of the console
 * @text:	output so far
 */
struct fixture {
	char dir[32], path[64];
	int fd;
	struct event_base *base;
	char text[64];
};

static int set_up(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct fixture *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	strcpy(x->dir, "/tmp/web-console-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	snprintf(x->path, sizeof(x->path), "%s/console", x->dir);
	strcpy(sa.sun_path, x->path);
	x->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(x->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(x->fd, 1), 0);
	x->base = event_base_new();
	assert_non_null(x->base);
	*state = x;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *x = *state;

	event_base_free(x->base);
	close(x->fd);
	unlink(x->path);
	rmdir(x->dir);
	free(x);
	return 0;
}

static void on_text(void *ctx, const char *text)
{
	struct fixture *x = ctx;

	strncat(x->text, text, sizeof(x->text) - strlen(x->text) - 1);
	event_base_loopbreak(x->base);
}

static void output_and_input_pass(void **state)
{
	struct fixture *x = *state;
	struct web_console *c = web_console_open(x->base, x->path, on_text, x);
	char typed[8] = "";
	int fd;

	assert_non_null(c);
	fd = accept4(x->fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "ready\n", 6), 6);
	assert_int_equal(web_console_type(c, "ls\n", 3), 0);
	event_base_dispatch(x->base);
	assert_string_equal(x->text, "ready\n");
	assert_int_equal(read(fd, typed, sizeof(typed)), 3);
	assert_string_equal(typed, "ls\n");
	web_console_close(c);
	close(fd);
}

/* Those of the test itself: what it was started with, and its library's */
static void note_descriptors(bool *known)
{
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		known[fd] = fcntl(fd, F_GETFD) >= 0;
}

/* The machines of the demonstration must not inherit it */
static void programs_do_not_inherit_it(void **state)
{
	struct fixture *x = *state;
	bool known[DESCRIPTORS];
	struct web_console *c;
	unsigned opened = 0;

	note_descriptors(known);
	c = web_console_open(x->base, x->path, on_text, x);
	assert_non_null(c);
	for (int fd = 0; fd < DESCRIPTORS; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags < 0 || known[fd])
			continue;
		assert_true(flags & FD_CLOEXEC);
		opened++;
	}
	assert_int_equal(opened, 1);
	web_console_close(c);
	event_base_loop(x->base, EVLOOP_NONBLOCK);	/* libevent closes it */
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		assert_int_equal(fcntl(fd, F_GETFD) >= 0, known[fd]);
}

static void no_socket_is_no_console(void **state)
{
	struct fixture *x = *state;
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_null(web_console_open(x->base, path, on_text, x));
	assert_int_equal(web_console_type(NULL, "x", 1), -ENOTCONN);
	web_console_close(NULL);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(output_and_input_pass),
		WITH(programs_do_not_inherit_it),
		WITH(no_socket_is_no_console),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
