// SPDX-License-Identifier: MIT
/* node.c - One side: a process with its main thread */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "guest.h"
#include "memory.h"
#include "migration/session/source.h"
#include "migration/session/target.h"
#include "node.h"
#include "tests/fake/fake_ram.h"
#include "wrap.h"

#define COMMANDS_MAX	16
#define LOSSES_MAX	16	/* pages that one command loses */
#define FIRST_PORT	4444
#define SHORT_MS	10		/* divisor of the limits of waits */

enum work { WORK_START, WORK_MIGRATE, WORK_COMMAND };

struct item {
	enum work work;
	enum command command;
};

/**
 * struct node - A process
 * @side:	which
 * @thread:	its main thread, or NULL
 * @queue, @queued: what that thread shall do
 * @idle:	it waits for more
 * @ending:	the process is to end
 * @killed:	it has crashed
 * @m:		the process's machine
 * @source, @target: what it takes part in, or NULL
 * @seen:	phase that node_check() has seen
 * @entered:	when it was entered, ns
 */
struct node {
	enum side side;
	struct co *thread;
	struct item queue[COMMANDS_MAX];
	unsigned queued;
	bool idle, ending, killed;
	struct machine *m;
	struct progress progress;
	struct session_limits limits;
	struct session_env env;
	struct source *source;
	struct target *target;
	unsigned seen;
	uint64_t entered;
};

static struct node pool[SIDES];
static struct node *nodes[SIDES];	/* who has which side now */
static unsigned port;

void __wrap_log_line(const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sim_trace("log: %s", text);
}

ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags)
{
	uint8_t *p = to;

	(void)flags;
	errno = plan_fails(CALL_RANDOM);
	if (errno)
		return -1;
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)sim_random();
	return (ssize_t)n;
}

static void note_progress(void *ctx, enum progress_status status)
{
	(void)ctx;
	sim_trace("status %d", (int)status);
}

static void adopt_machine(void *ctx, struct machine *m)
{
	struct node *n = ctx;

	n->m = m;
}

static void ignore_side(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
}

static void shorten(struct session_limits *l)
{
	l->connect_ms /= SHORT_MS;
	l->hello_ms /= SHORT_MS;
	l->build_ms /= SHORT_MS;
	l->silence_ms /= SHORT_MS;
	l->answer_ms /= SHORT_MS;
	l->last_pages_ms /= SHORT_MS;
	l->downtime_ms /= SHORT_MS;
	l->beat_ms /= SHORT_MS;
	l->dead_peer_ms /= SHORT_MS;
}

void nodes_begin(void)
{
	memset(pool, 0, sizeof(pool));
	port = FIRST_PORT;
	strangers_port(port);
	for (unsigned i = 0; i < SIDES; i++) {
		nodes[i] = &pool[i];
		nodes[i]->side = (enum side)i;
		nodes[i]->seen = NO_PHASE;
	}
}

/* ---- What the main thread does ---- */

static void start_guest(struct node *n)
{
	struct machine_config *cfg = calloc(1, sizeof(*cfg));
	const struct machine_observer none = { 0 };
	struct error err = { 0 };

	if (!cfg)
		return;
	fake_config(cfg, plan.pages * WIRE_PAGE, plan.cpus, plan.backing);
	n->m = machine_new(cfg, &none, &err);
	free(cfg);
	if (!n->m) {
		sim_fail("no machine: %s", err.text);
		return;
	}
	guest_fill(n->m);
	if (plan.runs)
		machine_run(n->m, WHY_BOOTED, NULL);
	else
		machine_pause(n->m, RUN_PAUSED, WHY_USER, NULL);
}

/* Where the destination listens, or does after the next reconnection */
static struct uri some_uri(void)
{
	struct error err = { 0 };
	char text[32];
	struct uri uri;

	snprintf(text, sizeof(text), "tcp:host:%u", port);
	if (uri_parse(text, &uri, &err))
		sim_fail("%s", err.text);
	return uri;
}

static void start_listening(struct node *n)
{
	const struct uri uri = some_uri();
	struct error err = { 0 };

	n->target = target_new(&uri, &n->env, &n->limits, &n->progress,
			       &err);
	if (!n->target)
		sim_trace("no listener: %s", err.text);
}

static void set_limits(struct node *n)
{
	session_limits_init(&n->limits);
	if (plan.short_waits)
		shorten(&n->limits);
	n->limits.automatic = plan.automatic;
}

static void start_node(struct node *n)
{
	set_limits(n);
	n->env = (struct session_env){
		.ctx = n, .backing = -1, .adopt = adopt_machine,
		.set_side = ignore_side,
	};
	progress_init(&n->progress, note_progress, n);
	if (n->side == SIDE_SOURCE)
		start_guest(n);
	else
		start_listening(n);
}

static void migrate(struct node *n)
{
	const struct uri uri = some_uri();
	struct error err = { 0 };

	source_free(n->source);
	n->source = NULL;
	set_limits(n);
	n->source = source_new(n->m, &uri, &n->env, &n->limits, &n->progress,
			       &err);
	if (!n->source) {
		sim_trace("no migration: %s", err.text);
		return;
	}
	pacer_set_limit(&n->source->pages.pacer, plan.bandwidth);
	pacer_set_limit(&n->source->pages.pass_pacer, plan.bandwidth);
	n->source->connections = plan.connections;
	n->source->pass.limit = plan.passes;
	if (source_start(n->source, &err))
		sim_trace("no migration: %s", err.text);
}

static void pause_link(struct node *n)
{
	struct error err = { 0 };

	if (n->source)
		source_pause(n->source, &err);
	else if (n->target)
		target_pause(n->target, &err);
}

static void trace_result(const char *what, int rc, const struct error *err)
{
	sim_trace("%s: %s", what, rc ? err->text : "done");
}

static void reconnect(struct node *n)
{
	struct uri uri = some_uri();
	struct error err = { 0 };
	int rc;

	if (n->source) {
		rc = source_resume(n->source, &uri, NULL, NULL, &err);
		trace_result("migrate with resume", rc, &err);
	} else if (n->target) {
		rc = target_recover(n->target, &uri, &err);
		trace_result("migrate-recover", rc, &err);
	}
}

static void resolve(struct node *n, bool run_here)
{
	struct error err = { 0 };
	int rc;

	if (n->source)
		rc = source_resolve(n->source, run_here, &err);
	else if (n->target)
		rc = target_resolve(n->target, run_here, &err);
	else
		return;
	trace_result("resolve", rc, &err);
}

/* As host_system_reset() */
static void ask_reset(struct node *n)
{
	if (!n->m || machine_held(n->m) || machine_ended(n->m) ||
	    machine_status(n->m).state == RUN_FINISH_MIGRATE ||
	    machine_status(n->m).state == RUN_POSTMIGRATE)
		return;
	fake_machine_ask_reset(n->m);
}

/* As the machine's thread for a reset, which tries again */
static void reset(struct node *n)
{
	int rc;

	do
		rc = n->m ? fake_machine_reset(n->m) : 0;
	while ((rc == -ETIMEDOUT || rc == -ENOMEM) && !sim_failed());
	sim_trace("reset: %s", rc ? strerrorname_np(-rc) : "done");
}

static void execute_command(struct node *n, enum command command)
{
	sim_trace("command %s", command_name(command));
	switch (command) {
	case COMMAND_CANCEL:
		if (n->source)
			source_cancel(n->source, NULL);
		break;
	case COMMAND_PAUSE:
		pause_link(n);
		break;
	case COMMAND_STOP:
		if (n->m)
			machine_pause(n->m, RUN_PAUSED, WHY_USER, NULL);
		break;
	case COMMAND_CONT:
		if (n->m)
			machine_run(n->m, WHY_UNPAUSED, NULL);
		break;
	case COMMAND_POISON:
	case COMMAND_HWPOISON:
		for (uint64_t i = 1 + sim_log(LOSSES_MAX); i && n->m; i--)
			guest_poison(n->m, command == COMMAND_POISON);
		break;
	case COMMAND_LOSE:
		for (uint64_t i = 1 + sim_log(LOSSES_MAX); i && n->m; i--)
			guest_lose_page(n->m);
		break;
	case COMMAND_RECONNECT:
		reconnect(n);
		break;
	case COMMAND_POSTCOPY:
		if (n->source)
			source_start_postcopy(n->source);
		break;
	case COMMAND_RESET:
		ask_reset(n);
		break;
	case COMMAND_RESET_NOW:
		reset(n);
		break;
	case COMMAND_RUN_HERE:
	case COMMAND_GIVE_UP:
		resolve(n, command == COMMAND_RUN_HERE);
		break;
	default:
		n->ending = true;
		break;
	}
}

/* The order of vmm/main.c */
static void end_node(struct node *n)
{
	source_free(n->source);
	n->source = NULL;
	target_free(n->target);
	n->target = NULL;
	if (n->m)
		machine_halt(n->m);
	machine_free(n->m);
	n->m = NULL;
	pthread_mutex_destroy(&n->progress.lock);
}

static void execute_item(struct node *n, const struct item *it)
{
	switch (it->work) {
	case WORK_START:
		start_node(n);
		break;
	case WORK_MIGRATE:
		migrate(n);
		break;
	default:
		execute_command(n, it->command);
		break;
	}
}

static void *node_main(void *arg)
{
	struct node *n = arg;

	while (!n->ending) {
		struct item it;

		if (!n->queued) {
			n->idle = true;
			sched_wait(n, "a command", NEVER);
			continue;
		}
		it = n->queue[0];
		memmove(n->queue, n->queue + 1,
			--n->queued * sizeof(n->queue[0]));
		execute_item(n, &it);
	}
	end_node(n);
	n->thread = NULL;
	return NULL;
}

static void add_work(struct node *n, enum work work, enum command command)
{
	if (n->queued == COMMANDS_MAX) {
		sim_fail("too many commands");
		return;
	}
	n->queue[n->queued++] = (struct item){ work, command };
	n->idle = false;
	sched_wake(n, true);
}

/* ---- Interface ---- */

void node_reset_asked(enum side side)
{
	if (node_is_alive(side))
		add_work(nodes[side], WORK_COMMAND, COMMAND_RESET_NOW);
}

void node_take_source(void)
{
	struct node *n = nodes[SIDE_TARGET];

	nodes[SIDE_TARGET] = nodes[SIDE_SOURCE];
	nodes[SIDE_SOURCE] = n;
	*nodes[SIDE_TARGET] = (struct node){ .side = SIDE_TARGET,
					     .seen = NO_PHASE };
	n->side = SIDE_SOURCE;
	n->seen = NO_PHASE;
	sched_relabel(SIDE_TARGET, SIDE_SOURCE);
	memory_relabel(SIDE_TARGET, SIDE_SOURCE);
	files_relabel(SIDE_TARGET, SIDE_SOURCE);
}

void node_start(enum side side)
{
	struct node *n = nodes[side];

	*n = (struct node){ .side = side, .seen = NO_PHASE };
	n->thread = sched_spawn(node_main, n, side, "main");
	sched_detach(n->thread);
	add_work(n, WORK_START, COMMANDS);
}

void node_migrate(void)
{
	add_work(nodes[SIDE_SOURCE], WORK_MIGRATE, COMMANDS);
}

/* Only by a thread of no side */
static void kill_node(struct node *n, bool vanish)
{
	sim_trace("the %s is killed", n->side == SIDE_SOURCE ? "source"
							     : "destination");
	sched_kill(n->side);
	if (vanish)
		network_stall_side(n->side);
	files_close_all(n->side);
	if (n->m)
		fake_ram_forget(machine_ram(n->m));
	else if (n->target && n->target->m)
		fake_ram_forget(machine_ram(n->target->m));
	memory_free_all(n->side);
	guest_forget(n->side);
	*n = (struct node){ .side = n->side, .killed = true,
			    .seen = NO_PHASE };
}

void node_command(enum side side, enum command command)
{
	struct node *n = nodes[side];

	if (!node_is_alive(side))
		return;
	if (command == COMMAND_KILL || command == COMMAND_VANISH)
		kill_node(n, command == COMMAND_VANISH);
	else
		add_work(n, WORK_COMMAND, command);
}

bool node_is_alive(enum side side)
{
	return nodes[side]->thread && !nodes[side]->ending;
}

bool node_has_ended(enum side side)
{
	return !nodes[side]->thread;
}

bool node_was_killed(enum side side)
{
	return nodes[side]->killed;
}

bool node_is_idle(enum side side)
{
	return nodes[side]->idle;
}

unsigned node_phase(enum side side)
{
	const struct node *n = nodes[side];

	/* A process that has received its guest may send it on */
	if (side == SIDE_SOURCE)
		return n->source ? session_phase(&n->source->se) : NO_PHASE;
	return n->target ? session_phase(&n->target->se) : NO_PHASE;
}

bool node_asks_operator(enum side side)
{
	const struct node *n = nodes[side];

	return n->source && (!n->limits.automatic || n->source->se.manual);
}

const char *node_phase_name(enum side side)
{
	const unsigned phase = node_phase(side);

	if (phase == NO_PHASE)
		return nodes[side]->killed ? "(killed)" : "(none)";
	return side == SIDE_SOURCE ? source_phase_name(phase)
				   : target_phase_name(phase);
}

bool node_may_run(enum side side)
{
	const struct node *n = nodes[side];

	/* Quitting in any phase: until the machine is halted */
	if (n->ending)
		return true;
	if (side == SIDE_SOURCE)
		return !n->source ||
		       source_may_run(session_phase(&n->source->se));
	return n->target && target_may_run(session_phase(&n->target->se));
}

struct machine *node_machine(enum side side)
{
	return nodes[side]->m;
}

static void look_at_phase(struct node *n)
{
	const unsigned phase = node_phase(n->side);

	if (phase == n->seen)
		return;
	n->seen = phase;
	n->entered = sched_now();
	sim_trace("%s is %s", n->side == SIDE_SOURCE ? "source" : "destination",
		  node_phase_name(n->side));
	if (n->side == SIDE_SOURCE && phase != NO_PHASE &&
	    source_has_committed(phase))
		guest_committed();
	if (phase != NO_PHASE)
		plan_phase(n->side, phase);
}

void node_check(void)
{
	look_at_phase(nodes[SIDE_SOURCE]);
	look_at_phase(nodes[SIDE_TARGET]);
	if (nodes[SIDE_SOURCE]->source && nodes[SIDE_TARGET]->target &&
	    node_is_alive(SIDE_SOURCE) && node_is_alive(SIDE_TARGET) &&
	    node_may_run(SIDE_SOURCE) && node_may_run(SIDE_TARGET))
		sim_fail("both phases allow the guest to run: %s, %s",
			 node_phase_name(SIDE_SOURCE),
			 node_phase_name(SIDE_TARGET));
}

void node_check_counters(void)
{
	const struct target *t = nodes[SIDE_TARGET]->target;
	const struct pages *p;

	if (!t || !t->store.ram)
		return;
	p = &t->store.table;
	if (p->missing + p->zero + p->present + p->poisoned != p->n)
		sim_fail("%zu missing, %zu zero, %zu present and %zu poisoned pages are not %zu",
			 (size_t)p->missing, (size_t)p->zero,
			 (size_t)p->present, (size_t)p->poisoned, p->n);
}
