// SPDX-License-Identifier: MIT
/*
 * target_relink.c - What a destination does in the stages of a further link
 *
 * Until the stage "recommit" no page arrives, and all memory and all threads are
 * allocated there, so a failure only means that the session is paused still.
 */

#include <errno.h>
#include <stdlib.h>

#include "stages.h"
#include "target_connect.h"
#include "target_relink.h"
#include "target_stages.h"

int target_rejoin(struct target *t, struct error *err)
{
	channel_set_silence(&t->se.link.main, t->se.limits->hello_ms);
	return target_welcome(t, WIRE_MAIN, 0, err);
}

static int say_report(struct target *t, unsigned flags,
		      const struct page_run *run, size_t n, struct error *err)
{
	const struct wire_report head = { .flags = flags, .n = (uint32_t)n };
	struct writer w = { 0 };
	uint8_t raw[WIRE_REPORT_RUN];
	int rc;

	wire_put_report(raw, &head);
	put_bytes(&w, raw, WIRE_REPORT_HEAD);
	for (size_t i = 0; i < n; i++) {
		wire_put_run(raw, &(struct wire_run){
			.offset = (uint64_t)run[i].first * WIRE_PAGE,
			.pages = run[i].pages,
			.kind = (enum wire_run_kind)run[i].have,
		});
		put_bytes(&w, raw, WIRE_REPORT_RUN);
	}
	rc = session_say(&t->se, WIRE_MSG_REPORT, &w, err);
	writer_free(&w);
	return rc;
}

/* Several messages, if there are many runs. The last one has the flag END */
static int say_runs(struct target *t, unsigned flags, struct error *err)
{
	struct page_run *run = calloc(WIRE_REPORT_RUNS, sizeof(*run));
	const size_t pages = t->store.table.n;
	size_t from = 0;
	int rc = 0;

	if (!run)
		return error_set(err, ENOMEM, "out of memory for REPORT");
	do {
		size_t n = page_store_report(&t->store, &from, run,
					     WIRE_REPORT_RUNS);

		rc = say_report(t, from < pages ? flags
				: flags | WIRE_REPORT_END, run, n, err);
	} while (!rc && from < pages);
	free(run);
	return rc;
}

/* A source that asks has not received COMPLETE. It answers with CONFIRMED */
static int report_whole(struct target *t, struct error *err)
{
	int rc = say_report(t, WIRE_REPORT_END | WIRE_REPORT_COMMITTED |
			    WIRE_REPORT_WHOLE, NULL, 0, err);

	if (!rc)
		rc = target_await_confirmed(t, err);
	return rc ? rc : STAGES_OVER;
}

int target_report(struct target *t, struct error *err)
{
	struct channel *main = &t->se.link.main;
	unsigned phase;
	int rc;

	channel_set_end(main, ns_after(t->se.limits->hello_ms));
	rc = session_expect(&t->se, WIRE_MSG_RESUME, NULL, NULL, err);
	if (rc)
		return rc;
	channel_set_end(main, 0);
	channel_set_silence(main, t->se.limits->silence_ms);
	phase = session_phase(&t->se);
	if (phase == TARGET_WHOLE)
		return report_whole(t, err);
	return say_runs(t, phase == TARGET_REJOIN ? WIRE_REPORT_COMMITTED : 0,
			err);
}

int target_reattach(struct target *t, struct error *err)
{
	int rc = target_open_link(t, err);

	if (rc)
		return rc;
	fault_attach(&t->faults, &t->se.link.demand, t->se.limits->answer_ms);
	/* A vCPU may wait for a huge page that is complete: see place_huge.c */
	if (!session_event(&t->se, EVENT_RECOVERED, NULL))
		return page_store_settle(&t->store, err);
	/* A loss that came before fault_attach() was not seen by the thread */
	fault_cut(&t->faults);
	return error_set(err, EPIPE, "a connection was lost");
}

int target_recommit(struct target *t, struct error *err)
{
	return session_phase(&t->se) == TARGET_PREPARED
		? target_commit(t, err) : 0;
}
