// SPDX-License-Identifier: MIT
/*
 * source_stages.c - What a source does in most stages (stages.c has the table)
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "beat.h"
#include "migration/pages/mutant.h"
#include "source_connect.h"
#include "source_precopy.h"
#include "source_stages.h"
#include "vmm/base/log.h"
#include "vmm/machine/hot.h"
#include "vmm/machine/inject.h"

#define LOOK_MS		1000	/* session_wake() ends the wait earlier */

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
			"the guest has lost memory (%zu page%s), and the "
			"destination's kernel has no UFFDIO_POISON (Linux 6.6 "
			"or newer is needed there) to keep it from reading "
			"wrong data",
			lost, lost == 1 ? "" : "s");
	if (!s->no_poison)
		return error_set(err, ENOTSUP,
			"the destination's kernel has no UFFDIO_POISON (Linux "
			"6.6 or newer is needed there): the guest could not go "
			"on there if memory is lost on the way; migrate "
			"--no-poison takes that risk");
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

/* From here on RAM does not change, so it may be read and requested */
int source_hold(struct source *s, struct error *err)
{
	struct progress *p = s->se.progress;
	struct channel *main = &s->se.link.main;
	int rc;

	p->pause = now_ns();
	rc = machine_hold(s->m, &s->before, err);
	if (rc)
		return rc;
	s->held = true;
	s->deadline = p->pause + s->se.limits->downtime_ms * NS_PER_MS;
	channel_set_silence(main, s->se.limits->silence_ms);
	channel_set_end(main, s->deadline);
	if (session_event(&s->se, EVENT_HOLD, NULL))
		return error_set(err, ECANCELED, "cancelled");
	/* Poison made before is in the list; later attempts see the phase */
	inject_drain(s->m);
	return demand_start(&s->answers, err);
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
	return rc;
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
	return rc;
}

/* The pages that the vCPUs touch first are sent before they are requested */
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

	s->prepare_sent = true;
	if (!rc)
		rc = session_say(&s->se, WIRE_MSG_PREPARE, NULL, err);
	if (!rc)
		rc = session_expect(&s->se, WIRE_MSG_PREPARED, NULL, NULL,
				    err);
	return rc;
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

	s->deadline = 0;
	return rc ? rc : source_say_commit(s, err);
}

int source_say_commit(struct source *s, struct error *err)
{
	int rc;

	channel_set_end(&s->se.link.main, ns_after(s->se.limits->dead_peer_ms));
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

int source_confirm(struct source *s, struct error *err)
{
	/* migrate-pause, or a lost connection, came first: a destination that
	 * received CONFIRMED would not listen for the next link
	 */
	if (session_phase(&s->se) != SOURCE_COMPLETED)
		return error_set(err, EPIPE, "the connection was lost");
	/* A destination that does not receive it asks again */
	session_say(&s->se, WIRE_MSG_CONFIRMED, NULL, NULL);
	return 0;
}

int source_finish(struct source *s, struct error *err)
{
	uint8_t *data = NULL;
	struct wire_msg m;
	struct beat b;
	int rc = session_say(&s->se, WIRE_MSG_DONE, NULL, err);

	/* The passes are over; KVM's dirty log ends here, where no vCPU waits */
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
