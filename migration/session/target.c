// SPDX-License-Identifier: MIT
/*
 * target.c - The side that a guest arrives at
 *
 * The session thread waits until the listener has received the HELLO of a main
 * connection, and then walks through the stages with that source. phase.c
 * decides what a failure means: before PREPARED everything is discarded, and
 * the next source may try; after it the machine is kept, and does not run
 * before COMMIT (invariant 5); after COMMIT it runs with what has arrived. A
 * session that has lost its link goes on in target_recover.c.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migration/pages/mutant.h"
#include "stages.h"
#include "target.h"
#include "vmm/base/log.h"
#include "vmm/memory/uffd.h"

#define POISON_REPORTS_MAX	64	/* events at once */
#define GOODBYE_MS	500	/* for a REFUSE that need not arrive */
#define ENDED_MS	2000	/* for ENDED: without it the source waits on */
#define ENDED_LOOK_MS	5

static struct target *target_of(struct session *se)
{
	return (struct target *)((char *)se - offsetof(struct target, se));
}

void target_drop_received(struct target *t)
{
	free(t->state);
	free(t->poison);
	free(t->written);
	free(t->discard);
	t->state = t->poison = t->written = t->discard = NULL;
}

static void refuse(struct target *t)
{
	struct error why = progress_why(t->se.progress);
	struct channel *main = &t->se.link.main;

	if (channel_is_open(main)) {
		channel_set_end(main, channel_now_ns() +
				      GOODBYE_MS * 1000000ull);
		channel_refuse(main, &why);
	}
}

/* The source would wait for a guest that is not there any more */
static void tell_ended(struct target *t)
{
	struct channel *main = &t->se.link.main;
	struct wire_msg m = { .type = WIRE_MSG_ENDED };
	const char *text;

	if (!t->adopted || !channel_is_open(main))
		return;
	text = machine_status(t->m).state == RUN_SHUTDOWN
		? "it has powered off" : "its process was ended there";
	m.length = (uint32_t)strlen(text);
	channel_set_end(main, channel_now_ns() + ENDED_MS * 1000000ull);
	if (channel_say(main, &m, text, NULL))
		return;
	/* The source must read this before it sees the others closed: it closes
	 * the link then. Not for ever, because its host may be gone
	 */
	for (unsigned ms = 0; ms < ENDED_MS && !channel_ended(main);
	     ms += ENDED_LOOK_MS)
		usleep(ENDED_LOOK_MS * 1000);
}

static void end_link(struct target *t)
{
	link_shut(&t->se.link);
	fault_end(&t->faults);
	receive_end(&t->receive);
	link_close(&t->se.link);
}

/* Free what a session has left; the phase lets no thread use it any more */
static void discard(struct target *t)
{
	end_link(t);
	/* A thread that waits for a page gets a zero page when RAM is
	 * unregistered, and no vCPU may run with it. The machine goes last: its
	 * end waits for such threads
	 */
	if (t->m)
		machine_halt(t->m);
	page_store_close(&t->store);
	if (t->adopted)
		t->se.env->adopt(t->se.env->ctx, NULL);
	t->adopted = false;
	machine_free(t->m);
	t->m = NULL;
	target_drop_received(t);
}

/* COMMIT was received: from here on the guest is this machine's */
static void run_guest(struct target *t)
{
	const struct session_env *env = t->se.env;

	env->set_side(env->ctx, "destination");
	t->adopted = true;
	env->adopt(env->ctx, t->m);
	t->se.progress->run = now_ns();
	if (t->run_it && !machine_panicked(t->m))
		machine_run(t->m, WHY_POSTCOPY, NULL);
	else
		machine_set_status(t->m, (struct run_status){
			machine_panicked(t->m) ? RUN_GUEST_PANICKED
					       : RUN_PAUSED, WHY_POSTCOPY });
}

/* The guest is an ordinary one now: nothing of the migration stays */
static void close_all(struct target *t)
{
	end_link(t);
	pthread_mutex_lock(&t->listen_lock);
	greeter_stop(t->greeter);
	pthread_mutex_unlock(&t->listen_lock);
}

static void target_perform(struct session *se, unsigned actions)
{
	struct target *t = target_of(se);

	/* Loading state may wait for a page that will not come. What it loads
	 * then is zeroes, and the machine is discarded
	 */
	if (actions & PHASE_RELEASE)
		page_store_abandon(&t->store);
	if (actions & (PHASE_HANG_UP | PHASE_SHUT))
		fault_cut(&t->faults);
	if (actions & PHASE_HANG_UP)
		link_hang_up(&se->link, GOODBYE_MS);
	if (actions & PHASE_SHUT)
		link_shut(&se->link);
	if (actions & PHASE_REFUSE)
		refuse(t);
	if (actions & PHASE_ENDED)
		tell_ended(t);
	if (actions & PHASE_DISCARD)
		discard(t);
	if (actions & PHASE_RUN)
		run_guest(t);
	if (actions & PHASE_CLOSE)
		close_all(t);
}

static const char *lost_remedy(const struct target *t, unsigned phase)
{
	if (phase == TARGET_DOUBT)
		return "ferry migrate NAME URI --resume at the source, unless it does that by itself; if the source is gone for good: ferry resolve NAME --run-here";
	return t->se.manual
		? "ferry recover NAME URI here, then ferry migrate NAME URI --resume at the source"
		: "ferry migrate NAME URI --resume at the source, unless it does that by itself; ferry recover NAME URI listens at another address";
}

static enum progress_status show_lost(struct target *t, unsigned phase)
{
	static const enum run_reason from[] = {
		WHY_POSTCOPY, WHY_USER, WHY_UNPAUSED,
	};
	struct error why = progress_why(t->se.progress);

	log_line("migration paused: %s; what has arrived is kept here",
		 why.text);
	progress_wait(t->se.progress, "the source to connect again",
		      lost_remedy(t, phase), false);
	for (size_t i = 0; phase == TARGET_LOST && i < ARRAY_SIZE(from); i++)
		machine_set_reason(t->m, from[i], WHY_POSTCOPY_FAILED);
	return PROGRESS_PAUSED;
}

static enum progress_status target_show(struct session *se, unsigned phase)
{
	struct target *t = target_of(se);
	struct error why;

	switch (phase) {
	case TARGET_SETUP:
		return t->passing ? PROGRESS_ACTIVE : PROGRESS_SETUP;
	case TARGET_POSTCOPY:
		machine_set_reason(t->m, WHY_POSTCOPY_FAILED, WHY_POSTCOPY);
		progress_wait(se->progress, NULL, NULL, false);
		return PROGRESS_POSTCOPY;
	case TARGET_WHOLE:
		return PROGRESS_POSTCOPY;
	case TARGET_COMPLETED:
	case TARGET_UNCONFIRMED:
		if (!t->told)
			log_line("the guest has arrived whole");
		t->told = true;
		return PROGRESS_COMPLETED;
	case TARGET_REJOIN:
	case TARGET_REJOIN_DOUBT:
		return PROGRESS_RECOVER;
	case TARGET_DOUBT:
	case TARGET_LOST:
		return show_lost(t, phase);
	case TARGET_FAILING:
		why = progress_why(se->progress);
		progress_wait(se->progress, NULL, NULL, false);
		log_line("incoming migration failed: %s; waiting for another",
			 why.text);
		return PROGRESS_FAILED;
	case TARGET_LISTENING:
	case TARGET_QUITTING:
	case TARGET_ENDED:
		return progress_get(se->progress);
	default:
		return PROGRESS_DEVICE;
	}
}

static const struct session_ops target_ops = {
	.step		= target_step,
	.perform	= target_perform,
	.show		= target_show,
};

static void target_demand_lost(void *ctx, const struct error *why)
{
	struct target *t = ctx;

	session_event(&t->se, EVENT_DEMAND_LOST, why);
}

static void target_push_lost(void *ctx, bool last, const struct error *why)
{
	struct target *t = ctx;

	if (!last && session_phase(&t->se) == TARGET_POSTCOPY)
		log_line("a push connection was lost: %s; its pages come on another one",
			 why->text);
	session_event(&t->se, last ? EVENT_PUSHES_LOST : EVENT_PUSH_LOST, why);
}

static void target_push_ended(void *ctx)
{
	struct target *t = ctx;

	session_wake(&t->se);
}

static unsigned target_vcpu_of(void *ctx, pid_t tid)
{
	struct target *t = ctx;

	for (unsigned i = 0; i < machine_config(t->m)->cpus; i++)
		if (machine_vcpu_tid(t->m, i) == tid)
			return i;
	return PAGE_STATS_OTHER;
}

static bool target_vcpu_blocked(void *ctx, unsigned vcpu)
{
	struct target *t = ctx;

	return machine_vcpu_blocking(t->m, vcpu);
}

static uint64_t target_vcpu_idle(void *ctx, unsigned vcpu, uint64_t *exits)
{
	struct target *t = ctx;

	return machine_vcpu_idle(t->m, vcpu, exits);
}

int target_start_faults(struct target *t, struct error *err)
{
	const struct fault_session fs = {
		.ctx = t, .vcpus = machine_config(t->m)->cpus,
		.vcpu_of = target_vcpu_of,
		.vcpu_blocked = target_vcpu_blocked,
		.vcpu_idle = target_vcpu_idle,
		.lost = target_demand_lost,
	};

	t->faults.answer_ms = t->se.limits->answer_ms;
	return fault_start(&t->faults, &t->store, &t->se.link.demand, &fs,
			   err);
}

/* Called by threads that vCPUs wait for: takes no lock */
static int target_poisoned(void *ctx, uint64_t gpa, uint64_t size,
			   bool delivered)
{
	struct target *t = ctx;
	struct poison p = { .gpa = gpa, .size = size, .delivered = delivered };

	return poison_post(machine_poison(t->m), &p);
}

/*
 * One log line and one event for each run, up to a limit, then only a count.
 * Runs of POISON_LIST are reported together, when all of it is in the list.
 */
void target_report_poison(void *ctx)
{
	struct target *t = ctx;
	struct poison run[POISON_REPORTS_MAX];
	size_t more = 0;
	int n = t->quiet ? 0 : poison_take_news(machine_poison(t->m), run,
						POISON_REPORTS_MAX, &more);

	for (int i = 0; i < n; i++) {
		const struct memory_failure f = {
			.gpa = run[i].gpa, .size = run[i].size,
			.action = MF_NOTED, .origin = MF_BY_PEER,
		};

		machine_failure(t->m, &f);
	}
	if (n < 0)
		log_line("out of memory for the poison list");
	if (more)
		log_line("the guest arrives with %zu more ranges of lost memory: query-status lists them",
			 more);
}

static void target_crash(void *ctx)
{
	struct target *t = ctx;

	machine_crash(t->m);
}

int target_inject(void *ctx, uint64_t offset, bool simulate,
		  struct error *err)
{
	struct target *t = ctx;

	return page_store_inject(&t->store, offset, simulate, err);
}

static void walk(struct target *t, const struct stage *st)
{
	struct error err = { 0 };
	int rc = 0;

	for (; st->name && !rc; st++) {
		progress_stage(t->se.progress, st->name);
		if (st->target)
			rc = st->target(t, &err);
	}
	if (rc < 0)
		session_event(&t->se, phase_event_of(rc), &err);
	session_event(&t->se, EVENT_LEFT, NULL);
}

static bool is_waiting(unsigned phase)
{
	return phase == TARGET_LISTENING || target_is_parked(phase);
}

static void ignore_status(void *ctx, enum progress_status status)
{
	(void)ctx;
	(void)status;
}

/*
 * Wait until a source has begun a link, even if that link is lost again
 * before this thread runs (migrate-pause, or a second HELLO): the caller must
 * close it. @changes: session_changes() before the last link was left; @end:
 * when the wait ends, ns, or 0
 */
static unsigned await_source(struct target *t, unsigned changes, uint64_t end)
{
	struct session *se = &t->se;
	unsigned phase;

	pthread_mutex_lock(&se->lock);
	while (is_waiting(se->phase) &&
	       (se->changes == changes || t->parked) &&
	       (!end || now_ns() < end))
		session_sleep(se, end);
	phase = se->phase;
	pthread_mutex_unlock(&se->lock);
	if (!is_waiting(phase))
		return phase;
	/* The listener may be about to change the phase: the link has a
	 * connection already. The caller would close it, and walk() would then
	 * use it
	 */
	pthread_mutex_lock(&t->greet_lock);
	pthread_mutex_unlock(&t->greet_lock);
	return session_phase(se);
}

/* Without a question for confirm_ms, the source is taken to be gone */
static unsigned await_question(struct target *t, unsigned changes)
{
	const uint64_t end = now_ns() + t->se.limits->confirm_ms * 1000000ull;
	unsigned phase;

	if (t->se.progress != &t->after) {
		progress_init(&t->after, ignore_status, NULL);
		session_divert(&t->se, &t->after);
	}
	phase = await_source(t, changes, end);
	if (phase == TARGET_UNCONFIRMED && now_ns() >= end)
		session_event(&t->se, EVENT_GIVE_UP, NULL);
	return session_phase(&t->se);
}

/* Wait for the first connection of a link. Return: the phase that ended it */
static unsigned await_link(struct target *t)
{
	const unsigned changes = session_changes(&t->se);
	unsigned phase = session_phase(&t->se);

	if (!target_is_parked(phase))
		return session_wait(&t->se, is_waiting);
	target_leave_link(t);
	return session_phase(&t->se) == TARGET_UNCONFIRMED
		? await_question(t, changes) : await_source(t, changes, 0);
}

/* No further link begins before this one has been left */
static void walk_again(struct target *t)
{
	t->parked = false;
	walk(t, resume_stages);
}

static void *target_main(void *arg)
{
	struct target *t = arg;
	unsigned phase;

	for (;;) {
		phase = await_link(t);
		if (phase == TARGET_SETUP)
			walk(t, stages);
		else if (target_is_rejoining(phase) || phase == TARGET_WHOLE)
			walk_again(t);
		else if (!target_is_parked(phase))
			/* An operator's decision, or the process ends */
			session_event(&t->se, EVENT_LEFT, NULL);
		/* Only a session that failed before PREPARED makes room */
		if (session_phase(&t->se) == TARGET_FAILING)
			session_event(&t->se, EVENT_DISCARDED, NULL);
		phase = session_phase(&t->se);
		/* SETUP: a source has come the moment there was room */
		if (!is_waiting(phase) && phase != TARGET_SETUP)
			break;
	}
	if (session_phase(&t->se) == TARGET_QUITTING)
		session_event(&t->se, EVENT_LEFT, NULL);
	return NULL;
}

static int refuse_busy(struct error *err)
{
	return error_set(err, EBUSY, "another migration is arriving here");
}

/* A main connection: it begins a session, if none is there */
static int greet_main(struct target *t, const struct channel *c,
		      const struct wire_hello *h, struct error *err)
{
	struct session *se = &t->se;
	unsigned phase = session_phase(se);

	if (h->resume)
		return target_greet_resume(t, c, h, err);
	/* A session that has failed, or is about to notice, makes room */
	if (phase == TARGET_FAILING ||
	    (phase != TARGET_LISTENING && !target_has_promised(phase) &&
	     link_ended(&se->link)))
		return -EAGAIN;
	if (phase != TARGET_LISTENING)
		return refuse_busy(err);
	if (t->epoch && !memcmp(h->id, se->id, WIRE_ID))
		return error_set(err, ESTALE,
			"a replayed greeting: that migration has ended here");
	link_begin(&se->link, h->epoch, se->limits->dead_peer_ms);
	if (link_put(&se->link, WIRE_MAIN, 0, c))
		return refuse_busy(err);
	memcpy(se->id, h->id, WIRE_ID);
	memcpy(se->secret, h->secret, WIRE_SECRET);
	t->epoch = h->epoch;
	t->parked = t->passing = se->manual = false;
	se->link.pushes = h->push < WIRE_PUSH_MAX ? h->push : WIRE_PUSH_MAX;
	progress_begin(se->progress, false);
	progress_name(se->progress, se->id, &t->uri);
	/* Fails only when the process ends: the link is closed then */
	session_event(se, WIRE_MSG_HELLO, NULL);
	return 0;
}

/* A further connection of the session that is being set up */
static int greet_more(struct target *t, const struct channel *c,
		      const struct wire_hello *h, struct error *err)
{
	struct session *se = &t->se;
	unsigned i = 0, n = h->role == WIRE_PUSH ? se->link.pushes : 1;

	if (session_phase(se) == TARGET_LISTENING)
		return error_set(err, EBADMSG,
			"the peer opened the wrong kind of connection");
	if (memcmp(h->id, se->id, WIRE_ID) ||
	    !wire_same_secret(h->secret, se->secret))
		return refuse_busy(err);
	if (h->epoch != se->link.epoch)
		return error_set(err, ESTALE,
			"stale epoch %u: a connection of a link that is lost",
			h->epoch);
	if (session_phase(se) != TARGET_SETUP &&
	    !target_is_rejoining(session_phase(se)))
		return refuse_busy(err);
	if (!link_same_peer(&se->link, c))
		return error_set(err, EACCES,
			"another certificate or key than that of the main connection");
	while (i < n && link_has(&se->link, h->role, i))
		i++;
	if (i == n || link_put(&se->link, h->role, i, c))
		return refuse_busy(err);
	session_notify(se);
	return 0;
}

/* The listener's thread: a connection has said HELLO */
static int target_greeted(void *ctx, const struct channel *c,
			  const struct wire_hello *h, struct error *err)
{
	return h->role == WIRE_MAIN ? greet_main(ctx, c, h, err)
				    : greet_more(ctx, c, h, err);
}

/*
 * What WELCOME says of this kernel. A process that may not open a userfaultfd
 * at all fails when it needs one, with the remedy.
 */
static bool kernel_can_poison(void)
{
	if (uffd_has_poison() && !mutant("old-kernel"))
		return true;
	log_line("this kernel has no UFFDIO_POISON (Linux 6.6 or newer has): only a guest without lost memory, sent with --no-poison, can come here");
	return false;
}

struct greeter *target_listen(struct target *t, const struct uri *uri,
			      struct error *err)
{
	return greeter_new(uri, &(struct greeter_env){
		.hello_ms = &t->se.limits->hello_ms, .tls = &t->se.link.tls,
		.fn = target_greeted, .ctx = t,
	}, err);
}

static int target_start(struct target *t, struct error *err)
{
	int rc;

	rc = pthread_create(&t->thread, NULL, target_main, t);
	if (rc)
		return error_set(err, rc,
			"cannot start the incoming migration: %s",
			strerrordesc_np(rc));
	t->started = true;
	pthread_setname_np(t->thread, "migration");
	/* The session thread, which may stop it, must see it */
	pthread_mutex_lock(&t->listen_lock);
	t->greeter = target_listen(t, &t->uri, err);
	rc = t->greeter ? 0 : -err->code;
	pthread_mutex_unlock(&t->listen_lock);
	return rc;
}

struct target *target_new(const struct uri *uri, const struct session_env *env,
			  const struct session_limits *limits,
			  struct progress *progress, struct error *err)
{
	struct target *t = calloc(1, sizeof(*t));

	if (!t) {
		error_set(err, ENOMEM, "out of memory for a migration");
		return NULL;
	}
	session_init(&t->se, &target_ops, env, limits, progress);
	t->uri = *uri;
	t->can_poison = kernel_can_poison();
	page_store_init(&t->store, &progress->stats,
			&(struct page_store_events){
		.ctx = t, .poisoned = target_poisoned,
		.report = target_report_poison, .crash = target_crash,
	}, t->can_poison);
	receive_init(&t->receive, &t->store, target_push_lost,
		     target_push_ended, t);
	pthread_mutex_init(&t->greet_lock, NULL);
	pthread_mutex_init(&t->listen_lock, NULL);
	if (!target_start(t, err))
		return t;
	target_free(t);
	return NULL;
}

int target_pause(struct target *t, struct error *err)
{
	struct error why = { 0 };

	error_set(&why, ECANCELED, "migrate-pause has shut the connections");
	if (!session_event(&t->se, EVENT_PAUSE, &why))
		return 0;
	return error_set(err, EINVAL,
			 "only a migration in postcopy can be paused");
}

/* The session thread may be about to stop it */
static struct greeter *take_greeter(struct target *t)
{
	struct greeter *g;

	pthread_mutex_lock(&t->listen_lock);
	g = t->greeter;
	t->greeter = NULL;
	pthread_mutex_unlock(&t->listen_lock);
	return g;
}

void target_free(struct target *t)
{
	if (!t)
		return;
	session_event(&t->se, EVENT_QUIT, NULL);
	greeter_free(take_greeter(t));
	if (t->started)
		pthread_join(t->thread, NULL);
	/* In the phases in which the session thread had ended before */
	session_event(&t->se, EVENT_LEFT, NULL);
	session_fini(&t->se);
	pthread_mutex_destroy(&t->greet_lock);
	pthread_mutex_destroy(&t->listen_lock);
	fault_fini(&t->faults);
	receive_fini(&t->receive);
	page_store_fini(&t->store);
	free(t);
}
