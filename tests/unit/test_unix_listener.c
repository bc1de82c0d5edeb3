// SPDX-License-Identifier: MIT
/* test_unix_listener.c - Accepting clients, also without free descriptors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "server.h"
#include "vmm/base/unix_listener.h"
#include "vmm/base/loop.h"

struct setup {
	char dir[40], path[80];
	struct loop *loop;
	struct unix_listener listener;
	pthread_t thread;
	atomic_uint let_in;
};

static void let_in(void *ctx, int fd)
{
	struct setup *t = ctx;

	t->let_in++;
	assert_int_equal(write(fd, "\n", 1), 1);
	close(fd);
}

static void *run(void *arg)
{
	struct setup *t = arg;

	loop_run(t->loop);
	return NULL;
}

static void begin(struct setup *t)
{
	struct error err = { 0 };

	memset(t, 0, sizeof(*t));
	strcpy(t->dir, "/tmp/ferry-test.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof(t->path), "%s/s", t->dir);
	t->loop = loop_new(&err);
	assert_non_null(t->loop);
	assert_int_equal(unix_listener_open(&t->listener, t->loop, t->path,
					       let_in, t, &err), 0);
	assert_int_equal(pthread_create(&t->thread, NULL, run, t), 0);
}

static void end(struct setup *t)
{
	loop_stop(t->loop, 0);
	pthread_join(t->thread, NULL);
	unix_listener_close(&t->listener);
	assert_int_equal(access(t->path, F_OK), -1);
	unix_listener_close(&t->listener);
	loop_free(t->loop);
	rmdir(t->dir);
}

/* Without a free descriptor, each accept(2) fails at once */
static void without_descriptors_it_pauses(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct rlimit before, none;
	struct setup t;
	clock_t cpu;
	char c;
	int fd;

	(void)state;
	begin(&t);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	strcpy(sa.sun_path, t.path);
	none = (struct rlimit){ 3, before.rlim_max };
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO,
		   &(struct timeval){ .tv_sec = 10 }, sizeof(struct timeval));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	cpu = clock();
	usleep(400000);
	cpu = clock() - cpu;
	assert_int_equal(t.let_in, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(cpu < CLOCKS_PER_SEC / 10);
	/* Then it accepts again; if not, this read ends after 10 s */
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(t.let_in, 1);
	close(fd);
	end(&t);
}

static void many_clients_are_accepted(void **state)
{
	struct setup t;

	(void)state;
	begin(&t);
	for (unsigned i = 0; i < 20; i++) {
		int fd = raw_connect(t.path);
		char c;

		assert_int_equal(read(fd, &c, 1), 1);
		assert_int_equal(read(fd, &c, 1), 0);
		close(fd);
	}
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_descriptors_it_pauses),
		cmocka_unit_test(many_clients_are_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
