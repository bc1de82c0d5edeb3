// SPDX-License-Identifier: MIT
/*
 * migration.c - The control commands, with QEMU's names
 *
 * The commands run on the main thread, and only start or stop what the threads
 * of a session do. What may take longer than some milliseconds runs in the thread
 * "background". It opens listeners (the host's name must be resolved, and
 * certificates be read), and frees former sessions (a ledger has at least 3
 * bits for each page). An operator's decision, which may unregister RAM, is
 * carried out in the thread "decisions", so that it waits for none of these.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capabilities.h"
#include "channels.h"
#include "migration.h"
#include "migration/session/source.h"
#include "migration/session/target.h"
#include "page_query.h"
#include "parameters.h"
#include "query.h"
#include "vmm/base/uri.h"
#include "vmm/control/control.h"
#include "vmm/control/control_dispatch.h"
#include "vmm/control/words.h"
#include "vmm/host/host.h"
#include "vmm/host/host_work.h"

#define REFUSING_MAX	4

/**
 * struct outgoing - One migration of the guest from here
 * @source:	the session
 * @job:	its parameters: the process's, with what its `migrate` chose. The
 *		session reads the limits of waits: change them one by one
 * @older:	in the lists @refusing and @former: the next one
 */
struct outgoing {
	struct source *source;
	struct parameters job;
	struct outgoing *older;
};

/**
 * struct migration - Of a process, one at a time
 * @host:	the process
 * @env:	the same, as a session of a guest that leaves sees it
 * @arriving:	as a session of a guest that arrives does, with @tls
 * @tls:	copy of @parameters' when that session began
 * @progress:	how the current or last session goes
 * @out:	the guest leaves, or has left, or tried to
 * @refusing:	earlier sessions that failed, and still deliver REFUSE to their
 *		destinations; the newest first
 * @former:	sessions that the background thread is about to free
 * @target:	a guest arrives, or has arrived; once set, it stays until the end
 * @parameters:	of sessions
 * @no_poison:	a guest without lost memory may go where poison can't
 * @deciding:	the session of @out, or of @former, that ferry-resolve refers
 *		to: the background thread does not free it
 * @pages:	answers query-ferry-pages, in the thread "commands"
 * @background:	what takes too long for the main thread
 * @decisions:	ferry-resolve
 * @show_lock:	held while @pages reads a session, so that it is not freed, and
 *		while @out and @parameters (by the main thread), @target (by the
 *		background thread), @former and @deciding change
 */
struct migration {
	struct host *host;
	struct session_env env, arriving;
	struct tls_config tls;
	struct progress progress;
	struct outgoing *out, *refusing, *former;
	struct source *deciding;
	struct target *_Atomic target;
	struct parameters parameters;
	bool no_poison;
	struct page_query *pages;
	struct host_work *background, *decisions;
	pthread_mutex_t show_lock;
};

static void notify_status(void *ctx, enum progress_status status)
{
	struct migration *mig = ctx;

	control_event(mig->host->control, "MIGRATION",
		json_pack("{s:s}", "status", query_status_name(status)));
}

static void adopt_machine(void *ctx, struct machine *m)
{
	host_set_machine(ctx, m);
}

static void set_side(void *ctx, const char *side)
{
	struct host *h = ctx;

	h->side = side;
}

static int may_leave(struct migration *mig, struct error *err)
{
	struct machine *m = mig->host->machine;
	enum progress_status s = progress_get(&mig->progress);
	struct run_status rs;

	if (!m)
		return error_set(err, ENODEV,
				 "no guest has arrived at this machine yet");
	if (!progress_ended(s))
		return error_set(err, EBUSY,
			"a migration is under way already");
	rs = machine_status(m);
	if (rs.state == RUN_RUNNING || rs.state == RUN_PAUSED ||
	    rs.state == RUN_PRELAUNCH || rs.state == RUN_GUEST_PANICKED)
		return 0;
	return error_set(err, EINVAL,
		"a guest in state '%s' can't be migrated",
		words_domain(rs).qemu);
}

/*
 * The parameters of one session: @job, with what `migrate` chooses for this
 * one. Nothing is changed before the command is accepted
 */
static int choose_parameters(struct parameters *job, json_t *chosen,
			     struct error *err)
{
	json_t *automatic = json_object_get(chosen, CAPABILITY_AUTOMATIC);
	int rc;

	if (!chosen)
		return 0;
	if (!json_is_object(chosen))
		return error_set(err, EINVAL,
				 "'ferry-parameters' must be an object");
	rc = dispatch_check_args(PARAMETERS_ARGS " ?" CAPABILITY_POISON ":b ?" CAPABILITY_AUTOMATIC
				 ":b", chosen, err);
	if (!rc)
		rc = parameters_set(job, chosen, err);
	if (!rc && automatic)
		job->limits.automatic = json_is_true(automatic);
	return rc;
}

static void free_outgoing(struct outgoing *o)
{
	if (o)
		source_free(o->source);
	free(o);
}

/* Return: a session that no thread uses, or NULL */
static struct outgoing *take_former(struct migration *mig)
{
	struct outgoing **at = &mig->former, *o;

	pthread_mutex_lock(&mig->show_lock);
	while (*at && (*at)->source == mig->deciding)
		at = &(*at)->older;
	o = *at;
	if (o)
		*at = o->older;
	pthread_mutex_unlock(&mig->show_lock);
	return o;
}

static int work_free_former(void *ctx, struct machine *m, json_t *args,
			    json_t **ret, struct error *err)
{
	struct outgoing *o;

	(void)m;
	(void)args;
	(void)ret;
	(void)err;
	while ((o = take_former(ctx)))
		free_outgoing(o);
	return 0;
}

/* What can't be freed now for lack of memory is freed with the next one */
static void free_formers_later(struct migration *mig)
{
	struct error err = { 0 };

	host_work_add(mig->background, work_free_former, mig, NULL, NULL,
		      &err);
}

static void free_later(struct migration *mig, struct outgoing *o)
{
	pthread_mutex_lock(&mig->show_lock);
	o->older = mig->former;
	mig->former = o;
	pthread_mutex_unlock(&mig->show_lock);
	free_formers_later(mig);
}

/* Replace the current session, by none if @o is NULL. Return: the last one */
static struct outgoing *exchange_out(struct migration *mig, struct outgoing *o)
{
	struct outgoing *last;

	pthread_mutex_lock(&mig->show_lock);
	last = mig->out;
	mig->out = o;
	pthread_mutex_unlock(&mig->show_lock);
	return last;
}

/*
 * Another migration of the guest begins. The last attempt has failed, and its
 * destination may be in doubt until it receives REFUSE: in doubt it refuses every
 * guest. The newest REFUSING_MAX of such sessions stay, and deliver REFUSE.
 */
static void keep_refusing(struct migration *mig)
{
	struct outgoing *last = exchange_out(mig, NULL);
	struct outgoing **at = &mig->refusing;
	unsigned n = 0;

	if (last) {
		last->older = mig->refusing;
		mig->refusing = last;
	}
	while (*at) {
		struct outgoing *o = *at;

		if (n < REFUSING_MAX && source_is_refusing(o->source)) {
			at = &o->older;
			n++;
		} else {
			*at = o->older;
			free_later(mig, o);
		}
	}
}

static void set_rates(struct outgoing *o)
{
	struct page_source *p = &o->source->pages;

	pacer_set_limit(&p->pacer, o->job.bandwidth);
	pacer_set_limit(&p->pass_pacer, o->job.pass_bandwidth);
}

static struct outgoing *new_outgoing(struct migration *mig,
				     const struct uri *uri,
				     const struct parameters *job,
				     struct error *err)
{
	struct outgoing *o = calloc(1, sizeof(*o));

	if (!o) {
		error_set(err, ENOMEM, "out of memory for a migration");
		return NULL;
	}
	o->job = *job;
	o->source = source_new(mig->host->machine, uri, &mig->env,
			       &o->job.limits, &mig->progress, err);
	if (!o->source) {
		free(o);
		return NULL;
	}
	o->source->se.link.tls = o->job.tls;
	o->source->connections = o->job.connections;
	o->source->pass.limit = o->job.passes;
	set_rates(o);
	return o;
}

static int start_leaving(struct migration *mig, const struct uri *uri,
			 json_t *chosen, struct error *err)
{
	json_t *poison = json_object_get(chosen, CAPABILITY_POISON);
	struct parameters job = mig->parameters;
	struct outgoing *o;
	int rc = may_leave(mig, err);

	if (!rc)
		rc = choose_parameters(&job, chosen, err);
	if (rc)
		return rc;
	keep_refusing(mig);
	o = new_outgoing(mig, uri, &job, err);
	if (!o)
		return -err->code;
	o->source->no_poison = poison ? json_is_false(poison) : mig->no_poison;
	exchange_out(mig, o);
	return source_start(o->source, err);
}

/* The parameters that `migrate` with resume has chosen, checked before */
struct resumption {
	struct outgoing *out;
	json_t *chosen;
};

static void accept_resumption(void *ctx)
{
	struct resumption *r = ctx;

	choose_parameters(&r->out->job, r->chosen, NULL);
	set_rates(r->out);
}

static int resume_leaving(struct migration *mig, const struct uri *uri,
			  json_t *chosen, struct error *err)
{
	struct outgoing *o = mig->out;
	struct resumption r = { o, chosen };
	struct parameters job;
	int rc;

	if (!o || !mig->progress.outgoing)
		return error_set(err, EINVAL,
			"no migration of this machine's guest is paused: migrate without resume starts one");
	job = o->job;
	rc = choose_parameters(&job, chosen, err);
	return rc ? rc : source_resume(o->source, uri, accept_resumption, &r,
				       err);
}

/* The host's lock keeps the machine there while it is looked at */
static int cmd_migrate(void *ctx, json_t *args, json_t **ret,
		       struct error *err)
{
	struct migration *mig = ctx;
	json_t *chosen = json_object_get(args, "ferry-parameters");
	struct uri uri;
	int rc = channels_uri(args, &uri, err);

	(void)ret;
	if (rc)
		return rc;
	if (json_is_true(json_object_get(args, "resume")))
		return resume_leaving(mig, &uri, chosen, err);
	pthread_mutex_lock(&mig->host->lock);
	rc = start_leaving(mig, &uri, chosen, err);
	pthread_mutex_unlock(&mig->host->lock);
	return rc;
}

static bool is_leaving(struct migration *mig)
{
	return mig->out && mig->progress.outgoing &&
	       !progress_ended(progress_get(&mig->progress));
}

static int work_recover(void *ctx, struct machine *m, json_t *args,
			json_t **ret, struct error *err)
{
	struct migration *mig = ctx;
	struct target *t = mig->target;
	struct uri uri;
	int rc = uri_parse(json_string_value(json_object_get(args, "uri")),
			   &uri, err);

	(void)m;
	(void)ret;
	if (rc)
		return rc;
	/* A guest that was not confirmed may have migrated on already */
	if (!t || (mig->progress.outgoing &&
		   session_phase(&t->se) != TARGET_UNCONFIRMED))
		return error_set(err, EINVAL,
			"no migration arrives here: the source resumes by 'migrate' with 'resume'");
	return target_recover(t, &uri, err);
}

/* The current session of a guest that leaves: valid until end_decision() */
static struct source *begin_decision(struct migration *mig)
{
	struct source *s;

	pthread_mutex_lock(&mig->show_lock);
	s = mig->deciding = mig->out ? mig->out->source : NULL;
	pthread_mutex_unlock(&mig->show_lock);
	return s;
}

/* `migrate` may have replaced the session meanwhile */
static void end_decision(struct migration *mig)
{
	bool left;

	pthread_mutex_lock(&mig->show_lock);
	mig->deciding = NULL;
	left = mig->former;
	pthread_mutex_unlock(&mig->show_lock);
	if (left)
		free_formers_later(mig);
}

static int decide(struct migration *mig, bool run_here, struct error *err)
{
	struct source *s = begin_decision(mig);
	struct target *t = mig->target;
	int rc;

	if (s && mig->progress.outgoing)
		rc = source_resolve(s, run_here, err);
	else if (t && !mig->progress.outgoing)
		rc = target_resolve(t, run_here, err);
	else
		rc = error_set(err, EPERM,
			"nothing is to be resolved: no migration is in doubt here");
	end_decision(mig);
	return rc;
}

static int work_resolve(void *ctx, struct machine *m, json_t *args,
			json_t **ret, struct error *err)
{
	const char *action = json_string_value(json_object_get(args,
							       "action"));
	bool run_here = !strcmp(action, "run-here");

	(void)m;
	(void)ret;
	if (!run_here && strcmp(action, "give-up"))
		return error_set(err, EINVAL,
			"'action' must be 'run-here' or 'give-up'");
	return decide(ctx, run_here, err);
}

static int cmd_cancel(void *ctx, json_t *args, json_t **ret,
		      struct error *err)
{
	struct migration *mig = ctx;

	(void)args;
	(void)ret;
	/* As QEMU: nothing to cancel is no error */
	if (!mig->out || progress_ended(progress_get(&mig->progress)))
		return 0;
	return source_cancel(mig->out->source, err);
}

static int listen_for_guest(struct migration *mig, const struct uri *uri,
			    struct error *err)
{
	struct target *t;

	pthread_mutex_lock(&mig->show_lock);
	mig->tls = mig->parameters.tls;
	pthread_mutex_unlock(&mig->show_lock);
	t = target_new(uri, &mig->arriving, &mig->parameters.limits,
		       &mig->progress, err);
	if (!t)
		return -err->code;
	pthread_mutex_lock(&mig->show_lock);
	mig->target = t;
	pthread_mutex_unlock(&mig->show_lock);
	return 0;
}

static int work_incoming(void *ctx, struct machine *m, json_t *args,
			 json_t **ret, struct error *err)
{
	struct migration *mig = ctx;
	struct uri uri;
	int rc = channels_uri(args, &uri, err);

	(void)ret;
	if (rc)
		return rc;
	if (m || mig->target)
		return error_set(err, EBUSY,
			"this machine has a guest, or waits for one already");
	return listen_for_guest(mig, &uri, err);
}

/*
 * A session may wait after its status has become final, and may have been
 * replaced by another one then. Only one is shown: the current one's, else the
 * incoming one's, else that of the newest attempt that has failed
 */
static void add_waits(struct migration *mig, json_t *o)
{
	struct target *t = mig->target;
	struct progress_wait w;

	if (mig->out && source_waits(mig->out->source, &w))
		query_add_wait(o, &w);
	if (t && target_waits(t, &w))
		query_add_wait(o, &w);
	for (struct outgoing *r = mig->refusing; r; r = r->older)
		if (source_waits(r->source, &w))
			query_add_wait(o, &w);
}

static int cmd_query(void *ctx, json_t *args, json_t **ret,
		     struct error *err)
{
	struct migration *mig = ctx;

	(void)args;
	(void)err;
	*ret = query_migrate(&mig->progress);
	add_waits(mig, *ret);
	return 0;
}

/* The guest runs here again, so what was sent of its pages does not matter */
static bool is_back(enum progress_status s)
{
	return s == PROGRESS_FAILED || s == PROGRESS_CANCELLED;
}

/*
 * The pages of an outgoing session: which were sent. Without one, those of the
 * session that brought the guest: how they arrived
 */
static bool show_pages(void *ctx, size_t page, size_t n, uint8_t *to)
{
	struct migration *mig = ctx;
	struct target *t = mig->target;
	bool known = false;

	pthread_mutex_lock(&mig->show_lock);
	if (mig->out && !is_back(progress_get(&mig->progress)))
		known = page_source_show(&mig->out->source->pages, page, n,
					 to);
	else if (t)
		known = page_store_show(&t->store, page, n, to);
	pthread_mutex_unlock(&mig->show_lock);
	return known;
}

static int work_pages(void *ctx, struct machine *m, json_t *args,
		      json_t **ret, struct error *err)
{
	struct migration *mig = ctx;

	if (!m)
		return error_set(err, ENODEV,
			"no guest has arrived at this machine yet");
	return page_query_run(mig->pages, m, args, ret, err);
}

static int start_pages(void *ctx, json_t *args, struct control_later *later,
		       struct error *err)
{
	struct migration *mig = ctx;

	return host_work_add(mig->host->work, work_pages, mig, args, later,
			     err);
}

#define LATER(fn, thread) \
static int start_##fn(void *ctx, json_t *args, struct control_later *later, \
		      struct error *err) \
{ \
	struct migration *mig = ctx; \
	\
	return host_work_add(mig->thread, fn, mig, args, later, err); \
}

LATER(work_incoming, background)
LATER(work_recover, background)
LATER(work_resolve, decisions)

/* Where it is paused, no new link is opened any more without an operator */
static bool may_pause(enum progress_status s)
{
	return s == PROGRESS_POSTCOPY || s == PROGRESS_PAUSED ||
	       s == PROGRESS_RECOVER_SETUP || s == PROGRESS_RECOVER;
}

static int cmd_pause(void *ctx, json_t *args, json_t **ret,
		     struct error *err)
{
	struct migration *mig = ctx;
	struct target *t = mig->target;

	(void)args;
	(void)ret;
	/* The one that is or was active: status tells which */
	if (!may_pause(progress_get(&mig->progress)) ||
	    (!t && !mig->progress.outgoing))
		return error_set(err, EINVAL,
			"only a migration in postcopy can be paused");
	return mig->progress.outgoing ? source_pause(mig->out->source, err)
				      : target_pause(t, err);
}

static int cmd_postcopy(void *ctx, json_t *args, json_t **ret,
			struct error *err)
{
	struct migration *mig = ctx;

	(void)args;
	(void)ret;
	if (!is_leaving(mig))
		return error_set(err, EINVAL,
			"no migration of this machine's guest is under way: 'migrate' starts one");
	/* As QEMU: no error if it is postcopy already */
	source_start_postcopy(mig->out->source);
	return 0;
}

static int cmd_set_capabilities(void *ctx, json_t *args, json_t **ret,
				struct error *err)
{
	json_t *list = json_object_get(args, "capabilities");
	struct migration *mig = ctx;
	int rc = capabilities_check(list, err);
	bool on;

	(void)ret;
	if (rc)
		return rc;
	if (capabilities_get(list, CAPABILITY_POISON, &on))
		mig->no_poison = !on;
	if (!capabilities_get(list, CAPABILITY_AUTOMATIC, &on))
		return 0;
	mig->parameters.limits.automatic = on;
	if (mig->out)
		mig->out->job.limits.automatic = on;
	return 0;
}

static int cmd_query_capabilities(void *ctx, json_t *args, json_t **ret,
				  struct error *err)
{
	struct migration *mig = ctx;

	(void)args;
	(void)err;
	*ret = capabilities_json(!mig->no_poison,
				 mig->parameters.limits.automatic);
	return 0;
}

static int cmd_set_parameters(void *ctx, json_t *args, json_t **ret,
			      struct error *err)
{
	struct migration *mig = ctx;
	int rc;

	(void)ret;
	pthread_mutex_lock(&mig->show_lock);
	rc = parameters_set(&mig->parameters, args, err);
	pthread_mutex_unlock(&mig->show_lock);
	/* It was accepted, so this does not fail */
	if (!rc && mig->out && !parameters_set(&mig->out->job, args, err))
		set_rates(mig->out);
	return rc;
}

static int cmd_query_parameters(void *ctx, json_t *args, json_t **ret,
				struct error *err)
{
	struct migration *mig = ctx;

	(void)args;
	(void)err;
	*ret = parameters_json(is_leaving(mig) ? &mig->out->job
					       : &mig->parameters);
	return 0;
}

static const struct control_command commands[] = {
	{ "migrate", CHANNELS_ARGS " ?detach:b ?resume:b ?ferry-parameters:o",
	  .fn = cmd_migrate },
	{ "migrate-recover", "uri:s", .start = start_work_recover },
	{ "ferry-resolve", "action:s", .start = start_work_resolve },
	{ "migrate_cancel", "", .fn = cmd_cancel },
	{ "migrate-incoming", CHANNELS_ARGS, .start = start_work_incoming },
	{ "migrate-pause", "", .fn = cmd_pause },
	{ "migrate-start-postcopy", "", .fn = cmd_postcopy },
	{ "migrate-set-capabilities", "capabilities:o",
	  .fn = cmd_set_capabilities },
	{ "query-migrate-capabilities", "", .fn = cmd_query_capabilities },
	{ "migrate-set-parameters", PARAMETERS_ARGS,
	  .fn = cmd_set_parameters },
	{ "query-migrate-parameters", "", .fn = cmd_query_parameters },
	{ "query-migrate", "", .fn = cmd_query },
	{ "query-ferry-pages", PAGE_QUERY_ARGS, .start = start_pages },
	{ 0 }
};

static bool is_ending(void *ctx)
{
	const struct host *h = ctx;

	return h->ending;
}

static int start_threads(struct migration *mig, struct error *err)
{
	mig->pages = page_query_new(show_pages, mig);
	if (!mig->pages)
		return error_set(err, ENOMEM, "out of memory for migration");
	mig->background = host_work_new(mig->host, "background", err);
	if (mig->background)
		mig->decisions = host_work_new(mig->host, "decisions", err);
	return mig->decisions ? 0 : -err->code;
}

struct migration *migration_new(struct host *h, struct error *err)
{
	struct migration *mig = calloc(1, sizeof(*mig));

	if (!mig) {
		error_set(err, ENOMEM, "out of memory for migration");
		return NULL;
	}
	mig->host = h;
	pthread_mutex_init(&mig->show_lock, NULL);
	if (start_threads(mig, err)) {
		migration_free(mig);
		return NULL;
	}
	mig->env = (struct session_env){
		.ctx = h, .observer = host_observer(h), .backing = h->ram,
		.adopt = adopt_machine, .set_side = set_side,
		.ending = is_ending,
	};
	mig->arriving = mig->env;
	mig->arriving.tls = &mig->tls;
	parameters_init(&mig->parameters);
	progress_init(&mig->progress, notify_status, mig);
	control_add(h->control, commands, mig);
	return mig;
}

int migration_set_tls(struct migration *mig, const char *dir, bool required,
		      struct error *err)
{
	struct tls_config *tls = &mig->parameters.tls;
	char *path = dir ? realpath(dir, NULL) : NULL;
	int rc = 0;

	tls->required = required;
	if (dir && !path)
		rc = error_set(err, errno, "--tls-dir: %s: %s", dir,
			       strerrordesc_np(errno));
	else if (path && strlen(path) >= sizeof(tls->dir))
		rc = error_set(err, ENAMETOOLONG, "--tls-dir: too long");
	else if (path)
		strcpy(tls->dir, path);
	free(path);
	return rc;
}

int migration_receive(struct migration *mig, const char *text,
		      struct error *err)
{
	struct uri uri;
	int rc = uri_parse(text, &uri, err);

	return rc ? rc : listen_for_guest(mig, &uri, err);
}

void migration_free(struct migration *mig)
{
	struct outgoing *o;

	if (!mig)
		return;
	host_work_free(mig->decisions);
	host_work_free(mig->background);
	while ((o = take_former(mig)))
		free_outgoing(o);
	while (mig->refusing) {
		o = mig->refusing;
		mig->refusing = o->older;
		free_outgoing(o);
	}
	free_outgoing(exchange_out(mig, NULL));
	target_free(mig->target);
	page_query_free(mig->pages);
	pthread_mutex_destroy(&mig->show_lock);
	free(mig);
}
