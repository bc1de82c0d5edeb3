// SPDX-License-Identifier: MIT
/*
 * command.c - The commands that arrive on the serial port
 */
#include "../board.h"
#include "../console.h"
#include "clock.h"
#include "command.h"
#include "gap.h"
#include "input.h"
#include "loop.h"
#include "record.h"
#include "report.h"
#include "special.h"
#include "stall.h"

struct command {
	const char *name;
	/* Return: false when @rest is not a valid argument */
	bool (*run)(struct cpu *c, char *rest);
};

static bool run_mark(struct cpu *c, char *rest)
{
	(void)c;
	stall_mark();
	gap_start(tsc());
	return !*rest;
}

static bool run_go(struct cpu *c, char *rest)
{
	bool ok = run_mark(c, rest);

	loop_go();
	return ok;
}

/* Terminate the first word. Return: the rest */
static char *split_word(char *s)
{
	while (*s && *s != ' ')
		s++;
	if (*s)
		*s++ = 0;
	while (*s == ' ')
		s++;
	return s;
}

static bool run_expect(struct cpu *c, char *rest)
{
	char *second = split_word(rest);
	uint64_t gpa, count;

	(void)c;
	if (!text_number(rest, &gpa) || gpa % PAGE_SIZE ||
	    !text_number(second, &count))
		return false;
	for (; count; count--, gpa += PAGE_SIZE)
		if (!special_set(gpa, PAGE_EXPECTED))
			return false;
	return true;
}

static bool run_verdict(struct cpu *c, char *rest)
{
	report_verdict(c);
	return !*rest;
}

static bool run_report(struct cpu *c, char *rest)
{
	report_print(c);
	return !*rest;
}

static bool run_stalls(struct cpu *c, char *rest)
{
	line_begin(&c->line, "stalls");
	stall_fine(&c->line);
	console_print(&c->line);
	return !*rest;
}

/* The second line says when the first one was out: the host saw that moment */
static bool run_record(struct cpu *c, char *rest)
{
	line_begin(&c->line, "record");
	line_hex(&c->line, "gpa", (uint64_t)&record);
	line_dec(&c->line, "size", sizeof(record));
	console_print(&c->line);
	line_begin(&c->line, "recorded");
	line_dec(&c->line, "t_us", record_now_us());
	console_print(&c->line);
	return !*rest;
}

static bool run_exit(struct cpu *c, char *rest)
{
	(void)rest;
	report_finish(c);
}

static bool run_sweep(struct cpu *c, char *rest)
{
	(void)c;
	return loop_sweep() && !*rest;
}

static bool run_hello(struct cpu *c, char *rest)
{
	line_begin(&c->line, "hello ");
	line_text(&c->line, rest);
	console_print(&c->line);
	return true;
}

/* "panic": the host handles it; "panic kdump": the guest would */
static bool run_panic(struct cpu *c, char *rest)
{
	bool kdump = text_equal(rest, "kdump");

	if (*rest && !kdump)
		return false;
	board_panic(kdump ? PANIC_CRASH_LOADED : PANIC_PANICKED);
	line_begin(&c->line, "panicked");
	console_print(&c->line);
	return true;
}

/* "reset": by ACPI's register; "reset keyboard": by the controller */
static bool run_reset(struct cpu *c, char *rest)
{
	bool keyboard = text_equal(rest, "keyboard");

	if (*rest && !keyboard)
		return false;
	board_reset(keyboard ? RESET_KEYBOARD : RESET_ACPI);
	line_begin(&c->line, "error reset=ignored");
	console_print(&c->line);
	return true;
}

static bool run_half(struct cpu *c, char *rest)
{
	(void)c;
	console_half(rest);
	return true;
}

static bool run_rest(struct cpu *c, char *rest)
{
	(void)c;
	console_rest(rest);
	return true;
}

static const struct command commands[] = {
	{ "go", run_go },
	{ "mark", run_mark },
	{ "expect", run_expect },
	{ "verdict", run_verdict },
	{ "report", run_report },
	{ "stalls", run_stalls },
	{ "record", run_record },
	{ "sweep", run_sweep },
	{ "exit", run_exit },
	{ "hello", run_hello },
	{ "panic", run_panic },
	{ "reset", run_reset },
	{ "half", run_half },
	{ "rest", run_rest },
};

static void command_error(struct cpu *c, const char *name, const char *reason)
{
	line_begin(&c->line, "error");
	line_str(&c->line, "command", name);
	line_str(&c->line, "reason", reason);
	console_print(&c->line);
}

static void command_run(struct cpu *c, char *text)
{
	char *rest = split_word(text);
	uint32_t i;

	if (!*text)
		return;
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (text_equal(text, commands[i].name)) {
			if (!commands[i].run(c, rest))
				command_error(c, text, "bad-argument");
			return;
		}
	command_error(c, text, "unknown");
}

void command_poll(struct cpu *c)
{
	char *text;

	while ((text = input_line())) {
		command_run(c, text);
		gap_skip(tsc());
	}
}
