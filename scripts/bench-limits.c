// SPDX-License-Identifier: MIT
/*
 * bench-limits: measure this machine's limits for postcopy migration
 *
 * One JSON object on stdout, lines for people on stderr, no files, loopback
 * only. All memory figures are in 10^9 bytes a second or ns per 4 KiB page;
 * medians, with the range over the runs. See bench-limits.h for the parts.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench-limits.h"

static const char usage[] =
"Usage: bench-limits [--runs N] [--quick]\n"
"\n"
"Measure what this machine allows at best: loopback TCP, the demand-fault\n"
"chain, userfaultfd operations, and reading a stream into pages.\n"
"One JSON object goes to stdout, readable lines to stderr.\n"
"\n"
"  --runs N   measure everything N times (1 to 64; default 5)\n"
"  --quick    smaller sizes and, without --runs, one run: a few seconds\n"
"  --help     this text\n"
"\n"
"Needs userfaultfd (root, or access to /dev/userfaultfd) and 2 GiB of\n"
"memory; /dev/kvm for the figures with a vCPU.\n";

static int parse_runs(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 1 || n > MAX_RUNS) {
		fprintf(stderr, "bench-limits: --runs %s: not a number from 1 "
			"to %d\n", text, MAX_RUNS);
		exit(2);
	}
	return n;
}

static void parse(struct bench *b, int argc, char **argv)
{
	static const struct option options[] = {
		{ "runs", required_argument, NULL, 'r' },
		{ "quick", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			exit(0);
		}
		if (opt == '?') {
			fputs(usage, stderr);
			exit(2);
		}
		if (opt == 'r')
			b->runs = parse_runs(optarg);
		if (opt == 'q')
			b->quick = true;
	}
	if (optind < argc) {
		fprintf(stderr, "bench-limits: what is \"%s\"?\n%s",
			argv[optind], usage);
		exit(2);
	}
	if (!b->runs)
		b->runs = b->quick ? 1 : 5;
}

/* Somebody else's work shows up in every figure: let it be seen here too */
static void look_for_others(void)
{
	double stolen, busy = cpu_use(&stolen);
	uint64_t t0 = now_ns();

	usleep(500000);
	busy = (cpu_use(&stolen) - busy) * 1e9 / (now_ns() - t0);
	json_figure("busy_cpus_before", busy);
	if (busy >= 0.1)
		json_say("busy_cpus_before", "%.2f CPUs work for others: "
			 "expect figures worse than the machine", busy);
}

/* What a host took away during the run: a reason to measure again */
static void look_at_host(double stolen_before, double seconds)
{
	double stolen;

	cpu_use(&stolen);
	stolen = (stolen - stolen_before) / seconds;
	json_figure("stolen_cpus", stolen);
	json_figure("seconds", seconds);
	json_say("stolen_cpus", "%.2f, in %.0f s", stolen, seconds);
}

static void describe(const struct bench *b)
{
	struct utsname u;

	if (uname(&u))
		die("uname failed");
	json_open("machine");
	json_string("kernel", u.release);
	json_number("cpus_used", b->ncpus);
	json_number("runs", b->runs);
	json_string("sizes", b->quick ? "quick" : "full");
	look_for_others();
	json_close();
}

int main(int argc, char **argv)
{
	struct bench b = {};
	uint64_t t0 = now_ns();
	double stolen;

	cpu_use(&stolen);
	parse(&b, argc, argv);
	find_cpus(&b);
	json_start();
	describe(&b);
	bench_loopback(&b);
	bench_chain(&b);
	bench_ioctls(&b);
	bench_pipeline(&b);
	look_at_host(stolen, (now_ns() - t0) / 1e9);
	json_print();
	return 0;
}
