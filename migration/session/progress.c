// SPDX-License-Identifier: MIT
/* progress.c - How a migration is going */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "progress.h"

void progress_init(struct progress *p, progress_fn *notify, void *ctx)
{
	memset(p, 0, sizeof(*p));
	pthread_mutex_init(&p->lock, NULL);
	p->notify = notify;
	p->ctx = ctx;
	p->stage = "none";
}

void progress_begin(struct progress *p, bool outgoing)
{
	pthread_mutex_lock(&p->lock);
	page_stats_clear(&p->stats);
	memset((void *)&p->precopy, 0, sizeof(p->precopy));
	memset((void *)p->connections, 0, sizeof(p->connections));
	error_clear(&p->why);
	p->has_peer = false;
	p->outgoing = outgoing;
	p->start = now_ns();
	p->pause = p->run = p->resumed = p->end = 0;
	p->pages_total = 0;
	p->recoveries = 0;
	p->stages_n = 0;
	p->wait = (struct progress_wait){ 0 };
	p->id[0] = p->uri[0] = '\0';
	pthread_mutex_unlock(&p->lock);
	progress_set(p, PROGRESS_SETUP);
}

void progress_name(struct progress *p, const uint8_t *id,
		   const struct uri *uri)
{
	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < WIRE_ID; i++)
		snprintf(p->id + 2 * i, 3, "%02x", id[i]);
	if (!p->outgoing)
		strcpy(p->arrived, p->id);
	uri_text(uri, p->uri);
	pthread_mutex_unlock(&p->lock);
}

void progress_machine(struct progress *p, uint64_t bytes, size_t page_size,
		      unsigned vcpus)
{
	pthread_mutex_lock(&p->lock);
	p->page_size = (uint32_t)page_size;
	p->pages_total = bytes / page_size;
	p->vcpus = vcpus;
	pthread_mutex_unlock(&p->lock);
}

void progress_set(struct progress *p, enum progress_status status)
{
	bool changed;

	pthread_mutex_lock(&p->lock);
	changed = p->status != status;
	if (changed && status == PROGRESS_RECOVER)
		p->recoveries++;
	p->status = status;
	if (status == PROGRESS_COMPLETED)
		error_clear(&p->why);
	if (progress_ended(status) && !p->end)
		p->end = now_ns();
	/* Under the lock: two changes are reported in their order */
	if (changed)
		p->notify(p->ctx, status);
	pthread_mutex_unlock(&p->lock);
}

void progress_blame(struct progress *p, const struct error *why)
{
	pthread_mutex_lock(&p->lock);
	p->why = *why;
	pthread_mutex_unlock(&p->lock);
}

void progress_wait(struct progress *p, const char *what, const char *remedy,
		   bool automatic)
{
	pthread_mutex_lock(&p->lock);
	if (!what || !p->wait.what)
		p->wait.since = what ? now_ns() : 0;
	p->wait.what = what;
	p->wait.remedy = remedy;
	p->wait.automatic = automatic;
	pthread_mutex_unlock(&p->lock);
}

void progress_uri(struct progress *p, const struct uri *uri)
{
	pthread_mutex_lock(&p->lock);
	uri_text(uri, p->uri);
	pthread_mutex_unlock(&p->lock);
}

struct error progress_why(struct progress *p)
{
	struct error why;

	pthread_mutex_lock(&p->lock);
	why = p->why;
	pthread_mutex_unlock(&p->lock);
	return why;
}

enum progress_status progress_get(struct progress *p)
{
	enum progress_status s;

	pthread_mutex_lock(&p->lock);
	s = p->status;
	pthread_mutex_unlock(&p->lock);
	return s;
}

void progress_stage(struct progress *p, const char *name)
{
	pthread_mutex_lock(&p->lock);
	p->stage = name;
	if (p->stages_n < PROGRESS_STAGES) {
		p->stages[p->stages_n].name = name;
		p->stages[p->stages_n++].start = now_ns();
	}
	pthread_mutex_unlock(&p->lock);
}

bool progress_ended(enum progress_status s)
{
	return s == PROGRESS_NONE || s == PROGRESS_COMPLETED ||
	       s == PROGRESS_FAILED || s == PROGRESS_CANCELLED;
}

static void put_histogram(struct writer *w, const struct histogram *h)
{
	struct latency l = histogram_read(h);

	put_u64(w, l.count);
	put_u64(w, l.p50);
	put_u64(w, l.p90);
	put_u64(w, l.p99);
	put_u64(w, l.max);
}

static void put_buckets(struct writer *w, const struct histogram *h)
{
	struct latency l = histogram_read(h);

	put_u64(w, l.sum);
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		put_u64(w, l.bucket[i]);
}

/* All vCPUs together first, then each, then those without a name */
void progress_put_latency(const struct progress *p, struct writer *w)
{
	const struct page_stats *s = &p->stats;

	put_u32(w, p->vcpus);
	put_histogram(w, &s->demand);
	for (unsigned i = 0; i < p->vcpus; i++)
		put_histogram(w, &s->vcpu[i]);
	put_histogram(w, &s->vcpu[PAGE_STATS_OTHER]);
	put_buckets(w, &s->demand);
}

static void get_latency(struct reader *r, struct latency *l)
{
	l->count = get_u64(r);
	l->p50 = get_u64(r);
	l->p90 = get_u64(r);
	l->p99 = get_u64(r);
	l->max = get_u64(r);
}

static void get_buckets(struct reader *r, struct latency *l)
{
	l->sum = get_u64(r);
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		l->bucket[i] = get_u64(r);
}

int progress_get_latency(struct progress *p, struct reader *r)
{
	int rc;

	pthread_mutex_lock(&p->lock);
	if (get_u32(r) == p->vcpus) {
		get_latency(r, &p->peer[PROGRESS_ALL_VCPUS]);
		for (unsigned i = 0; i < p->vcpus; i++)
			get_latency(r, &p->peer[i]);
		get_latency(r, &p->peer[PAGE_STATS_OTHER]);
		get_buckets(r, &p->peer[PROGRESS_ALL_VCPUS]);
	}
	p->has_peer = reader_done(r);
	rc = p->has_peer ? 0 : -EBADMSG;
	pthread_mutex_unlock(&p->lock);
	return rc;
}
