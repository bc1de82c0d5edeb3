// SPDX-License-Identifier: MIT
/*
 * failure.c - The tables of docs/failure.md
 *
 * What an event leads to is looked up in the phase tables. What that means to
 * an operator is written here, once for each phase.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/phases.h"

/**
 * struct moment - What a phase means to an operator
 * @when:	what happens in it
 * @guest:	what the guest does
 * @shown:	word of query-migrate's status
 * @retried:	what the session does by itself; NULL: it does not rest here
 * @operator:	what the operator does; NULL likewise
 */
struct moment {
	const char *when, *guest, *shown, *retried, *operator;
};

/* A phase in which no session rests */
#define PASSING(w, g, s)	{ .when = (w), .guest = (g), .shown = (s) }

#define HERE	"runs here"
#define THERE	"runs on the destination"
#define PAUSED	"is paused"
#define AWAITS	"is here, and does not run"
#define NOTHING	"nothing"
#define RECOVERS	"postcopy-recover-setup, after REPORT postcopy-recover"
#define REJOINS		"postcopy-recover"

static const struct moment source_moments[] = {
	[SOURCE_SETUP] = PASSING(
		"the destination is prepared, and precopy passes are sent", HERE,
		"setup, during precopy passes active"),
	[SOURCE_HANDOVER] = PASSING("the state is sent", PAUSED, "device"),
	[SOURCE_PREPARED] = PASSING("PREPARED has arrived", PAUSED, "device"),
	[SOURCE_COMMITTED] = PASSING("COMMIT is sent, RUNNING is awaited",
		"may run on the destination", "device"),
	[SOURCE_COMMITTED_CUT] = PASSING(
		"the same, and another connection than main was lost",
		"may run on the destination", "device"),
	[SOURCE_POSTCOPY] = PASSING("pages are sent", THERE, "postcopy-active"),
	[SOURCE_FINISHING] = PASSING("all pages were sent, COMPLETE is awaited",
		THERE, "postcopy-active"),
	[SOURCE_COMPLETED] = { "the destination has every page", THERE,
		"completed", NOTHING, "`ferry quit` ends this process" },
	[SOURCE_DOUBT] = { "the link was lost before RUNNING arrived",
		"may run on the destination, and does not run here",
		"postcopy-paused",
		"the source opens a new link; the destination's answer ends the doubt",
		"repairs the network, or names another address: `ferry migrate N URI --resume`. If the destination is gone for good: `ferry resolve`, below" },
	[SOURCE_LOST] = { "the link was lost after RUNNING",
		"runs on the destination until it touches a missing page",
		"postcopy-paused",
		"the source opens a new link and sends what the destination lacks",
		"as in `doubt`. The guest can't run here any more: `ferry resolve N --give-up` frees its memory" },
	[SOURCE_REDIAL_DOUBT] = PASSING("a new link is opened, from `doubt`",
		"may run on the destination, and does not run here",
		RECOVERS),
	[SOURCE_REDIAL] = PASSING("a new link is opened, from `lost`",
		"runs on the destination until it touches a missing page",
		RECOVERS),
	[SOURCE_ABANDONED] = { "an operator has given the guest up here",
		"never runs here again", "failed", NOTHING,
		"`ferry quit` ends this process" },
	[SOURCE_FAILING] = PASSING("the guest is about to be resumed", PAUSED,
		"device"),
	[SOURCE_CANCELLING] = PASSING("the same, after a cancel", PAUSED,
		"device"),
	[SOURCE_FAILED] = { "the migration has failed", HERE, "failed",
		"REFUSE, until the destination has received it",
		"removes the cause that `ferry status` names, and migrates again" },
	[SOURCE_CANCELLED] = { "the migration was cancelled", HERE,
		"cancelled", "REFUSE, until the destination has received it",
		NOTHING },
	[SOURCE_ENDED] = { "the process ends", "never runs here again", "–",
		NOTHING, NOTHING },
};

static const struct moment target_moments[] = {
	[TARGET_LISTENING] = { "no source is connected", "is not here",
		"none, or that of the last attempt", "the listener stays",
		"starts a migration on the source" },
	[TARGET_SETUP] = PASSING(
		"the machine is built, and precopy passes arrive",
		"runs on the source", "setup, during precopy passes active"),
	[TARGET_HANDOVER] = PASSING("the state is received",
		"is paused on the source", "device"),
	[TARGET_LOADING] = PASSING("the state is loaded",
		"is paused on the source", "device"),
	[TARGET_PREPARED] = PASSING("PREPARED is sent, COMMIT is awaited",
		AWAITS, "device"),
	[TARGET_PREPARED_CUT] = PASSING(
		"the same, and another connection than main was lost",
		AWAITS, "device"),
	[TARGET_POSTCOPY] = PASSING("pages arrive", HERE, "postcopy-active"),
	[TARGET_WHOLE] = PASSING("every page is here, CONFIRMED is awaited",
		HERE, "postcopy-active"),
	[TARGET_COMPLETED] = { "the guest is complete", HERE, "completed",
		NOTHING, NOTHING },
	[TARGET_DOUBT] = { "the link was lost before COMMIT or REFUSE arrived",
		AWAITS, "postcopy-paused",
		"the listener waits for the source, which decides",
		"repairs the network, or listens elsewhere: `ferry recover N URI`. If the source is gone for good: `ferry resolve`, below" },
	[TARGET_LOST] = { "the link was lost after COMMIT",
		"runs here until it touches a missing page",
		"postcopy-paused", "the listener waits for the source",
		"repairs the network, or listens elsewhere: `ferry recover N URI`. If the source is gone for good, the missing pages are, too: `ferry quit N`" },
	[TARGET_REJOIN_DOUBT] = PASSING(
		"the source has opened a new link, from `doubt`",
		AWAITS, REJOINS),
	[TARGET_REJOIN] = PASSING(
		"the source has opened a new link, from `lost`",
		"runs here until it touches a missing page",
		REJOINS),
	[TARGET_UNCONFIRMED] = {
		"every page is here, and the link was lost before CONFIRMED arrived",
		HERE, "completed",
		"the listener tells a source that asks, for `ferry-confirm-timeout`",
		"nothing, or listens elsewhere: `ferry recover N URI`" },
	[TARGET_FAILING] = PASSING("what has arrived is about to be discarded",
		"is not here", "failed"),
	[TARGET_QUITTING] = PASSING("the process is about to end", "ends", "–"),
	[TARGET_ENDED] = { "the process ends", "is gone", "–", NOTHING,
		NOTHING },
};

static_assert(sizeof(source_moments) / sizeof(source_moments[0]) ==
	      SOURCE_PHASES, "a phase without a text");
static_assert(sizeof(target_moments) / sizeof(target_moments[0]) ==
	      TARGET_PHASES, "a phase without a text");

/* A column of a table: events that no phase tells apart */
struct column {
	const char *title;
	unsigned event, same;
};

static const struct column failures[] = {
	{ "main connection lost", EVENT_MAIN_LOST, 0 },
	{ "demand connection lost", EVENT_DEMAND_LOST, 0 },
	{ "a push connection lost, others are left", EVENT_PUSH_LOST, 0 },
	{ "last push connection lost", EVENT_PUSHES_LOST, 0 },
	{ "a wait too long, or this side fails", EVENT_DEADLINE,
	  EVENT_FAILURE },
	{ "the peer violates the protocol", EVENT_VIOLATION, 0 },
	{ NULL, 0, 0 },
};

static const struct column source_commands[] = {
	{ "`migrate_cancel`", EVENT_CANCEL, 0 },
	{ "`migrate-pause`", EVENT_PAUSE, 0 },
	{ "`migrate` with `resume`", EVENT_REDIAL, 0 },
	{ "`resolve --run-here`", EVENT_RUN_HERE, 0 },
	{ "`resolve --give-up`", EVENT_GIVE_UP, 0 },
	{ "`quit`", EVENT_QUIT, 0 },
	{ NULL, 0, 0 },
};

static const struct column target_commands[] = {
	{ "`migrate-pause`", EVENT_PAUSE, 0 },
	{ "the source resumes", EVENT_REJOINED, 0 },
	{ "`resolve --run-here`", EVENT_RUN_HERE, 0 },
	{ "`resolve --give-up`, or the timer", EVENT_GIVE_UP, 0 },
	{ "`quit`", EVENT_QUIT, 0 },
	{ NULL, 0, 0 },
};

static const struct moment *moments_of(const struct side *side)
{
	return side == &source_side ? source_moments : target_moments;
}

/* Phases that the session thread is about to leave, whatever happens */
static bool is_leaving(const struct side *side, unsigned phase)
{
	return side == &source_side
		? phase == SOURCE_FAILING || phase == SOURCE_CANCELLING
		: phase == TARGET_FAILING || phase == TARGET_QUITTING;
}

/* The phase that an event leads to, when the session thread has left */
static unsigned outcome(const struct side *side, unsigned phase,
			unsigned event)
{
	unsigned next = side->step(phase, event).next;

	if (next != phase && is_leaving(side, next))
		next = side->step(next, EVENT_LEFT).next;
	if (next != phase && is_leaving(side, next))
		next = side->step(next, EVENT_DISCARDED).next;
	return next;
}

static void print_cell(const struct side *side, unsigned phase,
		       const struct column *c)
{
	struct phase_step s = side->step(phase, c->event);
	unsigned to = outcome(side, phase, c->event);

	if (c->same && to != outcome(side, phase, c->same)) {
		fprintf(stderr, "phases: in %s \"%s\" is not one event\n",
			side->phase_name(phase), c->title);
		exit(1);
	}
	if (to != phase)
		printf(" %s |", side->phase_name(to));
	else
		printf(" %s |", s.actions & PHASE_REJECT ? "refused" : "–");
}

static void print_heads(const char *first, const struct column *c)
{
	const struct column *all = c;

	printf("| %s |", first);
	for (; c->title; c++)
		printf(" %s |", c->title);
	printf("\n| --- |");
	for (c = all; c->title; c++)
		printf(" --- |");
	printf("\n");
}

static void print_matrix(const struct side *side, const char *name,
			 const struct column *columns)
{
	printf("<!-- generated: %s-%s -->\n", side->title, name);
	print_heads("phase", columns);
	for (unsigned p = 0; p < side->phases; p++) {
		if (is_leaving(side, p))
			continue;
		printf("| %s |", side->phase_name(p));
		for (const struct column *c = columns; c->title; c++)
			print_cell(side, p, c);
		printf("\n");
	}
	printf("<!-- end: %s-%s -->\n", side->title, name);
}

/* What every phase is, and what clients see of it */
static void print_phases(const struct side *side)
{
	const struct moment *m = moments_of(side);

	printf("<!-- generated: %s-phases -->\n"
	       "| phase | when | the guest | status |\n"
	       "| --- | --- | --- | --- |\n", side->title);
	for (unsigned p = 0; p < side->phases; p++)
		printf("| %s | %s | %s | %s |\n", side->phase_name(p),
		       m[p].when, m[p].guest, m[p].shown);
	printf("<!-- end: %s-phases -->\n", side->title);
}

/* The phases in which a session rests, and how it goes on from there */
static void print_rests(const struct side *side)
{
	const struct moment *m = moments_of(side);

	printf("<!-- generated: %s-rests -->\n"
	       "| phase | status | the guest | Ferry retries | the operator |\n"
	       "| --- | --- | --- | --- | --- |\n", side->title);
	for (unsigned p = 0; p < side->phases; p++)
		if (m[p].retried)
			printf("| %s | %s | %s | %s | %s |\n",
			       side->phase_name(p), m[p].shown, m[p].guest,
			       m[p].retried, m[p].operator);
	printf("<!-- end: %s-rests -->\n", side->title);
}

void print_markdown(void)
{
	print_rests(&source_side);
	print_rests(&target_side);
	print_phases(&source_side);
	print_matrix(&source_side, "failures", failures);
	print_matrix(&source_side, "commands", source_commands);
	print_phases(&target_side);
	print_matrix(&target_side, "failures", failures);
	print_matrix(&target_side, "commands", target_commands);
}
