// SPDX-License-Identifier: MIT
/*
 * machine_run.c - Start, stop and hold a machine's vCPUs; its run status
 *
 * The gate (gate.h) says what the vCPU threads may do; the status is what
 * clients see. Both change under the machine's lock. A holder keeps other
 * threads from changing either.
 */

#include <errno.h>

#include "arch.h"
#include "gate.h"
#include "machine_devices.h"
#include "machine_private.h"
#include "machine_reset.h"
#include "machine_run.h"
#include "vcpu.h"
#include "vcpu_poison.h"

void machine_halt(struct machine *m)
{
	gate_end(m);
	/* A device that waits for a missing page ends in machine_free() */
	machine_settle_devices(m, GATE_END_MS, NULL);
}

void machine_set_status(struct machine *m, struct run_status s)
{
	pthread_mutex_lock(&m->notify_lock);
	pthread_mutex_lock(&m->lock);
	m->status = s;
	pthread_mutex_unlock(&m->lock);
	m->observer.status(m->observer.ctx, s);
	pthread_mutex_unlock(&m->notify_lock);
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

static bool has_ended(const struct machine *m)
{
	return m->status.state == RUN_SHUTDOWN ||
	       m->status.state == RUN_INTERNAL_ERROR;
}

static int check_may_run(const struct machine *m, struct error *err)
{
	if (m->held)
		return error_set(err, EBUSY, "the guest is being %s",
				 m->status.reason == WHY_DUMP ? "dumped"
							      : "migrated");
	if (has_ended(m))
		return error_set(err, ECANCELED, "the guest has ended");
	return 0;
}

int machine_run(struct machine *m, enum run_reason why, struct error *err)
{
	const struct run_status s = { RUN_RUNNING, why };
	int rc;

	pthread_mutex_lock(&m->notify_lock);
	pthread_mutex_lock(&m->lock);
	rc = check_may_run(m, err);
	if (!rc) {
		m->status = s;
		m->panicked = false;
		gate_reopen(m);
	}
	pthread_mutex_unlock(&m->lock);
	if (!rc)
		m->observer.status(m->observer.ctx, s);
	pthread_mutex_unlock(&m->notify_lock);
	if (!rc)
		machine_settle_devices(m, GATE_DEADLINE_MS, NULL);
	return rc;
}

/* Errors that other threads asked a vCPU to report are state, too */
static void deliver_asked(struct machine *m)
{
	for (unsigned i = 0; i < m->cfg.cpus; i++)
		vcpu_deliver(&m->vcpu[i]);
}

/* Which caller pauses the machine */
enum pauser {
	PAUSER_CLIENT,		/* machine_pause() */
	PAUSER_HOLDER,		/* machine_hold(), machine_freeze() */
};

/*
 * After a pause that failed the guest continues, unless another thread has
 * paused it or become its holder meanwhile
 */
static void undo_pause(struct machine *m, bool was_open, enum pauser by)
{
	pthread_mutex_lock(&m->lock);
	if (by == PAUSER_HOLDER)
		m->held = false;
	if (was_open && !check_may_run(m, NULL))
		gate_reopen(m);
	pthread_mutex_unlock(&m->lock);
	machine_settle_devices(m, GATE_DEADLINE_MS, NULL);
}

/* Park all vCPUs, quiesce all devices. On failure they continue */
static int park_all(struct machine *m, bool was_open, enum pauser by,
		    struct error *err)
{
	int rc;

	if (gate_park(m)) {
		rc = machine_settle_devices(m, GATE_DEADLINE_MS, err);
		if (!rc) {
			deliver_asked(m);
			machine_flush_failures(m);
		} else {
			undo_pause(m, was_open, by);
		}
		return rc;
	}
	undo_pause(m, was_open, by);
	return error_set(err, ETIMEDOUT,
		"a vCPU did not stop within %d s: it waits for memory that the other side has not sent",
		GATE_DEADLINE_MS / 1000);
}

/*
 * Set the status of a pause, unless the guest ended or was held meanwhile.
 * Return: also -EAGAIN for a client: a reset that has ended has opened the gate
 */
static int set_paused(struct machine *m, struct run_status s, enum pauser by,
		      struct error *err)
{
	const bool holder = by == PAUSER_HOLDER;
	int rc;

	pthread_mutex_lock(&m->notify_lock);
	pthread_mutex_lock(&m->lock);
	rc = holder && m->held ? 0 : check_may_run(m, err);
	if (holder && has_ended(m))
		rc = error_set(err, ECANCELED, "the guest has ended");
	if (!rc && !holder && m->gate == GATE_RUN)
		rc = -EAGAIN;
	/* A guest that panicked during the pause keeps that status */
	if (!holder && m->panicked)
		s = m->status;
	if (!rc)
		m->status = s;
	/* A hand-over is no pause for the guest: x86_clock.h */
	if (!rc && m->gate == GATE_PARK &&
	    (!holder || s.state == RUN_SAVE_VM))
		arch_clock_stop(m);
	pthread_mutex_unlock(&m->lock);
	if (!rc)
		m->observer.status(m->observer.ctx, s);
	pthread_mutex_unlock(&m->notify_lock);
	return rc;
}

static int pause_once(struct machine *m, struct run_status s,
		      struct error *err)
{
	bool resetting;
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = check_may_run(m, err);
	resetting = m->resetting;
	pthread_mutex_unlock(&m->lock);
	/* A reset keeps the vCPUs parked, and starts them only if they ran */
	if (!rc && !resetting)
		rc = park_all(m, true, PAUSER_CLIENT, err);
	return rc ? rc : set_paused(m, s, PAUSER_CLIENT, err);
}

int machine_pause(struct machine *m, enum run_state state,
		  enum run_reason why, struct error *err)
{
	const struct run_status s = { state, why };
	int rc;

	do
		rc = pause_once(m, s, err);
	while (rc == -EAGAIN);
	return rc;
}

/* End a hold that failed; the machine stays paused */
static void drop_hold(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->held = false;
	pthread_mutex_unlock(&m->lock);
	machine_notify_reset(m);
}

static int hold_machine(struct machine *m, struct run_status s,
		struct run_status *before, struct error *err)
{
	int rc;

	pthread_mutex_lock(&m->lock);
	/* Lasts until the vCPUs have stopped and the kernel is loaded */
	while (m->resetting)
		pthread_cond_wait(&m->changed, &m->lock);
	rc = check_may_run(m, err);
	if (!rc)
		m->held = true;
	*before = m->status;
	pthread_mutex_unlock(&m->lock);
	if (rc)
		return rc;
	rc = park_all(m, before->state == RUN_RUNNING, PAUSER_HOLDER, err);
	if (rc) {
		machine_notify_reset(m);
		return rc;
	}
	/* The guest can panic until its last vCPU has parked */
	if (machine_panicked(m))
		before->state = RUN_GUEST_PANICKED;
	rc = set_paused(m, s, PAUSER_HOLDER, err);
	if (rc)
		drop_hold(m);
	return rc;
}

int machine_hold(struct machine *m, struct run_status *before,
		 struct error *err)
{
	return hold_machine(m, (struct run_status){ RUN_FINISH_MIGRATE,
						    WHY_MIGRATION },
			    before, err);
}

int machine_freeze(struct machine *m, struct run_status *before,
		   struct error *err)
{
	bool held;
	int rc;

	if (!machine_ended(m))
		return hold_machine(m, (struct run_status){ RUN_SAVE_VM,
							    WHY_DUMP },
				    before, err);
	pthread_mutex_lock(&m->lock);
	held = m->held || m->resetting;
	m->held |= !held;
	*before = m->status;
	pthread_mutex_unlock(&m->lock);
	if (held)
		return error_set(err, EBUSY, "the guest is being reset");
	if (gate_wait(m)) {
		rc = machine_settle_devices(m, GATE_DEADLINE_MS, err);
		if (rc)
			drop_hold(m);
		return rc;
	}
	drop_hold(m);
	return error_set(err, ETIMEDOUT,
		"a vCPU of a guest that has ended does not stop");
}

/* In one critical section, so that no thread sees half of the change */
void machine_thaw(struct machine *m, const struct run_status *before)
{
	bool frozen;

	pthread_mutex_lock(&m->notify_lock);
	pthread_mutex_lock(&m->lock);
	frozen = m->status.state == RUN_FINISH_MIGRATE ||
		 m->status.reason == WHY_DUMP;
	m->held = false;
	if (frozen)
		m->status = *before;
	gate_reopen(m);
	pthread_mutex_unlock(&m->lock);
	if (frozen)
		m->observer.status(m->observer.ctx, *before);
	pthread_mutex_unlock(&m->notify_lock);
	machine_settle_devices(m, GATE_DEADLINE_MS, NULL);
	machine_notify_reset(m);
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

	pthread_mutex_lock(&m->notify_lock);
	pthread_mutex_lock(&m->lock);
	changed = m->status.reason == from;
	if (changed)
		m->status.reason = to;
	s = m->status;
	pthread_mutex_unlock(&m->lock);
	if (changed)
		m->observer.status(m->observer.ctx, s);
	pthread_mutex_unlock(&m->notify_lock);
}

void machine_crash(struct machine *m)
{
	gate_close(m);
	machine_set_status(m, (struct run_status){ RUN_INTERNAL_ERROR,
						   WHY_CRASHED });
}

bool machine_panicked(struct machine *m)
{
	bool panicked;

	pthread_mutex_lock(&m->lock);
	panicked = m->panicked;
	pthread_mutex_unlock(&m->lock);
	return panicked;
}

void machine_set_panicked(struct machine *m, bool panicked)
{
	pthread_mutex_lock(&m->lock);
	m->panicked = panicked;
	pthread_mutex_unlock(&m->lock);
}
