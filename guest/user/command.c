// SPDX-License-Identifier: MIT
/*
 * command.c - Lines that come in on the serial port
 *
 * vCPU 0 looks for input every POLL_US, and sooner while a line is coming in.
 */
#include "work.h"

#define POLL_US		20000
#define POLL_SOON_US	500
#define INPUT_MAX	256

struct command {
	const char *name;
	/* Return: false when @rest makes no sense */
	bool (*run)(struct cpu *c, char *rest);
};

static uint64_t next_poll;
static char input[INPUT_MAX];
static uint32_t input_len;

static bool run_go(struct cpu *c, char *rest)
{
	(void)c;
	stall_mark();
	gap_start(tsc());
	__atomic_store_n(&work_go, 1, __ATOMIC_RELEASE);
	return !*rest;
}

static bool run_mark(struct cpu *c, char *rest)
{
	(void)c;
	stall_mark();
	gap_start(tsc());
	return !*rest;
}

/* Cut the first word off. Return: the rest */
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
	line_end(&c->line);
	return !*rest;
}

static bool run_exit(struct cpu *c, char *rest)
{
	(void)rest;
	work_finish(c);
}

static bool run_sweep(struct cpu *c, char *rest)
{
	(void)c;
	if (!work->sweepable)
		return false;
	__atomic_add_fetch(&sweep_wanted, 1, __ATOMIC_RELEASE);
	return !*rest;
}

static bool run_hello(struct cpu *c, char *rest)
{
	line_begin(&c->line, "hello ");
	line_text(&c->line, rest);
	line_end(&c->line);
	return true;
}

/* "panic": the host is to deal with it; "panic kdump": the guest would */
static bool run_panic(struct cpu *c, char *rest)
{
	bool kdump = text_equal(rest, "kdump");

	if (*rest && !kdump)
		return false;
	panic_ring(kdump ? PANIC_CRASH_LOADED : PANIC_PANICKED);
	line_begin(&c->line, "panicked");
	line_end(&c->line);
	return true;
}

/* "reset": by ACPI's register; "reset keyboard" */
static bool run_reset(struct cpu *c, char *rest)
{
	bool keyboard = text_equal(rest, "keyboard");

	if (*rest && !keyboard)
		return false;
	reset(keyboard);
	line_begin(&c->line, "error reset=ignored");
	line_end(&c->line);
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
	{ "sweep", run_sweep },
	{ "exit", run_exit },
	{ "hello", run_hello },
	{ "panic", run_panic },
	{ "reset", run_reset },
	{ "half", run_half },
	{ "rest", run_rest },
};

static void refuse(struct cpu *c, const char *name, const char *reason)
{
	line_begin(&c->line, "error");
	line_str(&c->line, "command", name);
	line_str(&c->line, "reason", reason);
	line_end(&c->line);
}

static void execute(struct cpu *c, char *text)
{
	char *rest = split_word(text);
	uint32_t i;

	if (!*text)
		return;
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (text_equal(text, commands[i].name)) {
			if (!commands[i].run(c, rest))
				refuse(c, text, "bad-argument");
			return;
		}
	refuse(c, text, "unknown");
}

static void take(struct cpu *c, char ch)
{
	if (ch == '\r')
		return;
	if (ch != '\n') {
		if (input_len < INPUT_MAX - 1)
			input[input_len++] = ch;
		return;
	}
	input[input_len] = 0;
	input_len = 0;
	execute(c, input);
	gap_skip(tsc());
}

/**
 * command_poll() - Take what input there is, if it is time to look
 * @c:		vCPU 0
 */
void command_poll(struct cpu *c)
{
	bool any = false;
	int ch;

	if ((int64_t)(tsc() - next_poll) < 0)
		return;
	while ((ch = console_getc()) >= 0) {
		any = true;
		take(c, ch);
	}
	next_poll = tsc() + clock_ticks(any || input_len ? POLL_SOON_US :
							   POLL_US);
}

/**
 * command_deadline() - When vCPU 0 must look again
 *
 * Return: TSC
 */
uint64_t command_deadline(void)
{
	return next_poll;
}
