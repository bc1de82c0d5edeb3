// SPDX-License-Identifier: MIT
/*
 * host_dump.c - Commands that write guest memory into files
 *
 * The main thread checks the arguments and starts a thread, which opens and
 * writes the file (dump.h) and sends the answer. Neither command starts while pages of the
 * guest are missing here, so no read waits for a peer.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "host_dump.h"
#include "vmm/control/control.h"
#include "vmm/control/qmp.h"
#include "vmm/control/words.h"
#include "vmm/dump/dump.h"
#include "vmm/dump/dump_range.h"

#define FILE_PROTOCOL	"file:"
#define LOST_SHOWN	1024	/* runs in an answer, which has a size limit */

/**
 * struct host_dump - The dump of a process, one at a time
 * @host:	the process
 * @thread:	writes the file
 * @started:	@thread must be joined
 * @kind:	what it writes
 * @busy:	it is at work
 * @stop:	it must end
 * @later:	the answer that the client waits for, or NULL
 * @detach:	it is sent as soon as the file is open
 * @path:	name of the file
 * @file, @save: what is written
 * @completed:	bytes of the last dump that are done
 * @saved:	the same of the last pmemsave, which no command shows
 * @lock:	protects what follows
 * @status:	of the last dump, as in query-dump
 * @total:	its bytes
 * @lost:	what it does not contain (JSON), or NULL
 */
struct host_dump {
	struct host *host;
	pthread_t thread;
	bool started;
	enum dump_kind kind;
	_Atomic bool busy, stop;
	struct control_later *later;
	bool detach;
	char *path;
	struct outfile file;
	struct ram_save save;
	_Atomic uint64_t completed, saved;

	pthread_mutex_t lock;
	const char *status;
	uint64_t total;
	json_t *lost;
};

static json_t *lost_json(const struct ram_save *s)
{
	json_t *list = json_array();
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->lost_n; i++) {
		bytes += s->lost[i].len;
		if (i >= LOST_SHOWN)
			continue;
		json_array_append_new(list, json_pack("{s:I, s:I}", "address",
			(json_int_t)ram_gpa(machine_ram(s->m),
					     s->lost[i].offset),
			"size", (json_int_t)s->lost[i].len));
	}
	return json_pack("{s:o, s:I}", "lost", list, "lost-bytes",
			 (json_int_t)bytes);
}

static json_t *result_json(struct host_dump *d)
{
	json_t *j;

	pthread_mutex_lock(&d->lock);
	j = json_pack("{s:s, s:I, s:I}", "status", d->status, "completed",
		      (json_int_t)d->completed, "total",
		      (json_int_t)d->total);
	if (d->lost)
		json_object_update_new(j, json_deep_copy(d->lost));
	pthread_mutex_unlock(&d->lock);
	return j;
}

static void set_result(struct host_dump *d, const char *status, json_t *lost)
{
	pthread_mutex_lock(&d->lock);
	json_decref(d->lost);
	d->lost = lost;
	d->status = status;
	if (!strcmp(status, "active")) {
		d->total = d->save.to - d->save.from;
		d->completed = 0;
	}
	pthread_mutex_unlock(&d->lock);
}

/* As QEMU reports a dump, with the lost memory in addition */
static json_t *report_core(struct host_dump *d, struct error *err)
{
	json_t *lost = NULL, *data;

	if (!err->code && d->save.lost_n)
		lost = lost_json(&d->save);
	set_result(d, err->code ? "failed" : "completed",
		   json_deep_copy(lost));
	data = json_pack("{s:o}", "result", result_json(d));
	if (err->code)
		json_object_set_new(data, "error", qmp_string(err->text));
	control_event(d->host->control, "DUMP_COMPLETED", data);
	return lost;
}

/* Send the answer, if it is still owed */
static void answer(struct host_dump *d, json_t *ret, const struct error *err)
{
	struct control_later *later = d->later;

	d->later = NULL;
	if (later)
		control_answer(later, ret, err);
	else
		json_decref(ret);
}

static json_t *write_file(struct host_dump *d, struct error *err)
{
	if (d->kind == DUMP_CORE)
		set_result(d, "active", NULL);
	if (d->detach)
		answer(d, NULL, NULL);
	dump_write(&d->save, d->kind, err);
	return d->kind == DUMP_CORE ? report_core(d, err) : NULL;
}

static void *dump_main(void *arg)
{
	struct host_dump *d = arg;
	struct error err = { 0 };
	json_t *ret = NULL;

	if (!outfile_open(&d->file, d->path, &err))
		ret = write_file(d, &err);
	ram_save_fini(&d->save);
	/* Before the answer: the client may start another one at once */
	d->busy = false;
	answer(d, ret, &err);
	return NULL;
}

static void join_thread(struct host_dump *d)
{
	if (d->started)
		pthread_join(d->thread, NULL);
	d->started = false;
}

static int check_may_begin(struct host_dump *d, enum dump_kind kind,
			   struct error *err)
{
	struct machine *m = d->host->machine;
	struct ram_hook hook;

	if (d->busy)
		return error_set(err, EBUSY,
			"guest memory is being saved already: one at a time");
	if (!m)
		return error_set(err, ENODEV,
			"no guest has arrived at this machine yet");
	hook = machine_ram_hook(m);
	if (hook.missing)
		return error_set(err, EBUSY,
			"pages of the guest are still missing here: wait for the migration's end");
	if (kind == DUMP_CORE && (hook.poison || machine_held(m)))
		return error_set(err, EBUSY,
			"the guest is being migrated, or has left: it is in state '%s'",
			words_domain(machine_status(m)).qemu);
	return 0;
}

static int start_thread(struct host_dump *d, const char *path,
			struct control_later *later, struct error *err)
{
	int rc;

	join_thread(d);
	free(d->path);
	d->path = strdup(path);
	if (!d->path)
		return error_set(err, ENOMEM, "out of memory");
	d->later = later;
	d->busy = true;
	rc = pthread_create(&d->thread, NULL, dump_main, d);
	if (!rc) {
		d->started = true;
		pthread_setname_np(d->thread, "dump");
		return 0;
	}
	d->busy = false;
	return error_set(err, rc, "cannot start a thread: %s",
			 strerrordesc_np(rc));
}

static void prepare(struct host_dump *d, enum dump_kind kind, uint64_t from,
		    uint64_t to)
{
	d->kind = kind;
	d->save = (struct ram_save){
		.m = d->host->machine, .file = &d->file, .from = from,
		.to = to, .stop = &d->stop,
		.completed = kind == DUMP_CORE ? &d->completed : &d->saved,
	};
}

static int start_bytes(struct host_dump *d, json_t *args,
		       struct control_later *later, struct error *err)
{
	uint64_t val = (uint64_t)json_integer_value(json_object_get(args,
								    "val"));
	uint64_t size = (uint64_t)json_integer_value(json_object_get(args,
								     "size"));
	uint64_t offset;
	int rc = check_may_begin(d, DUMP_BYTES, err);

	if (!rc)
		rc = dump_range_whole(machine_ram(d->host->machine), val, size,
				      &offset, err);
	if (rc)
		return rc;
	prepare(d, DUMP_BYTES, offset, offset + size);
	d->detach = false;
	return start_thread(d, json_string_value(json_object_get(args, "filename")),
		     later, err);
}

static int check_core(json_t *args, const char **path, struct error *err)
{
	const char *protocol = json_string_value(json_object_get(args,
								 "protocol"));
	const char *format = json_string_value(json_object_get(args,
							       "format"));
	json_t *begin = json_object_get(args, "begin");
	json_t *length = json_object_get(args, "length");

	if (json_is_true(json_object_get(args, "paging")))
		return error_set(err, ENOTSUP,
			"a dump by virtual addresses is not supported: say \"paging\": false");
	if (format && strcmp(format, "elf"))
		return error_set(err, ENOTSUP,
			"format '%.40s' is not supported: elf is", format);
	if (strncmp(protocol, FILE_PROTOCOL, strlen(FILE_PROTOCOL)))
		return error_set(err, EINVAL,
			"protocol '%.200s' is not supported: file:PATH is",
			protocol);
	if (!begin != !length)
		return error_set(err, EINVAL, "'%s' is missing: 'begin' and 'length' belong together",
				 begin ? "length" : "begin");
	if (length && (json_integer_value(length) <= 0 ||
		       json_integer_value(begin) < 0))
		return error_set(err, EINVAL,
			"'begin' and 'length' must not be negative, nor 'length' 0");
	*path = protocol + strlen(FILE_PROTOCOL);
	return 0;
}

static int start_core(struct host_dump *d, json_t *args,
		      struct control_later *later, struct error *err)
{
	json_t *begin_at = json_object_get(args, "begin");
	json_t *length = json_object_get(args, "length");
	uint64_t from = 0, to;
	const char *path = NULL;
	int rc = check_may_begin(d, DUMP_CORE, err);

	if (!rc)
		rc = check_core(args, &path, err);
	if (rc)
		return rc;
	to = machine_ram(d->host->machine)->size;
	if (length)
		rc = dump_range_part(machine_ram(d->host->machine),
				     (uint64_t)json_integer_value(begin_at),
				     (uint64_t)json_integer_value(length),
				     &from, &to, err);
	if (rc)
		return rc;
	prepare(d, DUMP_CORE, from, to);
	d->detach = json_is_true(json_object_get(args, "detach"));
	return start_thread(d, path, later, err);
}

/* host.lock keeps the machine from being freed meanwhile */
#define LOCKED(fn) \
static int locked_##fn(void *ctx, json_t *args, struct control_later *later, \
		       struct error *err) \
{ \
	struct host_dump *d = ctx; \
	int rc; \
	\
	pthread_mutex_lock(&d->host->lock); \
	rc = fn(d, args, later, err); \
	pthread_mutex_unlock(&d->host->lock); \
	return rc; \
}

LOCKED(start_bytes)
LOCKED(start_core)

static int cmd_query(void *ctx, json_t *args, json_t **ret,
		     struct error *err)
{
	(void)args;
	(void)err;
	*ret = result_json(ctx);
	return 0;
}

static int cmd_formats(void *ctx, json_t *args, json_t **ret,
		       struct error *err)
{
	(void)ctx;
	(void)args;
	(void)err;
	*ret = json_pack("{s:[s]}", "formats", "elf");
	return 0;
}

static const struct control_command commands[] = {
	{ "pmemsave", "val:i size:i filename:s", .start = locked_start_bytes },
	{ "dump-guest-memory", "paging:b protocol:s ?detach:b ?begin:i "
	  "?length:i ?format:s", .start = locked_start_core },
	{ "query-dump", "", .fn = cmd_query },
	{ "query-dump-guest-memory-capability", "", .fn = cmd_formats },
	{ 0 }
};

struct host_dump *host_dump_new(struct host *h, struct error *err)
{
	struct host_dump *d = calloc(1, sizeof(*d));

	if (!d) {
		error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	d->host = h;
	d->file.fd = -1;
	d->status = "none";
	pthread_mutex_init(&d->lock, NULL);
	control_add(h->control, commands, d);
	return d;
}

void host_dump_free(struct host_dump *d)
{
	if (!d)
		return;
	d->stop = true;
	join_thread(d);
	json_decref(d->lost);
	pthread_mutex_destroy(&d->lock);
	free(d->path);
	free(d);
}
