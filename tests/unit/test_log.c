// SPDX-License-Identifier: MIT
/*
 * test_log.c - log_line() never blocks, and accounts for each line it drops
 *
 * Standard error is a pipe here, which the test reads or not. A process that
 * blocks in spite of that ends by SIGALRM.
 */

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "vmm/base/log.h"

#define LINES	20000
#define THREADS	4

/* Descriptors: the saved standard error, and the end of the pipe to read */
static int saved_fd, pipe_fd;

static void redirect(void)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	saved_fd = dup(STDERR_FILENO);
	assert_true(saved_fd >= 0 && dup2(fds[1], STDERR_FILENO) >= 0);
	close(fds[1]);
	pipe_fd = fds[0];
	alarm(60);
}

/* After this, the pipe has no writer any more, and reading it ends */
static void restore(void)
{
	dup2(saved_fd, STDERR_FILENO);
	close(saved_fd);
	alarm(0);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What a pipe held: lines in order, and how many were reported as dropped */
struct found {
	unsigned lines, dropped, reports;
	int last[THREADS];
};

static void parse_line(struct found *f, const char *line)
{
	unsigned thread, number;
	char more[64];

	if (sscanf(line, "ferry: %u messages dropped%63s",
		   &number, more) == 2) {
		f->dropped += number;
		f->reports++;
		return;
	}
	if (sscanf(line, "ferry: line %u %u", &thread, &number) != 2)
		fail_msg("unexpected line: %s", line);
	assert_true(thread < THREADS);
	assert_true((int)number > f->last[thread]);
	f->last[thread] = (int)number;
	f->lines++;
}

static void *read_pipe(void *arg)
{
	FILE *in = fdopen(pipe_fd, "r");
	struct found *f = arg;
	char line[800];

	assert_non_null(in);
	for (unsigned i = 0; i < THREADS; i++)
		f->last[i] = -1;
	while (fgets(line, sizeof(line), in))
		parse_line(f, line);
	fclose(in);
	return NULL;
}

static void lines_are_written_directly_at_first(void **state)
{
	struct found f = { 0 };

	(void)state;
	redirect();
	for (unsigned i = 0; i < 10; i++)
		log_line("line 0 %u", i);
	restore();
	read_pipe(&f);
	assert_int_equal(f.lines, 10);
}

static void a_full_pipe_blocks_no_caller(void **state)
{
	struct found f = { 0 };
	pthread_t reader;

	(void)state;
	redirect();
	alarm(20);		/* a caller that blocks does so for ever */
	assert_int_equal(log_start(), 0);
	for (unsigned i = 0; i < LINES; i++)
		log_line("line 0 %u", i);

	/* The pipe held some 64 KiB, and the queue LOG_QUEUE lines */
	pthread_create(&reader, NULL, read_pipe, &f);
	log_stop();
	restore();
	pthread_join(reader, NULL);
	assert_true(f.lines >= LOG_QUEUE);
	assert_true(f.dropped > 0 && f.reports >= 1);
	assert_int_equal(f.lines + f.dropped, LINES);
}

static void *log_many(void *arg)
{
	unsigned thread = *(unsigned *)arg;

	for (unsigned i = 0; i < LINES; i++)
		log_line("line %u %u", thread, i);
	return NULL;
}

static void lines_of_each_thread_keep_their_order(void **state)
{
	unsigned number[THREADS];
	pthread_t id[THREADS], reader;
	struct found f = { 0 };

	(void)state;
	redirect();
	assert_int_equal(log_start(), 0);
	pthread_create(&reader, NULL, read_pipe, &f);
	for (unsigned i = 0; i < THREADS; i++) {
		number[i] = i;
		pthread_create(&id[i], NULL, log_many, &number[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(id[i], NULL);
	log_stop();
	restore();
	pthread_join(reader, NULL);
	assert_int_equal(f.lines + f.dropped, THREADS * LINES);
}

static void all_lines_are_written_at_the_end(void **state)
{
	struct found f = { 0 };

	(void)state;
	redirect();
	assert_int_equal(log_start(), 0);
	for (unsigned i = 0; i < LOG_QUEUE; i++)
		log_line("line 0 %u", i);
	log_stop();
	restore();
	read_pipe(&f);
	assert_int_equal(f.lines, LOG_QUEUE);
	assert_int_equal(f.dropped, 0);
}

static bool is_stamp(const char *line)
{
	static const char like[] = "0000-00-00T00:00:00.000Z ";

	for (unsigned i = 0; like[i]; i++)
		if (like[i] == '0' ? line[i] < '0' || line[i] > '9'
				   : line[i] != like[i])
			return false;
	return true;
}

static void errors_are_named(void **state)
{
	char path[] = "/tmp/ferry-test.XXXXXX", line[200] = "";
	int fd = mkstemp(path);

	(void)state;
	redirect();
	assert_int_equal(log_open(NULL, path), 0);
	errno = EXDEV;
	log_line("failed: %m");
	assert_int_equal(errno, EXDEV);
	restore();
	close(pipe_fd);
	assert_true(read(fd, line, sizeof(line) - 1) > 25);
	assert_non_null(strstr(line, "failed: Invalid cross-device link\n"));
	close(fd);
	unlink(path);
}

static void messages_cut_no_line_of_the_guest(void **state)
{
	static const char want[] = "ferry: a\nhalf\nferry: b\nferry: c\n";
	char got[100] = "";

	(void)state;
	redirect();
	log_shared_output('x');		/* another terminal */
	log_share();
	log_shared_output('\n');
	log_line("a");
	assert_int_equal(write(STDERR_FILENO, "half", 4), 4);
	log_shared_output('f');
	log_line("b");
	log_line("c");
	restore();
	assert_int_equal(read(pipe_fd, got, sizeof(got) - 1),
			 sizeof(want) - 1);
	assert_string_equal(got, want);
	close(pipe_fd);
}

/* Standard error is not read: log_stop() gives it up for this process */
static void a_log_file_goes_on_when_stderr_is_full(void **state)
{
	char path[] = "/tmp/ferry-test.XXXXXX", line[800];
	int fd = mkstemp(path);
	unsigned n = 0;
	off_t size = 0;
	double start;
	FILE *in;

	(void)state;
	assert_true(fd >= 0);
	redirect();
	assert_int_equal(log_open(NULL, path), 0);
	assert_int_equal(log_start(), 0);
	/* Several times what the pipe holds, in portions for the file's queue */
	while (size < 640 * 1024) {
		for (unsigned i = 0; i < LOG_QUEUE / 2; i++, n++) {
			log_line("line 0 %u", n);
			size += snprintf(line, sizeof(line),
					 "2026-11-27T10:54:47.123Z "
					 "ferry: line 0 %u\n", n);
		}
		while (lseek(fd, 0, SEEK_END) < size)
			usleep(1000);
	}
	start = now_s();
	log_stop();
	/* The writer's clock has whole milliseconds */
	assert_true(now_s() - start >= LOG_FLUSH_MS / 1000.0 - 0.1);
	assert_true(now_s() - start < LOG_FLUSH_MS / 1000.0 + 20);
	log_line("line 0 %u", n);
	assert_true(lseek(fd, 0, SEEK_END) > size);
	restore();
	close(pipe_fd);
	close(fd);
	in = fopen(path, "r");
	assert_non_null(in);
	for (unsigned i = 0; i <= n; i++) {
		char want[60];

		snprintf(want, sizeof(want), "ferry: line 0 %u\n", i);
		assert_non_null(fgets(line, sizeof(line), in));
		assert_true(is_stamp(line));
		assert_string_equal(line + 25, want);
	}
	assert_null(fgets(line, sizeof(line), in));
	fclose(in);
	unlink(path);
}

static void a_child_process_writes_directly(void **state)
{
	struct found f = { 0 };
	int status;
	pid_t pid;

	(void)state;
	redirect();
	assert_int_equal(log_start(), 0);
	pid = fork();
	if (!pid) {
		for (unsigned i = 0; i < 10; i++)
			log_line("line 1 %u", i);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	log_line("line 0 0");
	log_stop();
	restore();
	read_pipe(&f);
	assert_int_equal(f.lines, 11);
}

static void errno_is_preserved(void **state)
{
	struct found f = { 0 };

	(void)state;
	redirect();
	assert_int_equal(log_start(), 0);
	errno = EXDEV;
	for (unsigned i = 0; i < 2 * LOG_QUEUE; i++)
		log_line("line 0 %u", i);
	assert_int_equal(errno, EXDEV);
	log_stop();
	restore();
	read_pipe(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_written_directly_at_first),
		cmocka_unit_test(a_full_pipe_blocks_no_caller),
		cmocka_unit_test(lines_of_each_thread_keep_their_order),
		cmocka_unit_test(all_lines_are_written_at_the_end),
		cmocka_unit_test(a_child_process_writes_directly),
		cmocka_unit_test(errno_is_preserved),
		/* The last: it leaves standard error unusable */
		cmocka_unit_test(errors_are_named),
		cmocka_unit_test(messages_cut_no_line_of_the_guest),
		cmocka_unit_test(a_log_file_goes_on_when_stderr_is_full),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
