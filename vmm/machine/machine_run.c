// SPDX-License-Identifier: MIT
/*
 * machine_run.c - Start, stop and hold a machine's vCPUs
 *
 * The gate says what vCPU threads shall do, the status what people are told.
 * Both change under the machine's lock; a holder (a migration) keeps others
 * from changing either.
 */

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"
#include "machine_devices.h"
#include "machine_gate.h"
#include "reset.h"
#include "vcpu.h"

/* A vCPU comes out of the guest in microseconds; one that waits for a page
 * from a slow peer may take as long as that page
 */
#define PAUSE_DEADLINE_MS	5000
#define KICK_AGAIN_MS		10
#define HALT_DEADLINE_MS	1000

static void set_gate(struct machine *m, enum gate gate)
{
	pthread_mutex_lock(&m->lock);
	/* The end is final: a vCPU may crash while it is being ended */
	if (m->gate != GATE_END)
		m->gate = gate;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

static void kick_all(struct machine *m)
{
	for (unsigned i = 0; m->vcpu && i < m->cfg.cpus; i++)
		if (m->vcpu[i].started)
			vcpu_kick(&m->vcpu[i]);
}

static bool any_inside(struct machine *m)
{
	for (unsigned i = 0; m->vcpu && i < m->cfg.cpus; i++)
		if (m->vcpu[i].inside)
			return true;
	return false;
}

void machine_close_gate(struct machine *m)
{
	set_gate(m, GATE_PARK);
	kick_all(m);
}

/* Under the lock: let a machine run that is to, unless it waits for a reset */
static void open_gate(struct machine *m)
{
	if (m->gate == GATE_PARK && m->status.state == RUN_RUNNING &&
	    !m->reset && !m->resetting)
		m->gate = GATE_RUN;
	pthread_cond_broadcast(&m->changed);
}

void machine_halt(struct machine *m)
{
	set_gate(m, GATE_END);
	for (unsigned ms = 0; ms < HALT_DEADLINE_MS; ms++) {
		kick_all(m);
		if (!any_inside(m))
			break;
		usleep(1000);
	}
	/* A device that waits for a missing page ends in machine_free() */
	machine_settle_devices(m, HALT_DEADLINE_MS, NULL);
}

void machine_set_status(struct machine *m, struct run_status s)
{
	pthread_mutex_lock(&m->telling);
	pthread_mutex_lock(&m->lock);
	m->status = s;
	pthread_mutex_unlock(&m->lock);
	m->observer.status(m->observer.ctx, s);
	pthread_mutex_unlock(&m->telling);
}

struct run_status machine_status(struct machine *m)
{
	struct run_status s;

	pthread_mutex_lock(&m->lock);
	s = m->status;
	pthread_mutex_unlock(&m->lock);
	return s;
}

bool machine_ended(struct machine *m)
{
	struct run_status s = machine_status(m);

	return s.state == RUN_SHUTDOWN || s.state == RUN_INTERNAL_ERROR;
}

static int may_run(const struct machine *m, struct error *err)
{
	if (m->held)
		return error_set(err, EBUSY, "the guest is being %s",
				 m->status.reason == WHY_DUMP ? "dumped"
							      : "migrated");
	if (m->status.state == RUN_SHUTDOWN ||
	    m->status.state == RUN_INTERNAL_ERROR)
		return error_set(err, ECANCELED, "the guest has ended");
	return 0;
}

int machine_run(struct machine *m, enum run_reason why, struct error *err)
{
	const struct run_status s = { RUN_RUNNING, why };
	int rc;

	pthread_mutex_lock(&m->telling);
	pthread_mutex_lock(&m->lock);
	rc = may_run(m, err);
	if (!rc) {
		m->status = s;
		m->panicked = false;
		open_gate(m);
	}
	pthread_mutex_unlock(&m->lock);
	if (!rc)
		m->observer.status(m->observer.ctx, s);
	pthread_mutex_unlock(&m->telling);
	if (!rc)
		machine_settle_devices(m, PAUSE_DEADLINE_MS, NULL);
	return rc;
}

static struct timespec ms_from_now(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* Wait until all have parked, kicking again those that a kick went past */
static bool wait_parked(struct machine *m)
{
	bool all;

	for (unsigned ms = 0; ms < PAUSE_DEADLINE_MS; ms += KICK_AGAIN_MS) {
		struct timespec until = ms_from_now(KICK_AGAIN_MS);
		int rc = 0;

		kick_all(m);
		pthread_mutex_lock(&m->lock);
		while (m->parked < m->cfg.cpus && !rc)
			rc = pthread_cond_timedwait(&m->changed, &m->lock,
						    &until);
		all = m->parked == m->cfg.cpus;
		pthread_mutex_unlock(&m->lock);
		if (all)
			return true;
	}
	return false;
}

/* What other threads asked a vCPU to tell its guest is state, too */
static void deliver_asked(struct machine *m)
{
	for (unsigned i = 0; i < m->cfg.cpus; i++)
		vcpu_deliver(&m->vcpu[i]);
}

/*
 * A pause that failed lets the guest go on, but not when another one took the
 * machine meanwhile
 */
static void reopen(struct machine *m, bool was_open, bool holder)
{
	pthread_mutex_lock(&m->lock);
	if (holder)
		m->held = false;
	if (was_open && !may_run(m, NULL))
		open_gate(m);
	pthread_mutex_unlock(&m->lock);
	machine_settle_devices(m, PAUSE_DEADLINE_MS, NULL);
}

/* Close the gate and wait. On failure the vCPUs that can still run do */
static int park_all(struct machine *m, bool was_open, bool holder,
		    struct error *err)
{
	int rc;

	set_gate(m, GATE_PARK);
	if (wait_parked(m)) {
		rc = machine_settle_devices(m, PAUSE_DEADLINE_MS, err);
		if (!rc)
			deliver_asked(m);
		else
			reopen(m, was_open, holder);
		return rc;
	}
	reopen(m, was_open, holder);
	return error_set(err, ETIMEDOUT,
		"a vCPU did not stop within %d s: it waits for memory that the other side has not sent",
		PAUSE_DEADLINE_MS / 1000);
}

/* Set the status of a pause, unless things have changed meanwhile */
static int show_paused(struct machine *m, struct run_status s, bool holder,
		       struct error *err)
{
	int rc;

	pthread_mutex_lock(&m->telling);
	pthread_mutex_lock(&m->lock);
	rc = holder && m->held ? 0 : may_run(m, err);
	if (holder && (m->status.state == RUN_SHUTDOWN ||
		       m->status.state == RUN_INTERNAL_ERROR))
		rc = error_set(err, ECANCELED, "the guest has ended");
	/* A guest that panicked while it was being stopped has stopped of itself */
	if (!holder && m->panicked)
		s = m->status;
	if (!rc)
		m->status = s;
	pthread_mutex_unlock(&m->lock);
	if (!rc)
		m->observer.status(m->observer.ctx, s);
	pthread_mutex_unlock(&m->telling);
	return rc;
}

int machine_pause(struct machine *m, enum run_state state,
		  enum run_reason why, struct error *err)
{
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = may_run(m, err);
	pthread_mutex_unlock(&m->lock);
	if (!rc)
		rc = park_all(m, true, false, err);
	return rc ? rc : show_paused(m, (struct run_status){ state, why },
				     false, err);
}

/* The end of what hold() began, paused as it is; a reset may have waited */
static void release(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->held = false;
	pthread_mutex_unlock(&m->lock);
	machine_tell_reset(m);
}

static int hold(struct machine *m, struct run_status s,
		struct run_status *before, struct error *err)
{
	int rc;

	pthread_mutex_lock(&m->lock);
	/* Which takes as long as it takes to stop it, and to load its kernel */
	while (m->resetting)
		pthread_cond_wait(&m->changed, &m->lock);
	rc = may_run(m, err);
	if (!rc)
		m->held = true;
	*before = m->status;
	pthread_mutex_unlock(&m->lock);
	if (rc)
		return rc;
	rc = park_all(m, before->state == RUN_RUNNING, true, err);
	if (rc) {		/* and is not held any more */
		machine_tell_reset(m);
		return rc;
	}
	/* It may have panicked until the last vCPU parked */
	if (machine_panicked(m))
		before->state = RUN_GUEST_PANICKED;
	rc = show_paused(m, s, true, err);
	if (rc)
		release(m);
	return rc;
}

int machine_hold(struct machine *m, struct run_status *before,
		 struct error *err)
{
	return hold(m, (struct run_status){ RUN_FINISH_MIGRATE,
					    WHY_MIGRATION }, before, err);
}

int machine_freeze(struct machine *m, struct run_status *before,
		   struct error *err)
{
	bool held;
	int rc;

	if (!machine_ended(m))
		return hold(m, (struct run_status){ RUN_SAVE_VM, WHY_DUMP },
			    before, err);
	pthread_mutex_lock(&m->lock);
	held = m->held || m->resetting;
	m->held |= !held;
	*before = m->status;
	pthread_mutex_unlock(&m->lock);
	if (held)
		return error_set(err, EBUSY, "the guest is just being reset");
	if (wait_parked(m)) {
		rc = machine_settle_devices(m, PAUSE_DEADLINE_MS, err);
		if (rc)
			release(m);
		return rc;
	}
	release(m);
	return error_set(err, ETIMEDOUT,
		"a vCPU of a guest that has ended does not stop");
}

/* In one go: nobody else may find it released and not yet as before */
void machine_thaw(struct machine *m, const struct run_status *before)
{
	bool frozen;

	pthread_mutex_lock(&m->telling);
	pthread_mutex_lock(&m->lock);
	frozen = m->status.state == RUN_FINISH_MIGRATE ||
		 m->status.reason == WHY_DUMP;
	m->held = false;
	if (frozen)
		m->status = *before;
	open_gate(m);
	pthread_mutex_unlock(&m->lock);
	if (frozen)
		m->observer.status(m->observer.ctx, *before);
	pthread_mutex_unlock(&m->telling);
	machine_settle_devices(m, PAUSE_DEADLINE_MS, NULL);
	machine_tell_reset(m);
}

bool machine_held(struct machine *m)
{
	bool held;

	pthread_mutex_lock(&m->lock);
	held = m->held;
	pthread_mutex_unlock(&m->lock);
	return held;
}

void machine_set_reason(struct machine *m, enum run_reason from,
			enum run_reason to)
{
	struct run_status s;
	bool changed;

	pthread_mutex_lock(&m->telling);
	pthread_mutex_lock(&m->lock);
	changed = m->status.reason == from;
	if (changed)
		m->status.reason = to;
	s = m->status;
	pthread_mutex_unlock(&m->lock);
	if (changed)
		m->observer.status(m->observer.ctx, s);
	pthread_mutex_unlock(&m->telling);
}

int machine_begin_reset(struct machine *m, struct error *err)
{
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	if (m->held || m->pager.missing)
		rc = error_set(err, EBUSY, "the guest is being migrated");
	else
		m->resetting = true;
	pthread_mutex_unlock(&m->lock);
	if (rc)
		return rc;
	set_gate(m, GATE_PARK);
	if (wait_parked(m))
		return machine_settle_devices(m, PAUSE_DEADLINE_MS, err);
	return error_set(err, ETIMEDOUT, "a vCPU did not stop within %d s",
			 PAUSE_DEADLINE_MS / 1000);
}

void machine_fail_reset(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->reset = RESET_NONE;
	m->resetting = false;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

void machine_end_reset(struct machine *m)
{
	const struct run_status fresh = { RUN_PRELAUNCH, WHY_STARTING_UP };
	bool ran;

	pthread_mutex_lock(&m->telling);
	pthread_mutex_lock(&m->lock);
	m->reset = RESET_NONE;
	m->resetting = m->panicked = false;
	ran = m->status.state == RUN_RUNNING;
	if (!ran)
		m->status = fresh;
	open_gate(m);
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
	if (!ran)
		m->observer.status(m->observer.ctx, fresh);
	pthread_mutex_unlock(&m->telling);
	machine_settle_devices(m, PAUSE_DEADLINE_MS, NULL);
}
