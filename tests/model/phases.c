// SPDX-License-Identifier: MIT
/*
 * phases.c - Prints the phase tables of migration/session/phase.c
 *
 *	phases promela		docs/model/phase.pml, for docs/model/ferry.pml
 *	phases markdown		the tables of docs/failure.md
 *
 * It is linked with phase.c itself, so what it prints cannot differ from what
 * Ferry executes. tests/model/generated.py compares the files in docs/ with it.
 */

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migration/session/phase.h"
#include "tests/model/phases.h"

const struct side source_side = {
	.name = "source", .upper = "SOURCE", .title = "source",
	.phases = SOURCE_PHASES,
	.step = source_step, .phase_name = source_phase_name,
	.may_run = source_may_run,
};

const struct side target_side = {
	.name = "target", .upper = "TARGET", .title = "destination",
	.phases = TARGET_PHASES,
	.step = target_step, .phase_name = target_phase_name,
	.may_run = target_may_run,
};

static const struct {
	unsigned bit;
	const char *name;
} actions[] = {
	{ PHASE_REJECT, "PHASE_REJECT" },
	{ PHASE_BLAME, "PHASE_BLAME" },
	{ PHASE_RELEASE, "PHASE_RELEASE" },
	{ PHASE_HANG_UP, "PHASE_HANG_UP" },
	{ PHASE_SHUT, "PHASE_SHUT" },
	{ PHASE_RESUME, "PHASE_RESUME" },
	{ PHASE_REFUSE, "PHASE_REFUSE" },
	{ PHASE_DISCARD, "PHASE_DISCARD" },
	{ PHASE_RUN, "PHASE_RUN" },
	{ PHASE_CLOSE, "PHASE_CLOSE" },
	{ PHASE_SHOW, "PHASE_SHOW" },
	{ PHASE_DOUBT, "PHASE_DOUBT" },
	{ PHASE_MANUAL, "PHASE_MANUAL" },
	{ PHASE_ENDED, "PHASE_ENDED" },
};

#define ACTIONS	(sizeof(actions) / sizeof(actions[0]))

/* The name as C and Promela spell it: "main-lost" is MAIN_LOST */
static void print_upper(const char *name)
{
	for (; *name; name++)
		putchar(isalnum((unsigned char)*name)
				? toupper((unsigned char)*name) : '_');
}

static void print_event(unsigned event)
{
	printf("%s", event < WIRE_MSG_TYPES ? "MSG_" : "EVENT_");
	print_upper(phase_event_name(event));
}

static void print_phase(const struct side *side, unsigned phase)
{
	printf("%s_", side->upper);
	print_upper(side->phase_name(phase));
}

static void print_actions(unsigned bits)
{
	const char *sep = "";

	for (size_t i = 0; i < ACTIONS; i++)
		if (bits & actions[i].bit) {
			printf("%s%s", sep, actions[i].name);
			sep = " | ";
			bits &= ~actions[i].bit;
		}
	if (bits) {
		fprintf(stderr, "phases: no name for action 0x%x\n", bits);
		exit(1);
	}
	if (!*sep)
		printf("0");
}

static bool steps_equal(struct phase_step a, struct phase_step b)
{
	return a.next == b.next && a.actions == b.actions;
}

/* How many events of a phase have the step of @event */
static unsigned count_alike(const struct side *side, unsigned phase,
			    unsigned event)
{
	struct phase_step s = side->step(phase, event);
	unsigned n = 0;

	for (unsigned e = 1; e < PHASE_EVENTS; e++)
		n += steps_equal(s, side->step(phase, e));
	return n;
}

/* The event whose step is the most frequent: it becomes "else" */
static unsigned find_usual(const struct side *side, unsigned phase)
{
	unsigned best = 1;

	for (unsigned e = 2; e < PHASE_EVENTS; e++)
		if (count_alike(side, phase, e) >
		    count_alike(side, phase, best))
			best = e;
	return best;
}

static bool step_came_before(const struct side *side, unsigned phase,
			     unsigned event)
{
	for (unsigned e = 1; e < event; e++)
		if (steps_equal(side->step(phase, e),
				side->step(phase, event)))
			return true;
	return false;
}

static void print_result(const struct side *side, unsigned phase,
			 unsigned event)
{
	struct phase_step s = side->step(phase, event);

	if (s.next != phase) {
		printf("%s = ", side->name);
		print_phase(side, s.next);
		printf("; ");
	}
	printf("did = ");
	print_actions(s.actions);
	printf("\n");
}

static void print_guard(const struct side *side, unsigned phase,
			unsigned event)
{
	const char *sep = "";

	printf("\t\t:: ");
	for (unsigned e = event; e < PHASE_EVENTS; e++)
		if (steps_equal(side->step(phase, e),
				side->step(phase, event))) {
			printf("%sevent == ", sep);
			print_event(e);
			sep = " ||\n\t\t   ";
		}
	printf(" ->\n\t\t\t");
}

static void print_row(const struct side *side, unsigned phase)
{
	unsigned usual = find_usual(side, phase);

	printf("\t:: %s == ", side->name);
	print_phase(side, phase);
	printf(" ->\n\t\tif\n");
	for (unsigned e = 1; e < PHASE_EVENTS; e++) {
		if (step_came_before(side, phase, e) ||
		    steps_equal(side->step(phase, e),
				side->step(phase, usual)))
			continue;
		print_guard(side, phase, e);
		print_result(side, phase, e);
	}
	printf("\t\t:: else ->\n\t\t\t");
	print_result(side, phase, usual);
	printf("\t\tfi\n");
}

static void print_predicate(const struct side *side)
{
	const char *sep = "";

	printf("\n#define %s_MAY_RUN(phase)	(", side->upper);
	for (unsigned p = 0; p < side->phases; p++)
		if (side->may_run(p)) {
			printf("%s\\\n\tphase == ", sep);
			print_phase(side, p);
			sep = " || ";
		}
	printf(")\n");
}

static void print_side(const struct side *side)
{
	printf("\n");
	for (unsigned p = 0; p < side->phases; p++) {
		printf("#define ");
		print_phase(side, p);
		printf("	%u\n", p);
	}
	print_predicate(side);
	printf("\ninline %s_table(event)\n{\n\tif\n", side->name);
	for (unsigned p = 0; p < side->phases; p++)
		print_row(side, p);
	printf("\tfi\n}\n");
}

static void print_promela(void)
{
	printf("/* SPDX-License-Identifier: MIT */\n"
	       "/*\n"
	       " * phase.pml - The tables of migration/session/phase.c\n"
	       " *\n"
	       " * Generated by tests/model/phases.c: \"make model-files\""
	       " writes it again.\n"
	       " */\n\n");
	for (size_t i = 0; i < ACTIONS; i++)
		printf("#define %s	%u\n", actions[i].name,
		       actions[i].bit);
	printf("\n");
	for (unsigned e = 1; e < PHASE_EVENTS; e++) {
		printf("#define ");
		print_event(e);
		printf("	%u\n", e);
	}
	print_side(&source_side);
	print_side(&target_side);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "promela")) {
		print_promela();
	} else if (argc == 2 && !strcmp(argv[1], "markdown")) {
		print_markdown();
	} else {
		fprintf(stderr, "usage: phases promela|markdown\n");
		return 2;
	}
	return fflush(stdout) ? 1 : 0;
}
