// SPDX-License-Identifier: MIT
/* command.c - The commands that arrive on the console */

#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "clock.h"
#include "command.h"
#include "options.h"
#include "power.h"
#include "report.h"
#include "say.h"
#include "tool.h"
#include "verify.h"
#include "victim.h"

static void run_go(const char *arg)
{
	(void)arg;
	clock_mark();
	victim_go();
	verify_go();
}

static void run_touch(const char *arg)
{
	if (strcmp(arg, "all"))
		victim_touch(strtoull(arg, NULL, 0));
	else
		for (uint64_t n = 0; n < options.victims; n++)
			victim_touch(n);
}

static void run_kread(const char *arg)
{
	cache_read(strtoull(arg, NULL, 0));
}

static void run_hello(const char *arg)
{
	say("hello %s", arg);
}

static void run_mark(const char *arg)	{ (void)arg; clock_mark(); }
static void run_report(const char *arg)	{ (void)arg; report_print(); }
static void run_verdict(const char *arg)	{ (void)arg; report_verdict(); }
static void run_sweep(const char *arg)	{ (void)arg; verify_sweep(); }
static void run_where(const char *arg)	{ (void)arg; victim_print(); }
static void run_stop(const char *arg)	{ (void)arg; tool_stop(); }

static void run_exit(const char *arg)
{
	(void)arg;
	report_print();
	report_verdict();
	power_off();
}

static const struct {
	const char *name;
	void (*run)(const char *arg);
} commands[] = {
	{ "go", run_go }, { "mark", run_mark }, { "report", run_report },
	{ "verdict", run_verdict }, { "sweep", run_sweep },
	{ "touch", run_touch }, { "where", run_where }, { "kread", run_kread },
	{ "stop", run_stop }, { "hello", run_hello }, { "half", say_half },
	{ "rest", say_rest }, { "exit", run_exit },
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
