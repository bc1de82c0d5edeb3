// SPDX-License-Identifier: MIT
/*
 * target_stages.c - What a destination does in each stage (stages.c has the
 * table)
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beat.h"
#include "stages.h"
#include "target.h"
#include "vmm/base/log.h"
#include "vmm/machine/description.h"

#define MAIN_LOOK_MS	1000	/* session_wake() ends the wait earlier */
#define LAST_LOOK_MS	1	/* for pages that are missing after DONE */
#define ATTACH_LOOK_NS	100000000	/* main may be lost meanwhile */

int target_welcome(struct target *t, enum wire_role role, unsigned i,
		   struct error *err)
{
	struct link *l = &t->se.link;
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = role, .page_size = WIRE_PAGE,
		.features = t->can_poison ? WIRE_POISON : 0,
		.epoch = l->epoch, .resume = role == WIRE_MAIN && l->epoch > 1,
		.push = role == WIRE_MAIN ? (uint16_t)l->pushes : 0,
	};
	struct wire_msg m = { .type = WIRE_MSG_WELCOME,
			      .length = WIRE_HELLO };
	uint8_t out[WIRE_HELLO];

	memcpy(h.id, t->se.id, WIRE_ID);
	memcpy(h.secret, t->se.secret, WIRE_SECRET);
	wire_put_hello(out, &h);
	return channel_say(link_channel(l, role, i), &m, out, err);
}

int target_hello(struct target *t, struct error *err)
{
	struct channel *main = &t->se.link.main;

	channel_set_silence(main, t->se.limits->hello_ms);
	return target_welcome(t, WIRE_MAIN, 0, err);
}

static int build_machine(struct target *t, const uint8_t *fdt, uint32_t len,
			 struct error *err)
{
	const struct session_env *env = t->se.env;
	struct machine_config *cfg = calloc(1, sizeof(*cfg));
	int rc;

	if (!cfg)
		return error_set(err, ENOMEM, "out of memory");
	rc = description_parse(fdt, len, cfg, err);
	if (!rc)
		rc = machine_config_check(cfg, err);
	if (env->backing >= 0)
		cfg->backing = (enum ram_backing)env->backing;
	if (!rc) {
		t->m = machine_new(cfg, &env->observer, err);
		rc = t->m ? 0 : -err->code;
	}
	free(cfg);
	return rc;
}

int target_build(struct target *t, struct error *err)
{
	uint8_t *fdt = NULL;
	uint32_t len;
	int rc = session_expect(&t->se, WIRE_MSG_DESCRIPTION, &fdt, &len, err);

	if (!rc)
		rc = build_machine(t, fdt, len, err);
	free(fdt);
	if (!rc) {
		progress_machine(t->se.progress, machine_ram(t->m)->size,
				 machine_ram(t->m)->page_size,
				 machine_config(t->m)->cpus);
		/* Empty, until something is placed (invariant 11) */
		t->store.accepted = false;
		rc = page_store_open(&t->store, machine_ram(t->m), err);
	}
	return rc ? rc : session_say(&t->se, WIRE_MSG_BUILT, NULL, err);
}

/* Wait until the source has opened a connection, and answer its HELLO */
static int await_channel(struct target *t, enum wire_role role, unsigned i,
			 struct error *err)
{
	struct link *l = &t->se.link;
	const uint64_t end = now_ns() + t->se.limits->hello_ms * 1000000ull;
	int rc = 0;

	pthread_mutex_lock(&t->se.lock);
	while (!link_has(l, role, i) && !rc) {
		if (!target_is_linked(t->se.phase))
			rc = error_set(err, ECANCELED, "this side is ending");
		else if (link_ended(l))
			rc = error_set(err, EPIPE,
				"the other side closed the connection");
		else if (now_ns() >= end)
			rc = error_set(err, ETIMEDOUT,
				"the source did not connect in time: no %s connection",
				role == WIRE_PUSH ? "push" : "demand");
		if (rc)
			break;
		session_sleep(&t->se, now_ns() + ATTACH_LOOK_NS);
	}
	pthread_mutex_unlock(&t->se.lock);
	return rc ? rc : target_welcome(t, role, i, err);
}

int target_open_link(struct target *t, struct error *err)
{
	struct link *l = &t->se.link;
	unsigned silence = t->se.limits->silence_ms;
	int rc = await_channel(t, WIRE_DEMAND, 0, err);

	for (unsigned i = 0; i < l->pushes && !rc; i++) {
		rc = await_channel(t, WIRE_PUSH, i, err);
		if (!rc)
			channel_set_silence(&l->push[i], silence);
	}
	if (rc)
		return rc;
	channel_set_silence(&l->main, silence);
	channel_set_silence(&l->demand, silence);
	t->receive.n = l->pushes;
	for (unsigned i = 0; i < l->pushes; i++)
		t->receive.receiver[i].c = &l->push[i];
	return receive_prepare(&t->receive, err);
}

/*
 * The fault thread must run before any state is loaded: loading may fault. Here
 * and not later, like the receive threads: what can fail fails early.
 */
int target_attach(struct target *t, struct error *err)
{
	int rc = target_open_link(t, err);

	return rc ? rc : target_start_faults(t, err);
}

/* extent_fn - A range of pages from a list; all of it is RAM. 0, -errno */
typedef int extent_fn(struct page_store *s, size_t page, size_t n,
		      struct error *err);

/*
 * Ranges must ascend and must not overlap, so that the work is bounded by the
 * size of RAM; the phase is looked at, so that it ends when the process does.
 */
static int walk_extents(struct target *t, const uint8_t *data, uint32_t len,
			const char *what, extent_fn *fn, struct error *err)
{
	struct reader r = { .data = data, .len = len };
	uint64_t pages = t->store.table.n, next = 0;
	uint32_t n = get_u32(&r);
	int rc;

	for (uint32_t i = 0; i < n && !r.failed; i++) {
		uint64_t at = get_u64(&r), bytes = get_u64(&r);
		uint64_t page = at / WIRE_PAGE, count = bytes / WIRE_PAGE;

		if (at % WIRE_PAGE || bytes % WIRE_PAGE || !count ||
		    page > pages || count > pages - page)
			return error_set(err, EBADMSG,
				"%s: entry %u is not whole pages of RAM",
				what, i);
		if (page < next)
			return error_set(err, EBADMSG,
				"%s: entry %u does not ascend", what, i);
		if (!target_is_linked(session_phase(&t->se)))
			return error_set(err, ECANCELED,
					 "this side is ending");
		next = page + count;
		rc = fn(&t->store, page, count, err);
		if (rc)
			return rc;
	}
	return reader_done(&r) ? 0 : error_set(err, EBADMSG,
					       "%s: wrong length", what);
}

static int set_zero(struct page_store *s, size_t page, size_t n,
		    struct error *err)
{
	(void)err;
	page_store_set_zero(s, page, n);
	return 0;
}

static int set_missing(struct page_store *s, size_t page, size_t n,
		       struct error *err)
{
	(void)err;
	page_store_set_missing(s, page, n);
	return 0;
}

static int say_ready(struct target *t, struct error *err)
{
	const struct wire_msg m = { .type = WIRE_MSG_READY,
				    .length = WIRE_READY };
	uint8_t unit[WIRE_READY];

	wire_put_ready(unit, (uint32_t)machine_ram(t->m)->unit);
	return channel_say(&t->se.link.main, &m, unit, err);
}

/*
 * The guest still runs on the source. All that takes long, or may fail for lack
 * of memory, is done when READY is sent.
 */
int target_zero_list(struct target *t, struct error *err)
{
	uint8_t *list = NULL;
	uint32_t len;
	int rc = session_expect(&t->se, WIRE_MSG_ZERO_LIST, &list, &len, err);

	if (!rc)
		rc = walk_extents(t, list, len, "zero list", set_zero, err);
	free(list);
	return rc ? rc : say_ready(t, err);
}

/* The end of a pass. Return: 0; 1: no other one follows; -errno */
static int hear_pass(struct target *t, const struct wire_msg *m,
		     struct error *err)
{
	uint8_t more = 0;
	int rc = channel_recv(&t->se.link.main, &more, m->length, err);

	if (rc)
		return rc;
	if (more > 1)
		return error_set(err, EBADMSG,
			"the peer's PASS message says %u", more);
	return more ? session_say(&t->se, WIRE_MSG_PASSED, NULL, err) : 1;
}

/* What comes in precopy passes replaces what is here. Return: as hear_pass() */
static int hear_passing(struct target *t, uint8_t *data, struct error *err)
{
	struct wire_msg m;
	int rc = session_hear(&t->se, &m, "PASS", err);

	if (rc)
		return rc;
	if (m.type == WIRE_MSG_PASS)
		return hear_pass(t, &m, err);
	if (m.type != WIRE_MSG_PAGES && m.type != WIRE_MSG_ZERO)
		return error_set(err, EBADMSG,
			"the peer sent %s where PASS belongs",
			wire_name(m.type));
	if (!t->passing) {
		t->passing = true;
		session_show(&t->se);
	}
	rc = channel_recv(&t->se.link.main, data, m.length, err);
	return rc ? rc : page_store_pass(&t->store, &m, data, err);
}

int target_precopy(struct target *t, struct error *err)
{
	uint8_t *data = receive_buffer();
	int rc;

	if (!data)
		return error_set(err, ENOMEM, "out of memory for pages");
	do
		rc = hear_passing(t, data, err);
	while (!rc);
	free(data);
	return rc < 0 ? rc : 0;
}

int target_state(struct target *t, struct error *err)
{
	return session_expect(&t->se, WIRE_MSG_STATE, &t->state,
			      &t->state_len, err);
}

int target_written_list(struct target *t, struct error *err)
{
	return session_expect(&t->se, WIRE_MSG_WRITTEN_LIST, &t->written,
			      &t->written_len, err);
}

int target_discard(struct target *t, struct error *err)
{
	return session_expect(&t->se, WIRE_MSG_DISCARD, &t->discard,
			      &t->discard_len, err);
}

int target_poison_list(struct target *t, struct error *err)
{
	return session_expect(&t->se, WIRE_MSG_POISON_LIST, &t->poison,
			      &t->poison_len, err);
}

/* Entries that follow each other, and are alike, are one run */
static int next_run(const struct poison *p, int n, struct poison *run)
{
	int i = 1;

	for (*run = p[0]; i < n && p[i].gpa == run->gpa + run->size &&
	     p[i].delivered == run->delivered; i++)
		run->size += p[i].size;
	return i;
}

/* Pages that ZERO_LIST announced and that were poisoned since are no zeroes */
static int load_poison_run(struct target *t, const struct poison *run,
			   struct error *err)
{
	uint64_t offset;

	if (run->gpa % WIRE_PAGE || run->size % WIRE_PAGE)
		return error_set(err, EBADMSG,
			"poison list: 0x%llx is not whole pages",
			(unsigned long long)run->gpa);
	if (ram_offset(machine_ram(t->m), run->gpa, run->size, &offset)) {
		size_t page = (size_t)(offset / WIRE_PAGE);
		size_t n = (size_t)(run->size / WIRE_PAGE);

		/* The table would keep the contents, and refuse the poison */
		if (page_store_has_old(&t->store, page, n))
			return error_set(err, EBADMSG,
				"poison list: 0x%llx was sent before, and not discarded",
				(unsigned long long)run->gpa);
		page_store_set_missing(&t->store, page, n);
	}
	return page_store_poison(&t->store, run->gpa, run->size / WIRE_PAGE,
				 run->delivered, err);
}

/*
 * One ioctl for each run while the guest is held: some 4 us a run, so 40 ms for
 * 11,000 scattered pages and nothing to be seen for the few that real hosts
 * have. POISON_LIST can't be sent ahead as ZERO_LIST is: a reset of the guest
 * before the pause makes its pages good again, and poison is terminal here.
 */
static int load_poison_runs(struct target *t, const struct poison *p, int n,
			    struct error *err)
{
	int rc = 0;

	t->quiet = true;
	for (int i = 0; i < n && !rc; ) {
		struct poison run;

		i += next_run(p + i, n - i, &run);
		rc = target_is_linked(session_phase(&t->se))
			? load_poison_run(t, &run, err)
			: error_set(err, ECANCELED, "this side is ending");
	}
	t->quiet = false;
	target_report_poison(t);
	return rc;
}

static int load_poison(struct target *t, struct error *err)
{
	struct reader r = { .data = t->poison, .len = t->poison_len };
	struct poison *p;
	int n = poison_parse(&r, &p, err), rc;

	if (n < 0)
		return n;
	rc = load_poison_runs(t, p, n, err);
	if (!rc && !reader_done(&r))
		rc = error_set(err, EBADMSG, "poison list: wrong length");
	free(p);
	return rc;
}

static int load_written(struct target *t, struct error *err)
{
	int rc = walk_extents(t, t->written, t->written_len, "written list",
			      set_missing, err);

	/* Huge pages that are zeroes as a whole, or with lost parts */
	return rc ? rc : page_store_settle(&t->store, err);
}

static int load_state(struct target *t, struct error *err)
{
	struct reader r = { .data = t->state, .len = t->state_len };

	t->run_it = get_u8(&r);
	return machine_load(t->m, &r, err);
}

/* What comes before PREPARE are the pages that the guest needs first */
static int hear_prepare(struct target *t, struct error *err)
{
	uint8_t *data = receive_buffer();
	struct wire_msg m;
	int rc;

	if (!data)
		return error_set(err, ENOMEM, "out of memory for pages");
	for (;;) {
		rc = session_hear(&t->se, &m, "PREPARE", err);
		if (rc || m.type == WIRE_MSG_PREPARE)
			break;
		if (m.type != WIRE_MSG_PAGES && m.type != WIRE_MSG_ZERO &&
		    m.type != WIRE_MSG_POISON) {
			rc = error_set(err, EBADMSG,
				"the peer sent %s where PREPARE belongs",
				wire_name(m.type));
			break;
		}
		rc = channel_recv(&t->se.link.main, data, m.length, err);
		if (!rc)
			rc = page_store_message(&t->store, &m, data, false,
						err);
		if (rc)
			break;
	}
	free(data);
	return rc;
}

/* From here on the machine is kept, whatever happens to the link */
static int promise(struct target *t, struct error *err)
{
	if (session_event(&t->se, EVENT_LOADED, NULL))
		return error_set(err, EPIPE,
			"the connection was lost while the state was loaded");
	t->store.accepted = true;
	return 0;
}

/* All was read: now it is loaded (invariant 6) */
int target_prepare(struct target *t, struct error *err)
{
	struct ram_hook p = { .ctx = t, .poison = target_inject,
			   .missing = true };
	int rc = walk_extents(t, t->discard, t->discard_len, "discard list",
			      page_store_discard, err);

	if (!rc)
		rc = load_poison(t, err);
	if (!rc)
		rc = load_written(t, err);
	if (!rc)
		rc = hear_prepare(t, err);
	if (!rc)
		rc = load_state(t, err);
	target_drop_received(t);
	if (!rc)
		rc = promise(t, err);
	if (rc)
		return rc;
	machine_set_ram_hook(t->m, &p);
	return session_say(&t->se, WIRE_MSG_PREPARED, NULL, err);
}

/* The vCPUs run as soon as the header of COMMIT was received: PHASE_RUN */
int target_commit(struct target *t, struct error *err)
{
	int rc;

	/* The source decides at once, or is dead */
	channel_set_end(&t->se.link.main, channel_now_ns() +
			t->se.limits->dead_peer_ms * 1000000ull);
	rc = session_expect(&t->se, WIRE_MSG_COMMIT, NULL, NULL, err);
	if (!rc)
		rc = session_say(&t->se, WIRE_MSG_RUNNING, NULL, err);
	/* Another connection was lost before COMMIT came (PREPARED_CUT) */
	if (!rc && session_phase(&t->se) != TARGET_POSTCOPY)
		rc = error_set(err, EPIPE, "a connection was lost");
	return rc;
}

/* DONE on main follows DONE on each push connection at once */
static int check_done_due(const struct target *t, uint64_t *since,
			  struct error *err)
{
	const uint64_t now = now_ns();

	if (t->receive.running || !*since)
		*since = now;
	if (now - *since < t->se.limits->silence_ms * 1000000ull)
		return 0;
	return error_set(err, ETIMEDOUT,
		"the source has ended every push connection, but has not sent DONE");
}

int target_receive(struct target *t, struct error *err)
{
	uint64_t due = 0;
	struct wire_msg m;
	struct beat b;
	int rc = 0;

	beat_begin(&b, &t->se);
	receive_start(&t->receive);
	while (!rc && session_phase(&t->se) == TARGET_POSTCOPY) {
		rc = beat_turn(&b, MAIN_LOOK_MS, &m, "DONE", err);
		if (!rc)
			rc = check_done_due(t, &due, err);
	}
	/* The phase allows no other message here */
	if (rc < 0)
		return rc;
	if (!rc || !receive_end(&t->receive))
		return error_set(err, EPIPE, "a connection was lost");
	return 0;
}

static int explain_missing(struct target *t, struct error *err)
{
	return error_set(err, EPROTO,
		"the source has finished, but %zu pages are missing",
		(size_t)t->store.table.missing);
}

/* The source has sent all; some may still be on the demand connection */
static int wait_last_pages(struct target *t, struct error *err)
{
	const uint64_t end = now_ns() +
			     t->se.limits->last_pages_ms * 1000000ull;
	struct wire_msg m;
	struct beat b;
	int rc = 0;

	beat_begin(&b, &t->se);
	while (t->store.table.missing && !rc) {
		if (now_ns() > end ||
		    session_phase(&t->se) != TARGET_POSTCOPY)
			return explain_missing(t, err);
		rc = beat_turn(&b, LAST_LOOK_MS, &m, "nothing", err);
	}
	/* Only DONE can have come, once more */
	if (rc > 0)
		rc = error_set(err, EBADMSG, "the peer sent %s twice",
			       wire_name(m.type));
	if (rc)
		return rc;
	return session_event(&t->se, EVENT_WHOLE, NULL)
		? error_set(err, EPIPE, "a connection was lost") : 0;
}

/*
 * Every page is there, or known to be zeroes. Those need no page of their
 * own: unregistered memory that was never written reads as zeroes.
 */
static void unregister_ram(struct target *t)
{
	fault_end(&t->faults);
	page_store_close(&t->store);
	machine_set_reason(t->m, WHY_POSTCOPY, WHY_MIGRATED);
	/* Last: from here on it may be dumped; and a reset that has waited for
	 * it drops RAM, and loads a kernel
	 */
	machine_set_ram_hook(t->m, NULL);
}

int target_finish(struct target *t, struct error *err)
{
	struct writer w = { 0 };
	int rc = wait_last_pages(t, err);

	if (rc)
		return rc;
	unregister_ram(t);
	progress_put_latency(t->se.progress, &w);
	/* The guest is whole: whether the source knows does not change it */
	channel_set_end(&t->se.link.main, 0);
	rc = session_say(&t->se, WIRE_MSG_COMPLETE, &w, err);
	writer_free(&w);
	return rc ? rc : target_await_confirmed(t, err);
}

int target_await_confirmed(struct target *t, struct error *err)
{
	struct wire_msg m;
	int rc;

	channel_set_end(&t->se.link.main, channel_now_ns() +
			t->se.limits->dead_peer_ms * 1000000ull);
	do
		rc = session_hear(&t->se, &m, "CONFIRMED", err);
	while (!rc && m.type == WIRE_MSG_BEAT);
	if (!rc && m.type != WIRE_MSG_CONFIRMED)
		rc = error_set(err, EBADMSG,
			"the peer sent %s where CONFIRMED belongs",
			wire_name(m.type));
	if (rc)
		log_line("all pages have arrived, but the source has not confirmed that it knows: %s",
			 err->text);
	return rc;
}
