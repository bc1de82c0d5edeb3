// SPDX-License-Identifier: MIT
/*
 * dump.c - Guest memory into files: pmemsave, dump-guest-memory
 *
 * The main thread checks what is asked for and starts the thread; the thread
 * answers. Both kinds read RAM by ram_save(), and neither begins while pages
 * of the guest are still missing here, so no read waits for a peer.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "dump_core.h"
#include "dump_range.h"
#include "vmm/control/control.h"
#include "vmm/control/words.h"
#include "vmm/host/host.h"

#define FILE_PROTOCOL	"file:"
#define LOST_SHOWN	1024	/* stretches in an answer: it must not get too long */

/**
 * struct dumper - Of a process
 * @host:	whose
 * @thread, @started: does the work, if there is any
 * @busy:	it does
 * @stop:	it shall end
 * @later:	the answer that is owed, or NULL
 * @core:	a dump, not just bytes
 * @file, @save: what is written
 * @completed:	bytes of the last dump that are done
 * @saved:	the same of the last pmemsave, which nobody asks for
 * @lock:	protects what follows
 * @status:	of the last dump, as query-dump has it
 * @total:	its bytes
 * @lost:	what is not in it (JSON), or NULL
 */
struct dumper {
	struct host *host;
	pthread_t thread;
	bool started, core;
	_Atomic bool busy, stop;
	struct control_later *later;
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
			(json_int_t)ram_gpa(&s->m->ram, s->lost[i].offset),
			"size", (json_int_t)s->lost[i].len));
	}
	return json_pack("{s:o, s:I}", "lost", list, "lost-bytes",
			 (json_int_t)bytes);
}

static json_t *result_json(struct dumper *d)
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

static void set_result(struct dumper *d, const char *status, json_t *lost)
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

static int save_bytes(struct dumper *d, struct error *err)
{
	int rc;

	d->save.strict = true;
	rc = outfile_size(&d->file, d->save.to - d->save.from, err);
	if (!rc)
		rc = ram_save_lost(&d->save, err);
	return rc ? rc : ram_save(&d->save, err);
}

static int save_core(struct dumper *d, struct error *err)
{
	struct run_status before;
	int rc = machine_freeze(d->save.m, &before, err);

	if (rc)
		return rc;
	rc = dump_core(&d->save, err);
	machine_thaw(d->save.m, &before);
	return rc;
}

/* A dump is told of as QEMU does; what it could not read goes with it */
static json_t *tell(struct dumper *d, struct error *err)
{
	json_t *lost = NULL, *data;

	if (!err->code && d->save.lost_n)
		lost = lost_json(&d->save);
	set_result(d, err->code ? "failed" : "completed",
		   json_deep_copy(lost));
	data = json_pack("{s:o}", "result", result_json(d));
	if (err->code)
		json_object_set_new(data, "error", json_string(err->text));
	control_event(d->host->control, "DUMP_COMPLETED", data);
	return lost;
}

static void *dump_main(void *arg)
{
	struct dumper *d = arg;
	struct control_later *later = d->later;
	struct error err = { 0 };
	json_t *ret = NULL;
	int rc = d->core ? save_core(d, &err) : save_bytes(d, &err);

	if (!rc)
		outfile_keep(&d->file, &err);
	outfile_drop(&d->file);
	if (d->core)
		ret = tell(d, &err);
	ram_save_fini(&d->save);
	d->later = NULL;
	d->busy = false;	/* who hears the answer may ask for another */
	if (later)
		control_answer(later, ret, &err);
	else
		json_decref(ret);
	return NULL;
}

static void join(struct dumper *d)
{
	if (d->started)
		pthread_join(d->thread, NULL);
	d->started = false;
}

static int may_begin(struct dumper *d, bool core, struct error *err)
{
	struct machine *m = d->host->machine;
	struct pager p;

	if (d->busy)
		return error_set(err, EBUSY,
			"guest memory is being saved already: one at a time");
	if (!m)
		return error_set(err, ENODEV,
			"no guest has arrived at this machine yet");
	p = machine_pager(m);
	if (p.missing)
		return error_set(err, EBUSY,
			"pages of the guest are still missing here: wait for the migration's end");
	if (core && (p.poison || machine_held(m)))
		return error_set(err, EBUSY,
			"the guest is being migrated, or has left: it is in state '%s'",
			words_domain(machine_status(m)).qemu);
	return 0;
}

static int begin(struct dumper *d, const char *path,
		 struct control_later *later, struct error *err)
{
	int rc = outfile_open(&d->file, path, err);

	if (rc)
		return rc;
	join(d);
	d->later = later;
	d->busy = true;
	if (d->core)
		set_result(d, "active", NULL);
	rc = pthread_create(&d->thread, NULL, dump_main, d);
	if (!rc) {
		d->started = true;
		pthread_setname_np(d->thread, "dump");
		return 0;
	}
	outfile_drop(&d->file);
	d->busy = false;
	if (d->core)
		set_result(d, "failed", NULL);
	return error_set(err, rc, "cannot start a thread: %s",
			 strerrordesc_np(rc));
}

static void prepare(struct dumper *d, bool core, uint64_t from, uint64_t to)
{
	d->core = core;
	d->save = (struct ram_save){
		.m = d->host->machine, .file = &d->file, .from = from,
		.to = to, .stop = &d->stop,
		.completed = core ? &d->completed : &d->saved,
	};
}

static int start_bytes(struct dumper *d, json_t *args,
		       struct control_later *later, struct error *err)
{
	uint64_t val = (uint64_t)json_integer_value(json_object_get(args,
								    "val"));
	uint64_t size = (uint64_t)json_integer_value(json_object_get(args,
								     "size"));
	uint64_t offset;
	int rc = may_begin(d, false, err);

	if (!rc)
		rc = dump_range_whole(&d->host->machine->ram, val, size,
				      &offset, err);
	if (rc)
		return rc;
	prepare(d, false, offset, offset + size);
	return begin(d, json_string_value(json_object_get(args, "filename")),
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

static int start_core(struct dumper *d, json_t *args,
		      struct control_later *later, struct error *err)
{
	bool detach = json_is_true(json_object_get(args, "detach"));
	json_t *begin_at = json_object_get(args, "begin");
	json_t *length = json_object_get(args, "length");
	uint64_t from = 0, to;
	const char *path = NULL;
	int rc = may_begin(d, true, err);

	if (!rc)
		rc = check_core(args, &path, err);
	if (rc)
		return rc;
	to = d->host->machine->ram.size;
	if (length)
		rc = dump_range_part(&d->host->machine->ram,
				     (uint64_t)json_integer_value(begin_at),
				     (uint64_t)json_integer_value(length),
				     &from, &to, err);
	if (rc)
		return rc;
	prepare(d, true, from, to);
	rc = begin(d, path, detach ? NULL : later, err);
	if (!rc && detach)
		control_answer(later, NULL, NULL);
	return rc;
}

/* The host's lock keeps the machine there while it is looked at */
#define LOCKED(fn) \
static int locked_##fn(void *ctx, json_t *args, struct control_later *later, \
		       struct error *err) \
{ \
	struct dumper *d = ctx; \
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

struct dumper *dumper_new(struct host *h, struct error *err)
{
	struct dumper *d = calloc(1, sizeof(*d));

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

void dumper_free(struct dumper *d)
{
	if (!d)
		return;
	d->stop = true;
	join(d);
	json_decref(d->lost);
	pthread_mutex_destroy(&d->lock);
	free(d);
}
