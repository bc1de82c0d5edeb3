// SPDX-License-Identifier: MIT
/*
 * target_stages.c - What a destination does in most stages (stages.c has the
 * table)
 */

#include <errno.h>
#include <stdlib.h>

#include "beat.h"
#include "target_connect.h"
#include "target_stages.h"
#include "vmm/base/log.h"
#include "vmm/machine/description.h"

#define MAIN_LOOK_MS	1000	/* session_wake() ends the wait earlier */
#define LAST_LOOK_MS	1	/* for pages that are missing after DONE */

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

/* The vCPUs run as soon as the header of COMMIT was received: PHASE_RUN */
int target_commit(struct target *t, struct error *err)
{
	int rc;

	/* The source decides at once: silence means that it is lost */
	channel_set_end(&t->se.link.main, ns_after(t->se.limits->dead_peer_ms));
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
	if (now - *since < t->se.limits->silence_ms * NS_PER_MS)
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
	const uint64_t end = ns_after(t->se.limits->last_pages_ms);
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

int target_await_confirmed(struct target *t, struct error *err)
{
	struct wire_msg m;
	int rc;

	channel_set_end(&t->se.link.main, ns_after(t->se.limits->dead_peer_ms));
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
