// SPDX-License-Identifier: MIT
/*
 * native.c - A whole migration between two processes, without KVM
 *
 *	bench-native [--memory MIB] [--cpus N] [--rate N]
 *
 * The sessions, their threads, loopback TCP and userfaultfd are the real ones.
 * The machines are tests/fake's: a vCPU is a thread that touches RAM itself. So
 * it pays for a page fault, but for no exit to a VMM, and no device state is
 * moved. A vCPU checks one line of 64 bytes of a page and rewrites it, in a
 * permuted order over its share of the pages: as fast as it can, or --rate times
 * a second (all vCPUs together) with sleeps between.
 *
 * What the vCPUs experience is recorded in memory that both processes share,
 * by one clock. At the end every page is checked, and the sum of all rewrites
 * must be what the vCPUs have done: no write is lost on the way.
 *
 * Prints what was recorded as JSON, from which experience.py computes the figures;
 * exit status 1 if the guest is not whole.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "migration/session/source.h"
#include "migration/session/target.h"
#include "tests/fake/fake_machine.h"
#include "vmm/base/clock.h"
#include "vmm/machine/machine_run.h"

#define MS		1000000ull	/* ns */
#define LINE		8u		/* words of 8 bytes */
#define RECORD_MS	60000u
#define BASE_MS		300u		/* to measure the speed before */
#define AFTER_MS	100u
#define LIMIT_MS	(RECORD_MS - 1000)
#define STALL_NS	100000ull
#define STALLS		(64u * 8)	/* eighths of an octave of ns */

/**
 * struct seen - What one vCPU has experienced on both sides
 * @visits:	pages visited in each ms since the mark
 * @stalls:	visits that took STALL_NS or longer, by stall_index()
 * @done:	all visits
 * @last:	when the last visit on the source ended
 * @first:	when the first one at the destination ended
 * @at:		where in the order the vCPU is
 */
struct seen {
	_Atomic uint32_t visits[RECORD_MS];
	_Atomic uint32_t stalls[STALLS];
	_Atomic uint64_t done, last, first;
	uint64_t at;
};

/** struct side - What one process has measured */
struct side {
	_Atomic uint64_t begin, end;		/* of the migration, ns */
	_Atomic uint64_t cpu, vcpu_cpu;		/* during it, ns */
	_Atomic uint64_t demand, push, zero, requests, faults;
	_Atomic uint64_t duplicates;
	_Atomic bool failed;
};

/** struct shared - Memory of all three processes */
struct shared {
	struct seen seen[FAKE_VCPUS_MAX];
	struct side source, target;
	_Atomic uint64_t mark;
	_Atomic bool listening, over;
	_Atomic unsigned wrong;
};

static struct shared *shared;
static size_t pages;
static unsigned cpus = 1, rate, order_bits;
static bool is_target;
static _Atomic pid_t vcpu_tid[FAKE_VCPUS_MAX];

static void fail(const char *what)
{
	fprintf(stderr, "bench-native: %s\n", what);
	exit(1);
}

/* ---- The guest ---- */

/* Never 0 in its first byte, so that no page is taken for zeroes */
static uint64_t line_word(size_t page, uint64_t version, unsigned k)
{
	return ((page + 1) << 32 | (version & 0xffffff) << 8 | 1) *
	       (k * 0x9e3779b97f4a7c16ull | 1);
}

static void line_write(uint64_t *line, size_t page, uint64_t version)
{
	for (unsigned k = 0; k < LINE; k++)
		line[k] = line_word(page, version, k);
}

/* Return: how often the line was rewritten */
static uint64_t line_check(const uint64_t *line, size_t page)
{
	uint64_t version = line[0] >> 8 & 0xffffff;

	for (unsigned k = 0; k < LINE; k++)
		if (line[k] != line_word(page, version, k))
			shared->wrong++;
	return version;
}

/* Each page of a vCPU once, then again; a permutation of 2^order_bits */
static size_t next_page(struct seen *s, unsigned vcpu)
{
	const uint64_t mask = (1ull << order_bits) - 1;
	uint64_t i;

	do {
		s->at = (s->at * 0x5851f42d4c957f2d + 0x14057b7ef767814f) &
			mask;
		i = s->at ^ s->at >> (order_bits + 1) / 2;
	} while (i >= pages / cpus);
	return (size_t)i * cpus + vcpu;
}

static unsigned stall_index(uint64_t ns)
{
	unsigned octave = 63 - (unsigned)__builtin_clzll(ns);

	return octave * 8 + (unsigned)(ns >> (octave - 3) & 7);
}

static void record(struct seen *s, uint64_t from, uint64_t to)
{
	uint64_t ms = (to - shared->mark) / MS;

	if (ms < RECORD_MS)
		s->visits[ms]++;
	s->done++;
	if (is_target && !s->first)
		s->first = to;
	if (!is_target)
		s->last = to;
	if (to - from >= STALL_NS)
		s->stalls[stall_index(to - from)]++;
}

static void sleep_until(uint64_t *next)
{
	const uint64_t period = 1000000000ull * cpus / rate, now = now_ns();
	struct timespec t;

	*next = *next + period < now ? now : *next + period;
	t = (struct timespec){ .tv_sec = (time_t)(*next / 1000000000),
			       .tv_nsec = (long)(*next % 1000000000) };
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void step(void *ctx, struct machine *m, unsigned vcpu)
{
	struct seen *s = &shared->seen[vcpu];
	uint8_t *ram = machine_ram(m)->base;
	uint64_t now = now_ns(), next = now;

	(void)ctx;
	if (!vcpu_tid[vcpu])
		prctl(PR_SET_TIMERSLACK, 1000);
	vcpu_tid[vcpu] = gettid();
	while (fake_machine_is_open(m)) {
		size_t page = next_page(s, vcpu);
		uint64_t *line = (uint64_t *)(void *)(ram + page * WIRE_PAGE +
						      page % 64 * 64);
		uint64_t to, version = line_check(line, page);

		line_write(line, page, version + 1);
		to = now_ns();
		record(s, now, to);
		now = to;
		if (rate) {
			sleep_until(&next);
			now = now_ns();
			fake_machine_idle(m, vcpu, now - to);
		}
	}
}

static void fill(struct machine *m)
{
	uint8_t *ram = machine_ram(m)->base;

	for (size_t page = 0; page < pages; page++) {
		uint64_t *at = (uint64_t *)(void *)(ram + page * WIRE_PAGE);

		for (unsigned k = 0; k < WIRE_PAGE / 8; k += LINE)
			line_write(at + k, page, 0);
	}
}

/* Every line is right, and no rewrite is missing */
static bool is_whole(struct machine *m)
{
	uint8_t *ram = machine_ram(m)->base;
	uint64_t versions = 0, done = 0;

	for (size_t page = 0; page < pages; page++) {
		uint64_t *at = (uint64_t *)(void *)(ram + page * WIRE_PAGE);

		for (unsigned k = 0; k < WIRE_PAGE / 8; k += LINE)
			versions += line_check(at + k, page);
	}
	for (unsigned i = 0; i < cpus; i++)
		done += shared->seen[i].done;
	if (versions != done || shared->wrong)
		fprintf(stderr, "bench-native: %llu rewrites of %llu are there, %u words are wrong\n",
			(unsigned long long)versions, (unsigned long long)done,
			shared->wrong);
	return versions == done && !shared->wrong;
}

/* ---- The two processes ---- */

static struct machine *arrived;

static void adopt(void *ctx, struct machine *m)
{
	(void)ctx;
	arrived = m;
}

static void set_side(void *ctx, const char *side)
{
	(void)ctx;
	(void)side;
}

static void on_status(void *ctx, enum progress_status status)
{
	(void)ctx;
	(void)status;
}

/* Processor time of the process, ns; of its vCPU threads alone */
static uint64_t cpu_ns(bool vcpus)
{
	struct timespec t;
	uint64_t ns = 0;

	if (!vcpus) {
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
		return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	}
	for (unsigned i = 0; i < cpus; i++) {
		/* As pthread_getcpuclockid(3), by the thread's number */
		clockid_t clock = (clockid_t)(~(unsigned)vcpu_tid[i] << 3 | 6);

		if (!vcpu_tid[i] || clock_gettime(clock, &t))
			continue;
		ns += (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	}
	return ns;
}

static void side_begin(struct side *s)
{
	s->begin = now_ns();
	s->vcpu_cpu = cpu_ns(true);
	s->cpu = cpu_ns(false);
}

/* Wait for the end, and note what it has cost */
static void side_end(struct side *s, struct progress *p)
{
	enum progress_status status;

	while ((status = progress_get(p)) != PROGRESS_COMPLETED) {
		s->failed = shared->over || status == PROGRESS_FAILED ||
			    status == PROGRESS_PAUSED ||
			    now_ns() - s->begin > LIMIT_MS * MS;
		if (s->failed) {
			fprintf(stderr, "bench-native: %s\n",
				progress_why(p).text);
			return;
		}
		usleep(200);
	}
	s->end = now_ns();
	s->cpu = cpu_ns(false) - s->cpu;
	s->vcpu_cpu = cpu_ns(true) - s->vcpu_cpu;
	s->demand = p->stats.pages[COUNT_DEMAND];
	s->push = p->stats.pages[COUNT_PUSH];
	s->zero = p->stats.pages[COUNT_ZERO];
	s->requests = p->stats.requests;
	s->duplicates = p->stats.duplicates;
	s->faults = p->stats.demand.count;
}

static const struct session_env env = {
	.backing = -1, .adopt = adopt, .set_side = set_side,
};

static void run_target(const struct uri *u)
{
	struct session_limits limits;
	struct error err = { 0 };
	struct progress p;
	struct target *t;

	is_target = true;
	session_limits_init(&limits);
	progress_init(&p, on_status, NULL);
	t = target_new(u, &env, &limits, &p, &err);
	if (!t)
		fail(err.text);
	side_begin(&shared->target);
	shared->listening = true;
	side_end(&shared->target, &p);
	usleep(AFTER_MS * 1000);
	if (!shared->target.failed) {
		machine_halt(arrived);
		shared->target.failed = !is_whole(arrived);
	}
	shared->over = true;
}

static void run_source(const struct uri *u)
{
	static const struct machine_observer quiet;
	struct machine_config cfg;
	struct session_limits limits;
	struct error err = { 0 };
	struct progress p;
	struct machine *m;
	struct source *s;

	session_limits_init(&limits);
	progress_init(&p, on_status, NULL);
	fake_config(&cfg, pages * WIRE_PAGE, cpus, RAM_ANON);
	m = machine_new(&cfg, &quiet, &err);
	if (!m)
		fail(err.text);
	fill(m);
	while (!shared->listening)
		usleep(1000);
	shared->mark = now_ns();
	if (machine_run(m, WHY_BOOTED, &err))
		fail(err.text);
	usleep(BASE_MS * 1000);
	s = source_new(m, u, &env, &limits, &p, &err);
	if (!s)
		fail(err.text);
	s->connections = 2;
	side_begin(&shared->source);
	if (source_start(s, &err))
		fail(err.text);
	side_end(&shared->source, &p);
	/* The destination may wait for this side's connections to close */
	while (!shared->over)
		usleep(1000);
}

/* A port of loopback that is free now */
static struct uri free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct uri u = { .kind = URI_TCP, .host = "127.0.0.1" };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t n = sizeof(a);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) ||
	    getsockname(fd, (struct sockaddr *)&a, &n))
		fail("no port of loopback is free");
	close(fd);
	snprintf(u.port, sizeof(u.port), "%u", ntohs(a.sin_port));
	return u;
}

/* Return: the process; it ends by _exit(), when nothing uses it any more */
static pid_t start(void (*run)(const struct uri *), const struct uri *u)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork failed");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(u);
		fflush(NULL);
		_exit(0);
	}
	return pid;
}

/* ---- The figures ---- */

static uint64_t stall_value(unsigned i)
{
	return (8ull + i % 8) << (i / 8 - 3) | 1ull << (i / 8 - 3) >> 1;
}

static uint64_t stall_count(unsigned i)
{
	uint64_t n = 0;

	for (unsigned v = 0; v < cpus; v++)
		n += shared->seen[v].stalls[i];
	return n;
}

/* A figure that is missing must not look like one of 0 */
static void append_figure(json_t *list, json_t *value)
{
	if (json_array_append_new(list, value))
		fail("out of memory for the figures");
}

static json_t *stalls_json(void)
{
	json_t *list = json_array();

	for (unsigned i = 24; i < STALLS; i++)
		if (stall_count(i))
			append_figure(list, json_pack("[f, I]",
				(double)stall_value(i) / 1e3, stall_count(i)));
	return list;
}

static json_t *visits_json(uint64_t ms)
{
	json_t *list = json_array();

	for (uint64_t i = 0; i < ms && i < RECORD_MS; i++) {
		json_int_t n = 0;

		for (unsigned v = 0; v < cpus; v++)
			n += shared->seen[v].visits[i];
		append_figure(list, json_integer(n));
	}
	return list;
}

static void print_figures(void)
{
	const struct side *s = &shared->source, *t = &shared->target;
	const struct seen *first = &shared->seen[0];
	const uint64_t last = s->end > t->end ? s->end : t->end;
	const uint64_t begin_ms = (s->begin - shared->mark) / MS;
	const uint64_t end_ms = (last - shared->mark) / MS;
	json_t *result = json_pack(
		"{s:{s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}, "
		"s:I, s:I, s:o, s:o}", "figures",
		"blackout_ms", (double)(first->first - first->last) / 1e6,
		"total_ms", (double)(last - s->begin) / 1e6,
		"faults", t->faults, "pages_demand", s->demand,
		"pages_push", s->push, "pages_zero", s->zero,
		"duplicates", t->duplicates,
		"source_cpu_ms", (double)(s->cpu - s->vcpu_cpu) / 1e6,
		"target_cpu_ms", (double)(t->cpu - t->vcpu_cpu) / 1e6,
		"vcpu_cpu_ms", (double)(s->vcpu_cpu + t->vcpu_cpu) / 1e6,
		"begin", begin_ms, "end", end_ms,
		"visits", visits_json(end_ms + AFTER_MS - 10),
		"stalls", stalls_json());

	if (!result)
		fail("a figure is no number, or out of memory for the figures");
	if (json_dumpf(result, stdout, 0) || fflush(stdout))
		fail("cannot write the figures");
	json_decref(result);
}

/* An option's number, 1 to @max */
static unsigned number_of(const char *text, unsigned max)
{
	char *end;
	unsigned long n = text ? strtoul(text, &end, 10) : 0;

	if (!n || n > max || *end)
		fail("usage: bench-native [--memory MIB] [--cpus N] [--rate N]");
	return (unsigned)n;
}

static uint64_t parse(int argc, char **argv)
{
	unsigned mib = 256;

	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(argv[i], "--memory"))
			mib = number_of(value, 16384);
		else if (!strcmp(argv[i], "--cpus"))
			cpus = number_of(value, FAKE_VCPUS_MAX);
		else if (!strcmp(argv[i], "--rate"))
			rate = number_of(value, 1000000);
		else
			number_of(NULL, 0);
	}
	return (uint64_t)mib << 20;
}

int main(int argc, char **argv)
{
	const uint64_t bytes = parse(argc, argv);
	const struct uri u = free_port();
	pid_t pid[2];
	bool failed = false;

	pages = bytes / WIRE_PAGE;
	while (1ull << order_bits < pages / cpus)
		order_bits++;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (shared == MAP_FAILED)
		fail("out of memory");
	fake_host = (struct fake_host){ .step = step, .memory_max = bytes,
					.real_tids = true };
	pid[0] = start(run_target, &u);
	pid[1] = start(run_source, &u);
	for (unsigned i = 0; i < 2; i++) {
		int status;

		if (waitpid(pid[i], &status, 0) < 0 || status)
			failed = shared->over = true;
	}
	if (failed || shared->source.failed || shared->target.failed)
		fail("the migration failed");
	print_figures();
	return 0;
}
