// SPDX-License-Identifier: MIT
/* plan.c - What a seed makes of a run: the guest, the network, the faults */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "migration/pages/passes.h"
#include "migration/session/phase.h"
#include "node.h"
#include "plan.h"

#define PAGES_SMALL	96
#define PAGES_MORE	480
#define CALLS_SEEN	400	/* calls of one kind in a run, about */

const char plan_changed;
struct plan plan;

static unsigned calls[SIDES][CALLS];
static struct plan_cut cuts[FAULTS_MAX];
static unsigned cuts_n;
/* Commands whose trigger has come: when they are executed */
static uint64_t due[FAULTS_MAX];

const char *cut_name(enum cut_kind kind)
{
	static const char *const name[CUT_KINDS] = {
		"reset", "reset after what was sent", "stall",
		"no network", "reset of all, no network",
	};

	return name[kind];
}

const char *command_name(enum command command)
{
	static const char *const name[COMMANDS] = {
		"cancel", "pause", "stop", "cont", "poison", "hwpoison",
		"lose a page", "quit", "kill", "vanish", "reconnect",
		"reset", "start postcopy", "run here", "give up", "reset now",
	};

	return name[command];
}

const char *plan_call_name(unsigned call)
{
	static const char *const name[CALL_FAKE] = {
		"malloc", "pthread_create", "eventfd", "socket", "connect",
		"accept", "recv", "send", "poll", "getaddrinfo", "bind",
		"listen", "getrandom",
	};

	return call < CALL_FAKE ? name[call]
	       : fake_call_name((enum fake_call)(call - CALL_FAKE));
}

/* ---- Make a plan ---- */

static uint64_t some_duration(void)
{
	return sim_chance(3) ? NEVER : US + sim_log(60 * SECOND);
}

#define ERRORS(...) do { \
		static const int list[] = { __VA_ARGS__ }; \
		*error = list; \
		return sizeof(list) / sizeof(*list); \
	} while (0)

unsigned plan_errors(unsigned call, const int **error)
{
	switch (call) {
	case CALL_ALLOC:
		ERRORS(ENOMEM);
	case CALL_THREAD:
		ERRORS(EAGAIN);
	case CALL_EVENTFD:
	case CALL_SOCKET:
		ERRORS(EMFILE, ENFILE, ENOMEM);
	case CALL_CONNECT:
		ERRORS(ENETUNREACH, ECONNREFUSED);
	case CALL_ACCEPT:
		ERRORS(EMFILE, ECONNABORTED);
	case CALL_BIND:
	case CALL_LISTEN:
		ERRORS(EADDRINUSE);
	case CALL_RANDOM:
		ERRORS(EAGAIN, ENOSYS);
	case CALL_RECV:
	case CALL_SEND:
		ERRORS(EINTR, ECONNRESET);
	case CALL_POLL:
		ERRORS(EINTR, ENOMEM);
	case CALL_FAKE + FAKE_UFFD_COPY:
	case CALL_FAKE + FAKE_UFFD_ZERO:
	case CALL_FAKE + FAKE_UFFD_POISON:
		ERRORS(ENOMEM, EFAULT, ESRCH, ENOENT);
	case CALL_FAKE + FAKE_UFFD_MOVE:
		ERRORS(EBUSY, ENOMEM, EINVAL, ENOTTY);
	case CALL_FAKE + FAKE_RAM_READ:
		ERRORS(ENOMEM, EFAULT);
	default:
		ERRORS(ENOMEM, EIO);
	}
}

static int error_of(unsigned call)
{
	const int *error;
	unsigned n = plan_errors(call, &error);

	return error[sim_below(n)];
}

static void plan_call(struct fault *f)
{
	static const unsigned rare[] = {
		CALL_ALLOC, CALL_THREAD, CALL_EVENTFD, CALL_SOCKET,
		CALL_CONNECT, CALL_ACCEPT, CALL_RESOLVE, CALL_BIND,
		CALL_LISTEN, CALL_RANDOM,
	};

	f->kind = FAULT_CALL;
	f->trigger = AT_CALL;
	f->call = (enum sim_call)(sim_chance(3) ? CALL_ALLOC
						: sim_below(CALLS));
	f->error = f->call == CALL_ALLOC ? ENOMEM : error_of(f->call);
	f->times = sim_chance(4) ? 1 + (unsigned)sim_log(1000) : 1;
	f->nth = 1 + (unsigned)sim_log(CALLS_SEEN);
	for (unsigned i = 0; i < sizeof(rare) / sizeof(*rare); i++)
		if (f->call == rare[i])
			f->nth = 1 + (unsigned)sim_below(
				f->call == CALL_ALLOC ? 48 : 8);
}

/* Where in a message: before it, in its header, in its payload, after it */
static size_t some_byte(void)
{
	switch (sim_below(5)) {
	case 0:
		return 0;
	case 1:
		return 1 + sim_below(WIRE_HEADER - 1);
	case 2:
		return WIRE_HEADER;
	case 3:
		return WIRE_HEADER + 1 + sim_log(8192);
	default:
		return SIZE_MAX;
	}
}

static void some_message(struct fault *f)
{
	f->trigger = AT_MESSAGE;
	f->role = sim_chance(2) ? WIRE_MAIN : (enum wire_role)sim_below(3);
	f->from_source = sim_chance(2);
	f->byte = some_byte();
	if (f->role == WIRE_MAIN)
		f->index = 1 + (unsigned)(f->from_source && plan.passes &&
					  sim_chance(2) ? sim_log(400)
			: sim_below(f->from_source ? 26 : 8));
	else
		f->index = 1 + (unsigned)sim_log(100);
}

static void some_phase(struct fault *f)
{
	f->nth = sim_chance(4) ? 2 : 1;
	f->phase = (unsigned)sim_below(f->side == SIDE_SOURCE
				? SOURCE_PHASES : TARGET_PHASES);
}

static void plan_cut(struct fault *f)
{
	f->kind = FAULT_CUT;
	f->cut.kind = (enum cut_kind)sim_below(CUT_KINDS);
	f->cut.ns = some_duration();
	some_message(f);
	if (sim_chance(2))
		return;
	/* Not by a message: in a phase that may send none */
	f->trigger = AT_PHASE;
	f->time = sim_log(MS);
	some_phase(f);
}

/* At some moment, not in one call or at one byte */
static void some_moment(struct fault *f)
{
	f->time = sim_log(20 * MS);
	switch (sim_below(3)) {
	case 0:
		some_message(f);
		break;
	case 1:
		f->trigger = AT_PHASE;
		some_phase(f);
		break;
	default:
		f->trigger = AT_TIME;
		f->time = sim_log(SECOND);
		break;
	}
}

static void plan_command(struct fault *f)
{
	f->kind = FAULT_COMMAND;
	f->command = (enum command)sim_below(COMMANDS_BY_CHANCE);
	some_moment(f);
}

static void plan_stranger(struct fault *f)
{
	f->kind = FAULT_STRANGER;
	f->stranger = (enum stranger)sim_below(STRANGERS);
	some_moment(f);
}

static void plan_late(struct fault *f)
{
	f->kind = FAULT_LATE;
	f->trigger = AT_PHASE;
	f->time = US + sim_log(10 * MS);
	some_phase(f);
}

static void plan_fault(struct fault *f)
{
	*f = (struct fault){ .side = sim_chance(2) ? SIDE_SOURCE
						   : SIDE_TARGET };
	switch (sim_below(10)) {
	case 0:
	case 1:
		plan_call(f);
		break;
	case 2:
		plan_stranger(f);
		break;
	case 9:
		plan_late(f);
		break;
	case 3:
	case 4:
		plan_command(f);
		break;
	default:
		plan_cut(f);
		break;
	}
}

static void plan_guest(void)
{
	plan.backing = sim_chance(12) ? RAM_HUGETLB : RAM_ANON;
	plan.pages = 16 + sim_below(sim_chance(6) ? PAGES_MORE : PAGES_SMALL);
	if (plan.backing == RAM_HUGETLB)
		plan.pages = CHUNK_PAGES * (1 + sim_below(2));
	plan.cpus = 1 + (unsigned)sim_below(3);
	plan.runs = !sim_chance(8);
	plan.written = (unsigned)sim_below(plan.backing == RAM_HUGETLB ? 4
								     : 17);
	/* Blocks that are received and moved as a whole */
	if (plan.backing == RAM_ANON && sim_chance(20)) {
		plan.pages = CHUNK_PAGES + sim_below(CHUNK_PAGES + 1);
		plan.written = 16;
	}
	plan.lost = sim_chance(2) ? (unsigned)sim_log(8) : 0;
	plan.image = sim_chance(2) ? sim_log(20000) : 0;
}

static unsigned some_passes(void)
{
	if (sim_chance(2))
		return 0;
	return sim_chance(3) ? PASSES_AUTO : 1 + (unsigned)sim_below(3);
}

static void plan_network(void)
{
	struct network_shape *n = &plan.shape;

	n->latency = US + sim_log(5 * MS);
	n->jitter = sim_log(sim_chance(4) ? 100 * MS : MS);
	n->buffer = 512ull << sim_below(9);
	n->piece = sim_chance(2) ? 0 : 1 + sim_log(65536);
}

static void add_fault(unsigned i, const struct fault *f)
{
	plan.fault[i] = *f;
	due[i] = f->trigger == AT_TIME ? sched_now() + f->time : NEVER;
}

static void plan_faults(unsigned n)
{
	memset(calls, 0, sizeof(calls));
	cuts_n = 0;
	plan.faults = n;
	for (unsigned i = 0; i < plan.faults; i++) {
		struct fault f;

		plan_fault(&f);
		add_fault(i, &f);
	}
}

/* Of plan_force() */
static struct fault forced[FAULTS_MAX];
static bool is_forced;
static unsigned forced_n;

void plan_force(const struct fault *fault, unsigned n)
{
	is_forced = true;
	forced_n = n;
	for (unsigned i = 0; i < n; i++)
		forced[i] = fault[i];
}

void plan_allow(void)
{
	is_forced = false;
}

unsigned plan_calls(enum side side, unsigned call)
{
	return calls[side][call];
}

static void use_forced(void)
{
	plan.faults = forced_n;
	for (unsigned i = 0; i < forced_n; i++)
		add_fault(i, &forced[i]);
	plan.chain = false;
	plan.automatic = true;
	plan.rounds = 0;
	if (forced_n > 1)
		sched_switch_often();
}

/* Other push connections carry on */
static bool is_one_push(const struct fault *f)
{
	return plan.connections > 1 && f->kind == FAULT_CUT &&
	       f->cut.kind <= CUT_ONE_WAY && f->trigger == AT_MESSAGE &&
	       f->role == WIRE_PUSH && f->from_source && f->index > 1;
}

static bool is_harmless(const struct fault *f)
{
	return is_one_push(f) || (f->kind == FAULT_STRANGER &&
				  stranger_is_harmless(f->stranger));
}

/* Waits are long and the network is fast enough for them */
bool plan_is_harmless(void)
{
	bool harmless = !plan.short_waits && !plan.bandwidth &&
			plan.backing == RAM_ANON &&
			plan.shape.latency + plan.shape.jitter < 2 * MS;

	/* Two cuts may be of both push connections */
	for (unsigned i = 0; i < plan.faults; i++)
		harmless &= is_harmless(&plan.fault[i]) &&
			    (!i || !is_one_push(&plan.fault[i]));
	return harmless;
}

void plan_second_leg(void)
{
	network_reshape(&plan.shape);
	plan.armed = true;
	plan_faults((unsigned)sim_below(3));
	sched_wake(&plan_changed, true);
}

void plan_more_faults(void)
{
	network_stop(0);
	plan_faults(1 + (unsigned)sim_below(2));
	sched_wake(&plan_changed, true);
}

void plan_begin(void)
{
	memset(&plan, 0, sizeof(plan));
	plan_guest();
	plan_network();
	plan.connections = 1 + (unsigned)sim_below(3);
	plan.bandwidth = sim_chance(8) ? MIB + sim_log(GIB) : 0;
	plan.short_waits = sim_chance(2);
	plan.again = sim_chance(2);
	plan.automatic = sim_chance(2);
	plan.chain = sim_chance(3);
	plan.rounds = sim_chance(2) ? 0 : (unsigned)sim_below(3);
	plan.passes = some_passes();
	plan_faults(sim_chance(6) ? 0 : 1 + (unsigned)sim_log(FAULTS_MAX - 1));
	if (is_forced)
		use_forced();
}

void plan_end_faults(void)
{
	plan.armed = plan.short_waits = false;
	plan.faults = 0;
	plan.bandwidth = 0;
	network_calm();
}

/* ---- Describe it ---- */

static void print_trigger(const struct fault *f)
{
	const char *who = f->side == SIDE_SOURCE ? "source" : "destination";

	switch (f->trigger) {
	case AT_CALL:
		printf("on the %s, call %u, %u times", who, f->nth, f->times);
		break;
	case AT_MESSAGE:
		printf("at message %u %s the source on %s, byte %zd",
		       f->index, f->from_source ? "from" : "to",
		       network_role_name(f->role), (ssize_t)f->byte);
		break;
	case AT_PHASE:
		printf("%.3f us after the %s is in phase %s%s",
		       (double)f->time / 1000, who,
		       f->side == SIDE_SOURCE ? source_phase_name(f->phase)
					      : target_phase_name(f->phase),
		       f->nth > 1 ? ", the second time" : "");
		break;
	case AT_TIME:
		printf("at %.3f us", (double)f->time / 1000);
		break;
	}
}

static void print_fault(const struct fault *f)
{
	switch (f->kind) {
	case FAULT_CALL:
		printf("  %s fails with %s: ", plan_call_name(f->call),
		       strerrorname_np(f->error));
		break;
	case FAULT_CUT:
		printf("  %s", cut_name(f->cut.kind));
		if (f->cut.ns != NEVER)
			printf(" for %.3f us", (double)f->cut.ns / 1000);
		printf(" (%s): ", network_role_name(f->role));
		break;
	case FAULT_COMMAND:
		printf("  %s on the %s: ", command_name(f->command),
		       f->side == SIDE_SOURCE ? "source" : "destination");
		break;
	case FAULT_STRANGER:
		printf("  a stranger %s: ", stranger_name(f->stranger));
		break;
	case FAULT_LATE:
		printf("  the thread that enters the phase is late: ");
		break;
	}
	print_trigger(f);
	printf("%s\n", f->fired ? "" : " (has not happened)");
}

void plan_print(void)
{
	printf("  %zu pages of %s, %u vCPUs, %s; written %u/16, %u lost, image of %zu bytes\n",
	       plan.pages, ram_backing_name(plan.backing), plan.cpus,
	       plan.runs ? "running" : "paused", plan.written, plan.lost,
	       plan.image);
	printf("  latency %.3f us + %.3f us, buffers of %zu bytes, pieces of %zu, %u push connections, %llu bytes/s%s%s%s%s, %u rounds, %u precopy passes\n",
	       (double)plan.shape.latency / 1000,
	       (double)plan.shape.jitter / 1000, plan.shape.buffer,
	       plan.shape.piece, plan.connections,
	       (unsigned long long)plan.bandwidth,
	       plan.short_waits ? ", short waits" : "",
	       plan.again ? ", again after a failure" : "",
	       plan.automatic ? ", automatic" : "",
	       plan.chain ? ", moved twice" : "", plan.rounds, plan.passes);
	for (unsigned i = 0; i < plan.faults; i++)
		print_fault(&plan.fault[i]);
}

/* ---- Carry it out ---- */

int plan_fails(unsigned call)
{
	const enum side side = sched_side();
	unsigned n;

	if (side == SIDE_NONE || !plan.armed)
		return 0;
	n = ++calls[side][call];
	for (unsigned i = 0; i < plan.faults; i++) {
		struct fault *f = &plan.fault[i];

		if (f->kind != FAULT_CALL || f->side != side ||
		    f->call != call || n < f->nth ||
		    n >= f->nth + f->times)
			continue;
		if (!f->fired)
			sim_trace("%s fails: %s", plan_call_name(call),
				  strerrorname_np(f->error));
		f->fired = true;
		return f->error;
	}
	return 0;
}

static void set_due(unsigned i)
{
	due[i] = sched_now() + plan.fault[i].time;
	sched_wake(&plan_changed, true);
}

/* Return: does the fault's place in the message lie in this part? */
static bool is_reached(const struct fault *f, const struct plan_point *p,
		       size_t *byte)
{
	if (f->fired || f->trigger != AT_MESSAGE || f->role != p->role ||
	    f->from_source != p->from_source || f->index != p->index)
		return false;
	*byte = f->byte;
	/* A place beyond a short message is its end */
	if (p->ends && *byte >= p->length)
		*byte = p->to;
	return *byte >= p->from && *byte <= p->to;
}

size_t plan_message(const struct plan_point *p)
{
	size_t byte;

	for (unsigned i = 0; i < plan.faults && plan.armed; i++) {
		struct fault *f = &plan.fault[i];

		if (!is_reached(f, p, &byte))
			continue;
		f->fired = true;
		if (f->kind != FAULT_CUT) {
			set_due(i);
			continue;
		}
		cuts[cuts_n++] = f->cut;
		return byte - p->from;
	}
	return p->to - p->from;
}

bool plan_take_cut(struct plan_cut *cut)
{
	if (!cuts_n)
		return false;
	*cut = cuts[--cuts_n];
	return true;
}

void plan_phase(enum side side, unsigned phase)
{
	for (unsigned i = 0; i < plan.faults && plan.armed; i++) {
		struct fault *f = &plan.fault[i];

		if (f->fired || f->trigger != AT_PHASE || f->side != side ||
		    f->phase != phase || (f->nth && --f->nth))
			continue;
		f->fired = true;
		if (f->kind == FAULT_LATE)
			sched_delay(f->time);
		else
			set_due(i);
	}
}

static void carry_out(struct fault *f)
{
	f->fired = true;
	if (f->kind == FAULT_CUT)
		network_cut(f->role, &f->cut);
	else if (f->kind == FAULT_STRANGER)
		stranger_come(f->stranger);
	else
		node_command(f->side, f->command);
}

uint64_t plan_due(void)
{
	uint64_t next = NEVER;

	for (unsigned i = 0; i < plan.faults && plan.armed; i++) {
		if (due[i] <= sched_now()) {
			due[i] = NEVER;
			carry_out(&plan.fault[i]);
		}
		if (due[i] < next)
			next = due[i];
	}
	return next;
}
