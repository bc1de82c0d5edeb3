// SPDX-License-Identifier: MIT
/*
 * test_outfile.c - An output file is on the disk before it has its name
 *
 * fsync() and rename() of this program replace the C library's, and
 * record the order of the calls.
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/base/outfile.h"

/* Calls so far: f fsync of a file, d of a directory, r rename */
static char calls[16];
static char failing;		/* the call that fails with EIO */

static int record(char call)
{
	size_t n = strlen(calls);

	if (n + 1 < sizeof(calls))
		calls[n] = call;
	errno = EIO;
	return call == failing ? -1 : 0;
}

int fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return record(S_ISDIR(st.st_mode) ? 'd' : 'f');
}

int rename(const char *from, const char *to)
{
	if (record('r'))
		return -1;
	return (int)syscall(SYS_rename, from, to);
}

struct output {
	char dir[40], path[60];
	struct outfile file;
	struct error err;
};

static int output_setup(void **state)
{
	struct output *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	memset(calls, 0, sizeof(calls));
	failing = 0;
	strcpy(o->dir, "/tmp/ferry-test.XXXXXX");
	assert_non_null(mkdtemp(o->dir));
	snprintf(o->path, sizeof(o->path), "%s/out", o->dir);
	*state = o;
	return 0;
}

static int output_teardown(void **state)
{
	struct output *o = *state;

	unlink(o->path);
	assert_int_equal(rmdir(o->dir), 0);	/* no temporary file remains */
	free(o);
	return 0;
}

static void write_file(struct output *o, const char *text)
{
	assert_int_equal(outfile_open(&o->file, o->path, &o->err), 0);
	assert_int_equal(outfile_write(&o->file, text, strlen(text), 0,
				       &o->err), 0);
}

static void assert_contents(const struct output *o, const char *text)
{
	char buf[16] = { 0 };
	int fd = open(o->path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, buf, sizeof(buf) - 1) >= 0);
	close(fd);
	assert_string_equal(buf, text);
}

static void contents_before_name_before_success(void **state)
{
	struct output *o = *state;

	write_file(o, "one");
	assert_int_equal(outfile_keep(&o->file, &o->err), 0);
	assert_string_equal(calls, "frd");
	assert_contents(o, "one");
}

static void a_failing_disk_keeps_the_previous_file(void **state)
{
	struct output *o = *state;

	write_file(o, "one");
	assert_int_equal(outfile_keep(&o->file, &o->err), 0);
	for (const char *c = "fr"; *c; c++) {
		write_file(o, "two");
		failing = *c;
		assert_int_equal(outfile_keep(&o->file, &o->err), -EIO);
		assert_non_null(strstr(o->err.text, o->path));
		assert_contents(o, "one");
		error_clear(&o->err);
	}
}

static void a_name_that_may_be_lost_is_no_success(void **state)
{
	struct output *o = *state;

	write_file(o, "one");
	failing = 'd';
	assert_int_equal(outfile_keep(&o->file, &o->err), -EIO);
	assert_non_null(strstr(o->err.text, "directory"));
	assert_contents(o, "one");
}

static void a_dropped_file_leaves_nothing(void **state)
{
	struct output *o = *state;

	write_file(o, "one");
	outfile_drop(&o->file);
	assert_int_equal(access(o->path, F_OK), -1);
	assert_string_equal(calls, "");
}

#define OUTPUT_TEST(f) \
	cmocka_unit_test_setup_teardown(f, output_setup, output_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OUTPUT_TEST(contents_before_name_before_success),
		OUTPUT_TEST(a_failing_disk_keeps_the_previous_file),
		OUTPUT_TEST(a_name_that_may_be_lost_is_no_success),
		OUTPUT_TEST(a_dropped_file_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
