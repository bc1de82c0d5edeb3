// SPDX-License-Identifier: MIT
/* command.c - What is typed on the console, and the reports */

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux.h"

static _Atomic uint64_t bad;

uint64_t bad_count(uint64_t n)
{
	return atomic_fetch_add(&bad, n) + n;
}

/* What Linux itself counts as lost: HardwareCorrupted in /proc/meminfo */
static unsigned long long corrupted_kib(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "HardwareCorrupted: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

void report(void)
{
	struct tally t = verify_tally();

	if (wants(WORK_CLOCK))
		clock_report();
	say("report t_us=%llu pages=%llu iterations=%llu bad=%llu lost=%llu corrupted_kib=%llu",
	    (unsigned long long)now_us(), (unsigned long long)t.pages,
	    (unsigned long long)t.passes, (unsigned long long)bad_count(0),
	    (unsigned long long)t.lost, corrupted_kib());
}

static void verdict(void)
{
	uint64_t n = bad_count(0);

	say("verdict bad=%llu lost=%llu corrupted_kib=%llu clean=%d",
	    (unsigned long long)n, (unsigned long long)verify_tally().lost,
	    corrupted_kib(), !n);
}

static void do_go(const char *arg)
{
	(void)arg;
	clock_mark();
	victim_go();
	verify_go();
}

static void do_touch(const char *arg)
{
	if (strcmp(arg, "all"))
		victim_touch(strtoull(arg, NULL, 0));
	else
		for (uint64_t n = 0; n < options.victims; n++)
			victim_touch(n);
}

static void do_kread(const char *arg)
{
	cache_read(strtoull(arg, NULL, 0));
}

static void do_hello(const char *arg)
{
	say("hello %s", arg);
}

static void do_mark(const char *arg)	{ (void)arg; clock_mark(); }
static void do_report(const char *arg)	{ (void)arg; report(); }
static void do_verdict(const char *arg)	{ (void)arg; verdict(); }
static void do_sweep(const char *arg)	{ (void)arg; verify_sweep(); }
static void do_where(const char *arg)	{ (void)arg; victim_where(); }
static void do_stop(const char *arg)	{ (void)arg; tool_stop(); }

static void do_exit(const char *arg)
{
	(void)arg;
	report();
	verdict();
	power_off();
}

static const struct {
	const char *name;
	void (*run)(const char *arg);
} commands[] = {
	{ "go", do_go }, { "mark", do_mark }, { "report", do_report },
	{ "verdict", do_verdict }, { "sweep", do_sweep },
	{ "touch", do_touch }, { "where", do_where }, { "kread", do_kread },
	{ "stop", do_stop }, { "hello", do_hello }, { "half", say_half },
	{ "rest", say_rest }, { "exit", do_exit },
};

void command_run(char *line)
{
	char *arg = line + strcspn(line, " ");

	if (*arg)
		*arg++ = '\0';
	if (!*line)
		return;
	for (unsigned i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(line, commands[i].name))
			continue;
		commands[i].run(arg);
		return;
	}
	say("error command=%s reason=unknown", line);
}
