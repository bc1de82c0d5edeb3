// SPDX-License-Identifier: MIT
/*
 * source_stages.c - What a source does in each stage (stages.c has the table)
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migration/pages/mutant.h"
#include "source.h"
#include "stages.h"
#include "vmm/base/log.h"
#include "vmm/machine/hot.h"
#include "vmm/memory/uffd.h"

#define CONNECT_MS	10000	/* for a connection and for a first answer */
#define BUILD_MS	30000	/* the destination maps and registers RAM */
#define SILENCE_MS	20000	/* no byte taken or given: the peer is gone */

static int say(struct source *s, enum wire_type type, const struct writer *w,
	       struct error *err)
{
	struct wire_msg m = { .type = type,
			      .length = w ? (uint32_t)w->len : 0 };

	s->job->stats.bytes += WIRE_HEADER + m.length;
	return channel_say(&s->main, &m, w ? w->data : NULL, err);
}

/* Connect once more, say who it is, and hear who is there */
static int greet(struct source *s, struct channel *c, enum wire_role role,
		 struct error *err)
{
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = role,
		.features = uffd_has_poison() == 1 ? WIRE_POISON : 0,
		.page_size = WIRE_PAGE,
		.push = role == WIRE_MAIN ? (uint16_t)s->push.n : 0,
	};
	struct wire_msg m = { .type = WIRE_MSG_HELLO, .length = WIRE_HELLO };
	uint8_t out[WIRE_HELLO], *in = NULL;
	int rc;

	memcpy(h.id, s->id, WIRE_ID);
	wire_put_hello(out, &h);
	rc = channel_connect(c, &s->uri, CONNECT_MS, &s->cancelled, err);
	/* Who cancelled while there was no socket had nothing to shut */
	if (!rc && s->cancelled)
		channel_shut_in(c);
	if (!rc)
		rc = channel_say(c, &m, out, err);
	if (!rc)
		rc = channel_expect(c, WIRE_MSG_WELCOME, &in, NULL, err);
	if (!rc)
		rc = wire_get_hello(in, &h, err);
	if (!rc && (h.page_size != WIRE_PAGE || memcmp(h.id, s->id, WIRE_ID)))
		rc = error_set(err, EBADMSG,
			"the destination's WELCOME does not fit our HELLO");
	if (!rc)
		s->peer_poison = h.features & WIRE_POISON;
	if (!rc && role == WIRE_MAIN && h.push < s->push.n)
		s->push.n = h.push;
	free(in);
	return rc;
}

/* Where poison can't go, only a guest without any may, if the user says so */
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

int source_hello(struct source *s, struct error *err)
{
	int rc = greet(s, &s->main, WIRE_MAIN, err), n;
	struct poison *p;

	if (rc || s->peer_poison)
		return rc;
	n = poison_copy(&s->m->poison, &p);
	rc = n < 0 ? error_set(err, ENOMEM, "out of memory for poison")
		   : check_lost(s, lost_pages(p, n), err);
	if (n > 0)
		free(p);
	return rc;
}

int source_describe(struct source *s, struct error *err)
{
	struct writer w = { .data = s->m->fdt, .len = s->m->fdt_size };
	int rc = say(s, WIRE_MSG_DESCRIPTION, &w, err);

	channel_deadline(&s->main, BUILD_MS);
	return rc ? rc : channel_expect(&s->main, WIRE_MSG_BUILT, NULL, NULL,
					err);
}

int source_attach(struct source *s, struct error *err)
{
	int rc = greet(s, &s->demand, WIRE_DEMAND, err);

	for (unsigned i = 0; i < s->push.n && !rc; i++) {
		rc = greet(s, &s->pushing[i], WIRE_PUSH, err);
		if (!rc)
			channel_deadline(&s->pushing[i], SILENCE_MS);
	}
	channel_deadline(&s->main, SILENCE_MS);
	/* It waits for requests, of which there may be none for long */
	if (!rc)
		channel_deadline(&s->demand, 0);
	/* While the guest still runs */
	return rc ? rc : push_prepare(&s->push, err);
}

static int keep_hole(void *ctx, uint64_t offset, uint64_t len)
{
	struct source *s = ctx;

	if (s->holes_n == s->holes_cap) {
		size_t cap = s->holes_cap ? 2 * s->holes_cap : 64;
		struct extent *e = reallocarray(s->holes, cap, sizeof(*e));

		if (!e)
			return -ENOMEM;
		s->holes = e;
		s->holes_cap = cap;
	}
	s->holes[s->holes_n++] = (struct extent){ offset, len };
	return 0;
}

/*
 * Find RAM that was never written while the guest still runs, so that little
 * needs to be looked at while it is paused. A kernel that can't tell costs
 * time, not truth: zero pages are found again when they are read.
 */
int source_scan(struct source *s, struct error *err)
{
	int rc = ram_holes(&s->m->ram, 0, s->m->ram.size, keep_hole, s);

	if (rc == -ENOMEM)
		return error_set(err, ENOMEM, "out of memory for zero pages");
	if (rc)
		s->holes_n = 0;
	return 0;
}

/* From here on RAM does not change, so it may be read and asked for */
int source_pause(struct source *s, struct error *err)
{
	int rc;

	s->job->pause = now_ns();
	job_set(s->job, JOB_DEVICE, NULL);
	rc = machine_hold(s->m, &s->before, err);
	if (rc)
		return rc;
	s->paused = true;
	/* A poisoning that began before is in the list, later ones see @paused */
	pthread_mutex_lock(&s->m->inject_lock);
	pthread_mutex_unlock(&s->m->inject_lock);
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
		rc = say(s, WIRE_MSG_STATE, &w, err);
	writer_free(&w);
	return rc;
}

static void claim_poison(struct source *s, const struct poison *p)
{
	uint64_t offset;

	if (ram_offset(&s->m->ram, p->gpa, p->size, &offset))
		s->job->stats.pages[COUNT_POISON] +=
			ledger_take(&s->pages.ledger, offset / WIRE_PAGE,
				   p->size / WIRE_PAGE);
}

/* What is listed is claimed, and nothing else: both from one copy */
int source_poison(struct source *s, struct error *err)
{
	struct writer w = { 0 };
	struct poison *p = NULL;
	int n = mutant("drop-poison") ? 0 : poison_copy(&s->m->poison, &p);
	int rc;

	for (int i = 0; i < n; i++)
		claim_poison(s, &p[i]);
	if (n >= 0)
		poison_save(p, (size_t)n, &w);
	rc = n < 0 || w.failed
		? error_set(err, ENOMEM, "out of memory for poison")
		: check_lost(s, lost_pages(p, n), err);
	if (!rc)
		rc = say(s, WIRE_MSG_POISON_LIST, &w, err);
	writer_free(&w);
	free(p);
	return rc;
}

#define ZERO_LIST_MAX	((WIRE_LIST_MAX - 4) / 16)

/* What a second look, with the guest paused, still finds empty */
struct zero_list {
	struct source *s;
	struct writer w;
	uint32_t n;
};

static int put_hole(void *ctx, uint64_t offset, uint64_t len)
{
	struct zero_list *z = ctx;
	struct source *s = z->s;
	size_t page = (size_t)(offset / WIRE_PAGE), n = (size_t)(len / WIRE_PAGE);

	/* What doesn't fit in the list is found again when it is read */
	while (n && z->n < ZERO_LIST_MAX) {
		size_t free = ledger_take(&s->pages.ledger, page, n);

		if (free) {
			put_u64(&z->w, (uint64_t)page * WIRE_PAGE);
			put_u64(&z->w, (uint64_t)free * WIRE_PAGE);
			s->job->stats.pages[COUNT_ZERO] += free;
			z->n++;
		}
		/* A page that somebody asked for already was answered */
		free += free < n;
		page += free;
		n -= free;
	}
	return 0;
}

int source_zero(struct source *s, struct error *err)
{
	struct zero_list z = { .s = s };
	int rc = 0;

	put_u32(&z.w, 0);
	for (size_t i = 0; !rc && i < s->holes_n; i++)
		rc = ram_holes(&s->m->ram, s->holes[i].offset,
			       s->holes[i].offset + s->holes[i].len,
			       put_hole, &z);
	if (z.w.failed || rc)
		rc = error_set(err, rc ? -rc : ENOMEM,
			       "cannot list the zero pages: %s",
			       strerrordesc_np(rc ? -rc : ENOMEM));
	for (unsigned i = 0; !rc && i < 4; i++)
		z.w.data[i] = (uint8_t)(z.n >> 8 * i);
	if (!rc)
		rc = say(s, WIRE_MSG_ZERO_LIST, &z.w, err);
	writer_free(&z.w);
	return rc;
}

/* What the vCPUs touch first goes ahead, so that they needn't ask for it */
static int send_hot(struct source *s, struct error *err)
{
	uint64_t gpa[HOT_PER_VCPU * 8];
	size_t n = hot_pages(s->m, gpa, ARRAY_SIZE(gpa));
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		uint64_t offset;

		if (!ram_offset(&s->m->ram, gpa[i], WIRE_PAGE, &offset) ||
		    !ledger_take(&s->pages.ledger, offset / WIRE_PAGE, 1))
			continue;
		rc = batch_fill(&s->batch, offset / WIRE_PAGE, 1, err);
		if (!rc)
			rc = check_lost(s, s->batch.lost_pages, err);
		if (!rc)
			rc = push_batch(&s->pages, &s->batch, &s->main,
					COUNT_PUSH, err);
	}
	return rc;
}

int source_prepare(struct source *s, struct error *err)
{
	int rc = send_hot(s, err);

	if (!rc)
		rc = say(s, WIRE_MSG_PREPARE, NULL, err);
	return rc ? rc : channel_expect(&s->main, WIRE_MSG_PREPARED, NULL,
					NULL, err);
}

/* Nobody has listened to these yet, so nobody knows */
static bool pushers_alive(struct source *s)
{
	for (unsigned i = 0; i < s->push.n; i++)
		if (channel_ended(&s->pushing[i]))
			return false;
	return true;
}

/* The point of no return: nothing behind this brings the guest back here */
static int point_of_no_return(struct source *s, struct error *err)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (s->cancelled)
		rc = error_set(err, ECANCELED, "cancelled");
	else if (s->broken || !pushers_alive(s))
		rc = error_set(err, EPIPE,
			"the connection was lost before the hand-over");
	else
		s->committed = s->committing = true;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int source_commit(struct source *s, struct error *err)
{
	int rc = point_of_no_return(s, err);

	if (rc)
		return rc;
	rc = say(s, WIRE_MSG_COMMIT, NULL, err);
	if (!rc)
		rc = channel_expect(&s->main, WIRE_MSG_RUNNING, NULL, NULL,
				    err);
	if (rc)
		return error_prefix(err, "hand-over in doubt");
	s->committing = false;
	s->job->run = now_ns();
	machine_set_status(s->m, (struct run_status){ RUN_FINISH_MIGRATE,
						      WHY_POSTCOPY });
	job_set(s->job, JOB_POSTCOPY, NULL);
	return 0;
}

/* All pages go on the push connections; this one has nothing to say */
int source_push(struct source *s, struct error *err)
{
	push_start(&s->push);
	return push_end(&s->push) ? 0
		: error_set(err, EPIPE, "a push connection was lost");
}

int source_finish(struct source *s, struct error *err)
{
	uint8_t *data = NULL;
	uint32_t n = 0;
	int rc;

	/* The destination may be gone once it has said COMPLETE */
	s->finishing = true;
	rc = say(s, WIRE_MSG_DONE, NULL, err);

	if (!rc)
		rc = channel_expect(&s->main, WIRE_MSG_COMPLETE, &data, &n,
				    err);
	if (!rc) {
		struct reader r = { .data = data, .len = n };

		/* Figures only: the guest is there, with or without them */
		if (job_get_latency(s->job, &r))
			log_line("the destination's statistics are garbled");
	}
	free(data);
	return rc;
}
