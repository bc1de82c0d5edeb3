// SPDX-License-Identifier: MIT
/*
 * test_phase.c - The phase tables, completely, and the product of both
 *
 * Walks every (phase, event) of each side, then explores all states that two
 * sides and the messages between them can reach, with every loss, command and
 * failure at every moment, and any number of new links: never may the vCPUs of
 * both sides run; and while both sides live, they can always end with the guest
 * whole on one of them.
 */

#include "unit.h"

#include "migration/session/phase.h"
#include "vmm/base/units.h"

static bool is_message(unsigned event)
{
	return event > 0 && event < WIRE_MSG_TYPES;
}

static bool is_loss(unsigned event)
{
	return event == EVENT_MAIN_LOST || event == EVENT_DEMAND_LOST ||
	       event == EVENT_PUSH_LOST || event == EVENT_PUSHES_LOST;
}

static bool is_trouble(unsigned event)
{
	return is_loss(event) || event == EVENT_DEADLINE ||
	       event == EVENT_VIOLATION || event == EVENT_FAILURE;
}

static void every_event_has_an_entry(void **state)
{
	(void)state;
	for (unsigned e = 0; e < PHASE_EVENTS; e++) {
		for (unsigned p = 0; p < SOURCE_PHASES; p++) {
			struct phase_step s = source_step(p, e);

			if (!s.known || s.next >= SOURCE_PHASES)
				fail_msg("source: %s in %s",
					 phase_event_name(e),
					 source_phase_name(p));
		}
		for (unsigned p = 0; p < TARGET_PHASES; p++) {
			struct phase_step s = target_step(p, e);

			if (!s.known || s.next >= TARGET_PHASES)
				fail_msg("destination: %s in %s",
					 phase_event_name(e),
					 target_phase_name(p));
		}
	}
}

static void out_of_range_changes_nothing(void **state)
{
	struct phase_step s = source_step(SOURCE_PHASES, EVENT_COMMIT);

	(void)state;
	assert_false(s.known);
	assert_int_equal(s.next, SOURCE_PHASES);
	assert_int_equal(s.actions, PHASE_REJECT);
	s = target_step(TARGET_LISTENING, PHASE_EVENTS);
	assert_false(s.known);
	assert_int_equal(s.next, TARGET_LISTENING);
	assert_string_equal(source_phase_name(SOURCE_PHASES), "?");
	assert_string_equal(target_phase_name(TARGET_PHASES), "?");
	assert_string_equal(phase_event_name(PHASE_EVENTS), "?");
}

static void names_are_unique(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SOURCE_PHASES; i++)
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(source_phase_name(i),
						source_phase_name(k));
	for (unsigned i = 0; i < TARGET_PHASES; i++)
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(target_phase_name(i),
						target_phase_name(k));
	for (unsigned i = WIRE_MSG_TYPES; i < PHASE_EVENTS; i++)
		for (unsigned k = WIRE_MSG_TYPES; k < i; k++)
			assert_string_not_equal(phase_event_name(i),
						phase_event_name(k));
}

/* May a destination in this phase fail? LISTENING is the next session */
static bool may_fail(unsigned phase)
{
	bool reached[TARGET_PHASES] = { [TARGET_FAILING] = true };

	for (unsigned i = 0; i < TARGET_PHASES; i++)
		for (unsigned p = 0; p < TARGET_PHASES; p++)
			for (unsigned e = 0; e < PHASE_EVENTS; e++)
				if (p != TARGET_LISTENING &&
				    reached[target_step(p, e).next])
					reached[p] = true;
	return reached[phase];
}

/* Do other threads than the destination's session thread report an event? */
static bool is_from_outside(unsigned event)
{
	return is_trouble(event) || event == WIRE_MSG_HELLO ||
	       event == EVENT_REJOINED || event == EVENT_PAUSE ||
	       event == EVENT_RUN_HERE || event == EVENT_GIVE_UP ||
	       event == EVENT_QUIT;
}

/*
 * session_await_actions() has no time limit: what another thread may be
 * executing when a destination fails wakes threads, shuts connections, and
 * waits for none
 */
static void a_failure_waits_for_short_actions_only(void **state)
{
	const unsigned brief = PHASE_REJECT | PHASE_BLAME | PHASE_DOUBT |
		PHASE_RELEASE | PHASE_HANG_UP | PHASE_SHUT | PHASE_SHOW |
		PHASE_MANUAL;

	(void)state;
	for (unsigned p = 0; p < TARGET_PHASES; p++)
		for (unsigned e = 0; e < PHASE_EVENTS; e++) {
			struct phase_step s = target_step(p, e);

			if (is_from_outside(e) && (p == TARGET_FAILING ||
						   may_fail(s.next)) &&
			    s.actions & ~brief)
				fail_msg("%s in %s executes %#x",
					 phase_event_name(e),
					 target_phase_name(p),
					 s.actions & ~brief);
		}
}

/* Invariant 4: once committed, no event lets the guest run here again */
static void no_way_back_to_the_source(void **state)
{
	(void)state;
	for (unsigned p = 0; p < SOURCE_PHASES; p++)
		for (unsigned e = 0; e < PHASE_EVENTS; e++) {
			struct phase_step s = source_step(p, e);

			/* An operator knows that the destination is gone */
			if (e == EVENT_RUN_HERE && s.next != p) {
				assert_true(p == SOURCE_DOUBT ||
					    p == SOURCE_REDIAL_DOUBT);
				continue;
			}
			if (source_has_committed(p))
				assert_false(source_may_run(s.next) ||
					     s.actions & PHASE_RESUME);
			/* The one way in is the point of no return */
			if (!source_has_committed(p) &&
			    source_has_committed(s.next))
				assert_true(p == SOURCE_PREPARED &&
					    e == EVENT_COMMIT);
			/* And it is known that the destination will run it */
			if (s.next == SOURCE_PREPARED && p != SOURCE_PREPARED)
				assert_int_equal(e, WIRE_MSG_PREPARED);
		}
}

/* Invariant 5: the vCPUs of a destination run after COMMIT, and only then */
static void only_commit_lets_the_destination_run(void **state)
{
	(void)state;
	for (unsigned p = 0; p < TARGET_PHASES; p++)
		for (unsigned e = 0; e < PHASE_EVENTS; e++) {
			struct phase_step s = target_step(p, e);
			bool begins = !target_may_run(p) &&
				      target_may_run(s.next);

			assert_int_equal(begins, (s.actions & PHASE_RUN) != 0);
			/* Or an operator, who knows that the source is gone */
			if (begins && p == TARGET_DOUBT)
				assert_int_equal(e, EVENT_RUN_HERE);
			else if (begins)
				assert_true(e == WIRE_MSG_COMMIT &&
					    (p == TARGET_PREPARED ||
					     p == TARGET_PREPARED_CUT));
		}
}

/* REFUSE, or an operator's decision, before COMMIT */
static bool frees(unsigned phase, unsigned event)
{
	return event == WIRE_MSG_REFUSE ||
	       (event == EVENT_GIVE_UP && phase == TARGET_DOUBT);
}

/* What was promised is kept, but for these, or when the process ends */
static void a_promise_is_kept(void **state)
{
	(void)state;
	for (unsigned p = 0; p < TARGET_PHASES; p++)
		for (unsigned e = 0; e < PHASE_EVENTS; e++) {
			struct phase_step s = target_step(p, e);

			if (!target_has_promised(p))
				continue;
			assert_false(s.actions & (PHASE_DISCARD |
				     (frees(p, e) ? 0 : PHASE_RELEASE)));
			if (!target_has_promised(s.next))
				assert_true(s.next == TARGET_QUITTING ||
					    (frees(p, e) &&
					     !target_has_committed(p)));
		}
}

/* A REFUSE frees a machine that does not run, and never one that does */
static void a_refusal_ends_the_doubt(void **state)
{
	static const unsigned prepared[] = {
		TARGET_PREPARED, TARGET_PREPARED_CUT, TARGET_REJOIN_DOUBT,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(prepared); i++)
		assert_int_equal(target_step(prepared[i],
					     WIRE_MSG_REFUSE).next,
				 TARGET_FAILING);
	assert_int_equal(target_step(TARGET_REJOIN, WIRE_MSG_REFUSE).next,
			 TARGET_LOST);
}

/* docs/protocol.md, "When something fails" */
static unsigned source_outcome(unsigned phase)
{
	switch (phase) {
	case SOURCE_SETUP:
	case SOURCE_HANDOVER:
	case SOURCE_PREPARED:
	case SOURCE_FAILING:
		return SOURCE_FAILED;
	case SOURCE_CANCELLING:
		return SOURCE_CANCELLED;
	case SOURCE_COMMITTED:
	case SOURCE_COMMITTED_CUT:
	case SOURCE_REDIAL_DOUBT:
		return SOURCE_DOUBT;
	case SOURCE_POSTCOPY:
	case SOURCE_FINISHING:
	case SOURCE_REDIAL:
		return SOURCE_LOST;
	default:
		return phase;
	}
}

static unsigned target_outcome(unsigned phase)
{
	switch (phase) {
	case TARGET_SETUP:
	case TARGET_HANDOVER:
	case TARGET_LOADING:
	case TARGET_FAILING:
		return TARGET_LISTENING;
	case TARGET_PREPARED:
	case TARGET_PREPARED_CUT:
	case TARGET_REJOIN_DOUBT:
		return TARGET_DOUBT;
	case TARGET_POSTCOPY:
	case TARGET_REJOIN:
		return TARGET_LOST;
	case TARGET_WHOLE:
		return TARGET_UNCONFIRMED;
	case TARGET_QUITTING:
		return TARGET_ENDED;
	default:
		return phase;
	}
}

/* A lost main connection has one outcome in each phase, and is explained */
static void a_lost_link_has_one_outcome(void **state)
{
	(void)state;
	for (unsigned p = 0; p < SOURCE_PHASES; p++) {
		struct phase_step s = source_step(p, EVENT_MAIN_LOST);

		assert_false(s.actions & PHASE_REJECT);
		if (s.next != p)
			assert_true(s.actions & PHASE_BLAME);
		s = source_step(s.next, EVENT_LEFT);
		assert_int_equal(s.next, source_outcome(p));
	}
	for (unsigned p = 0; p < TARGET_PHASES; p++) {
		struct phase_step s = target_step(p, EVENT_MAIN_LOST);

		assert_false(s.actions & PHASE_REJECT);
		if (s.next != p && s.next != TARGET_UNCONFIRMED)
			assert_true(s.actions & PHASE_BLAME);
		s = target_step(s.next, EVENT_LEFT);
		s = target_step(s.next, EVENT_DISCARDED);
		assert_int_equal(s.next, target_outcome(p));
	}
}

/* Main decides the hand-over: a loss of another connection is no doubt */
static void check_no_doubt(enum phase_event event)
{
	struct phase_step s = source_step(SOURCE_COMMITTED, event);

	assert_int_equal(s.next, SOURCE_COMMITTED_CUT);
	assert_false(s.actions & (PHASE_SHUT | PHASE_HANG_UP));
	s = source_step(s.next, WIRE_MSG_RUNNING);
	assert_int_equal(s.next, SOURCE_LOST);
	assert_true(s.actions & PHASE_SHUT && s.actions & PHASE_SHOW);

	s = target_step(TARGET_PREPARED, event);
	assert_int_equal(s.next, TARGET_PREPARED_CUT);
	assert_false(s.actions & (PHASE_SHUT | PHASE_HANG_UP));
	s = target_step(s.next, WIRE_MSG_COMMIT);
	assert_int_equal(s.next, TARGET_LOST);
	assert_true(s.actions & PHASE_RUN);
	/* RUNNING is still sent: the link is shut when the stages were left */
	assert_false(s.actions & (PHASE_SHUT | PHASE_HANG_UP));
}

static void only_main_puts_it_in_doubt(void **state)
{
	(void)state;
	check_no_doubt(EVENT_PUSH_LOST);
	check_no_doubt(EVENT_PUSHES_LOST);
	check_no_doubt(EVENT_DEMAND_LOST);
}

/* One of several push connections: its pages go on the others */
static void one_push_connection_is_no_pause(void **state)
{
	(void)state;
	assert_int_equal(source_step(SOURCE_POSTCOPY, EVENT_PUSH_LOST).next,
			 SOURCE_POSTCOPY);
	assert_int_equal(target_step(TARGET_POSTCOPY, EVENT_PUSH_LOST).next,
			 TARGET_POSTCOPY);
	assert_int_equal(source_step(SOURCE_POSTCOPY, EVENT_PUSHES_LOST).next,
			 SOURCE_LOST);
	assert_int_equal(target_step(TARGET_POSTCOPY, EVENT_PUSHES_LOST).next,
			 TARGET_LOST);
}

/* A lost connection or a deadline is retried, the rest waits for an operator */
static bool is_retried(unsigned event)
{
	return is_loss(event) || event == EVENT_DEADLINE ||
	       event == EVENT_FAILURE || event == EVENT_LEFT;
}

static void check_retry(struct phase_step s, unsigned phase, unsigned event,
			bool parked)
{
	bool refused = event == WIRE_MSG_REFUSE &&
		       !(s.actions & PHASE_REJECT);

	if (!parked || s.next == phase)
		return;
	/* COMMIT and RUNNING with a cut link, and an operator's decision */
	if (!(s.actions & PHASE_BLAME) || event == EVENT_RUN_HERE)
		return;
	if (!(s.actions & PHASE_MANUAL) != (is_retried(event) || refused))
		fail_msg("%s: who resumes?", phase_event_name(event));
}

static void who_resumes(void **state)
{
	(void)state;
	for (unsigned e = 0; e < PHASE_EVENTS; e++) {
		for (unsigned p = 0; p < SOURCE_PHASES; p++) {
			struct phase_step s = source_step(p, e);

			check_retry(s, p, e, source_is_parked(s.next));
		}
		for (unsigned p = 0; p < TARGET_PHASES; p++) {
			struct phase_step s = target_step(p, e);

			if (s.next != TARGET_UNCONFIRMED)
				check_retry(s, p, e, target_is_parked(s.next));
		}
	}
}

/* ferry resolve: only where the other side is not known to run the guest */
static void an_operator_decides_in_doubt_only(void **state)
{
	(void)state;
	for (unsigned p = 0; p < SOURCE_PHASES; p++)
		assert_int_equal(!(source_step(p, EVENT_RUN_HERE).actions &
				   PHASE_REJECT),
				 p == SOURCE_DOUBT || p == SOURCE_REDIAL_DOUBT);
	for (unsigned p = 0; p < TARGET_PHASES; p++) {
		assert_int_equal(!(target_step(p, EVENT_RUN_HERE).actions &
				   PHASE_REJECT), p == TARGET_DOUBT);
		assert_int_equal(!(target_step(p, EVENT_GIVE_UP).actions &
				   PHASE_REJECT),
				 p == TARGET_DOUBT || p == TARGET_UNCONFIRMED);
	}
}

/* Cancel: possible in each phase before the point of no return, in none after */
static void cancel_ends_at_the_point_of_no_return(void **state)
{
	(void)state;
	for (unsigned p = 0; p < SOURCE_PHASES; p++) {
		struct phase_step s = source_step(p, EVENT_CANCEL);

		assert_int_equal(!(s.actions & PHASE_REJECT),
				 !source_has_committed(p));
		if (source_has_committed(p))
			assert_int_equal(s.next, p);
	}
}

/* Rejected milestones and commands change nothing, and have no other effect */
static void a_rejected_event_has_no_effect(void **state)
{
	(void)state;
	for (unsigned e = WIRE_MSG_TYPES; e < PHASE_EVENTS; e++) {
		for (unsigned p = 0; p < SOURCE_PHASES; p++) {
			struct phase_step s = source_step(p, e);

			if (s.actions & PHASE_REJECT)
				assert_true(s.next == p &&
					    s.actions == PHASE_REJECT);
			if (is_trouble(e))
				assert_false(s.actions & PHASE_REJECT);
		}
		for (unsigned p = 0; p < TARGET_PHASES; p++) {
			struct phase_step s = target_step(p, e);

			if (s.actions & PHASE_REJECT)
				assert_true(s.next == p &&
					    s.actions == PHASE_REJECT);
			if (is_trouble(e))
				assert_false(s.actions & PHASE_REJECT);
		}
	}
}

/* A violation means what a lost main connection means */
static void a_violation_is_a_loss(void **state)
{
	(void)state;
	for (unsigned e = 0; e < WIRE_MSG_TYPES; e++)
		for (unsigned p = 0; p < SOURCE_PHASES; p++) {
			struct phase_step s = source_step(p, e);
			struct phase_step l = source_step(p, EVENT_MAIN_LOST);

			if (is_message(e) && s.actions & PHASE_REJECT)
				assert_int_equal(s.next, l.next);
		}
}

/*
 * The product. A state is both phases, the messages under way on main in
 * each direction, and which links exist. The model sends what the stages
 * send: PREPARE after the guest was held, PREPARED after loading, COMMIT after
 * the point of no return, RUNNING after COMMIT, and so on.
 *
 * A new link: the source clears what was under way to it, and sends HELLO and
 * RESUME after what is still under way on the old link, or instead of that. The
 * destination reports the loss of the old link when the HELLO comes, if it has
 * not noticed it. What a destination sends on the old link meanwhile is lost.
 */
#define QUEUE_MAX	6

/* REPORT with its flags: what the destination has said */
enum { REPORT_NOT = 200, REPORT_RUNS, REPORT_WHOLE };

struct world {
	uint8_t source, target;
	uint8_t to_target[QUEUE_MAX], to_source[QUEUE_MAX];
	uint8_t n_target, n_source;
	bool cut;
	bool joined;		/* the destination uses the source's link */
	bool sent;		/* the source has sent STATE and PREPARE */
};

#define WORLDS_MAX	(1u << 23)
#define HASH		(1u << 24)
#define EDGES_MAX	(1u << 26)

static struct world *worlds;
static uint32_t *hash_of;
static size_t worlds_n;

/* Steps of two live sides with a network, from the world explored now */
struct edge { uint32_t from, to; };

static struct edge *edges;
static size_t edges_n, exploring;
static bool kind;		/* the step is one of those */

static uint64_t hash(const struct world *w)
{
	const uint8_t *b = (const uint8_t *)w;
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < sizeof(*w); i++)
		h = (h ^ b[i]) * 0x100000001b3ull;
	return h;
}

static void check_world(const struct world *w)
{
	if (source_may_run(w->source) && target_may_run(w->target))
		fail_msg("both run: source %s, destination %s",
			 source_phase_name(w->source),
			 target_phase_name(w->target));
	/* Only an operator runs it there although the source is gone */
	if (target_may_run(w->target))
		assert_true(source_has_committed(w->source));
}

static void add_edge(size_t to)
{
	if (!kind)
		return;
	assert_true(edges_n < EDGES_MAX);
	edges[edges_n++] = (struct edge){ (uint32_t)exploring, (uint32_t)to };
}

static void add_world(const struct world *w)
{
	uint64_t at = hash(w) % HASH;

	while (hash_of[at]) {
		if (!memcmp(&worlds[hash_of[at] - 1], w, sizeof(*w))) {
			add_edge(hash_of[at] - 1);
			return;
		}
		at = (at + 1) % HASH;
	}
	assert_true(worlds_n < WORLDS_MAX);
	check_world(w);
	worlds[worlds_n] = *w;
	add_edge(worlds_n);
	hash_of[at] = (uint32_t)++worlds_n;
}

/* What does not fit is lost with the link, as all that follows it */
static void send_to_target(struct world *w, uint8_t type)
{
	w->cut |= w->n_target == QUEUE_MAX;
	if (!w->cut)
		w->to_target[w->n_target++] = type;
}

static void send_to_source(struct world *w, uint8_t type)
{
	if (!w->joined)
		return;
	w->cut |= w->n_source == QUEUE_MAX;
	if (!w->cut)
		w->to_source[w->n_source++] = type;
}

static void clear_to_source(struct world *w)
{
	memset(w->to_source, 0, sizeof(w->to_source));
	w->n_source = 0;
}

static void clear_to_target(struct world *w)
{
	memset(w->to_target, 0, sizeof(w->to_target));
	w->n_target = 0;
}

/* The old link's rest arrives first, or not at all: the caller decides */
static void new_link(struct world *w, uint8_t first)
{
	clear_to_source(w);
	w->cut = w->joined = false;
	send_to_target(w, WIRE_MSG_HELLO);
	send_to_target(w, first);
}

static void source_event(struct world w, unsigned event)
{
	struct phase_step s = source_step(w.source, event);
	bool held = w.source != SOURCE_HANDOVER && s.next == SOURCE_HANDOVER;
	bool rejected = s.actions & PHASE_REJECT;

	w.source = (uint8_t)s.next;
	if (held && !w.sent) {
		w.sent = true;
		send_to_target(&w, WIRE_MSG_STATE);
		send_to_target(&w, WIRE_MSG_PREPARE);
	}
	if (event == EVENT_COMMIT && !rejected)
		send_to_target(&w, WIRE_MSG_COMMIT);
	if (event == EVENT_ALL_SENT && !rejected)
		send_to_target(&w, WIRE_MSG_DONE);
	if ((event == WIRE_MSG_COMPLETE && s.next == SOURCE_COMPLETED) ||
	    (event == EVENT_PEER_WHOLE && !rejected))
		send_to_target(&w, WIRE_MSG_CONFIRMED);
	if (s.actions & PHASE_REFUSE)
		send_to_target(&w, WIRE_MSG_REFUSE);
	if (event == EVENT_REDIAL && !rejected) {
		struct world clean = w;

		clear_to_target(&clean);
		new_link(&clean, WIRE_MSG_RESUME);
		add_world(&clean);
		new_link(&w, WIRE_MSG_RESUME);
	}
	if (s.actions & PHASE_SHUT)
		w.cut = true;
	add_world(&w);
}

static void target_event(struct world w, unsigned event)
{
	struct phase_step s = target_step(w.target, event);
	bool rejected = s.actions & PHASE_REJECT;

	if (event == EVENT_REJOINED && !rejected)
		w.joined = true;
	if (event == WIRE_MSG_RESUME && !rejected &&
	    (target_is_rejoining(w.target) || w.target == TARGET_WHOLE))
		send_to_source(&w, w.target == TARGET_WHOLE ? REPORT_WHOLE :
			       w.target == TARGET_REJOIN ? REPORT_RUNS
							 : REPORT_NOT);
	w.target = (uint8_t)s.next;
	if (event == EVENT_LOADED && !rejected)
		send_to_source(&w, WIRE_MSG_PREPARED);
	if (s.actions & PHASE_RUN && event == WIRE_MSG_COMMIT)
		send_to_source(&w, WIRE_MSG_RUNNING);
	if (event == EVENT_WHOLE && !rejected)
		send_to_source(&w, WIRE_MSG_COMPLETE);
	if (s.actions & PHASE_REFUSE)
		send_to_source(&w, WIRE_MSG_REFUSE);
	if (s.actions & PHASE_ENDED)
		send_to_source(&w, WIRE_MSG_ENDED);
	/* Its end of the link that it uses */
	if (s.actions & (PHASE_SHUT | PHASE_DISCARD) && w.joined)
		w.cut = true;
	add_world(&w);
}

/* A HELLO that resumes: the loss of the old link first, if it was not noticed */
static void target_hello_comes(struct world w)
{
	if (!target_is_parked(w.target))
		w.target = (uint8_t)target_step(w.target,
						EVENT_MAIN_LOST).next;
	if (target_is_parked(w.target)) {
		target_event(w, EVENT_REJOINED);
		return;
	}
	/* No session waits there: refused, and closed */
	w.cut = true;
	clear_to_target(&w);
	add_world(&w);
}

static void source_report_comes(struct world w, unsigned report)
{
	struct phase_step s = source_step(w.source, WIRE_MSG_REPORT);

	w.source = (uint8_t)s.next;
	if (s.actions & PHASE_REJECT || !source_is_redialling(w.source))
		source_event(w, EVENT_LEFT);
	else if (report == REPORT_WHOLE)
		source_event(w, EVENT_PEER_WHOLE);
	else if (report == REPORT_RUNS)
		source_event(w, EVENT_PEER_RUNS);
	else	/* Not received: sent again, unless RUNNING was seen: a lie */
		source_event(w, w.source == SOURCE_REDIAL_DOUBT
			     ? EVENT_COMMIT : EVENT_VIOLATION);
}

/* What is under way arrives, even after main was cut */
static void deliver(struct world w)
{
	struct world d = w;

	if (w.n_target) {
		memmove(d.to_target, d.to_target + 1, QUEUE_MAX - 1);
		d.to_target[QUEUE_MAX - 1] = 0;
		d.n_target--;
		if (w.to_target[0] == WIRE_MSG_HELLO)
			target_hello_comes(d);
		else
			target_event(d, w.to_target[0]);
	}
	d = w;
	if (w.n_source) {
		memmove(d.to_source, d.to_source + 1, QUEUE_MAX - 1);
		d.to_source[QUEUE_MAX - 1] = 0;
		d.n_source--;
		if (w.to_source[0] >= REPORT_NOT)
			source_report_comes(d, w.to_source[0]);
		else
			source_event(d, w.to_source[0]);
	}
}

static void cut(struct world w)
{
	w.cut = true;
	add_world(&w);
	clear_to_target(&w);
	add_world(&w);
	clear_to_source(&w);
	add_world(&w);
}

static bool source_gone(const struct world *w)
{
	return w->source == SOURCE_ENDED || w->source == SOURCE_ABANDONED;
}

/* It ended, or an operator has given the guest up there */
static bool target_gone(const struct world *w)
{
	return w->target == TARGET_ENDED || w->target == TARGET_FAILING;
}

/* What this event would claim is not true, or it is a step of deliver() */
static bool source_cannot(const struct world *w, unsigned event)
{
	return event == EVENT_PEER_RUNS || event == EVENT_PEER_WHOLE ||
	       (event == EVENT_COMMIT && w->source == SOURCE_REDIAL_DOUBT) ||
	       (event == EVENT_RUN_HERE && !target_gone(w));
}

static bool target_cannot(const struct world *w, unsigned event)
{
	/* One session: what a destination does for the next is not here */
	return event == EVENT_DISCARDED || event == EVENT_REJOINED ||
	       (event == EVENT_RUN_HERE && !source_gone(w));
}

/* Every step that needs neither an operator nor a failure */
static bool is_kind(unsigned event)
{
	return event == EVENT_HOLD || event == EVENT_COMMIT ||
	       event == EVENT_ALL_SENT || event == EVENT_LOADED ||
	       event == EVENT_WHOLE || event == EVENT_REDIAL ||
	       event == EVENT_RECOVERED;
}

/*
 * The session threads notice what has happened: a cut link, and the end of
 * their stages. A source that runs the guest tells a destination in doubt.
 */
static void notice(const struct world w)
{
	bool parted = w.cut || !w.joined;

	kind = true;
	if (w.cut && !w.n_source)
		source_event(w, EVENT_MAIN_LOST);
	if (parted && !w.n_target)
		target_event(w, EVENT_MAIN_LOST);
	if (w.source == SOURCE_FAILING || w.source == SOURCE_CANCELLING ||
	    w.source == SOURCE_COMPLETED)
		source_event(w, EVENT_LEFT);
	if (w.target == TARGET_FAILING || w.target == TARGET_COMPLETED ||
	    w.target == TARGET_QUITTING ||
	    (target_is_parked(w.target) && w.joined && !w.cut))
		target_event(w, EVENT_LEFT);
	if ((w.source == SOURCE_FAILED || w.source == SOURCE_CANCELLED) &&
	    w.cut && !w.n_target && target_has_promised(w.target)) {
		struct world tells = w;

		new_link(&tells, WIRE_MSG_REFUSE);
		add_world(&tells);
	}
	kind = false;
}

static void explore(size_t i)
{
	const struct world w = worlds[i];

	exploring = i;
	kind = true;
	deliver(w);
	kind = false;
	cut(w);
	for (unsigned e = WIRE_MSG_TYPES; e < PHASE_EVENTS; e++) {
		/* What one operator gave up, the other one takes */
		kind = is_kind(e) || (e == EVENT_RUN_HERE &&
				      w.target == TARGET_FAILING);
		if (!source_cannot(&w, e))
			source_event(w, e);
		if (!target_cannot(&w, e))
			target_event(w, e);
	}
	notice(w);
}

/* Ended well, or by an operator or a process that is not there any more */
static bool is_over(const struct world *w)
{
	if (source_gone(w) || w->target == TARGET_ENDED ||
	    w->target == TARGET_QUITTING)
		return true;
	if (w->source == SOURCE_FAILED || w->source == SOURCE_CANCELLED)
		return w->target == TARGET_FAILING;
	/* COMPLETED without a CONFIRMED: the time for it was over */
	return w->target == TARGET_COMPLETED ||
	       (w->source == SOURCE_COMPLETED &&
		w->target == TARGET_UNCONFIRMED);
}

/* Edges in the order of their end, so that they can be walked backwards */
static uint32_t *sort_edges(uint32_t **first)
{
	uint32_t *from = calloc(edges_n + 1, sizeof(*from));
	uint32_t *at = calloc(worlds_n + 2, sizeof(*at));

	assert_true(from && at);
	for (size_t i = 0; i < edges_n; i++)
		at[edges[i].to + 2]++;
	for (size_t i = 2; i < worlds_n + 2; i++)
		at[i] += at[i - 1];
	for (size_t i = 0; i < edges_n; i++)
		from[at[edges[i].to + 1]++] = edges[i].from;
	*first = at;
	return from;
}

/* From each world a way leads to one that is over */
static void check_ends(void)
{
	uint32_t *first, *from = sort_edges(&first);
	uint32_t *todo = calloc(worlds_n, sizeof(*todo));
	bool *ends = calloc(worlds_n, sizeof(*ends));
	size_t n = 0;

	assert_true(todo && ends);
	for (size_t i = 0; i < worlds_n; i++)
		if (is_over(&worlds[i])) {
			ends[i] = true;
			todo[n++] = (uint32_t)i;
		}
	while (n) {
		uint32_t to = todo[--n];

		for (uint32_t k = first[to]; k < first[to + 1]; k++)
			if (!ends[from[k]]) {
				ends[from[k]] = true;
				todo[n++] = from[k];
			}
	}
	for (size_t i = 0; i < worlds_n; i++)
		if (!ends[i])
			fail_msg("no way out: source %s, destination %s, %u and %u messages, %s",
				 source_phase_name(worlds[i].source),
				 target_phase_name(worlds[i].target),
				 worlds[i].n_source, worlds[i].n_target,
				 worlds[i].cut ? "cut" : "linked");
	free(from);
	free(first);
	free(todo);
	free(ends);
}

static void explore_all(void)
{
	struct world first;

	memset(&first, 0, sizeof(first));
	first.source = SOURCE_SETUP;
	first.target = TARGET_SETUP;
	first.joined = true;
	add_world(&first);
	for (size_t i = 0; i < worlds_n; i++)
		explore(i);
}

/* The exploration saw everything that it should judge */
static void check_reached(void)
{
	bool reached[SOURCE_PHASES] = { 0 }, there[TARGET_PHASES] = { 0 };

	for (size_t i = 0; i < worlds_n; i++) {
		reached[worlds[i].source] = true;
		there[worlds[i].target] = true;
	}
	for (unsigned p = 0; p < SOURCE_PHASES; p++)
		if (!reached[p])
			fail_msg("source: %s not reached",
				 source_phase_name(p));
	for (unsigned p = TARGET_SETUP; p < TARGET_PHASES; p++)
		if (!there[p])
			fail_msg("destination: %s not reached",
				 target_phase_name(p));
}

static void the_vcpus_of_both_never_run(void **state)
{
	(void)state;
	worlds = calloc(WORLDS_MAX, sizeof(*worlds));
	hash_of = calloc(HASH, sizeof(*hash_of));
	edges = calloc(EDGES_MAX, sizeof(*edges));
	assert_true(worlds && hash_of && edges);
	explore_all();
	check_reached();
	print_message("%zu states of the product, %zu steps\n", worlds_n,
		      edges_n);
	check_ends();
	free(worlds);
	free(hash_of);
	free(edges);
}

static void errors_become_events(void **state)
{
	(void)state;
	assert_int_equal(phase_event_of(-EPIPE), EVENT_MAIN_LOST);
	assert_int_equal(phase_event_of(-ETIMEDOUT), EVENT_DEADLINE);
	assert_int_equal(phase_event_of(-EBADMSG), EVENT_VIOLATION);
	assert_int_equal(phase_event_of(-ENOMEM), EVENT_FAILURE);
	assert_int_equal(phase_loss_of(EVENT_PUSH_LOST, -EPIPE),
			 EVENT_PUSH_LOST);
	assert_int_equal(phase_loss_of(EVENT_DEMAND_LOST, -ETIMEDOUT),
			 EVENT_DEMAND_LOST);
	assert_int_equal(phase_loss_of(EVENT_PUSH_LOST, -EBADMSG),
			 EVENT_VIOLATION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_has_an_entry),
		cmocka_unit_test(out_of_range_changes_nothing),
		cmocka_unit_test(names_are_unique),
		cmocka_unit_test(a_failure_waits_for_short_actions_only),
		cmocka_unit_test(no_way_back_to_the_source),
		cmocka_unit_test(only_commit_lets_the_destination_run),
		cmocka_unit_test(a_promise_is_kept),
		cmocka_unit_test(a_refusal_ends_the_doubt),
		cmocka_unit_test(a_lost_link_has_one_outcome),
		cmocka_unit_test(only_main_puts_it_in_doubt),
		cmocka_unit_test(one_push_connection_is_no_pause),
		cmocka_unit_test(who_resumes),
		cmocka_unit_test(an_operator_decides_in_doubt_only),
		cmocka_unit_test(cancel_ends_at_the_point_of_no_return),
		cmocka_unit_test(a_rejected_event_has_no_effect),
		cmocka_unit_test(a_violation_is_a_loss),
		cmocka_unit_test(the_vcpus_of_both_never_run),
		cmocka_unit_test(errors_become_events),
	};

	return cmocka_run_group_tests_name("phase", tests, NULL, NULL);
}
