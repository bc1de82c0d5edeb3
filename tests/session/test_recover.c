// SPDX-License-Identifier: MIT
/*
 * test_recover.c - Both sides of a session in one process, a relay that cuts
 *
 * The sessions, their threads, sockets and userfaultfd are the real ones; the
 * machines are tests/fake's, so that no KVM is needed. vCPU threads read pages
 * and compare them. A cut at each message of both directions, also at those of
 * a new link: the session must go on by itself, and the guest must be whole at
 * the destination, or run on the source.
 */

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "migration/session/target_greet.h"
#include "pair.h"
#include "vmm/base/clock.h"
#include "vmm/memory/uffd.h"

#define LATE_MS		300u	/* what may happen meanwhile does happen */

static _Atomic unsigned wrong, both;
static unsigned threads_before;		/* of the process */
static _Atomic bool begins_another;	/* see on_status() */

/* The destination whose page_store_abandon() is late; the last phase it saw */
static struct target *_Atomic abandons_late;
static _Atomic unsigned seen_phase;

void __real_page_store_abandon(struct page_store *s);
void __wrap_page_store_abandon(struct page_store *s);
void __wrap_page_store_abandon(struct page_store *s)
{
	struct target *t = abandons_late;

	for (unsigned ms = 0; t && ms < LATE_MS; ms++) {
		seen_phase = session_phase(&t->se);
		if (seen_phase == TARGET_LISTENING)
			break;
		usleep(1000);
	}
	__real_page_store_abandon(s);
}

/* The destination that is paused while it opens another listener */
static struct target *_Atomic paused_meanwhile;

int __real_target_listen_at(struct target *t, const struct uri *uri,
			    struct error *err);
int __wrap_target_listen_at(struct target *t, const struct uri *uri,
			    struct error *err);
int __wrap_target_listen_at(struct target *t, const struct uri *uri,
			    struct error *err)
{
	if (paused_meanwhile == t)
		assert_int_equal(target_pause(t, err), 0);
	return __real_target_listen_at(t, uri, err);
}

/* Every fourth page is zeroes; the others begin with their number */
static uint64_t word_of(size_t page)
{
	return page % 4 ? page * 0x9e3779b97f4a7c15ull | 1 : 0;
}

/* A vCPU reads a page, and compares: also on the side that must not run */
static void step(void *ctx, struct machine *m, unsigned vcpu)
{
	static _Atomic uint64_t seed = 1;
	uint64_t s = seed++ * 0x2545f4914f6cdd1d + vcpu;
	struct ram *ram = machine_ram(m);
	size_t page = dice(&s) % PAGES;
	const volatile uint64_t *at = (const volatile uint64_t *)
		(const void *)(ram->base + page * WIRE_PAGE);

	(void)ctx;
	usleep(200);
	if (poison_find(machine_poison(m), ram_gpa(ram, page * WIRE_PAGE),
			NULL))
		return;
	/* RAM that is unregistered at the end reads as zeroes */
	if (*at != word_of(page) && fake_machine_is_open(m))
		wrong++;
}

static _Atomic int gates;

static void on_gate(void *ctx, struct machine *m, bool open)
{
	(void)ctx;
	(void)m;
	gates += open ? 1 : -1;
	if (gates > 1)
		both++;
}

/* A client that sees the failure begins another migration of the guest at once */
static void on_status(void *ctx, enum progress_status status)
{
	struct pair *w = ctx;

	if (!begins_another || status != PROGRESS_FAILED)
		return;
	begins_another = false;
	/* The lock that progress_blame() takes is held */
	error_clear(&w->near_progress.why);
	error_set(&w->near_progress.why, EBUSY, "the next migration");
}

static void fill(struct machine *m)
{
	struct ram *ram = machine_ram(m);

	for (size_t i = 0; i < PAGES; i++) {
		uint64_t word = word_of(i);

		for (size_t k = 0; word && k < WIRE_PAGE; k += 8)
			memcpy(ram->base + i * WIRE_PAGE + k, &word, 8);
	}
}

static unsigned threads(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static struct pair *set_up(void)
{
	struct error err = { 0 };
	struct pair *w;

	threads_before = threads();
	fake_host = (struct fake_host){ .step = step, .gate = on_gate };
	wrong = both = 0;
	gates = 0;
	begins_another = false;
	abandons_late = paused_meanwhile = NULL;
	w = pair_new(on_status, pair_ignore);
	w->limits.dead_peer_ms = 10000;
	w->limits.beat_ms = 100;
	fill(w->home);
	assert_int_equal(machine_run(w->home, WHY_BOOTED, &err), 0);
	pair_connect(w, -1);
	return w;
}

static void tear_down(struct pair *w)
{
	pair_free(w);
	/* No thread stays; the kernel lists one a moment longer */
	for (unsigned ms = 0; threads() > threads_before && ms < 1000; ms++)
		usleep(1000);
	assert_int_equal(threads(), threads_before);
	assert_int_equal(wrong, 0);
	assert_int_equal(both, 0);
}

/* Every page is right, or lost */
static void assert_whole(struct pair *w)
{
	struct machine *m = w->gone;
	struct ram *ram = machine_ram(m);

	for (size_t i = 0; i < PAGES; i++) {
		const uint64_t gpa = ram_gpa(ram, i * WIRE_PAGE);
		uint64_t word;

		if (poison_find(machine_poison(m), gpa, NULL))
			continue;
		memcpy(&word, ram->base + i * WIRE_PAGE, sizeof(word));
		if (word != word_of(i))
			fail_msg("page %zu is wrong", i);
	}
}

static void await_completed(struct pair *w, const char *what)
{
	pair_await(w, &w->near_progress, PROGRESS_COMPLETED, what);
	pair_await(w, &w->far_progress, PROGRESS_COMPLETED, what);
	assert_whole(w);
}

/* The guest has ended up in one place, whole, without an operator */
static void await_end(struct pair *w, const char *what)
{
	enum progress_status s;

	for (unsigned ms = 0; ; ms++) {
		s = progress_get(&w->near_progress);
		if (s == PROGRESS_FAILED || s == PROGRESS_COMPLETED)
			break;
		if (ms > LONG_MS)
			pair_stuck(w, what);
		usleep(1000);
	}
	if (s == PROGRESS_COMPLETED) {
		await_completed(w, what);
		return;
	}
	assert_true(fake_machine_is_open(w->home));
	pair_await_phase(w, &w->t->se, TARGET_LISTENING, what);
}

static void nothing_is_cut(void **state)
{
	struct pair *w = set_up();

	(void)state;
	pair_start(w);
	await_completed(w, "not cut");
	assert_int_equal(relay_links(w->r), 1);
	pair_await_phase(w, &w->t->se, TARGET_COMPLETED, "confirmed");
	tear_down(w);
}

struct place {
	enum relay_from from;
	enum wire_type type;
	enum wire_role role;
	unsigned nth;
};

static const struct place first_link[] = {
	{ FROM_SOURCE, WIRE_MSG_HELLO, WIRE_MAIN, 1 },
	{ FROM_TARGET, WIRE_MSG_WELCOME, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_DESCRIPTION, WIRE_MAIN, 1 },
	{ FROM_TARGET, WIRE_MSG_BUILT, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_HELLO, WIRE_DEMAND, 1 },
	{ FROM_TARGET, WIRE_MSG_WELCOME, WIRE_PUSH, 2 },
	{ FROM_SOURCE, WIRE_MSG_ZERO_LIST, WIRE_MAIN, 1 },
	{ FROM_TARGET, WIRE_MSG_READY, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_STATE, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_WRITTEN_LIST, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_DISCARD, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_POISON_LIST, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_PREPARE, WIRE_MAIN, 1 },
	{ FROM_TARGET, WIRE_MSG_PREPARED, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_COMMIT, WIRE_MAIN, 1 },
	{ FROM_TARGET, WIRE_MSG_RUNNING, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_PAGES, WIRE_PUSH, 1 },
	{ FROM_SOURCE, WIRE_MSG_PAGES, WIRE_PUSH, 9 },
	{ FROM_TARGET, WIRE_MSG_REQUEST, WIRE_DEMAND, 1 },
	{ FROM_SOURCE, WIRE_MSG_PAGES, WIRE_DEMAND, 1 },
	{ FROM_TARGET, WIRE_MSG_CHUNK_ACK, WIRE_PUSH, 1 },
	{ FROM_SOURCE, WIRE_MSG_BEAT, WIRE_MAIN, 1 },
	{ FROM_TARGET, WIRE_MSG_BEAT, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_DONE, WIRE_PUSH, 1 },
	{ FROM_SOURCE, WIRE_MSG_DONE, WIRE_MAIN, 1 },
	{ FROM_TARGET, WIRE_MSG_COMPLETE, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_CONFIRMED, WIRE_MAIN, 1 },
};

/*
 * Begin, and wait until the relay has made its cut, the last one. Where that is
 * at a request or an answer, push slowly: all pages might be there before a vCPU
 * requests one
 */
static void start_and_cut(struct pair *w, const struct place *p,
			  const char *what)
{
	const bool asks = p->role == WIRE_DEMAND &&
		(p->type == WIRE_MSG_REQUEST || p->type == WIRE_MSG_PAGES);

	pacer_set_limit(&w->s->pages.pacer, asks ? MIB : 0);
	pair_start(w);
	pair_await_cut(w, what);
	pacer_set_limit(&w->s->pages.pacer, 0);
}

static void cut_there(const struct place *p, unsigned how)
{
	const struct relay_cut cut = {
		.from = p->from, .type = p->type, .role = p->role,
		.nth = p->nth, .after = how == 1, .inside = how == 2,
	};
	struct pair *w = set_up();
	char what[80];

	snprintf(what, sizeof(what), "%s %s %u", how == 1 ? "after" :
		 how == 2 ? "inside" : "before", wire_name(p->type), p->nth);
	relay_cut(w->r, &cut);
	start_and_cut(w, p, what);
	await_end(w, what);
	tear_down(w);
}

/* COMMIT is lost. Both sides count the link that replaces the lost one */
static void a_doubt_is_counted(void **state)
{
	const struct relay_cut cut = { .from = FROM_SOURCE,
				       .type = WIRE_MSG_COMMIT,
				       .role = WIRE_MAIN, .nth = 1 };
	struct pair *w = set_up();

	(void)state;
	relay_cut(w->r, &cut);
	pair_start(w);
	await_completed(w, "in doubt");
	assert_int_equal(w->near_progress.recoveries, 1);
	assert_int_equal(w->far_progress.recoveries, 1);
	tear_down(w);
}

static void a_cut_at_each_message(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(first_link); i++) {
		cut_there(&first_link[i], i % 3);
		cut_there(&first_link[i], (i + 1) % 3);
	}
}

static const struct place next_link[] = {
	{ FROM_SOURCE, WIRE_MSG_HELLO, WIRE_MAIN, 1 },
	{ FROM_TARGET, WIRE_MSG_WELCOME, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_RESUME, WIRE_MAIN, 1 },
	{ FROM_TARGET, WIRE_MSG_REPORT, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_HELLO, WIRE_DEMAND, 1 },
	{ FROM_TARGET, WIRE_MSG_WELCOME, WIRE_DEMAND, 1 },
	{ FROM_SOURCE, WIRE_MSG_HELLO, WIRE_PUSH, 2 },
	{ FROM_TARGET, WIRE_MSG_WELCOME, WIRE_PUSH, 2 },
	{ FROM_TARGET, WIRE_MSG_REQUEST, WIRE_DEMAND, 1 },
	{ FROM_SOURCE, WIRE_MSG_PAGES, WIRE_DEMAND, 1 },
	{ FROM_SOURCE, WIRE_MSG_PAGES, WIRE_PUSH, 1 },
	{ FROM_TARGET, WIRE_MSG_CHUNK_ACK, WIRE_PUSH, 1 },
	{ FROM_SOURCE, WIRE_MSG_DONE, WIRE_MAIN, 1 },
	{ FROM_TARGET, WIRE_MSG_COMPLETE, WIRE_MAIN, 1 },
	{ FROM_SOURCE, WIRE_MSG_CONFIRMED, WIRE_MAIN, 1 },
};

/* Only a new link of a hand-over in doubt has these */
static const struct place doubtful_link[] = {
	{ FROM_SOURCE, WIRE_MSG_COMMIT, WIRE_MAIN, 1 },
	{ FROM_TARGET, WIRE_MSG_RUNNING, WIRE_MAIN, 1 },
};

/* Kinds of loss of the first link */
static const struct relay_cut in_postcopy = {
	.from = FROM_SOURCE, .type = WIRE_MSG_PAGES, .role = WIRE_PUSH, .nth = 3,
}, in_doubt = {
	.from = FROM_SOURCE, .type = WIRE_MSG_COMMIT, .role = WIRE_MAIN, .nth = 1,
}, ran = {
	.from = FROM_TARGET, .type = WIRE_MSG_RUNNING, .role = WIRE_MAIN, .nth = 1,
};

/* The first cut is made at @first; the second in the link that follows */
static void cut_twice(const struct relay_cut *first, const struct place *p,
		      unsigned how)
{
	const struct relay_cut again = {
		.from = p->from, .type = p->type, .role = p->role,
		.nth = p->nth, .after = how == 1, .inside = how == 2,
	};
	struct relay_cut cut = *first;
	struct pair *w = set_up();
	char what[80];

	snprintf(what, sizeof(what), "%s, then %u %s %u",
		 wire_name(first->type), how, wire_name(p->type), p->nth);
	cut.then = &again;
	relay_cut(w->r, &cut);
	start_and_cut(w, p, what);
	await_completed(w, what);
	tear_down(w);
}

static void a_cut_at_each_message_of_a_new_link(void **state)
{
	(void)state;
	/* Each place before, after and inside the message, but not all of it in
	 * each kind of loss: a second for each
	 */
	for (unsigned i = 0; i < ARRAY_SIZE(next_link); i++) {
		cut_twice(&in_postcopy, &next_link[i], i % 3);
		cut_twice(&in_doubt, &next_link[i], (i + 1) % 3);
		cut_twice(&ran, &next_link[i], (i + 2) % 3);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(doubtful_link); i++)
		for (unsigned how = 0; how < 3; how++)
			cut_twice(&in_doubt, &doubtful_link[i], how);
}

/* One push connection of two: no pause, no second link */
static void one_push_connection(void **state)
{
	struct pair *w = set_up();

	(void)state;
	relay_cut(w->r, &(struct relay_cut){
		.from = FROM_SOURCE, .type = WIRE_MSG_PAGES,
		.role = WIRE_PUSH, .nth = 4, .only = true });
	pair_start(w);
	await_completed(w, "one push connection");
	assert_true(relay_done(w->r));
	assert_int_equal(relay_links(w->r), 1);
	/* Those of that connection were sent again: none is in doubt */
	for (uint64_t i = 0; i < PAGES; i++) {
		struct error err = { 0 };

		assert_int_equal(fake_machine_poison(w->home,
			i * WIRE_PAGE, true, &err), -EALREADY);
		assert_non_null(strstr(err.text, "already handed over"));
	}
	tear_down(w);
}

static void hold_in_postcopy(struct pair *w)
{
	relay_cut(w->r, &(struct relay_cut){
		.from = FROM_SOURCE, .type = WIRE_MSG_PAGES,
		.role = WIRE_PUSH, .nth = 3, .hold = true });
	pair_start(w);
	pair_await_cut(w, "hold");
}

/* Nothing passes any more, and no connection is closed */
static void a_black_hole_is_noticed(void **state)
{
	struct pair *w = set_up();
	uint64_t begin;

	(void)state;
	w->limits.dead_peer_ms = 1000;
	w->limits.automatic = false;
	hold_in_postcopy(w);
	begin = now_ns();
	pair_await(w, &w->near_progress, PROGRESS_PAUSED, "the source notices");
	pair_await(w, &w->far_progress, PROGRESS_PAUSED, "the destination notices");
	assert_true(now_ns() - begin < 10000000000ull);
	assert_non_null(strstr(progress_why(&w->near_progress).text,
			       "ferry-dead-peer-timeout"));
	assert_non_null(strstr(progress_why(&w->far_progress).text,
			       "ferry-dead-peer-timeout"));
	/* The network returns, and an operator resumes */
	relay_cut_all(w->r);
	relay_release(w->r);
	assert_int_equal(source_resume(w->s, &w->s->uri, NULL, NULL,
				       &(struct error){ 0 }), 0);
	await_completed(w, "resumed");
	tear_down(w);
}

/* New limits are stored before the attempt for which they are meant begins */
struct acceptance {
	struct source *s;
	unsigned calls;
	bool late;
};

static void accept_limits(void *ctx)
{
	struct acceptance *a = ctx;

	a->calls++;
	a->late = a->s->asked || !source_is_parked(session_phase(&a->s->se));
}

/* The destination listens elsewhere; the source goes there */
static void another_address(void **state)
{
	struct pair *w = set_up();
	struct acceptance a = { .s = w->s };
	struct uri u = pair_uri(w->other);
	struct error err = { 0 };

	(void)state;
	w->limits.automatic = false;
	assert_int_equal(target_recover(w->t, &u, &err), -EINVAL);
	/* It is not paused any more when the name was resolved */
	assert_int_equal(target_listen_at(w->t, &u, &err), -EBUSY);
	assert_int_equal(access(w->other, F_OK), -1);
	assert_int_equal(access(w->far, F_OK), 0);
	assert_int_equal(source_resume(w->s, &u, accept_limits, &a, &err),
			 -EINVAL);
	assert_int_equal(a.calls, 0);
	hold_in_postcopy(w);
	relay_cut_all(w->r);
	relay_release(w->r);
	pair_await(w, &w->near_progress, PROGRESS_PAUSED, "paused");
	pair_await(w, &w->far_progress, PROGRESS_PAUSED, "paused");
	assert_string_equal(w->far_progress.wait.what,
			    "the source to connect again");
	err = (struct error){ 0 };
	if (target_recover(w->t, &u, &err))
		fail_msg("%s", err.text);
	assert_int_equal(access(w->far, F_OK), -1);
	if (source_resume(w->s, &u, accept_limits, &a, &err))
		fail_msg("%s", err.text);
	assert_int_equal(a.calls, 1);
	assert_false(a.late);
	await_completed(w, "another address");
	assert_int_equal(relay_links(w->r), 1);
	assert_null(w->near_progress.wait.what);
	assert_null(w->far_progress.wait.what);
	tear_down(w);
}

/* The destination says that it waits for @what, and for how long */
static void target_waits_for(struct pair *w, const char *what)
{
	struct progress_wait wait = { 0 };

	for (unsigned ms = 0; ms < LONG_MS && !target_waits(w->t, &wait); ms++)
		usleep(1000);
	assert_true(target_waits(w->t, &wait));
	assert_non_null(strstr(wait.what, what));
	assert_non_null(wait.remedy);
	assert_in_range(wait.since, 1, now_ns());
}

/*
 * COMPLETE is lost, and the source can't reach the address any more: the
 * destination, which has all pages, listens at another one
 */
static void whole_at_another_address(void **state)
{
	struct pair *w = set_up();
	struct uri u = pair_uri(w->other);
	struct error err = { 0 };
	struct progress_wait wait;

	(void)state;
	w->limits.automatic = false;
	relay_cut(w->r, &(struct relay_cut){
		.from = FROM_TARGET, .type = WIRE_MSG_COMPLETE,
		.role = WIRE_MAIN, .nth = 1 });
	target_waits_for(w, "a source to connect");
	pair_start(w);
	pair_await_phase(w, &w->t->se, TARGET_UNCONFIRMED, "unconfirmed");
	target_waits_for(w, "whether the guest has arrived whole");
	pair_await(w, &w->near_progress, PROGRESS_PAUSED, "paused");
	if (target_recover(w->t, &u, &err))
		fail_msg("%s", err.text);
	assert_int_equal(access(w->far, F_OK), -1);
	if (source_resume(w->s, &u, NULL, NULL, &err))
		fail_msg("%s", err.text);
	await_completed(w, "asked at another address");
	pair_await_phase(w, &w->t->se, TARGET_COMPLETED, "confirmed");
	assert_false(target_waits(w->t, &wait));
	tear_down(w);
}

static void ignore_status(void *ctx, enum progress_status status)
{
	(void)ctx;
	(void)status;
}

/*
 * The destination is about to wait for the source's question, and the question
 * has come already: the phase is WHOLE again
 */
static void a_question_that_comes_at_once(void **state)
{
	struct pair *w = set_up();
	struct session *se = &w->t->se;
	const unsigned phase = session_phase(se);

	(void)state;
	se->phase = TARGET_WHOLE;
	progress_init(&w->t->after, ignore_status, NULL);
	session_divert(se, PROGRESS_COMPLETED, &w->t->after);
	session_show(se);
	assert_int_equal(progress_get(&w->far_progress), PROGRESS_COMPLETED);
	assert_int_equal(progress_get(&w->t->after), PROGRESS_POSTCOPY);
	se->phase = phase;
	tear_down(w);
}

/* What has begun with TLS never goes on without it */
static void tls_stays(void **state)
{
	struct pair *w = set_up();
	struct uri u = pair_uri(w->other), near = w->s->uri, far = w->t->uri;
	struct error err = { 0 };

	(void)state;
	w->limits.automatic = false;
	hold_in_postcopy(w);
	relay_cut_all(w->r);
	relay_release(w->r);
	pair_await(w, &w->near_progress, PROGRESS_PAUSED, "paused");
	pair_await(w, &w->far_progress, PROGRESS_PAUSED, "paused");
	w->s->uri.kind = w->t->uri.kind = URI_TLS;
	assert_int_equal(source_resume(w->s, &u, NULL, NULL, &err), -EPERM);
	assert_non_null(strstr(err.text, "began with TLS"));
	assert_non_null(strstr(err.text, w->other));
	err = (struct error){ 0 };
	assert_int_equal(target_recover(w->t, &u, &err), -EPERM);
	assert_non_null(strstr(err.text, "began with TLS"));
	assert_int_equal(access(w->other, F_OK), -1);
	w->s->uri = near;
	w->t->uri = far;
	err = (struct error){ 0 };
	if (source_resume(w->s, &near, NULL, NULL, &err))
		fail_msg("%s", err.text);
	await_completed(w, "the same address");
	tear_down(w);
}

/* Say HELLO to the destination. The answer must be REFUSE with these words */
static void greet_wrongly(struct pair *w, const struct wire_hello *h,
			  const char *words)
{
	struct wire_msg m = { .type = WIRE_MSG_HELLO, .length = WIRE_HELLO };
	uint8_t out[WIRE_HELLO];
	struct uri u = pair_uri(w->far);
	struct error err = { 0 };
	struct link l;

	link_init(&l);
	link_begin(&l, 1, LONG_MS);
	assert_int_equal(link_resolve(&l, &u, LONG_MS, &err), 0);
	assert_int_equal(link_connect(&l, WIRE_MAIN, 0, LONG_MS, &err), 0);
	wire_put_hello(out, h);
	channel_say(&l.main, &m, out, &err);
	assert_refused(channel_expect(&l.main, WIRE_MSG_WELCOME, NULL, NULL,
				      &err), ECONNREFUSED, err, words);
	link_fini(&l);
}

/* Greetings that may not resume the session, nor harm it */
static void refused_by_name(void **state)
{
	struct pair *w = set_up();
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = WIRE_MAIN, .resume = true,
		.page_size = WIRE_PAGE, .push = 1, .epoch = 9,
	};

	(void)state;
	greet_wrongly(w, &h, "no session waits here");
	w->limits.automatic = false;
	hold_in_postcopy(w);
	greet_wrongly(w, &h, "another guest");
	memcpy(h.id, w->s->se.id, WIRE_ID);
	greet_wrongly(w, &h, "secret");
	memcpy(h.secret, w->s->se.secret, WIRE_SECRET);
	h.secret[WIRE_SECRET - 1] ^= 1;
	greet_wrongly(w, &h, "secret");
	h.secret[WIRE_SECRET - 1] ^= 1;
	h.epoch = 1;
	greet_wrongly(w, &h, "stale epoch 1");
	h.role = WIRE_DEMAND;
	h.epoch = 9;
	greet_wrongly(w, &h, "stale epoch 9");
	h.role = WIRE_PUSH;
	h.epoch = 1;
	greet_wrongly(w, &h, "another migration");
	h.role = WIRE_MAIN;
	h.resume = false;
	greet_wrongly(w, &h, "another migration");
	/* None of them was a loss */
	assert_int_equal(progress_get(&w->far_progress), PROGRESS_POSTCOPY);
	relay_release(w->r);
	await_completed(w, "not harmed");
	assert_int_equal(relay_links(w->r), 1);
	tear_down(w);
}

/* The new link of a session that was lost at @first is held at this message */
static void hold_new_link(struct pair *w, const struct relay_cut *first,
			  enum wire_type type)
{
	const struct relay_cut hold = {
		.from = FROM_TARGET, .type = type, .role = WIRE_MAIN, .nth = 1,
		.hold = true,
	};
	struct relay_cut cut = *first;

	cut.then = &hold;
	relay_cut(w->r, &cut);
	pair_start(w);
	pair_await_cut(w, wire_name(type));
	assert_int_equal(relay_links(w->r), 2);
}

/* A source resumes the session already: another one may not, nor harm that */
static void refuse_second(const struct relay_cut *first, unsigned phase)
{
	struct pair *w = set_up();
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = WIRE_MAIN, .resume = true,
		.page_size = WIRE_PAGE, .push = 1, .epoch = 2,
	};

	hold_new_link(w, first, WIRE_MSG_REPORT);
	pair_await_phase(w, &w->t->se, phase, "a resume is under way");
	memcpy(h.id, w->s->se.id, WIRE_ID);
	memcpy(h.secret, w->s->se.secret, WIRE_SECRET);
	greet_wrongly(w, &h, "second greeting that resumes");
	h.epoch = 1;
	greet_wrongly(w, &h, "stale epoch 1");
	h.role = WIRE_DEMAND;
	greet_wrongly(w, &h, "stale epoch 1");
	h.role = WIRE_MAIN;
	h.epoch = 2;
	h.secret[0] ^= 1;
	greet_wrongly(w, &h, "secret");
	h.resume = false;
	greet_wrongly(w, &h, "another migration");
	/* The resume goes on */
	assert_int_equal(session_phase(&w->t->se), phase);
	relay_release(w->r);
	await_completed(w, "not harmed");
	assert_int_equal(relay_links(w->r), 2);
	tear_down(w);
}

static void a_second_resumer_is_refused(void **state)
{
	(void)state;
	refuse_second(&in_postcopy, TARGET_REJOIN);
	refuse_second(&in_doubt, TARGET_REJOIN_DOUBT);
}

/* What a third party has heard of a migration that failed opens no other one */
static void a_replayed_greeting_is_refused(void **state)
{
	struct pair *w = set_up();
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = WIRE_MAIN,
		.page_size = WIRE_PAGE, .push = 1, .epoch = 1,
	};

	(void)state;
	relay_cut(w->r, &(struct relay_cut){
		.from = FROM_SOURCE, .type = WIRE_MSG_STATE,
		.role = WIRE_MAIN, .nth = 1 });
	pair_start(w);
	pair_await(w, &w->near_progress, PROGRESS_FAILED, "the source has failed");
	pair_await(w, &w->far_progress, PROGRESS_FAILED, "the destination, too");
	memcpy(h.id, w->s->se.id, WIRE_ID);
	memcpy(h.secret, w->s->se.secret, WIRE_SECRET);
	greet_wrongly(w, &h, "replayed");
	/* Another source is as welcome as before */
	pair_new_source(w);
	pair_start(w);
	await_completed(w, "another source");
	tear_down(w);
}

/* migrate-pause on either side: nobody but an operator resumes */
static void paused_by_an_operator(void **state)
{
	struct error err = { 0 };

	(void)state;
	for (unsigned there = 0; there < 2; there++) {
		struct pair *w = set_up();
		struct uri far = pair_uri(w->far);

		hold_in_postcopy(w);
		assert_int_equal(there ? target_pause(w->t, &err)
				       : source_pause(w->s, &err), 0);
		relay_cut_all(w->r);
		relay_release(w->r);
		pair_await(w, &w->far_progress, PROGRESS_PAUSED, "paused");
		usleep(600000);
		assert_int_not_equal(progress_get(&w->near_progress),
				     PROGRESS_COMPLETED);
		if (there && target_recover(w->t, &far, &err))
			fail_msg("%s", err.text);
		if (!there && source_resume(w->s, &w->s->uri, NULL,
						NULL, &err))
			fail_msg("%s", err.text);
		await_completed(w, "resumed");
		tear_down(w);
	}
}

#define RETRY_MS	600u	/* much longer: the source retries earlier */
#define LOOK_MS		1500u	/* the same, if it becomes automatic only now */

/* The source opens no new link by itself */
static void assert_waits(struct pair *w, unsigned ms, const char *what)
{
	static const char remedy[] = "ferry migrate NAME URI --resume";
	const unsigned links = relay_links(w->r);
	struct progress *p = &w->near_progress;
	const char *shown;

	pair_await(w, p, PROGRESS_PAUSED, what);
	pthread_mutex_lock(&p->lock);
	shown = p->wait.remedy;
	pthread_mutex_unlock(&p->lock);
	/* Not: none, the source retries */
	assert_memory_equal(shown, remedy, strlen(remedy));
	usleep(ms * 1000);
	assert_int_equal(relay_links(w->r), links);
	assert_int_equal(progress_get(&w->near_progress), PROGRESS_PAUSED);
}

static void resume(struct pair *w, const char *what)
{
	struct error err = { 0 };

	if (source_resume(w->s, &w->s->uri, NULL, NULL, &err))
		fail_msg("%s: %s", what, err.text);
	await_completed(w, what);
}

/* migrate-pause ends an attempt that nothing answers, and those that would
 * follow by themselves
 */
static void a_stuck_attempt_is_interrupted(void **state)
{
	static const struct relay_cut *const first[] = {
		&in_postcopy, &ran, &in_postcopy,
	};
	static const enum wire_type held_at[] = {
		WIRE_MSG_WELCOME, WIRE_MSG_WELCOME, WIRE_MSG_REPORT,
	};
	struct error err = { 0 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(first); i++) {
		struct pair *w = set_up();

		hold_new_link(w, first[i], held_at[i]);
		assert_true(source_is_redialling(session_phase(&w->s->se)));
		assert_int_equal(source_pause(w->s, &err), 0);
		relay_release(w->r);
		assert_waits(w, RETRY_MS, "interrupted");
		resume(w, "resumed after an interruption");
		assert_int_equal(relay_links(w->r), 3);
		tear_down(w);
	}
}

/* migrate-pause where the session is paused: the retry timer is stopped */
static void an_operator_ends_the_retries(void **state)
{
	static const struct relay_cut *const first[] = { &in_postcopy, &ran };
	static const unsigned phase[] = { SOURCE_LOST, SOURCE_DOUBT };
	struct error err = { 0 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(first); i++) {
		struct pair *w = set_up();

		w->limits.automatic = false;
		relay_cut(w->r, first[i]);
		pair_start(w);
		pair_await_phase(w, &w->s->se, phase[i], "lost");
		assert_int_equal(source_pause(w->s, &err), 0);
		w->limits.automatic = true;
		assert_waits(w, LOOK_MS, "the retries are over");
		resume(w, "resumed after the retries");
		assert_int_equal(relay_links(w->r), 2);
		tear_down(w);
	}
}

/* A destination that breaks the protocol would do so again */
static void a_violation_is_not_retried(void **state)
{
	static const struct relay_cut at[] = {
		{ FROM_TARGET, WIRE_MSG_BEAT, WIRE_MAIN, 2,
		  .as = WIRE_MSG_BUILT },
		{ FROM_TARGET, WIRE_MSG_RUNNING, WIRE_MAIN, 1,
		  .as = WIRE_MSG_BUILT },
		{ FROM_TARGET, WIRE_MSG_REQUEST, WIRE_DEMAND, 1,
		  .as = WIRE_MSG_CHUNK_ACK },
		{ FROM_TARGET, WIRE_MSG_CHUNK_ACK, WIRE_PUSH, 1,
		  .as = WIRE_MSG_BEAT },
	}, again[] = {
		{ FROM_TARGET, WIRE_MSG_WELCOME, WIRE_MAIN, 1,
		  .as = WIRE_MSG_REPORT },
		{ FROM_TARGET, WIRE_MSG_REPORT, WIRE_MAIN, 1,
		  .as = WIRE_MSG_BUILT },
		{ FROM_TARGET, WIRE_MSG_WELCOME, WIRE_DEMAND, 1,
		  .as = WIRE_MSG_BUILT },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(at) + ARRAY_SIZE(again); i++) {
		struct relay_cut cut = i < ARRAY_SIZE(at) ? at[i]
							  : in_postcopy;
		struct pair *w = set_up();

		cut.then = i < ARRAY_SIZE(at) ? NULL
					      : &again[i - ARRAY_SIZE(at)];
		relay_cut(w->r, &cut);
		/* vCPUs request pages, and nothing is over before that */
		pacer_set_limit(&w->s->pages.pacer, MIB);
		pair_start(w);
		pair_await_cut(w, "a violation");
		assert_waits(w, RETRY_MS, "a violation");
		pacer_set_limit(&w->s->pages.pacer, 0);
		resume(w, "resumed after a violation");
		tear_down(w);
	}
}

static void await_attempts(struct pair *w, unsigned n)
{
	for (unsigned ms = 0; w->s->attempts < n; ms++) {
		if (ms > LONG_MS)
			pair_stuck(w, "attempts");
		usleep(1000);
	}
}

/* The same of a source: the destination refuses it until an operator allows it */
static void a_violation_of_the_source_is_not_forgiven(void **state)
{
	static const struct relay_cut at[] = {
		{ FROM_SOURCE, WIRE_MSG_BEAT, WIRE_MAIN, 2,
		  .as = WIRE_MSG_BUILT },
		{ FROM_SOURCE, WIRE_MSG_PAGES, WIRE_DEMAND, 1,
		  .as = WIRE_MSG_REQUEST },
		{ FROM_SOURCE, WIRE_MSG_PAGES, WIRE_PUSH, 1,
		  .as = WIRE_MSG_REQUEST },
	};
	struct error err = { 0 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
		struct pair *w = set_up();
		struct uri far = pair_uri(w->far);

		relay_cut(w->r, &at[i]);
		pacer_set_limit(&w->s->pages.pacer, MIB);
		pair_start(w);
		pair_await(w, &w->far_progress, PROGRESS_PAUSED, "a violation");
		await_attempts(w, 2);
		assert_non_null(strstr(progress_why(&w->near_progress).text,
				       "an operator must allow it"));
		assert_int_equal(progress_get(&w->far_progress),
				 PROGRESS_PAUSED);
		pacer_set_limit(&w->s->pages.pacer, 0);
		assert_int_equal(target_recover(w->t, &far, &err), 0);
		await_completed(w, "allowed");
		tear_down(w);
	}
}

/* The network is away: each attempt is made later after the last one */
static void the_retries_become_rarer(void **state)
{
	struct pair *w = set_up();
	uint64_t begin;

	(void)state;
	hold_in_postcopy(w);
	assert_int_equal(rename(w->near, w->other), 0);
	begin = now_ns();
	relay_cut_all(w->r);
	relay_release(w->r);
	await_attempts(w, 4);
	/* 0.1 s, 0.2 s, 0.4 s and 0.8 s, each 25 % less at least */
	assert_true(now_ns() - begin >= 1125 * NS_PER_MS);
	assert_int_equal(rename(w->other, w->near), 0);
	await_completed(w, "the network is back");
	/* The next loss is the first one again */
	assert_int_equal(w->s->attempts, 0);
	tear_down(w);
}

/* The destination's process ends: the source learns it, and is done */
static void the_guest_ends_there(void **state)
{
	struct pair *w = set_up();

	(void)state;
	hold_in_postcopy(w);
	relay_release(w->r);
	relay_cut(w->r, &(struct relay_cut){
		.from = FROM_SOURCE, .type = WIRE_MSG_PAGES,
		.role = WIRE_PUSH, .nth = 1, .hold = true });
	w->limits.automatic = false;
	pair_await_cut(w, "held");
	relay_release(w->r);
	pacer_set_limit(&w->s->pages.pacer, 1 << 20);
	target_free(w->t);
	w->t = NULL;
	for (unsigned ms = 0; progress_get(&w->near_progress) !=
	     PROGRESS_COMPLETED; ms++) {
		if (ms > LONG_MS)
			fail_msg("source %s", source_phase_name(
				session_phase(&w->s->se)));
		usleep(1000);
	}
	assert_false(fake_machine_is_open(w->home));
	tear_down(w);
}

/* In doubt, one process is gone for good: an operator decides */
static void resolved_by_an_operator(void **state)
{
	static const struct relay_cut at_commit = {
		.from = FROM_SOURCE, .type = WIRE_MSG_COMMIT,
		.role = WIRE_MAIN, .nth = 1,
	};
	struct error err = { 0 };

	(void)state;
	for (unsigned what = 0; what < 4; what++) {
		struct pair *w = set_up();

		w->limits.automatic = false;
		assert_int_equal(source_resolve(w->s, true, &err), -EPERM);
		relay_cut(w->r, &at_commit);
		pair_start(w);
		pair_await(w, &w->near_progress, PROGRESS_PAUSED, "in doubt");
		pair_await(w, &w->far_progress, PROGRESS_PAUSED, "in doubt");
		assert_false(fake_machine_is_open(w->home));
		if (what == 0) {
			target_resolve(w->t, false, &err);
			pair_await_phase(w, &w->t->se, TARGET_LISTENING, "given up");
			assert_int_equal(source_resolve(w->s, true, &err), 0);
			pair_await(w, &w->near_progress, PROGRESS_FAILED, "here");
			assert_true(fake_machine_is_open(w->home));
		} else if (what == 1) {
			assert_int_equal(source_resolve(w->s, false, &err), 0);
			pair_await(w, &w->near_progress, PROGRESS_FAILED, "dropped");
			assert_int_equal(target_resolve(w->t, true, &err), 0);
			pair_await_phase(w, &w->t->se, TARGET_LOST, "there");
			assert_true(fake_machine_is_open(w->gone));
			assert_int_equal(target_resolve(w->t, false, &err),
					 -EPERM);
		} else if (what == 2) {
			/* Both live after all: the session goes on */
			assert_int_equal(target_resolve(w->t, true, &err), 0);
			w->limits.automatic = true;
			await_completed(w, "resolved, and resumed");
		} else {
			w->limits.automatic = true;
			await_completed(w, "resolved by a new link");
		}
		tear_down(w);
		err = (struct error){ 0 };
	}
}

/* The session thread has left the last link */
static void await_parked(struct pair *w, const char *what)
{
	for (unsigned ms = 0; !w->t->parked; ms++) {
		if (ms > LONG_MS)
			pair_stuck(w, what);
		usleep(1000);
	}
}

/*
 * The thread of an operator's decision is late: the next source must not be let
 * in before it has released the RAM of the guest that was given up
 */
static void a_late_decision_harms_no_next_session(void **state)
{
	struct pair *w = set_up();
	struct error err = { 0 };

	(void)state;
	w->limits.automatic = false;
	relay_cut(w->r, &(struct relay_cut){
		.from = FROM_SOURCE, .type = WIRE_MSG_COMMIT,
		.role = WIRE_MAIN, .nth = 1 });
	pair_start(w);
	pair_await(w, &w->near_progress, PROGRESS_PAUSED, "in doubt");
	pair_await(w, &w->far_progress, PROGRESS_PAUSED, "in doubt");
	await_parked(w, "the link is left");
	abandons_late = w->t;
	assert_int_equal(target_resolve(w->t, false, &err), 0);
	assert_int_equal(seen_phase, TARGET_FAILING);
	pair_await_phase(w, &w->t->se, TARGET_LISTENING, "given up");
	assert_int_equal(source_resolve(w->s, true, &err), 0);
	pair_await(w, &w->near_progress, PROGRESS_FAILED, "here");
	tear_down(w);
}

/* Paused, recovered, and paused once more while a name is resolved for that */
static void a_pause_while_another_listener_is_opened(void **state)
{
	struct pair *w = set_up();
	struct uri u = pair_uri(w->other);
	struct error err = { 0 };

	(void)state;
	w->limits.automatic = false;
	hold_in_postcopy(w);
	assert_int_equal(target_pause(w->t, &err), 0);
	relay_cut_all(w->r);
	relay_release(w->r);
	pair_await(w, &w->near_progress, PROGRESS_PAUSED, "paused");
	pair_await(w, &w->far_progress, PROGRESS_PAUSED, "paused");
	paused_meanwhile = w->t;
	assert_int_equal(target_recover(w->t, &u, &err), 0);
	assert_true(w->t->se.manual);
	paused_meanwhile = NULL;
	assert_int_equal(target_recover(w->t, &u, &err), 0);
	assert_false(w->t->se.manual);
	assert_int_equal(source_resume(w->s, &u, NULL, NULL, &err), 0);
	await_completed(w, "recovered");
	tear_down(w);
}

/* The phase changes as if by session_event(), with @se->lock held */
static void move_to(struct session *se, unsigned phase)
{
	se->phase = phase;
	se->changes++;
	pthread_cond_broadcast(&se->changed);
}

/* A link whose main connection has ended already */
static void put_dead_link(struct pair *w)
{
	struct link *l = &w->t->se.link;
	struct channel c;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	close(fd[1]);
	socket_channel(&c, fd[0]);
	link_begin(l, 1, w->limits.dead_peer_ms);
	assert_int_equal(link_put(l, WIRE_MAIN, 0, &c), 0);
}

/*
 * A source asks an unconfirmed destination, and connects again before the
 * session thread has seen that it did: the destination must accept the next
 * link
 */
static void a_question_that_is_lost_at_once(void **state)
{
	struct pair *w = set_up();
	struct session *se = &w->t->se;

	(void)state;
	put_dead_link(w);
	pthread_mutex_lock(&se->lock);
	move_to(se, TARGET_WHOLE);
	pthread_mutex_unlock(&se->lock);
	pair_await_phase(w, se, TARGET_UNCONFIRMED, "no source answers");
	await_parked(w, "the first link is left");
	usleep(50000);	/* it waits for a question */

	put_dead_link(w);
	pthread_mutex_lock(&se->lock);
	w->t->parked = false;
	move_to(se, TARGET_WHOLE);
	move_to(se, TARGET_UNCONFIRMED);
	pthread_mutex_unlock(&se->lock);
	await_parked(w, "the second link is left");
	tear_down(w);
}

/*
 * A destination in doubt learns that the guest runs at the source although the
 * network has refused the source's first connections
 */
static void a_refused_connection_is_no_answer(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pair *w = set_up();
	struct progress_wait wait;
	unsigned ms = 0;
	uint64_t sent;

	(void)state;
	relay_cut(w->r, &(struct relay_cut){
		.from = FROM_TARGET, .type = WIRE_MSG_PREPARED,
		.role = WIRE_MAIN, .nth = 1, .hold = true });
	pair_start(w);
	pair_await_cut(w, "held");
	/* A socket at which nobody listens */
	assert_int_equal(rename(w->near, w->other), 0);
	strcpy(a.sun_path, w->near);
	assert_int_equal(bind(fd, (void *)&a, sizeof(a)), 0);
	begins_another = true;
	relay_cut_all(w->r);
	pair_await_phase(w, &w->s->se, SOURCE_FAILED, "it failed");
	pair_await(w, &w->far_progress, PROGRESS_PAUSED, "in doubt");
	for (; w->s->attempts < 2 && ms < LONG_MS; ms++)
		usleep(1000);
	sent = w->near_progress.connections[0].sent;
	assert_true(source_waits(w->s, &wait));
	assert_non_null(strstr(wait.what, "the destination to be told"));
	assert_in_range(wait.since, 1, now_ns());
	close(fd);
	assert_int_equal(rename(w->other, w->near), 0);
	relay_release(w->r);
	pair_await_phase(w, &w->t->se, TARGET_LISTENING, "told");
	for (ms = 0; source_waits(w->s, &wait) && ms < LONG_MS; ms++)
		usleep(1000);
	assert_false(source_waits(w->s, &wait));
	/* The figures are the next migration's */
	assert_int_equal(w->near_progress.connections[0].sent, sent);
	assert_non_null(strstr(progress_why(&w->far_progress).text,
			       "refused: the other side closed"));
	tear_down(w);
}

static void *nothing(void *arg)
{
	return arg;
}

/* ThreadSanitizer starts a thread of its own with the first: before the tests
 * count them
 */
static void start_first_thread(void)
{
	pthread_t t;

	if (!pthread_create(&t, NULL, nothing, NULL))
		pthread_join(t, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_cut),
		cmocka_unit_test(one_push_connection),
		cmocka_unit_test(a_black_hole_is_noticed),
		cmocka_unit_test(another_address),
		cmocka_unit_test(whole_at_another_address),
		cmocka_unit_test(a_question_that_comes_at_once),
		cmocka_unit_test(tls_stays),
		cmocka_unit_test(refused_by_name),
		cmocka_unit_test(a_replayed_greeting_is_refused),
		cmocka_unit_test(a_refused_connection_is_no_answer),
		cmocka_unit_test(a_second_resumer_is_refused),
		cmocka_unit_test(paused_by_an_operator),
		cmocka_unit_test(a_stuck_attempt_is_interrupted),
		cmocka_unit_test(an_operator_ends_the_retries),
		cmocka_unit_test(a_violation_is_not_retried),
		cmocka_unit_test(a_violation_of_the_source_is_not_forgiven),
		cmocka_unit_test(the_retries_become_rarer),
		cmocka_unit_test(the_guest_ends_there),
		cmocka_unit_test(resolved_by_an_operator),
		cmocka_unit_test(a_late_decision_harms_no_next_session),
		cmocka_unit_test(a_pause_while_another_listener_is_opened),
		cmocka_unit_test(a_doubt_is_counted),
		cmocka_unit_test(a_cut_at_each_message),
		cmocka_unit_test(a_cut_at_each_message_of_a_new_link),
		cmocka_unit_test(a_question_that_is_lost_at_once),
	};

	start_first_thread();
	return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
