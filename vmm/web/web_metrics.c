// SPDX-License-Identifier: MIT
/*
 * web_metrics.c - The state of machines as metrics for Prometheus
 *
 * A table has a row for each metric: name, type, unit, help, where its value is
 * in what QMP answered, and a function that writes its samples. docs/web.md
 * describes the metrics for users.
 *
 * The two formats differ in the name of a counter in HELP and TYPE, and in the
 * lines UNIT and EOF.
 */

#include <stdbool.h>
#include <string.h>

#include "web_metrics.h"

enum metric_type { GAUGE, COUNTER, HISTOGRAM };

struct metric;

/**
 * struct sink - The samples of one metric
 * @out:	receives the text
 * @format:	how
 * @m:		the metric
 * @started:	its HELP and TYPE are written
 * @id:		of the machine that is being written
 * @side:	its side in the migration, or NULL for a metric of a machine
 */
struct sink {
	FILE *out;
	enum metrics_format format;
	const struct metric *m;
	bool started;
	const char *id, *side;
};

typedef void metric_fn(struct sink *s, json_t *value);

/**
 * struct metric - A row of the table
 * @name:	without the _total of a counter
 * @type:	gauge, counter, histogram
 * @unit:	with which the name ends, or ""
 * @help:	for HELP
 * @path:	of its value: members with dots between them; from "machine" or
 *		"migration" on
 * @scale:	units of the value in a unit of the metric; 0 for 1
 * @label:	name of the label that tells the samples of a machine apart
 * @write:	writes the samples
 */
struct metric {
	const char *name;
	enum metric_type type;
	const char *unit, *help, *path;
	double scale;
	const char *label;
	metric_fn *write;
};

static json_t *member_at(json_t *value, const char *path)
{
	char name[64];
	int n;

	while (value && sscanf(path, "%63[^.]%n", name, &n) == 1) {
		value = json_object_get(value, name);
		path += n + (path[n] == '.');
	}
	return value;
}

static void write_escaped(FILE *out, const char *text)
{
	for (const char *c = text; *c; c++)
		if (*c == '\n')
			fputs("\\n", out);
		else
			fprintf(out, *c == '"' || *c == '\\' ? "\\%c" : "%c",
				*c);
}

static void write_label(FILE *out, const char *before, const char *name,
			const char *value)
{
	fprintf(out, "%s%s=\"", before, name);
	write_escaped(out, value);
	fputc('"', out);
}

/* HELP, TYPE and UNIT, before the first sample */
static void start_metric(struct sink *s)
{
	static const char *const types[] = { "gauge", "counter", "histogram" };
	const struct metric *m = s->m;
	bool open = s->format == METRICS_OPENMETRICS;
	const char *total = !open && m->type == COUNTER ? "_total" : "";

	if (s->started)
		return;
	s->started = true;
	fprintf(s->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", m->name, total,
		m->help, m->name, total, types[m->type]);
	if (open && *m->unit)
		fprintf(s->out, "# UNIT %s %s\n", m->name, m->unit);
}

/* @label1, @label2: name and value each, or NULL */
static void write_sample(struct sink *s, const char *suffix,
			 const char *const label1[2],
			 const char *const label2[2], double value)
{
	start_metric(s);
	fprintf(s->out, "%s%s", s->m->name, suffix);
	write_label(s->out, "{", "machine", s->id);
	if (s->side)
		write_label(s->out, ",", "side", s->side);
	if (label1)
		write_label(s->out, ",", label1[0], label1[1]);
	if (label2)
		write_label(s->out, ",", label2[0], label2[1]);
	fprintf(s->out, "} %.15g\n", value);
}

static void write_number(struct sink *s, const char *const label1[2],
			 const char *const label2[2], json_t *number)
{
	double scale = s->m->scale ? s->m->scale : 1;

	if (json_is_boolean(number))
		write_sample(s, "", label1, label2, json_is_true(number));
	else if (json_is_number(number))
		write_sample(s, s->m->type == COUNTER ? "_total" : "", label1,
			     label2, json_number_value(number) / scale);
}

/* A number */
static void write_value(struct sink *s, json_t *value)
{
	write_number(s, NULL, NULL, value);
}

/* An object of numbers: a sample for each member */
static void write_members(struct sink *s, json_t *value)
{
	void *at = json_object_iter(value);

	for (; at; at = json_object_iter_next(value, at))
		write_number(s, (const char *[]){ s->m->label,
						  json_object_iter_key(at) },
			     NULL, json_object_iter_value(at));
}

/* The bytes of a migration; a destination sends control messages only */
static void write_bytes(struct sink *s, json_t *value)
{
	void *at = json_object_iter(value);

	for (; at; at = json_object_iter_next(value, at)) {
		const char *kind = json_object_iter_key(at);
		bool received = !strcmp(s->side, "destination") &&
				strcmp(kind, "control");

		write_number(s, (const char *[]){ "kind", kind },
			     (const char *[]){ "direction", received ?
				     "received" : "sent" },
			     json_object_iter_value(at));
	}
}

/* Connections: an array of objects */
static void write_connections(struct sink *s, json_t *value)
{
	static const char *const directions[] = { "sent", "received" };
	json_t *one;
	size_t i;

	json_array_foreach(value, i, one) {
		const char *name = json_string_value(json_object_get(one,
								     "name"));

		for (unsigned k = 0; name && k < 2; k++)
			write_number(s, (const char *[]){ "connection", name },
				     (const char *[]){ "direction",
						       directions[k] },
				     json_object_get(one, directions[k]));
	}
}

/* Memory failures: an array of objects */
static void write_failures(struct sink *s, json_t *value)
{
	json_t *one;
	size_t i;

	json_array_foreach(value, i, one) {
		const char *origin = "", *action = "";

		if (!json_unpack(one, "{s:s, s:s}", "origin", &origin,
				 "action", &action))
			write_number(s, (const char *[]){ "origin", origin },
				     (const char *[]){ "action", action },
				     json_object_get(one, "count"));
	}
}

/* One sample for each of the states, and 1 for the one that holds */
static void write_states(struct sink *s, const char *const *states,
			 json_t *value)
{
	const char *now = json_string_value(value);
	bool known = false;

	if (!now)
		return;
	for (; *states; states++) {
		bool is = !strcmp(*states, now);

		write_sample(s, "", (const char *[]){ "state", *states }, NULL,
			     is);
		known = known || is;
	}
	if (!known)
		write_sample(s, "", (const char *[]){ "state", now }, NULL, 1);
}

static void write_run_states(struct sink *s, json_t *value)
{
	static const char *const states[] = {
		"prelaunch", "inmigrate", "running", "paused", "save-vm",
		"finish-migrate", "postmigrate", "internal-error",
		"guest-panicked", "shutdown", NULL
	};

	write_states(s, states, value);
}

static void write_migration_states(struct sink *s, json_t *value)
{
	static const char *const states[] = {
		"none", "setup", "active", "device", "postcopy-active",
		"postcopy-paused", "postcopy-recover-setup", "postcopy-recover", "completed",
		"failed", "cancelled", NULL
	};

	write_states(s, states, value);
}

/* Pages of RAM by state, as this side knows them, of the whole migration */
static void write_pages(struct sink *s, json_t *migration)
{
	static const struct { const char *state, *from[2]; } states[] = {
		{ "present", { "demand", "push" } }, { "zero", { "zero" } },
		{ "poisoned", { "poison" } },
	};
	json_t *pages = member_at(migration, "ferry.pages");
	json_t *left = member_at(migration, "ram.remaining");
	double size = json_number_value(member_at(migration, "ram.page-size"));

	for (unsigned i = 0; pages && i < sizeof(states) / sizeof(*states);
	     i++) {
		double n = 0;

		for (unsigned j = 0; j < 2 && states[i].from[j]; j++)
			n += json_number_value(json_object_get(pages,
						states[i].from[j]));
		write_sample(s, "", (const char *[]){ "state", states[i].state },
			     NULL, n);
	}
	if (json_is_number(left) && size > 0)
		write_sample(s, "", (const char *[]){ "state", "missing" },
			     NULL, json_number_value(left) / size);
}

/* Cumulative, as Prometheus wants it; the sum of the buckets is the count */
static void write_histogram(struct sink *s, json_t *value)
{
	double count = 0;
	char limit[32];
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(value, "buckets"), i, one) {
		json_t *below = json_object_get(one, "below");

		count += json_number_value(json_object_get(one, "count"));
		snprintf(limit, sizeof(limit), "%.12g",
			 json_number_value(below) / s->m->scale);
		write_sample(s, "_bucket", (const char *[]){ "le", below ?
			     limit : "+Inf" }, NULL, count);
	}
	if (!i)
		return;
	write_sample(s, "_count", NULL, NULL, count);
	write_sample(s, "_sum", NULL, NULL, json_number_value(
		     json_object_get(value, "sum")) / s->m->scale);
}

#define MIGRATION "ferry_migration_"

static const struct metric metrics[] = {
	{ "ferry_machine_up", GAUGE, "",
	  "Whether the machine is being followed.",
	  "followed", .write = write_value },
	{ "ferry_machine_state", GAUGE, "",
	  "State of the machine, as QEMU names it.",
	  "machine.status", .write = write_run_states },
	{ "ferry_machine_memory_bytes", GAUGE, "bytes",
	  "Size of the guest's RAM.",
	  "machine.memory", .write = write_value },
	{ "ferry_machine_vcpus", GAUGE, "",
	  "Virtual CPUs of the guest.",
	  "machine.cpus", .write = write_value },
	{ "ferry_machine_poisoned_bytes", GAUGE, "bytes",
	  "Memory that cannot be read.",
	  "machine.poisoned-bytes", .write = write_value },
	{ "ferry_memory_failures", COUNTER, "",
	  "Memory failures by what found them and what was done.",
	  "machine.memory-failures", .write = write_failures },
	{ "ferry_events_dropped", COUNTER, "",
	  "Events that were dropped because too many were waiting.",
	  "machine.events-lost", .write = write_value },
	{ MIGRATION "state", GAUGE, "",
	  "State of the current or last migration, as QEMU names it.",
	  "migration.status", .write = write_migration_states },
	{ MIGRATION "pages", GAUGE, "",
	  "Pages of RAM by state: sent by a source, placed by a destination.",
	  "migration", .write = write_pages },
	{ MIGRATION "transferred_pages", GAUGE, "",
	  "Pages by the way they were transferred.",
	  "migration.ferry.pages", .label = "kind", .write = write_members },
	{ MIGRATION "bytes", COUNTER, "bytes",
	  "Bytes of the stream by kind and direction.",
	  "migration.ferry.bytes-by-kind", .write = write_bytes },
	{ MIGRATION "connection_bytes", COUNTER, "bytes",
	  "Bytes of each connection by direction.",
	  "migration.ferry.connections", .write = write_connections },
	{ MIGRATION "requests", COUNTER, "",
	  "Pages that were requested because a vCPU waited.",
	  "migration.ram.postcopy-requests", .write = write_value },
	{ MIGRATION "duplicate_pages", COUNTER, "",
	  "Pages that arrived when they were present already.",
	  "migration.ferry.duplicates", .write = write_value },
	{ MIGRATION "demand_latency_seconds", HISTOGRAM, "seconds",
	  "Time from a vCPU's fault until its page was present.",
	  "migration.ferry.demand-latency-us", 1e6, .write = write_histogram },
	{ MIGRATION "stage_duration_seconds", GAUGE, "seconds",
	  "How long each stage took, or has taken so far.",
	  "migration.ferry.stage-ms", 1e3, "stage", write_members },
	{ MIGRATION "duration_seconds", GAUGE, "seconds",
	  "How long the migration took, or has taken so far.",
	  "migration.ferry.total-ms", 1e3, .write = write_value },
	{ MIGRATION "downtime_seconds", GAUGE, "seconds",
	  "How long the guest did not run during the hand-over.",
	  "migration.ferry.downtime-ms", 1e3, .write = write_value },
	{ MIGRATION "precopy_passes", COUNTER, "",
	  "Passes over RAM before the hand-over that are complete.",
	  "migration.ferry.precopy.passes", .write = write_value },
	{ MIGRATION "precopy_dirty_pages", GAUGE, "",
	  "Pages that must be sent, again or at all, after the last pass.",
	  "migration.ferry.precopy.dirty", .write = write_value },
	{ MIGRATION "recoveries", COUNTER, "",
	  "How often a new link replaced a lost one.",
	  "migration.ferry.recoveries", .write = write_value },
};

static void write_machine(struct sink *s, json_t *machine)
{
	bool migration = !strncmp(s->m->path, "migration", 9);
	json_t *value = member_at(machine, s->m->path);

	s->id = json_string_value(json_object_get(machine, "id"));
	s->side = NULL;
	if (migration)
		s->side = json_string_value(member_at(machine,
						"migration.ferry.side"));
	if (migration && !s->side)
		s->side = "none";
	if (s->id && value)
		s->m->write(s, value);
}

void metrics_write(FILE *out, json_t *machines, enum metrics_format format)
{
	for (const struct metric *m = metrics;
	     m < metrics + sizeof(metrics) / sizeof(*metrics); m++) {
		struct sink s = { .out = out, .format = format, .m = m };

		for (size_t i = 0; i < json_array_size(machines); i++)
			write_machine(&s, json_array_get(machines, i));
	}
	if (format == METRICS_OPENMETRICS)
		fputs("# EOF\n", out);
}

enum metrics_format metrics_format_for(const char *accept)
{
	return accept && strstr(accept, "text/") &&
	       !strstr(accept, "application/openmetrics-text") ?
	       METRICS_TEXT : METRICS_OPENMETRICS;
}

const char *metrics_type(enum metrics_format format)
{
	return format == METRICS_TEXT ?
	       "text/plain; version=0.0.4; charset=utf-8" :
	       "application/openmetrics-text; version=1.0.0; charset=utf-8";
}
