// SPDX-License-Identifier: MIT
/*
 * demand.c - The source's thread that answers what is asked for
 *
 * A vCPU waits for every answer, so nothing else is in its way: its own
 * connection, its own thread, one page in the answer. Only when no further
 * request waits does it send pages behind the last one, if the guest seems to
 * walk that way (readahead.h). A page that was pushed already is sent again: it may still stand in a queue behind
 * megabytes of others, and the destination drops the second copy.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migration/pages/readahead.h"
#include "priority.h"
#include "source.h"
#include "vmm/base/log.h"

#define BACKLOG		64	/* requests taken at once */

/* What one pass works on */
struct server {
	struct source *s;
	struct batch batch;
	struct readahead readahead;
	uint8_t in[BACKLOG * WIRE_HEADER];
	size_t have;		/* bytes in @in */
	size_t ahead, ahead_n;	/* pages to send when nothing else waits */
};

/*
 * A page that left before and can't be read any more is not reported: the
 * copy that is on its way is good, and poison that was met then is, too.
 */
static int send_page(struct server *sv, size_t page, struct error *err)
{
	struct source *s = sv->s;
	bool first, busy;
	int rc;

	/* A page that is being poisoned on purpose is either, but not yet: it
	 * may have been while it could not be claimed, and be free now
	 */
	for (;;) {
		busy = s->injecting == page + 1;
		first = sent_claim(&s->sent, page, 1);
		if (first || (!busy && s->injecting != page + 1))
			break;
		usleep(20);
	}
	rc = batch_fill(s, &sv->batch, page, 1, err);
	if (rc)
		return rc;
	if (!first) {
		s->se.progress->stats.duplicates++;
		if (sv->batch.poison_pages)
			return 0;
	}
	return batch_send(s, &sv->batch, &s->se.link.demand,
			  first ? COUNT_DEMAND : PAGE_COUNTS, err);
}

/*
 * Pages that somebody waits for together: a destination with huge pages asks
 * for many. Return: how many were sent, or -errno
 */
static long send_some(struct server *sv, size_t page, size_t max,
		      struct error *err)
{
	struct source *s = sv->s;
	size_t n = max > 1 ? sent_claim(&s->sent, page, max) : 0;
	int rc;

	if (!n) {
		rc = send_page(sv, page, err);
		return rc ? rc : 1;
	}
	rc = batch_fill(s, &sv->batch, page, n, err);
	if (!rc)
		rc = batch_send(s, &sv->batch, &s->se.link.demand, COUNT_DEMAND, err);
	return rc ? rc : (long)n;
}

static int answer(struct server *sv, const struct wire_msg *m,
		  struct error *err)
{
	struct source *s = sv->s;
	uint64_t offset;
	size_t page;
	long n = 0;

	if (m->type != WIRE_MSG_REQUEST || m->b > WIRE_RUN_PAGES ||
	    !ram_offset(&s->m->ram, m->a, m->b * WIRE_PAGE, &offset))
		return error_set(err, EBADMSG,
			"the peer asked for what is no RAM: %s, %llu pages at 0x%llx",
			wire_name(m->type), (unsigned long long)m->b,
			(unsigned long long)m->a);
	page = (size_t)(offset / WIRE_PAGE);
	s->se.progress->stats.requests += m->b;
	s->asked = now_ns();
	for (size_t i = 0; i < m->b && n >= 0; i += (size_t)n)
		n = send_some(sv, page + i, m->b - i, err);
	sv->ahead = page + m->b;
	sv->ahead_n = readahead_pages(&sv->readahead, page + m->b - 1);
	pthread_mutex_lock(&s->policy_lock);
	policy_fault(&s->policy, page);
	pthread_mutex_unlock(&s->policy_lock);
	return n < 0 ? (int)n : 0;
}

static int send_ahead(struct server *sv, struct error *err)
{
	struct source *s = sv->s;
	size_t n = 0;
	int rc;

	if (sv->ahead_n && sv->ahead < s->sent.n)
		n = sent_claim(&s->sent, sv->ahead, sv->ahead_n);
	sv->ahead_n = 0;
	if (!n)
		return 0;
	rc = batch_fill(s, &sv->batch, sv->ahead, n, err);
	return rc ? rc : batch_send(s, &sv->batch, &s->se.link.demand, COUNT_PUSH,
				    err);
}

/* Answer all whole requests in the buffer */
static int answer_all(struct server *sv, struct error *err)
{
	size_t used = 0;
	int rc = 0;

	while (!rc && sv->have - used >= WIRE_HEADER) {
		struct wire_msg m;

		rc = wire_get(sv->in + used, &m, err);
		if (!rc)
			rc = answer(sv, &m, err);
		used += WIRE_HEADER;
	}
	sv->have -= used;
	memmove(sv->in, sv->in + used, sv->have);
	return rc;
}

static int serve(struct server *sv, struct error *err)
{
	struct source *s = sv->s;
	bool idle = false;

	for (;;) {
		long n = channel_recv_some(&s->se.link.demand, sv->in + sv->have,
					   sizeof(sv->in) - sv->have, idle,
					   err);
		int rc;

		if (n < 0)
			return (int)n;
		if (!n) {
			rc = send_ahead(sv, err);
			idle = true;
		} else {
			sv->have += (size_t)n;
			rc = answer_all(sv, err);
			idle = false;
		}
		if (rc)
			return rc;
	}
}

static bool is_parked(unsigned phase)
{
	return phase < SOURCE_HANDOVER;
}

static void *demand_main(void *arg)
{
	struct server *sv = arg;
	struct source *s = sv->s;
	struct error err = { 0 };
	unsigned phase = session_wait(&s->se, is_parked);

	priority_raise();
	if (source_is_sending(phase)) {
		int rc = serve(sv, &err);

		source_lost(s, WIRE_DEMAND, rc, &err);
		channel_shut(&s->se.link.demand);
	}
	batch_fini(&sv->batch);
	free(sv);
	return NULL;
}

int source_prepare_demand(struct source *s, struct error *err)
{
	struct server *sv = calloc(1, sizeof(*sv));
	int rc;

	if (!sv || batch_init(&sv->batch)) {
		free(sv);
		return error_set(err, ENOMEM,
				 "out of memory for the demand thread");
	}
	sv->s = s;
	rc = pthread_create(&s->demand_thread, NULL, demand_main, sv);
	if (rc) {
		batch_fini(&sv->batch);
		free(sv);
		return error_set(err, rc, "cannot start the demand thread: %s",
				 strerrordesc_np(rc));
	}
	pthread_setname_np(s->demand_thread, "demand");
	s->demand_started = true;
	return 0;
}

void source_end_demand(struct source *s)
{
	if (s->demand_started)
		pthread_join(s->demand_thread, NULL);
	s->demand_started = false;
}
