// SPDX-License-Identifier: MIT
/*
 * source_relink.c - What a source does in the stages of a further link
 *
 * Until the stage "recommit" no page is sent, and all memory and all threads are
 * allocated there, so a failure only means that the session is paused still.
 */

#include <errno.h>
#include <stdlib.h>

#include "source_connect.h"
#include "source_poison.h"
#include "source_relink.h"
#include "source_stages.h"
#include "stages.h"


int source_begin_link(struct source *s, struct error *err)
{
	unsigned phase;
	struct uri uri;
	int rc;

	pthread_mutex_lock(&s->se.lock);
	uri = s->uri;
	pthread_mutex_unlock(&s->se.lock);
	link_begin(&s->se.link, ++s->epoch, s->se.limits->dead_peer_ms);
	/* A shut that came before link_begin() has changed the phase before */
	phase = session_phase(&s->se);
	if (s->quit || !(source_is_redialling(phase) || source_may_run(phase)))
		return error_set(err, ECANCELED, "cancelled");
	rc = link_resolve(&s->se.link, &uri, s->se.limits->connect_ms, err);
	return rc ? rc : source_greet(s, WIRE_MAIN, 0, err);
}

int source_redial(struct source *s, struct error *err)
{
	int rc;

	s->attempts++;
	rc = source_begin_link(s, err);
	/* The process ends, or migrate-pause: the link must not stay open */
	if (!source_is_redialling(session_phase(&s->se)))
		link_shut(&s->se.link);
	return rc;
}

static int say_resume(struct source *s, struct error *err)
{
	struct writer w = { 0 };
	int rc;

	put_u8(&w, session_phase(&s->se) == SOURCE_REDIAL);
	rc = session_say(&s->se, WIRE_MSG_RESUME, &w, err);
	writer_free(&w);
	return rc;
}

/* What a destination found lost enters the list of this side */
static int take_run(struct source *s, struct ledger_rebuild *r,
		    const struct wire_run *w, struct error *err)
{
	const struct ram *ram = machine_ram(s->m);
	const struct page_run run = {
		.first = (size_t)(w->offset / WIRE_PAGE),
		.pages = (size_t)w->pages, .have = (enum page_have)w->kind,
	};
	const uint64_t size = w->pages * WIRE_PAGE;
	uint64_t offset, n = size;

	if (ledger_rebuild_run(r, &run))
		return error_set(err, EBADMSG,
			"the peer's REPORT names what is no RAM");
	if (run.have != HAVE_POISONED)
		return 0;
	/* A run over the hole under 4 GiB is entered page by page */
	if (!ram_offset(ram, ram_gpa(ram, w->offset), size, &offset))
		n = WIRE_PAGE;
	for (uint64_t at = 0; at < size; at += n)
		source_note_poison(s, ram_gpa(ram, w->offset + at), n);
	return 0;
}

static int take_report(struct source *s, struct ledger_rebuild *r,
		       uint64_t *next, const uint8_t *data, uint32_t len,
		       struct wire_report *head, struct error *err)
{
	const uint64_t pages = machine_ram(s->m)->size / WIRE_PAGE;
	int rc = wire_get_report(data, len, head, err);

	data += WIRE_REPORT_HEAD;
	for (uint32_t i = 0; i < head->n && !rc; i++) {
		struct wire_run run;

		rc = wire_get_run(data + i * WIRE_REPORT_RUN, pages, next,
				  &run, err);
		if (!rc)
			rc = take_run(s, r, &run, err);
	}
	return rc;
}

/* Each message has a limit as a whole: single bytes do not count */
static int hear_report(struct source *s, struct ledger_rebuild *r,
		       struct wire_report *head, struct error *err)
{
	uint64_t next = 0;
	int rc;

	do {
		uint8_t *data = NULL;
		uint32_t len;

		channel_set_end(&s->se.link.main,
				ns_after(s->se.limits->answer_ms));
		rc = session_expect(&s->se, WIRE_MSG_REPORT, &data, &len, err);
		if (!rc)
			rc = take_report(s, r, &next, data, len, head, err);
		free(data);
	} while (!rc && !(head->flags & WIRE_REPORT_END));
	return rc;
}

/* Every page is there. The destination waits to learn that this side knows */
static int peer_is_whole(struct source *s, struct error *err)
{
	int rc = session_event(&s->se, EVENT_PEER_WHOLE, NULL)
		? error_set(err, EPIPE, "the connection was lost")
		: source_confirm(s, err);

	return rc ? rc : STAGES_OVER;
}

static int peer_runs(struct source *s, struct error *err)
{
	return session_event(&s->se, EVENT_PEER_RUNS, NULL)
		? error_set(err, EPIPE, "the connection was lost") : 0;
}

int source_report(struct source *s, struct error *err)
{
	struct wire_report head = { 0 };
	struct ledger_rebuild r;
	int rc;

	channel_set_silence(&s->se.link.main, s->se.limits->silence_ms);
	rc = say_resume(s, err);
	if (rc)
		return rc;
	s->rebuilding = true;
	ledger_rebuild_begin(&r, &s->pages.ledger);
	rc = hear_report(s, &r, &head, err);
	if (rc)
		return rc;
	if (head.flags & WIRE_REPORT_WHOLE)
		return peer_is_whole(s, err);
	ledger_rebuild_end(&r);
	page_source_rebuilt(&s->pages, &r);
	s->rebuilding = false;
	s->reported = true;
	session_show(&s->se);
	channel_set_end(&s->se.link.main, 0);
	if (head.flags & WIRE_REPORT_COMMITTED)
		return peer_runs(s, err);
	return session_phase(&s->se) == SOURCE_REDIAL_DOUBT ? 0
		: error_set(err, EBADMSG,
			"the destination says that it has not received COMMIT, but it has run the guest");
}

int source_reattach(struct source *s, struct error *err)
{
	int rc = demand_prepare(&s->answers, &s->pages, &s->se.link.demand,
				source_demand_lost, s, err);

	if (!rc)
		rc = source_attach(s, err);
	return rc ? rc : demand_start(&s->answers, err);
}

int source_recommit(struct source *s, struct error *err)
{
	if (session_phase(&s->se) == SOURCE_REDIAL_DOUBT) {
		if (session_event(&s->se, EVENT_COMMIT, NULL))
			return error_set(err, EPIPE, "a connection was lost");
		return source_say_commit(s, err);
	}
	return session_event(&s->se, EVENT_RECOVERED, NULL)
		? error_set(err, EPIPE, "a connection was lost") : 0;
}
