// SPDX-License-Identifier: MIT
/* job.c - How a migration is going */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "job.h"
#include "vmm/control/control.h"
#include "vmm/control/words.h"

static const char *const status_names[JOB_STATUSES] = {
	[JOB_NONE]	= "none",
	[JOB_SETUP]	= "setup",
	[JOB_DEVICE]	= "device",
	[JOB_POSTCOPY]	= "postcopy-active",
	[JOB_PAUSED]	= "postcopy-paused",
	[JOB_COMPLETED]	= "completed",
	[JOB_FAILED]	= "failed",
	[JOB_CANCELLED]	= "cancelled",
};

void job_init(struct job *j, struct control *control)
{
	memset(j, 0, sizeof(*j));
	pthread_mutex_init(&j->lock, NULL);
	j->control = control;
	j->stage = "none";
}

static void clear_counts(struct job *j)
{
	page_stats_clear(&j->stats);
	j->has_peer = false;
}

void job_begin(struct job *j, bool outgoing)
{
	pthread_mutex_lock(&j->lock);
	clear_counts(j);
	error_clear(&j->why);
	j->outgoing = outgoing;
	j->start = now_ns();
	j->pause = j->run = j->end = 0;
	j->pages_total = 0;
	j->stages_n = 0;
	j->id[0] = j->uri[0] = '\0';
	pthread_mutex_unlock(&j->lock);
	job_set(j, JOB_SETUP, NULL);
}

void job_name(struct job *j, const uint8_t *id, const struct uri *uri)
{
	pthread_mutex_lock(&j->lock);
	for (unsigned i = 0; i < WIRE_ID; i++)
		snprintf(j->id + 2 * i, 3, "%02x", id[i]);
	if (!j->outgoing)
		strcpy(j->arrived, j->id);
	uri_text(uri, j->uri);
	pthread_mutex_unlock(&j->lock);
}

void job_machine(struct job *j, const struct machine *m)
{
	pthread_mutex_lock(&j->lock);
	j->page_size = (uint32_t)m->ram.page_size;
	j->pages_total = m->ram.size / m->ram.page_size;
	j->vcpus = m->cfg.cpus;
	pthread_mutex_unlock(&j->lock);
}

void job_set(struct job *j, enum job_status status, const struct error *why)
{
	bool changed;

	pthread_mutex_lock(&j->lock);
	changed = j->status != status;
	j->status = status;
	if (why)
		j->why = *why;
	if (job_ended(status) && !j->end)
		j->end = now_ns();
	pthread_mutex_unlock(&j->lock);
	if (changed)
		control_event(j->control, "MIGRATION",
			json_pack("{s:s}", "status", status_names[status]));
}

void job_blame(struct job *j, const struct error *why)
{
	pthread_mutex_lock(&j->lock);
	j->why = *why;
	pthread_mutex_unlock(&j->lock);
}

enum job_status job_get(struct job *j)
{
	enum job_status s;

	pthread_mutex_lock(&j->lock);
	s = j->status;
	pthread_mutex_unlock(&j->lock);
	return s;
}

void job_stage(struct job *j, const char *name)
{
	pthread_mutex_lock(&j->lock);
	j->stage = name;
	if (j->stages_n < JOB_STAGES) {
		j->stages[j->stages_n].name = name;
		j->stages[j->stages_n++].start = now_ns();
	}
	pthread_mutex_unlock(&j->lock);
}

bool job_ended(enum job_status s)
{
	return s == JOB_NONE || s == JOB_COMPLETED || s == JOB_FAILED ||
	       s == JOB_CANCELLED;
}

static void put_one(struct writer *w, const struct histogram *h)
{
	struct latency l = histogram_read(h);

	put_u64(w, l.count);
	put_u64(w, l.p50);
	put_u64(w, l.p90);
	put_u64(w, l.p99);
	put_u64(w, l.max);
}

/* All vCPUs together first, then each, then those that have no name */
void job_put_latency(const struct job *j, struct writer *w)
{
	put_u32(w, j->vcpus);
	put_one(w, &j->stats.demand);
	for (unsigned i = 0; i < j->vcpus; i++)
		put_one(w, &j->stats.vcpu[i]);
	put_one(w, &j->stats.vcpu[JOB_OTHER]);
}

static void get_one(struct reader *r, struct latency *l)
{
	l->count = get_u64(r);
	l->p50 = get_u64(r);
	l->p90 = get_u64(r);
	l->p99 = get_u64(r);
	l->max = get_u64(r);
}

int job_get_latency(struct job *j, struct reader *r)
{
	int rc;

	pthread_mutex_lock(&j->lock);
	if (get_u32(r) == j->vcpus) {
		get_one(r, &j->peer[JOB_LATENCIES]);
		for (unsigned i = 0; i < j->vcpus; i++)
			get_one(r, &j->peer[i]);
		get_one(r, &j->peer[JOB_OTHER]);
	}
	j->has_peer = reader_done(r);
	rc = j->has_peer ? 0 : -EBADMSG;
	pthread_mutex_unlock(&j->lock);
	return rc;
}

static struct latency latency_of(const struct job *j, unsigned i)
{
	if (j->outgoing)
		return j->has_peer ? j->peer[i] : (struct latency){ 0 };
	return histogram_read(i == JOB_LATENCIES ? &j->stats.demand : &j->stats.vcpu[i]);
}

static json_t *latency_json(struct latency l)
{
	return json_pack("{s:I, s:f, s:f, s:f, s:f}",
			 "count", (json_int_t)l.count,
			 "p50", (double)l.p50 / 1e3, "p90", (double)l.p90 / 1e3,
			 "p99", (double)l.p99 / 1e3,
			 "max", (double)l.max / 1e3);
}

static json_t *vcpus_json(const struct job *j)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < j->vcpus; i++) {
		json_t *one = latency_json(latency_of(j, i));

		json_object_set_new(one, "index", json_integer((int)i));
		json_array_append_new(list, one);
	}
	return list;
}

static double ms(uint64_t from, uint64_t to)
{
	return from && to > from ? (double)(to - from) / 1e6 : 0;
}

/* How long each stage took, or has taken so far */
static json_t *stages_json(const struct job *j, uint64_t to)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < j->stages_n; i++)
		json_object_set_new(o, j->stages[i].name,
			json_real(ms(j->stages[i].start,
				     i + 1 < j->stages_n ?
				     j->stages[i + 1].start : to)));
	return o;
}

static json_t *ferry_json(const struct job *j, uint64_t to)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:I, s:I, s:I, s:I}, s:I, s:I, s:I, s:o, s:o, s:o, s:o}",
		"side", j->outgoing ? "source" : "destination",
		"id", j->id, "arrived-as", j->arrived, "uri", j->uri,
		"stage", j->stage, "pages",
		"demand", (json_int_t)j->stats.pages[COUNT_DEMAND],
		"push", (json_int_t)j->stats.pages[COUNT_PUSH],
		"zero", (json_int_t)j->stats.pages[COUNT_ZERO],
		"poison", (json_int_t)j->stats.pages[COUNT_POISON],
		"bytes", (json_int_t)j->stats.bytes,
		"duplicates", (json_int_t)j->stats.duplicates,
		"poison-refused", (json_int_t)j->stats.refused,
		"demand-latency-us", latency_json(latency_of(j, JOB_LATENCIES)),
		"vcpus", vcpus_json(j),
		"asynchronous", latency_json(latency_of(j, JOB_OTHER)),
		"stage-ms", stages_json(j, to));
}

static uint64_t pages_done(const struct job *j)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < PAGE_COUNTS; i++)
		n += j->stats.pages[i];
	return n < j->pages_total ? n : j->pages_total;
}

static double rate(const struct job *j, uint64_t to)
{
	double t = ms(j->run ? j->run : j->start, to);

	return t > 0 ? (double)j->stats.bytes / t * 1e3 : 0;
}

static json_t *ram_json(const struct job *j, uint64_t to)
{
	uint64_t done = pages_done(j), size = j->page_size;
	uint64_t data = j->stats.pages[COUNT_DEMAND] + j->stats.pages[COUNT_PUSH];

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I}",
		"total", (json_int_t)(j->pages_total * size),
		"transferred", (json_int_t)j->stats.bytes,
		"remaining", (json_int_t)((j->pages_total - done) * size),
		"duplicate", (json_int_t)j->stats.pages[COUNT_ZERO],
		"normal", (json_int_t)data,
		"normal-bytes", (json_int_t)(data * size),
		"page-size", (json_int_t)size,
		"mbps", rate(j, to) * 8 / 1e6,
		"postcopy-requests", (json_int_t)j->stats.requests);
}

static void set_job(json_t *o, enum job_word word, json_t *value)
{
	json_object_set_new(o, words_job(word), value);
}

/* libvirt's job statistics, under libvirt's names */
static json_t *libvirt_json(const struct job *j, uint64_t to)
{
	json_int_t size = j->page_size, total = (json_int_t)j->pages_total;
	json_int_t done = (json_int_t)pages_done(j);
	json_int_t data = (json_int_t)(j->stats.pages[COUNT_DEMAND] +
				       j->stats.pages[COUNT_PUSH]);
	json_t *o = json_object();

	set_job(o, JOB_OPERATION,
		json_integer(words_job_operation(j->outgoing)));
	set_job(o, JOB_TIME_ELAPSED,
		json_integer((json_int_t)ms(j->start, to)));
	set_job(o, JOB_DOWNTIME,
		json_integer((json_int_t)ms(j->pause, j->run)));
	set_job(o, JOB_SETUP_TIME,
		json_integer((json_int_t)ms(j->start, j->pause)));
	set_job(o, JOB_DATA_TOTAL, json_integer(total * size));
	set_job(o, JOB_DATA_PROCESSED, json_integer((json_int_t)j->stats.bytes));
	set_job(o, JOB_DATA_REMAINING, json_integer((total - done) * size));
	set_job(o, JOB_MEMORY_TOTAL, json_integer(total * size));
	set_job(o, JOB_MEMORY_PROCESSED, json_integer(done * size));
	set_job(o, JOB_MEMORY_REMAINING, json_integer((total - done) * size));
	set_job(o, JOB_MEMORY_CONSTANT,
		json_integer((json_int_t)j->stats.pages[COUNT_ZERO]));
	set_job(o, JOB_MEMORY_NORMAL, json_integer(data));
	set_job(o, JOB_MEMORY_NORMAL_BYTES, json_integer(data * size));
	set_job(o, JOB_MEMORY_BPS, json_integer((json_int_t)rate(j, to)));
	set_job(o, JOB_MEMORY_PAGE_SIZE, json_integer(size));
	set_job(o, JOB_MEMORY_POSTCOPY_REQS,
		json_integer((json_int_t)j->stats.requests));
	if (job_ended(j->status))
		set_job(o, JOB_SUCCESS,
			json_boolean(j->status == JOB_COMPLETED));
	if (j->why.code)
		set_job(o, JOB_ERRMSG, json_string(j->why.text));
	return o;
}

json_t *job_json(struct job *j)
{
	uint64_t to;
	json_t *o;

	pthread_mutex_lock(&j->lock);
	o = json_pack("{s:s}", "status", status_names[j->status]);
	if (j->status == JOB_NONE)
		goto out;
	to = j->end ? j->end : now_ns();
	json_object_set_new(o, "total-time", json_real(ms(j->start, to)));
	json_object_set_new(o, "downtime", json_real(ms(j->pause, j->run)));
	json_object_set_new(o, "setup-time",
			    json_real(ms(j->start, j->pause)));
	json_object_set_new(o, "ram", ram_json(j, to));
	json_object_set_new(o, "ferry", ferry_json(j, to));
	json_object_set_new(o, "libvirt", libvirt_json(j, to));
	if (j->why.code)
		json_object_set_new(o, "error-desc",
				    json_string(j->why.text));
out:
	pthread_mutex_unlock(&j->lock);
	return o;
}
