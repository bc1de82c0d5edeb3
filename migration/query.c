// SPDX-License-Identifier: MIT
/* query.c - The progress of a migration as JSON: query-migrate */

#include <stdio.h>
#include <string.h>

#include "query.h"
#include "vmm/control/qmp.h"
#include "vmm/control/words.h"

static const char *const status_names[PROGRESS_STATUSES] = {
	[PROGRESS_NONE]	= "none",
	[PROGRESS_SETUP]	= "setup",
	[PROGRESS_ACTIVE]	= "active",
	[PROGRESS_DEVICE]	= "device",
	[PROGRESS_POSTCOPY]	= "postcopy-active",
	[PROGRESS_PAUSED]	= "postcopy-paused",
	[PROGRESS_RECOVER_SETUP]	= "postcopy-recover-setup",
	[PROGRESS_RECOVER]	= "postcopy-recover",
	[PROGRESS_COMPLETED]	= "completed",
	[PROGRESS_FAILED]	= "failed",
	[PROGRESS_CANCELLED]	= "cancelled",
};

/* Status and error agree: only these are explained */
static bool shows_error(const struct progress *p)
{
	return p->why.code && (p->status == PROGRESS_PAUSED ||
			       p->status == PROGRESS_RECOVER_SETUP ||
			       p->status == PROGRESS_RECOVER ||
			       p->status == PROGRESS_FAILED ||
			       p->status == PROGRESS_CANCELLED);
}

const char *query_status_name(enum progress_status s)
{
	return status_names[s];
}

static struct latency latency_of(const struct progress *p, unsigned i)
{
	if (p->outgoing)
		return p->has_peer ? p->peer[i] : (struct latency){ 0 };
	return histogram_read(i == PROGRESS_ALL_VCPUS ? &p->stats.demand : &p->stats.vcpu[i]);
}

static json_t *latency_json(struct latency l)
{
	return json_pack("{s:I, s:f, s:f, s:f, s:f}",
			 "count", (json_int_t)l.count,
			 "p50", (double)l.p50 / 1e3, "p90", (double)l.p90 / 1e3,
			 "p99", (double)l.p99 / 1e3,
			 "max", (double)l.max / 1e3);
}

/* The same with its distribution by powers of two */
static json_t *histogram_json(struct latency l)
{
	json_t *o = latency_json(l), *buckets = json_array();

	json_object_set_new(o, "sum", json_real((double)l.sum / 1e3));
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		json_array_append_new(buckets, json_pack("{s:f, s:I}",
			"below", i + 1 < LATENCY_BUCKETS ?
			(double)(1ull << (LATENCY_FIRST + i)) / 1e3 : 0.0,
			"count", (json_int_t)l.bucket[i]));
	json_object_del(json_array_get(buckets, LATENCY_BUCKETS - 1), "below");
	json_object_set_new(o, "buckets", buckets);
	return o;
}

/* Bytes of the stream by what they are for */
static json_t *bytes_json(const struct progress *p)
{
	json_int_t demand = (json_int_t)p->stats.bytes_of[COUNT_DEMAND];
	json_int_t push = (json_int_t)p->stats.bytes_of[COUNT_PUSH];
	json_int_t all = (json_int_t)p->stats.bytes;

	/* Counters change meanwhile */
	return json_pack("{s:I, s:I, s:I}", "demand", demand, "push", push,
			 "control", all > demand + push ? all - demand - push
							: 0);
}

static void connection_name(unsigned i, char *to, size_t size)
{
	if (i < link_count(WIRE_PUSH, 0))
		snprintf(to, size, "%s", i ? "demand" : "main");
	else
		snprintf(to, size, "push-%u", i - link_count(WIRE_PUSH, 0));
}

/* Bytes of each connection that there is or was */
static json_t *connections_json(const struct progress *p)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < LINK_CONNECTIONS; i++) {
		const struct channel_count *c = &p->connections[i];
		char name[16];

		if (!c->sent && !c->received)
			continue;
		connection_name(i, name, sizeof(name));
		json_array_append_new(list, json_pack("{s:s, s:I, s:I}",
			"name", name, "sent", (json_int_t)c->sent,
			"received", (json_int_t)c->received));
	}
	return list;
}

static json_t *vcpus_json(const struct progress *p)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < p->vcpus; i++) {
		json_t *one = latency_json(latency_of(p, i));

		json_object_set_new(one, "index", json_integer((int)i));
		json_array_append_new(list, one);
	}
	return list;
}

static double ms(uint64_t from, uint64_t to)
{
	return from && to > from ? (double)(to - from) / 1e6 : 0;
}

/*
 * When the guest's pause ended, or the time until which it has lasted so far.
 * Return: 0 if that is not known: on a destination, and in doubt
 */
static uint64_t paused_until(const struct progress *p, uint64_t to)
{
	if (!p->pause)
		return 0;
	if (p->run || p->resumed)
		return p->run ? p->run : p->resumed;
	return p->status == PROGRESS_DEVICE ? to : 0;
}

/* QEMU's name has whole milliseconds, Ferry's also their fractions */
static void set_time(json_t *o, const char *qemu, const char *ferry,
		     double ms)
{
	json_object_set_new(o, qemu, json_integer((json_int_t)ms));
	json_object_set_new(json_object_get(o, "ferry"), ferry,
			    json_real(ms));
}

/* How long each stage took, or has taken so far */
static json_t *stages_json(const struct progress *p, uint64_t to)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < p->stages_n; i++)
		json_object_set_new(o, p->stages[i].name,
			json_real(ms(p->stages[i].start,
				     i + 1 < p->stages_n ?
				     p->stages[i + 1].start : to)));
	return o;
}

static json_t *ferry_json(const struct progress *p, uint64_t to)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:s, s:{s:I, s:I, s:I, s:I}, "
		"s:I, s:o, s:o, s:I, s:I, s:i, s:o, s:o, s:o, s:o}",
		"side", p->outgoing ? "source" : "destination",
		"id", p->id, "arrived-as", p->arrived, "uri", qmp_string(p->uri),
		"stage", p->stage, "pages",
		"demand", (json_int_t)p->stats.pages[COUNT_DEMAND],
		"push", (json_int_t)p->stats.pages[COUNT_PUSH],
		"zero", (json_int_t)p->stats.pages[COUNT_ZERO],
		"poison", (json_int_t)p->stats.pages[COUNT_POISON],
		"bytes", (json_int_t)p->stats.bytes,
		"bytes-by-kind", bytes_json(p),
		"connections", connections_json(p),
		"duplicates", (json_int_t)p->stats.duplicates,
		"poison-refused", (json_int_t)p->stats.refused,
		"recoveries", (int)p->recoveries,
		"demand-latency-us", histogram_json(latency_of(p, PROGRESS_ALL_VCPUS)),
		"vcpus", vcpus_json(p),
		"asynchronous", latency_json(latency_of(p, PAGE_STATS_OTHER)),
		"stage-ms", stages_json(p, to));
}

static uint64_t pages_done(const struct progress *p)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < PAGE_COUNTS; i++)
		n += p->stats.pages[i];
	n -= p->stats.again < n ? p->stats.again : n;
	n -= p->precopy.stale < n ? p->precopy.stale : n;
	return n < p->pages_total ? n : p->pages_total;
}

static double rate(const struct progress *p, uint64_t to)
{
	double t = ms(p->run ? p->run : p->start, to);

	return t > 0 ? (double)p->stats.bytes / t * 1e3 : 0;
}

static json_t *ram_json(const struct progress *p, uint64_t to)
{
	uint64_t done = pages_done(p), size = p->page_size;
	uint64_t data = p->stats.pages[COUNT_DEMAND] + p->stats.pages[COUNT_PUSH];

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, "
		"s:I, s:I}",
		"total", (json_int_t)(p->pages_total * size),
		"transferred", (json_int_t)p->stats.bytes,
		"remaining", (json_int_t)((p->pages_total - done) * size),
		"duplicate", (json_int_t)p->stats.pages[COUNT_ZERO],
		"normal", (json_int_t)data,
		"normal-bytes", (json_int_t)(data * size),
		"page-size", (json_int_t)size,
		"mbps", rate(p, to) * 8 / 1e6,
		"postcopy-requests", (json_int_t)p->stats.requests,
		"dirty-sync-count", (json_int_t)p->precopy.syncs,
		"dirty-pages-rate", (json_int_t)p->precopy.dirty_rate);
}

/* What the passes of a source with --precopy-passes have sent */
static json_t *precopy_json(const struct progress *p)
{
	return json_pack("{s:I, s:I, s:I, s:I}",
		"passes", (json_int_t)p->precopy.passes,
		"pages", (json_int_t)p->precopy.pages,
		"bytes", (json_int_t)p->precopy.bytes,
		"dirty", (json_int_t)p->precopy.due);
}

static void set_job(json_t *o, enum job_word word, json_t *value)
{
	json_object_set_new(o, words_job(word), value);
}

/* libvirt's job statistics, under libvirt's names */
static json_t *libvirt_json(const struct progress *p, uint64_t to)
{
	json_int_t size = p->page_size, total = (json_int_t)p->pages_total;
	json_int_t done = (json_int_t)pages_done(p);
	json_int_t data = (json_int_t)(p->stats.pages[COUNT_DEMAND] +
				       p->stats.pages[COUNT_PUSH]);
	json_t *o = json_object();

	set_job(o, JOB_OPERATION,
		json_integer(words_job_operation(p->outgoing)));
	set_job(o, JOB_TIME_ELAPSED,
		json_integer((json_int_t)ms(p->start, to)));
	if (paused_until(p, to))
		set_job(o, JOB_DOWNTIME, json_integer(
			(json_int_t)ms(p->pause, paused_until(p, to))));
	if (p->pause)
		set_job(o, JOB_SETUP_TIME,
			json_integer((json_int_t)ms(p->start, p->pause)));
	set_job(o, JOB_DATA_TOTAL, json_integer(total * size));
	set_job(o, JOB_DATA_PROCESSED, json_integer((json_int_t)p->stats.bytes));
	set_job(o, JOB_DATA_REMAINING, json_integer((total - done) * size));
	set_job(o, JOB_MEMORY_TOTAL, json_integer(total * size));
	set_job(o, JOB_MEMORY_PROCESSED, json_integer(done * size));
	set_job(o, JOB_MEMORY_REMAINING, json_integer((total - done) * size));
	set_job(o, JOB_MEMORY_CONSTANT,
		json_integer((json_int_t)p->stats.pages[COUNT_ZERO]));
	set_job(o, JOB_MEMORY_NORMAL, json_integer(data));
	set_job(o, JOB_MEMORY_NORMAL_BYTES, json_integer(data * size));
	set_job(o, JOB_MEMORY_BPS, json_integer((json_int_t)rate(p, to)));
	set_job(o, JOB_MEMORY_PAGE_SIZE, json_integer(size));
	set_job(o, JOB_MEMORY_POSTCOPY_REQS,
		json_integer((json_int_t)p->stats.requests));
	if (progress_ended(p->status))
		set_job(o, JOB_SUCCESS,
			json_boolean(p->status == PROGRESS_COMPLETED));
	if (shows_error(p))
		set_job(o, JOB_ERRMSG, qmp_string(p->why.text));
	return o;
}

void query_add_wait(json_t *o, const struct progress_wait *w)
{
	json_t *ferry = json_object_get(o, "ferry");

	if (!w->what || json_object_get(ferry, "waiting"))
		return;
	if (!ferry) {
		ferry = json_object();
		json_object_set_new(o, "ferry", ferry);
	}
	json_object_set_new(ferry, "waiting",
		json_pack("{s:s, s:s, s:b, s:I}", "for", w->what,
			  "remedy", w->remedy, "automatic", w->automatic, "ms",
			  (json_int_t)ms(w->since, now_ns())));
}

json_t *query_migrate(struct progress *p)
{
	uint64_t to;
	json_t *o;

	pthread_mutex_lock(&p->lock);
	o = json_pack("{s:s}", "status", status_names[p->status]);
	if (p->status == PROGRESS_NONE)
		goto out;
	to = p->end ? p->end : now_ns();
	json_object_set_new(o, "ram", ram_json(p, to));
	json_object_set_new(o, "ferry", ferry_json(p, to));
	if (p->precopy.syncs)
		json_object_set_new(json_object_get(o, "ferry"), "precopy",
				    precopy_json(p));
	if (p->status == PROGRESS_ACTIVE && p->outgoing)
		json_object_set_new(o, "expected-downtime",
			json_integer((json_int_t)p->precopy.expected_ms));
	query_add_wait(o, &p->wait);
	set_time(o, "total-time", "total-ms", ms(p->start, to));
	if (p->pause)
		set_time(o, "setup-time", "setup-ms", ms(p->start, p->pause));
	if (paused_until(p, to))
		set_time(o, "downtime", "downtime-ms",
			 ms(p->pause, paused_until(p, to)));
	json_object_set_new(o, "libvirt", libvirt_json(p, to));
	if (shows_error(p))
		json_object_set_new(o, "error-desc",
				    qmp_string(p->why.text));
out:
	pthread_mutex_unlock(&p->lock);
	return o;
}
