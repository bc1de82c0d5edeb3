// SPDX-License-Identifier: MIT
/*
 * target_stages.c - What a destination does in each stage (stages.c has the
 * table)
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stages.h"
#include "target.h"
#include "vmm/base/log.h"
#include "vmm/machine/description.h"

#define HELLO_MS	10000
#define SILENCE_MS	20000
#define LAST_PAGES_MS	20000

static int say(struct target *t, enum wire_type type, const struct writer *w,
	       struct error *err)
{
	struct wire_msg m = { .type = type,
			      .length = w ? (uint32_t)w->len : 0 };

	return channel_say(&t->main, &m, w ? w->data : NULL, err);
}

static int welcome(struct target *t, struct channel *c, enum wire_role role,
		   struct error *err)
{
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = role, .page_size = WIRE_PAGE,
		.features = t->can_poison ? WIRE_POISON : 0,
		.push = role == WIRE_MAIN ? (uint16_t)t->receive.n : 0,
	};
	struct wire_msg m = { .type = WIRE_MSG_WELCOME,
			      .length = WIRE_HELLO };
	uint8_t out[WIRE_HELLO];

	memcpy(h.id, t->id, WIRE_ID);
	wire_put_hello(out, &h);
	return channel_say(c, &m, out, err);
}

static int hear_hello(struct channel *c, enum wire_role role,
		      struct wire_hello *h, struct error *err)
{
	uint8_t *in = NULL;
	int rc = channel_expect(c, WIRE_MSG_HELLO, &in, NULL, err);

	if (!rc)
		rc = wire_get_hello(in, h, err);
	if (!rc && h->role != role)
		rc = error_set(err, EBADMSG,
			"the peer opened the wrong kind of connection");
	if (!rc && h->page_size != WIRE_PAGE)
		rc = error_set(err, ENOTSUP,
			"the peer's pages have %u bytes, ours %u",
			h->page_size, WIRE_PAGE);
	free(in);
	return rc;
}

int target_hello(struct target *t, struct error *err)
{
	struct wire_hello h;
	int rc = hear_hello(&t->main, WIRE_MAIN, &h, err);

	if (rc)
		return rc;
	memcpy(t->id, h.id, WIRE_ID);
	job_name(t->job, t->id, &t->uri);
	t->receive.n = h.push < WIRE_PUSH_MAX ? h.push : WIRE_PUSH_MAX;
	return welcome(t, &t->main, WIRE_MAIN, err);
}

static int build_machine(struct target *t, const uint8_t *fdt, uint32_t len,
			 struct error *err)
{
	struct machine_observer obs = host_observer(t->host);
	struct machine_config *cfg = calloc(1, sizeof(*cfg));
	int rc;

	if (!cfg)
		return error_set(err, ENOMEM, "out of memory");
	rc = description_parse(fdt, len, cfg, err);
	if (!rc)
		rc = description_check_host(cfg, err);
	if (t->host->ram >= 0)
		cfg->backing = (enum ram_backing)t->host->ram;
	if (!rc) {
		t->m = machine_new(cfg, &obs, err);
		rc = t->m ? 0 : -err->code;
	}
	free(cfg);
	return rc;
}

int target_build(struct target *t, struct error *err)
{
	uint8_t *fdt = NULL;
	uint32_t len;
	int rc = channel_expect(&t->main, WIRE_MSG_DESCRIPTION, &fdt, &len,
				err);

	if (!rc)
		rc = build_machine(t, fdt, len, err);
	free(fdt);
	if (!rc) {
		job_machine(t->job, t->m);
		/* Empty, and it stays so until something is placed (invariant 11) */
		rc = page_store_open(&t->store, &t->m->ram, err);
	}
	return rc ? rc : say(t, WIRE_MSG_BUILT, NULL, err);
}

/* Is this the connection that our source opens now? If not, tell it so */
static bool is_ours(struct target *t, struct channel *c, enum wire_role role)
{
	struct error err = { 0 };
	struct wire_hello h;
	int rc = hear_hello(c, role, &h, &err);

	if (!rc && !memcmp(h.id, t->id, WIRE_ID))
		return true;
	error_clear(&err);
	error_set(&err, EBUSY, "another migration is arriving here");
	channel_refuse(c, &err);
	channel_close(c);
	return false;
}

/* Others may knock meanwhile: they are sent away, and the wait goes on */
static int accept_next(struct target *t, struct channel *next,
		       enum wire_role role, struct error *err)
{
	uint64_t end = now_ns() + HELLO_MS * 1000000ull, now;
	int rc;

	while ((now = now_ns()) < end) {
		struct channel c;

		rc = channel_accept(&c, t->listener, t->main.fd,
				    (int)((end - now) / 1000000) + 1,
				    HELLO_MS, err);
		if (rc)
			return rc;
		if (!is_ours(t, &c, role))
			continue;
		pthread_mutex_lock(&t->lock);
		*next = c;
		pthread_mutex_unlock(&t->lock);
		return welcome(t, next, role, err);
	}
	return error_set(err, ETIMEDOUT,
			 "the source opened no %s connection in time",
			 role == WIRE_PUSH ? "push" : "demand");
}

/* The pager must be there before any state is loaded: loading may fault */
int target_attach(struct target *t, struct error *err)
{
	int rc = accept_next(t, &t->demand, WIRE_DEMAND, err);

	for (unsigned i = 0; i < t->receive.n && !rc; i++) {
		rc = accept_next(t, &t->pushed[i], WIRE_PUSH, err);
		if (!rc)
			channel_deadline(&t->pushed[i], SILENCE_MS);
	}
	channel_deadline(&t->main, SILENCE_MS);
	rc = rc ? rc : receive_prepare(&t->receive, err);
	return rc ? rc : target_start_faults(t, err);
}

int target_state(struct target *t, struct error *err)
{
	job_set(t->job, JOB_DEVICE, NULL);
	return channel_expect(&t->main, WIRE_MSG_STATE, &t->state,
			      &t->state_len, err);
}

int target_poison_list(struct target *t, struct error *err)
{
	return channel_expect(&t->main, WIRE_MSG_POISON_LIST, &t->poison,
			      &t->poison_len, err);
}

int target_zero_list(struct target *t, struct error *err)
{
	return channel_expect(&t->main, WIRE_MSG_ZERO_LIST, &t->zero,
			      &t->zero_len, err);
}

static int load_poison(struct target *t, struct error *err)
{
	struct reader r = { .data = t->poison, .len = t->poison_len };
	struct poison *p;
	int n = poison_parse(&r, &p, err), rc = 0;

	if (n < 0)
		return n;
	for (int i = 0; i < n && !rc; i++) {
		if (p[i].gpa % WIRE_PAGE || p[i].size % WIRE_PAGE)
			rc = error_set(err, EBADMSG,
				"poison list: 0x%llx is not whole pages",
				(unsigned long long)p[i].gpa);
		else
			rc = page_store_poison(&t->store, p[i].gpa,
					       p[i].size / WIRE_PAGE,
					       p[i].delivered, err);
	}
	if (!rc && !reader_done(&r))
		rc = error_set(err, EBADMSG, "poison list: wrong length");
	free(p);
	return rc;
}

static int load_zeroes(struct target *t, struct error *err)
{
	struct reader r = { .data = t->zero, .len = t->zero_len };
	uint32_t n = get_u32(&r);
	uint64_t pages = t->store.table.n;

	for (uint32_t i = 0; i < n && !r.failed; i++) {
		uint64_t at = get_u64(&r), len = get_u64(&r);

		if (at % WIRE_PAGE || len % WIRE_PAGE ||
		    at / WIRE_PAGE > pages ||
		    len / WIRE_PAGE > pages - at / WIRE_PAGE)
			return error_set(err, EBADMSG,
				"zero list: entry %u is not whole pages of RAM",
				i);
		page_store_set_zero(&t->store, at / WIRE_PAGE,
				    len / WIRE_PAGE);
	}
	if (!reader_done(&r))
		return error_set(err, EBADMSG, "zero list: wrong length");
	/* What is lost in the midst of zeroes was learned before */
	return page_store_settle(&t->store, err);
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
		rc = channel_hear(&t->main, &m, err);
		if (rc || m.type == WIRE_MSG_PREPARE)
			break;
		if (m.type != WIRE_MSG_PAGES && m.type != WIRE_MSG_ZERO &&
		    m.type != WIRE_MSG_POISON) {
			rc = error_set(err, EBADMSG,
				"the peer sent %s where PREPARE belongs",
				wire_name(m.type));
			break;
		}
		rc = channel_recv(&t->main, data, m.length, err);
		if (!rc)
			rc = page_store_message(&t->store, &m, data, false,
						err);
		if (rc)
			break;
	}
	free(data);
	return rc;
}

/* From here on the machine is kept, whatever happens to the connection */
static int promise(struct target *t, struct error *err)
{
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	if (t->broken)
		rc = error_set(err, EPIPE,
			"the connection was lost while the state was loaded");
	else
		t->prepared = t->store.accepted = true;
	pthread_mutex_unlock(&t->lock);
	return rc;
}

/* All was read: now it is loaded (invariant 6) */
int target_prepare(struct target *t, struct error *err)
{
	struct pager p = { .ctx = t, .poison = target_inject,
			   .missing = true };
	int rc = load_poison(t, err);

	if (!rc)
		rc = load_zeroes(t, err);
	if (!rc)
		rc = hear_prepare(t, err);
	if (!rc)
		rc = load_state(t, err);
	target_drop_received(t);
	if (!rc)
		rc = promise(t, err);
	if (rc)
		return rc;
	machine_set_pager(t->m, &p);
	return say(t, WIRE_MSG_PREPARED, NULL, err);
}

int target_commit(struct target *t, struct error *err)
{
	int rc = channel_expect(&t->main, WIRE_MSG_COMMIT, NULL, NULL, err);

	/* A source that says no has not committed: there is no doubt */
	if (rc == -ECONNREFUSED)
		t->prepared = false;
	if (rc)
		return rc;
	pthread_mutex_lock(&t->lock);
	t->committed = true;
	pthread_mutex_unlock(&t->lock);
	t->host->side = "destination";
	host_set_machine(t->host, t->m);
	t->job->run = now_ns();
	job_set(t->job, JOB_POSTCOPY, NULL);
	if (t->run_it && !machine_panicked(t->m))
		machine_run(t->m, WHY_POSTCOPY, NULL);
	else
		machine_set_status(t->m, (struct run_status){
			machine_panicked(t->m) ? RUN_GUEST_PANICKED
					       : RUN_PAUSED, WHY_POSTCOPY });
	rc = say(t, WIRE_MSG_RUNNING, NULL, err);
	return !rc && t->lost.code ? error_set(err, t->lost.code, "%s",
					       t->lost.text) : rc;
}

/* The source has sent all; some may still be on the other connection */
static int wait_last_pages(struct target *t, struct error *err)
{
	const uint64_t end = now_ns() + LAST_PAGES_MS * 1000000ull;

	while (t->store.table.missing) {
		if (now_ns() > end || t->failed || t->ending)
			return error_set(err, EPROTO,
				"the source has finished, but %zu pages are missing",
				(size_t)t->store.table.missing);
		usleep(1000);
	}
	return 0;
}

/*
 * Every page is there, or known to be zeroes. Those need no page of their
 * own: unregistered memory that was never written reads as zeroes. Poison
 * stays (tests/kernel/poison-survives.c).
 */
static void let_go(struct target *t)
{
	t->ending = true;
	fault_end(&t->faults);
	page_store_close(&t->store);
	machine_set_reason(t->m, WHY_POSTCOPY, WHY_MIGRATED);
	/* Last: from here on it may be dumped; and a reset that has waited for
	 * it drops RAM, and loads a kernel
	 */
	machine_set_pager(t->m, NULL);
}

/* The main connection is silent while pages arrive on the others */
static int hear_done(struct target *t, struct error *err)
{
	int rc;

	do {
		error_clear(err);
		rc = channel_expect(&t->main, WIRE_MSG_DONE, NULL, NULL, err);
	} while (rc == -ETIMEDOUT && t->receive.running && !t->failed);
	return rc;
}

int target_receive(struct target *t, struct error *err)
{
	int rc;

	receive_start(&t->receive);
	rc = hear_done(t, err);
	if (rc)
		return rc;
	return receive_end(&t->receive) ? 0
		: error_set(err, EPIPE, "a push connection was lost");
}

int target_finish(struct target *t, struct error *err)
{
	struct writer w = { 0 };
	int rc = wait_last_pages(t, err);

	if (rc)
		return rc;
	let_go(t);
	job_put_latency(t->job, &w);
	/* The guest is whole: a source that can't be told doesn't change it */
	if (w.failed || say(t, WIRE_MSG_COMPLETE, &w, NULL))
		log_line("the source could not be told that all pages arrived");
	writer_free(&w);
	return 0;
}
