// SPDX-License-Identifier: MIT
/*
 * test_phase.c - The phase tables, completely, and the product of both
 *
 * Walks every (phase, event) of each side, then explores all states that two
 * sides and the messages between them can reach, with every loss, command and
 * failure at every moment: never may the vCPUs of both sides run.
 */

#include "unit.h"

#include "migration/session/phase.h"

static bool is_message(unsigned event)
{
	return event > 0 && event < WIRE_MSG_TYPES;
}

static bool is_loss(unsigned event)
{
	return event == EVENT_MAIN_LOST || event == EVENT_DEMAND_LOST ||
	       event == EVENT_PUSH_LOST;
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

/* Invariant 4: once committed, no event lets the guest run here again */
static void no_way_back_to_the_source(void **state)
{
	(void)state;
	for (unsigned p = 0; p < SOURCE_PHASES; p++)
		for (unsigned e = 0; e < PHASE_EVENTS; e++) {
			struct phase_step s = source_step(p, e);

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
			if (begins)
				assert_true(e == WIRE_MSG_COMMIT &&
					    (p == TARGET_PREPARED ||
					     p == TARGET_PREPARED_CUT));
		}
}

/* What was promised is kept, but for a REFUSE, or when the process ends */
static void a_promise_is_kept(void **state)
{
	(void)state;
	for (unsigned p = 0; p < TARGET_PHASES; p++)
		for (unsigned e = 0; e < PHASE_EVENTS; e++) {
			struct phase_step s = target_step(p, e);

			if (!target_has_promised(p))
				continue;
			assert_false(s.actions & (PHASE_DISCARD |
				     (e == WIRE_MSG_REFUSE ? 0
							   : PHASE_RELEASE)));
			if (!target_has_promised(s.next))
				assert_true(s.next == TARGET_QUITTING ||
					    (e == WIRE_MSG_REFUSE &&
					     !target_has_committed(p)));
		}
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
		return SOURCE_DOUBT;
	case SOURCE_POSTCOPY:
	case SOURCE_FINISHING:
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
		return TARGET_DOUBT;
	case TARGET_POSTCOPY:
		return TARGET_LOST;
	case TARGET_WHOLE:
		return TARGET_COMPLETED;
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
		if (s.next != p)
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
	check_no_doubt(EVENT_DEMAND_LOST);
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
 * each direction, and whether main is cut. The model sends what the stages
 * send: PREPARE after the guest was held, PREPARED after loading, COMMIT after
 * the point of no return, RUNNING after COMMIT, and so on.
 */
#define QUEUE_MAX	4

struct world {
	uint8_t source, target;
	uint8_t to_target[QUEUE_MAX], to_source[QUEUE_MAX];
	uint8_t n_target, n_source;
	bool cut;
	bool sent;		/* the source has sent STATE and PREPARE */
};

#define WORLDS_MAX	(1u << 22)
#define HASH		(1u << 23)

static struct world *worlds;
static uint32_t *hash_of;
static size_t worlds_n;

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
	/* Doubt of the one is never a guest at the other that runs there */
	if (target_may_run(w->target))
		assert_true(source_has_committed(w->source));
}

static void add_world(const struct world *w)
{
	uint64_t at = hash(w) % HASH;

	while (hash_of[at]) {
		if (!memcmp(&worlds[hash_of[at] - 1], w, sizeof(*w)))
			return;
		at = (at + 1) % HASH;
	}
	assert_true(worlds_n < WORLDS_MAX);
	check_world(w);
	worlds[worlds_n] = *w;
	hash_of[at] = (uint32_t)++worlds_n;
}

static void send_to_target(struct world *w, uint8_t type)
{
	if (!w->cut && w->n_target < QUEUE_MAX)
		w->to_target[w->n_target++] = type;
}

static void send_to_source(struct world *w, uint8_t type)
{
	if (!w->cut && w->n_source < QUEUE_MAX)
		w->to_source[w->n_source++] = type;
}

static void source_event(struct world w, unsigned event)
{
	struct phase_step s = source_step(w.source, event);
	bool held = w.source != SOURCE_HANDOVER && s.next == SOURCE_HANDOVER;

	w.source = (uint8_t)s.next;
	if (held && !w.sent) {
		w.sent = true;
		send_to_target(&w, WIRE_MSG_STATE);
		send_to_target(&w, WIRE_MSG_PREPARE);
	}
	if (event == EVENT_COMMIT && !(s.actions & PHASE_REJECT))
		send_to_target(&w, WIRE_MSG_COMMIT);
	if (event == EVENT_ALL_SENT && !(s.actions & PHASE_REJECT))
		send_to_target(&w, WIRE_MSG_DONE);
	if (s.actions & PHASE_REFUSE)
		send_to_target(&w, WIRE_MSG_REFUSE);
	if (s.actions & PHASE_SHUT)
		w.cut = true;
	add_world(&w);
}

static void target_event(struct world w, unsigned event)
{
	struct phase_step s = target_step(w.target, event);

	w.target = (uint8_t)s.next;
	if (event == EVENT_LOADED && !(s.actions & PHASE_REJECT))
		send_to_source(&w, WIRE_MSG_PREPARED);
	if (s.actions & PHASE_RUN)
		send_to_source(&w, WIRE_MSG_RUNNING);
	if (event == EVENT_WHOLE && !(s.actions & PHASE_REJECT))
		send_to_source(&w, WIRE_MSG_COMPLETE);
	if (s.actions & PHASE_REFUSE)
		send_to_source(&w, WIRE_MSG_REFUSE);
	if (s.actions & (PHASE_SHUT | PHASE_DISCARD))
		w.cut = true;
	add_world(&w);
}

/* What is under way arrives, even after main was cut */
static void deliver(struct world w)
{
	struct world d = w;

	if (w.n_target) {
		memmove(d.to_target, d.to_target + 1, QUEUE_MAX - 1);
		d.to_target[QUEUE_MAX - 1] = 0;
		d.n_target--;
		target_event(d, w.to_target[0]);
	}
	d = w;
	if (w.n_source) {
		memmove(d.to_source, d.to_source + 1, QUEUE_MAX - 1);
		d.to_source[QUEUE_MAX - 1] = 0;
		d.n_source--;
		source_event(d, w.to_source[0]);
	}
}

static void cut(struct world w)
{
	w.cut = true;
	add_world(&w);
	memset(w.to_target, 0, sizeof(w.to_target));
	w.n_target = 0;
	add_world(&w);
	memset(w.to_source, 0, sizeof(w.to_source));
	w.n_source = 0;
	add_world(&w);
}

static void explore(const struct world w)
{
	deliver(w);
	cut(w);
	for (unsigned e = WIRE_MSG_TYPES; e < PHASE_EVENTS; e++) {
		source_event(w, e);
		/* One session: what a destination does for the next is not here */
		if (e != EVENT_DISCARDED)
			target_event(w, e);
	}
}

static void the_vcpus_of_both_never_run(void **state)
{
	struct world first;
	bool reached[SOURCE_PHASES] = { 0 }, there[TARGET_PHASES] = { 0 };

	(void)state;
	worlds = calloc(WORLDS_MAX, sizeof(*worlds));
	hash_of = calloc(HASH, sizeof(*hash_of));
	assert_true(worlds && hash_of);
	memset(&first, 0, sizeof(first));
	first.source = SOURCE_SETUP;
	first.target = TARGET_SETUP;
	add_world(&first);
	for (size_t i = 0; i < worlds_n; i++) {
		reached[worlds[i].source] = true;
		there[worlds[i].target] = true;
		explore(worlds[i]);
	}
	/* The exploration saw everything that it should judge */
	for (unsigned p = 0; p < SOURCE_PHASES; p++)
		if (!reached[p])
			fail_msg("source: %s not reached",
				 source_phase_name(p));
	for (unsigned p = TARGET_SETUP; p < TARGET_PHASES; p++)
		if (!there[p])
			fail_msg("destination: %s not reached",
				 target_phase_name(p));
	print_message("%zu states of the product\n", worlds_n);
	free(worlds);
	free(hash_of);
}

static void errors_become_events(void **state)
{
	(void)state;
	assert_int_equal(phase_event_of(-EPIPE), EVENT_MAIN_LOST);
	assert_int_equal(phase_event_of(-ETIMEDOUT), EVENT_DEADLINE);
	assert_int_equal(phase_event_of(-EBADMSG), EVENT_VIOLATION);
	assert_int_equal(phase_event_of(-ENOMEM), EVENT_FAILURE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_has_an_entry),
		cmocka_unit_test(out_of_range_changes_nothing),
		cmocka_unit_test(names_are_unique),
		cmocka_unit_test(no_way_back_to_the_source),
		cmocka_unit_test(only_commit_lets_the_destination_run),
		cmocka_unit_test(a_promise_is_kept),
		cmocka_unit_test(a_lost_link_has_one_outcome),
		cmocka_unit_test(only_main_puts_it_in_doubt),
		cmocka_unit_test(cancel_ends_at_the_point_of_no_return),
		cmocka_unit_test(a_rejected_event_has_no_effect),
		cmocka_unit_test(a_violation_is_a_loss),
		cmocka_unit_test(the_vcpus_of_both_never_run),
		cmocka_unit_test(errors_become_events),
	};

	return cmocka_run_group_tests_name("phase", tests, NULL, NULL);
}
