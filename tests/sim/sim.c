// SPDX-License-Identifier: MIT
/*
 * sim.c - A whole migration in one process, from a seed
 *
 *	sim --seed N [--trace]	one run; the trace prints its last events
 *	sim --seeds A-B [--jobs J]	all of them, J processes at a time
 *	    --twice		each seed twice: both runs must be the same
 *	    --events N		events that are printed
 *	    --sweep		of each seed, each call fails once (sweep.h)
 *	    --fail SIDE:CALL:NTH:ERRNO	this call fails, and nothing else
 *
 * Both sides' sessions, links and page stores are the real ones. Threads are
 * coroutines (sched.h), the network and the clock are virtual (network.h), the
 * machine and the kernel's page tables are fakes (tests/fake/). plan.c decides
 * what the guest does and what goes wrong, run.c in what a run may end.
 *
 * A seed that fails is run again with its events recorded, which are printed.
 * Exit status 1 if a seed failed.
 */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "plan.h"
#include "run.h"
#include "sched.h"
#include "sweep.h"

#define TRACE_SHOWN	80
#define FAILURES_MAX	5	/* seeds that are printed */
#define JOBS_MAX	256
#define CHUNK		100	/* seeds that a process takes at a time */
#define SEED_SECONDS	20	/* of CPU: a thread that never yields */
#define SWEEP_SECONDS	900	/* of all runs of a sweep */

void *__real_mmap(void *at, size_t len, int prot, int flags, int fd,
		  off_t offset);

/* What the processes share: the seeds that are left, those that failed */
struct board {
	_Atomic uint64_t next;
	uint64_t last;
	_Atomic unsigned failures;
	_Atomic uint64_t runs;
	_Atomic uint64_t doing[JOBS_MAX];
};

static struct board *board;
static unsigned shown = TRACE_SHOWN;
static uint64_t current;
static bool twice, sweeps;

static void show_failure(uint64_t seed)
{
	printf("not ok seed %llu: %s\n", (unsigned long long)seed,
	       sim_failure() ? sim_failure() : "the process crashed");
	plan_print();
	printf("  ends: %s\n", run_summary());
	sim_print_trace(shown);
	fflush(stdout);
}

/* In a crash, what is known: the same seed gives the same events */
static void on_crash(int number)
{
	printf("not ok seed %llu: signal %d\n", (unsigned long long)current,
	       number);
	sim_print_trace(shown);
	fflush(stdout);
	_exit(1);
}

static void catch_crashes(void)
{
	static char stack[65536];
	const stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction a = { .sa_handler = on_crash,
			       .sa_flags = (int)SA_ONSTACK };

	sigaltstack(&alt, NULL);
	sigaction(SIGSEGV, &a, NULL);
	sigaction(SIGBUS, &a, NULL);
	sigaction(SIGABRT, &a, NULL);
	sigaction(SIGILL, &a, NULL);
	sigaction(SIGFPE, &a, NULL);
	sigaction(SIGVTALRM, &a, NULL);
}

/* Return: true if the seed keeps all rules */
static bool try_seed(uint64_t seed)
{
	const struct itimerval limit = {
		.it_value.tv_sec = sweeps ? SWEEP_SECONDS : SEED_SECONDS,
	};
	uint64_t digest;
	bool good;

	current = seed;
	setitimer(ITIMER_VIRTUAL, &limit, NULL);
	good = sweeps ? sweep_seed(seed) : run_seed(seed);
	board->runs += sweeps ? sweep_runs() : 1;
	if (!good || !twice)
		return good;
	digest = sched_digest();
	if (run_seed(seed) && digest != sched_digest())
		sim_fail("the second run of the seed differs from the first");
	return !sim_failed();
}

static bool try_and_show(uint64_t seed)
{
	if (try_seed(seed))
		return true;
	board->failures++;
	if (board->failures <= FAILURES_MAX) {
		sim_set_trace(true);
		try_seed(seed);
		show_failure(seed);
		sim_set_trace(false);
	}
	return false;
}

static int work(unsigned job)
{
	bool good = true;
	uint64_t from;

	while ((from = board->next), from <= board->last) {
		uint64_t to = from + CHUNK;

		if (!atomic_compare_exchange_strong(&board->next, &from, to))
			continue;
		for (; from < to && from <= board->last; from++) {
			board->doing[job] = from;
			good &= try_and_show(from);
		}
	}
	return !good;
}

/* A process that has crashed has said what it knows; show the events, too */
static void show_crash(uint64_t seed)
{
	pid_t pid;

	board->failures++;
	if (board->failures > FAILURES_MAX)
		return;
	fflush(stdout);
	pid = fork();
	if (pid) {
		waitpid(pid, NULL, 0);
		return;
	}
	sim_set_trace(true);
	try_seed(seed);
	show_failure(seed);
	_exit(1);
}

static pid_t start_job(unsigned job)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		int status = work(job);

		fflush(stdout);
		_exit(status ? 3 : 0);
	}
	return pid;
}

static void run_jobs(unsigned jobs)
{
	pid_t pid[JOBS_MAX];
	unsigned left = jobs;

	for (unsigned i = 0; i < jobs; i++)
		pid[i] = start_job(i);
	while (left) {
		int status = 0;
		pid_t ended = wait(&status);
		unsigned i = 0;

		while (i < jobs && pid[i] != ended)
			i++;
		if (i == jobs)
			continue;
		if (WIFEXITED(status) &&
		    (!WEXITSTATUS(status) || WEXITSTATUS(status) == 3)) {
			left--;
			continue;
		}
		/* It goes on with the next chunk of seeds */
		show_crash(board->doing[i]);
		pid[i] = start_job(i);
	}
}

static int run_many(uint64_t first, uint64_t last, unsigned jobs)
{
	const uint64_t n = last - first + 1;
	struct rusage u;

	board->next = first;
	board->last = last;
	if (jobs == 1 && n == 1)
		work(0);
	else
		run_jobs(jobs);
	getrusage(n == 1 ? RUSAGE_SELF : RUSAGE_CHILDREN, &u);
	printf("%s %llu seeds, %llu runs, %u failed, %ld.%02ld s of CPU\n",
	       board->failures ? "not ok" : "ok", (unsigned long long)n,
	       (unsigned long long)board->runs, board->failures, u.ru_utime.tv_sec + u.ru_stime.tv_sec,
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 10000 % 100);
	return board->failures != 0;
}

static int run_one(uint64_t seed, bool trace)
{
	bool good;

	sim_set_trace(trace);
	good = try_seed(seed);
	if (!trace && !good) {
		sim_set_trace(true);
		try_seed(seed);
	}
	if (!good) {
		show_failure(seed);
		return 1;
	}
	if (trace)
		plan_print();
	sim_print_trace(shown);
	printf("ok seed %llu: %s\n", (unsigned long long)seed, run_summary());
	return 0;
}

static int usage(const char *name)
{
	fprintf(stderr, "usage: %s [--seed N [--trace] | --seeds A-B [--jobs J]] [--twice] [--sweep] [--fail SIDE:CALL:NTH:ERRNO] [--events N]\n",
		name);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seeds", required_argument, NULL, 'S' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "events", required_argument, NULL, 'e' },
		{ "trace", no_argument, NULL, 't' },
		{ "twice", no_argument, NULL, '2' },
		{ "sweep", no_argument, NULL, 'w' },
		{ "fail", required_argument, NULL, 'f' },
		{ 0 }
	};
	unsigned long long first = 1, last = 1000;
	unsigned jobs = 1;
	bool one = false, trace = false;
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == 's' && sscanf(optarg, "%llu", &first) == 1)
			one = true;
		else if (c == 'S' &&
			 sscanf(optarg, "%llu-%llu", &first, &last) == 2)
			one = false;
		else if (c == 'j')
			jobs = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'e')
			shown = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 't')
			trace = true;
		else if (c == '2')
			twice = true;
		else if (c == 'w')
			sweeps = true;
		else if (c == 'f' && sweep_choose(optarg))
			continue;
		else
			return usage(argv[0]);
	}
	if (optind < argc || !jobs || jobs > JOBS_MAX ||
	    (!one && last < first))
		return usage(argv[0]);
	board = __real_mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memory_setup();
	catch_crashes();
	return one ? run_one(first, trace) : run_many(first, last, jobs);
}
