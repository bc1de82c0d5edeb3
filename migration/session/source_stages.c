// SPDX-License-Identifier: MIT
/*
 * source_stages.c - What a source does in each stage (stages.c has the table)
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "beat.h"
#include "migration/pages/mutant.h"
#include "source.h"
#include "stages.h"
#include "vmm/base/log.h"
#include "vmm/machine/hot.h"
#include "vmm/machine/inject.h"
#include "vmm/memory/ram_holes.h"
#include "vmm/memory/uffd.h"

#define LOOK_MS		1000	/* session_wake() ends the wait earlier */

/* Send HELLO on a new connection, and receive WELCOME */
int source_greet(struct source *s, enum wire_role role, unsigned i,
		 struct error *err)
{
	struct link *l = &s->se.link;
	struct channel *c = link_channel(l, role, i);
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = role,
		.features = uffd_has_poison() == 1 ? WIRE_POISON : 0,
		.page_size = WIRE_PAGE, .epoch = l->epoch,
		.resume = role == WIRE_MAIN && l->epoch > 1,
		.push = role == WIRE_MAIN ? (uint16_t)s->connections : 0,
	};
	struct wire_msg m = { .type = WIRE_MSG_HELLO, .length = WIRE_HELLO };
	uint8_t out[WIRE_HELLO], *in = NULL;
	uint32_t n;
	int rc = link_connect(l, role, i, s->se.limits->connect_ms, err);

	memcpy(h.id, s->se.id, WIRE_ID);
	memcpy(h.secret, s->se.secret, WIRE_SECRET);
	channel_bind(c, h.secret, WIRE_SECRET, h.binding);
	wire_put_hello(out, &h);
	if (!rc)
		rc = channel_say(c, &m, out, err);
	if (!rc)
		rc = role == WIRE_MAIN
			? session_expect(&s->se, WIRE_MSG_WELCOME, &in, &n,
					 err)
			: channel_expect(c, WIRE_MSG_WELCOME, &in, &n, err);
	if (!rc)
		rc = wire_get_hello(in, n, &h, err);
	if (!rc && (h.page_size != WIRE_PAGE || h.epoch != l->epoch ||
		    memcmp(h.id, s->se.id, WIRE_ID) ||
		    !wire_same_secret(h.secret, s->se.secret)))
		rc = error_set(err, EBADMSG,
			"the destination's WELCOME does not fit our HELLO");
	free(in);
	if (rc || role != WIRE_MAIN)
		return rc;
	s->peer_poison = h.features & WIRE_POISON;
	if (!h.push || h.push > s->connections)
		return error_set(err, EBADMSG,
			"the destination takes %u push connections of %u",
			h.push, s->connections);
	l->pushes = h.push;
	return 0;
}

/*
 * A destination without UFFDIO_POISON gets only a guest without poison, and
 * only if the user allows it (--no-poison)
 */
static int check_lost(struct source *s, size_t lost, struct error *err)
{
	if (s->peer_poison)
		return 0;
	if (lost)
		return error_set(err, ENOTSUP,
			"the guest has lost memory (%zu page%s), and the destination's kernel has no UFFDIO_POISON (Linux 6.6 or newer is needed there) to keep it from reading wrong data",
			lost, lost == 1 ? "" : "s");
	if (!s->no_poison)
		return error_set(err, ENOTSUP,
			"the destination's kernel has no UFFDIO_POISON (Linux 6.6 or newer is needed there): the guest could not go on there if memory is lost on the way; migrate --no-poison takes that risk");
	return 0;
}

static size_t lost_pages(const struct poison *p, int n)
{
	size_t lost = 0;

	for (int i = 0; i < n; i++)
		lost += p[i].size / WIRE_PAGE;
	return lost;
}

static int count_lost(struct source *s, size_t *lost, struct error *err)
{
	struct poison *p;
	int n = poison_copy(machine_poison(s->m), &p);

	if (n < 0)
		return error_set(err, ENOMEM, "out of memory for poison");
	*lost = lost_pages(p, n);
	if (n)
		free(p);
	return 0;
}

int source_hello(struct source *s, struct error *err)
{
	size_t lost = 0;
	int rc = link_resolve(&s->se.link, &s->uri, s->se.limits->connect_ms,
			      err);

	if (!rc)
		rc = source_greet(s, WIRE_MAIN, 0, err);
	if (!rc)
		rc = count_lost(s, &lost, err);
	return rc ? rc : check_lost(s, lost, err);
}

int source_describe(struct source *s, struct error *err)
{
	size_t size;
	const void *fdt = machine_description(s->m, &size);
	struct writer w = { .data = (uint8_t *)(uintptr_t)fdt, .len = size };
	int rc = session_say(&s->se, WIRE_MSG_DESCRIPTION, &w, err);

	channel_set_silence(&s->se.link.main, s->se.limits->build_ms);
	return rc ? rc : session_expect(&s->se, WIRE_MSG_BUILT, NULL, NULL,
					err);
}

/* The threads are created here, where failing still costs nothing */
int source_attach(struct source *s, struct error *err)
{
	struct link *l = &s->se.link;
	int rc = source_greet(s, WIRE_DEMAND, 0, err);

	for (unsigned i = 0; i < l->pushes && !rc; i++) {
		rc = source_greet(s, WIRE_PUSH, i, err);
		if (!rc)
			channel_set_silence(&l->push[i],
					    s->se.limits->silence_ms);
	}
	if (rc)
		return rc;
	/* Requests may stay away for long */
	channel_set_silence(&l->demand, 0);
	s->push.n = l->pushes;
	for (unsigned i = 0; i < l->pushes; i++)
		s->push.pusher[i].c = &l->push[i];
	return push_prepare(&s->push, err);
}

static int add_extent(struct extents *x, uint64_t offset, uint64_t len)
{
	if (x->n == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : 64;
		struct ram_extent *at = reallocarray(x->at, cap, sizeof(*at));

		if (!at)
			return -ENOMEM;
		x->at = at;
		x->cap = cap;
	}
	x->at[x->n++] = (struct ram_extent){ offset, len };
	return 0;
}

#define ZERO_LIST_MAX	((WIRE_LIST_MAX - 4) / 16)

/* What does not fit in the list is found again when it is read */
static int announce_hole(void *ctx, uint64_t offset, uint64_t len)
{
	struct source *s = ctx;

	if (s->zero.n == ZERO_LIST_MAX)
		return 0;
	if (session_phase(&s->se) != SOURCE_SETUP)
		return -ECANCELED;
	s->se.progress->stats.pages[COUNT_ZERO] +=
		ledger_take(&s->pages.ledger, offset / WIRE_PAGE,
			    len / WIRE_PAGE);
	return add_extent(&s->zero, offset, len);
}

static int say_extents(struct source *s, enum wire_type type,
		       const struct extents *x, struct error *err)
{
	struct writer w = { 0 };
	int rc;

	put_u32(&w, (uint32_t)x->n);
	for (size_t i = 0; i < x->n; i++) {
		put_u64(&w, x->at[i].offset);
		put_u64(&w, x->at[i].len);
	}
	rc = session_say(&s->se, type, &w, err);
	writer_free(&w);
	return rc;
}

static int hear_ready(struct source *s, struct error *err)
{
	uint8_t *data = NULL;
	uint32_t n, unit = WIRE_PAGE;
	int rc = session_expect(&s->se, WIRE_MSG_READY, &data, &n, err);

	if (!rc)
		rc = wire_get_ready(data, &unit, err);
	free(data);
	s->unit = unit / WIRE_PAGE;
	return rc;
}

/*
 * Announce RAM that was never written as zeroes, while the guest still runs:
 * all that depends on the size of RAM is done before the guest is held. What
 * the guest writes meanwhile is corrected by source_zero(). A kernel that can't
 * tell costs time, not truth: zero pages are found again when they are read.
 */
int source_scan(struct source *s, struct error *err)
{
	const struct ram *ram = machine_ram(s->m);
	int rc = ram_holes(ram, 0, ram->size, announce_hole, s);

	if (rc == -ENOMEM || rc == -ECANCELED)
		return error_set(err, -rc, "cannot list the zero pages: %s",
				 strerrordesc_np(-rc));
	rc = say_extents(s, WIRE_MSG_ZERO_LIST, &s->zero, err);
	/* The destination has applied the list, and has all that it needs */
	return rc ? rc : hear_ready(s, err);
}

/* From here on RAM does not change, so it may be read and requested */
int source_hold(struct source *s, struct error *err)
{
	struct progress *p = s->se.progress;
	struct channel *main = &s->se.link.main;
	int rc;

	p->pause = now_ns();
	s->deadline = p->pause + s->se.limits->downtime_ms * 1000000ull;
	rc = machine_hold(s->m, &s->before, err);
	if (rc)
		return rc;
	s->held = true;
	channel_set_silence(main, s->se.limits->silence_ms);
	channel_set_end(main, s->deadline);
	if (session_event(&s->se, EVENT_HOLD, NULL))
		return error_set(err, ECANCELED, "cancelled");
	/* Poison made before is in the list; later attempts see the phase */
	inject_drain(s->m);
	return demand_start(&s->answers, err);
}

/* A wait of the hand-over that took too long: say which limit it was */
int source_explain_downtime(struct source *s, int rc, struct error *err)
{
	if (rc != -ETIMEDOUT || channel_now_ns() < s->deadline)
		return rc;
	error_clear(err);
	return error_set(err, ETIMEDOUT,
		"the destination was not prepared in time: the downtime limit is %u ms",
		s->se.limits->downtime_ms);
}

int source_state(struct source *s, struct error *err)
{
	struct writer w = { 0 };
	int rc;

	/* A guest that was paused by hand arrives paused */
	put_u8(&w, s->before.state == RUN_RUNNING);
	rc = machine_save(s->m, &w, err);
	if (!rc)
		rc = session_say(&s->se, WIRE_MSG_STATE, &w, err);
	writer_free(&w);
	return source_explain_downtime(s, rc, err);
}

/*
 * What was written of the announced ranges: all of them but the holes that are
 * left. Both ascend.
 */
struct written {
	struct source *s;
	struct extents x;
	size_t range;		/* of @s->zero that is being looked at */
	uint64_t at;		/* all of it below was looked at */
};

static int add_written(struct written *wr, uint64_t to)
{
	struct source *s = wr->s;
	uint64_t from = wr->at;

	wr->at = to;
	if (from == to)
		return 0;
	if (wr->x.n == ZERO_LIST_MAX)
		return -ENOSPC;
	source_pass_written(s, from, to - from);
	s->se.progress->stats.pages[COUNT_ZERO] -=
		ledger_give_back(&s->pages.ledger, (size_t)(from / WIRE_PAGE),
				 (size_t)((to - from) / WIRE_PAGE));
	return add_extent(&wr->x, from, to - from);
}

/* The rest of the ranges that end at or below an offset was written */
static int finish_ranges(struct written *wr, uint64_t offset)
{
	const struct extents *z = &wr->s->zero;
	int rc = 0;

	while (!rc && wr->range < z->n) {
		const struct ram_extent *e = &z->at[wr->range];

		if (wr->at < e->offset)
			wr->at = e->offset;
		if (e->offset + e->len > offset)
			break;
		rc = add_written(wr, e->offset + e->len);
		wr->range++;
	}
	return rc;
}

/* A hole is within one range */
static int skip_hole(void *ctx, uint64_t offset, uint64_t len)
{
	struct written *wr = ctx;
	int rc = finish_ranges(wr, offset);

	if (!rc)
		rc = add_written(wr, offset);
	wr->at = offset + len;
	return rc;
}

/*
 * The guest is held: what is a hole now was never written, whatever was
 * announced. So only pages that were announced and are no holes are corrected.
 */
int source_zero(struct source *s, struct error *err)
{
	struct written wr = { .s = s };
	int rc = ram_holes_left(machine_ram(s->m), s->zero.at, s->zero.n,
				skip_hole, &wr);

	if (!rc)
		rc = finish_ranges(&wr, UINT64_MAX);
	rc = rc ? error_set(err, -rc, "cannot list the written pages: %s",
			    strerrordesc_np(-rc))
		: say_extents(s, WIRE_MSG_WRITTEN_LIST, &wr.x, err);
	free(wr.x.at);
	return source_explain_downtime(s, rc, err);
}

/* Pages that were announced as zeroes are taken already: they change kind */
static void claim_poison(struct source *s, const struct poison *p)
{
	_Atomic uint64_t *pages = s->se.progress->stats.pages;
	size_t n = p->size / WIRE_PAGE, page;
	uint64_t offset;

	if (!ram_offset(machine_ram(s->m), p->gpa, p->size, &offset))
		return;
	page = (size_t)(offset / WIRE_PAGE);
	for (size_t i = 0; i < n; i++)
		if (!ledger_take(&s->pages.ledger, page + i, 1))
			pages[COUNT_ZERO]--;
	pages[COUNT_POISON] += n;
}

/*
 * What is listed is claimed, and nothing else: both from one copy, which
 * source_discard() has made and has used
 */
int source_poison(struct source *s, struct error *err)
{
	const int n = mutant("drop-poison") ? 0 : s->lost_n;
	const struct poison *p = s->lost;
	struct writer w = { 0 };
	int rc;

	for (int i = 0; i < n; i++)
		claim_poison(s, &p[i]);
	poison_save(p, (size_t)n, &w);
	rc = w.failed ? error_set(err, ENOMEM, "out of memory for poison")
		      : check_lost(s, lost_pages(p, n), err);
	if (!rc)
		rc = session_say(&s->se, WIRE_MSG_POISON_LIST, &w, err);
	writer_free(&w);
	return source_explain_downtime(s, rc, err);
}

/* What the vCPUs touch first goes ahead, so that they needn't ask for it */
static int send_hot(struct source *s, struct error *err)
{
	const struct ram *ram = machine_ram(s->m);
	uint64_t gpa[HOT_PER_VCPU * 8];
	size_t n = hot_pages(s->m, gpa, ARRAY_SIZE(gpa));
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		uint64_t offset;

		if (!ram_offset(ram, gpa[i], WIRE_PAGE, &offset) ||
		    !ledger_take(&s->pages.ledger, offset / WIRE_PAGE, 1))
			continue;
		rc = batch_fill(&s->batch, offset / WIRE_PAGE, 1, err);
		if (!rc)
			rc = check_lost(s, s->batch.lost_pages, err);
		if (!rc)
			rc = push_batch(&s->pages, &s->batch, &s->se.link.main,
					COUNT_PUSH, err);
	}
	return rc;
}

int source_prepare(struct source *s, struct error *err)
{
	int rc = send_hot(s, err);

	s->told = true;
	if (!rc)
		rc = session_say(&s->se, WIRE_MSG_PREPARE, NULL, err);
	if (!rc)
		rc = session_expect(&s->se, WIRE_MSG_PREPARED, NULL, NULL,
				    err);
	return source_explain_downtime(s, rc, err);
}

/*
 * The point of no return: nothing after this resumes the guest here. The push
 * threads do not use their connections yet, so a connection that the peer has
 * closed is only found by asking.
 */
static int point_of_no_return(struct source *s, struct error *err)
{
	struct error why = { 0 };

	error_set(&why, EPIPE,
		  "a connection was lost before the hand-over");
	if (!link_push_alive(&s->se.link))
		session_event(&s->se, EVENT_PUSHES_LOST, &why);
	return session_event(&s->se, EVENT_COMMIT, NULL)
		? error_set(err, ECANCELED, "not handed over") : 0;
}

int source_commit(struct source *s, struct error *err)
{
	int rc = point_of_no_return(s, err);

	if (rc)
		return rc;
	return source_say_commit(s, err);
}

int source_say_commit(struct source *s, struct error *err)
{
	int rc;

	channel_set_end(&s->se.link.main, channel_now_ns() +
			s->se.limits->dead_peer_ms * 1000000ull);
	rc = session_say(&s->se, WIRE_MSG_COMMIT, NULL, err);
	return rc ? rc : session_expect(&s->se, WIRE_MSG_RUNNING, NULL, NULL,
					err);
}

/* All pages go on the push connections; main carries the heartbeat */
int source_push(struct source *s, struct error *err)
{
	struct wire_msg m;
	struct beat b;
	int rc = 0;

	beat_begin(&b, &s->se);
	push_start(&s->push);
	s->attempts = 0;
	while (!rc && s->push.running &&
	       session_phase(&s->se) == SOURCE_POSTCOPY)
		rc = beat_turn(&b, LOOK_MS, &m, "BEAT", err);
	if (rc < 0)
		return rc;
	if (session_phase(&s->se) != SOURCE_POSTCOPY || !push_end(&s->push))
		return error_set(err, EPIPE, "a connection was lost");
	return session_event(&s->se, EVENT_ALL_SENT, NULL)
		? error_set(err, EPIPE, "a connection was lost") : 0;
}

int source_finish(struct source *s, struct error *err)
{
	uint8_t *data = NULL;
	struct wire_msg m;
	struct beat b;
	int rc = session_say(&s->se, WIRE_MSG_DONE, NULL, err);

	/* Long over, but for KVM's dirty log: nobody waits for this thread now */
	source_precopy_end(s);
	beat_begin(&b, &s->se);
	while (!rc)
		rc = beat_turn(&b, LOOK_MS, &m, "COMPLETE", err);
	/* The phase allows no other message here */
	if (rc > 0)
		rc = channel_hear_payload(&s->se.link.main, &m, &data, err);
	if (!rc) {
		struct reader r = { .data = data, .len = m.length };

		/* Figures only: the guest is there, with or without them */
		if (progress_get_latency(s->se.progress, &r))
			log_line("the destination's statistics are garbled");
	}
	free(data);
	return rc ? rc : source_confirm(s, err);
}
