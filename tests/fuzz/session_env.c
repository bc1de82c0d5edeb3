// SPDX-License-Identifier: MIT
/* session_env.c - The process around a session that is fuzzed */

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "session_env.h"
#include "tests/fake/fake_ram.h"
#include "vmm/base/log.h"

#define SETTLE_STEPS	20
#define SETTLE_US	250
#define VCPU_US		200	/* between two accesses */
#define END_MS		1	/* for a vCPU that waits for a page */

/* Of the linker's --wrap */
void __wrap_log_line(const char *fmt, ...);
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags);
int __wrap_close(int fd);
int __real_close(int fd);

/* What a line is made of must be readable. It is printed with FUZZ_LOG=1 */
void __wrap_log_line(const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (getenv("FUZZ_LOG"))
		fprintf(stderr, "%s\n", text);
}

/* The same in each run: an input contains the id of the session */
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags)
{
	(void)flags;
	memset(to, 'f', n);
	return (ssize_t)n;
}

int __wrap_close(int fd)
{
	fake_ram_closed(fd);
	return __real_close(fd);
}

static void ignore_status(void *ctx, enum progress_status status)
{
	(void)ctx;
	(void)status;
}

static void ignore_machine(void *ctx, struct machine *m)
{
	(void)ctx;
	(void)m;
}

static void ignore_side(void *ctx, const char *side)
{
	(void)ctx;
	(void)side;
}

static void note_gate(void *ctx, struct machine *m, bool open)
{
	struct session_fuzz *f = ctx;

	(void)m;
	f->opened += open;
}

static int lowest_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static unsigned thread_count(void)
{
	struct stat st;

	CHECK(!stat("/proc/self/task", &st));
	return (unsigned)st.st_nlink;
}

void session_fuzz_touch(struct machine *m, unsigned vcpu, size_t page,
			bool write)
{
	struct fake_access a = {
		.page = page % (machine_ram(m)->size / WIRE_PAGE),
		.write = write, .tid = machine_vcpu_tid(m, vcpu),
	};

	fake_machine_block(m, vcpu, true);
	fake_ram_access(machine_ram(m), &a);
	fake_machine_block(m, vcpu, false);
	usleep(VCPU_US);
}

void session_fuzz_init(struct session_fuzz *f)
{
	struct session_limits *l = &f->limits;

	memset(f, 0, sizeof(*f));
	f->fds = lowest_fd();
	f->threads = thread_count();
	f->env = (struct session_env){
		.ctx = f, .backing = -1, .adopt = ignore_machine,
		.set_side = ignore_side,
	};
	session_limits_init(l);
	l->connect_ms = l->hello_ms = l->build_ms = l->silence_ms =
		l->answer_ms = 2000;
	l->last_pages_ms = 20;
	progress_init(&f->progress, ignore_status, NULL);
	fake_reset();
	fake_host.ctx = f;
	fake_host.gate = note_gate;
	fake_host.end_ms = END_MS;
}

void session_fuzz_settle(struct session_fuzz *f)
{
	for (unsigned i = 0; i < SETTLE_STEPS; i++) {
		enum progress_status s = progress_get(&f->progress);

		if (progress_ended(s) || s == PROGRESS_PAUSED)
			return;
		usleep(SETTLE_US);
	}
}

void session_fuzz_fini(struct session_fuzz *f)
{
	CHECK(lowest_fd() == f->fds);
	/* A thread that was joined may still be listed for a moment */
	for (unsigned i = 0; i < 1000 && thread_count() != f->threads; i++)
		usleep(1000);
	CHECK(thread_count() == f->threads);
	pthread_mutex_destroy(&f->progress.lock);
}
