// SPDX-License-Identifier: MIT
/*
 * machine_reset.c - Reset a machine to the state before its first instruction
 *
 * A machine keeps the state that it had when it was built, in the format that
 * a migration sends, and a reset loads it: no device or vCPU needs a second
 * definition of its initial state. The clocks are left out: a guest's time need
 * not step back for a reboot, and some hosts cannot set it.
 */

#include <errno.h>
#include <string.h>

#include "gate.h"
#include "machine_devices.h"
#include "machine_private.h"
#include "machine_reset.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"

#define RETRY_MS	100	/* after a vCPU or a device did not stop */

void machine_ask_reset(struct machine *m, enum reset_cause cause)
{
	bool wanted;

	pthread_mutex_lock(&m->lock);
	wanted = m->status.state != RUN_SHUTDOWN;
	if (wanted && !m->reset)
		m->reset = cause;
	pthread_mutex_unlock(&m->lock);
	if (!wanted)
		return;
	gate_close(m);
	machine_notify_reset(m);
}

enum reset_cause machine_reset_asked(struct machine *m)
{
	enum reset_cause cause;

	pthread_mutex_lock(&m->lock);
	cause = m->reset;
	pthread_mutex_unlock(&m->lock);
	return cause;
}

void machine_set_reset_asked(struct machine *m, enum reset_cause cause)
{
	pthread_mutex_lock(&m->lock);
	m->reset = cause;
	pthread_mutex_unlock(&m->lock);
}

void machine_set_no_reboot(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->no_reboot = true;
	pthread_mutex_unlock(&m->lock);
}

bool machine_no_reboot(struct machine *m)
{
	bool set;

	pthread_mutex_lock(&m->lock);
	set = m->no_reboot;
	pthread_mutex_unlock(&m->lock);
	return set;
}

void machine_notify_reset(struct machine *m)
{
	if (machine_reset_asked(m))
		m->observer.reset(m->observer.ctx);
}

/*
 * vCPUs before RAM: KVM writes the kvmclock page of a vCPU that has one.
 * inject_lock keeps a page that is being poisoned from vanishing.
 */
static int renew(struct machine *m, struct error *err)
{
	int rc = machine_load_initial(m, err);

	if (rc)
		return rc;
	pthread_mutex_lock(&m->inject_lock);
	rc = ram_renew(&m->ram, err);
	if (!rc) {
		poison_clear(&m->poison);
		m->walled = false;
	}
	pthread_mutex_unlock(&m->inject_lock);
	return rc ? rc : machine_restart(m, err);
}

/* The reset did not begin. A request remains, and keeps the gate closed */
static void abandon_reset(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->resetting = false;
	gate_reopen(m);
	pthread_mutex_unlock(&m->lock);
	machine_settle_devices(m, GATE_DEADLINE_MS, NULL);
}

/* Stop all vCPUs and keep every other thread from starting them */
static int begin_reset(struct machine *m, struct error *err)
{
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	if (m->held || m->ram_hook.missing)
		rc = error_set(err, EBUSY, "the guest is being migrated");
	else
		m->resetting = true;
	pthread_mutex_unlock(&m->lock);
	if (rc)
		return rc;
	if (gate_park(m))
		rc = machine_settle_devices(m, GATE_DEADLINE_MS, err);
	else
		rc = error_set(err, ETIMEDOUT,
			       "a vCPU did not stop within %d s",
			       GATE_DEADLINE_MS / 1000);
	if (rc)
		abandon_reset(m);
	return rc;
}

/* The machine has crashed: no request remains */
static void fail_reset(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->reset = RESET_NONE;
	m->resetting = false;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

/* With the lock held: the machine is as if it had never run */
static void finish_reset(struct machine *m)
{
	m->reset = RESET_NONE;
	m->resetting = m->panicked = m->crash_loaded = false;
	gate_reopen(m);
}

/*
 * A machine that was running runs again, after the notification. Any other is
 * in prelaunch before it: a client that receives the event RESET may send cont.
 */
static void end_reset(struct machine *m, enum reset_cause cause)
{
	const struct run_status fresh = { RUN_PRELAUNCH, WHY_STARTING_UP };
	bool ran;

	pthread_mutex_lock(&m->notify_lock);
	pthread_mutex_lock(&m->lock);
	ran = m->status.state == RUN_RUNNING;
	if (!ran) {
		m->status = fresh;
		finish_reset(m);
	}
	pthread_mutex_unlock(&m->lock);
	m->observer.was_reset(m->observer.ctx, cause);
	if (!ran)
		m->observer.status(m->observer.ctx, fresh);
	pthread_mutex_lock(&m->lock);
	if (ran)
		finish_reset(m);
	pthread_mutex_unlock(&m->lock);
	pthread_mutex_unlock(&m->notify_lock);
	machine_settle_devices(m, GATE_DEADLINE_MS, NULL);
}

int machine_reset(struct machine *m, struct error *err)
{
	enum reset_cause cause = machine_reset_asked(m);
	int rc = begin_reset(m, err);

	if (rc)
		return rc;
	rc = renew(m, err);
	if (rc) {
		error_prefix(err, "the machine can't be reset");
		machine_crash(m);
		fail_reset(m);
		return rc;
	}
	end_reset(m, cause);
	return 0;
}

/*
 * The reset thread
 *
 * It exists while a reset is being carried out: dropping RAM and loading the
 * images takes too long for the main thread. A request that comes meanwhile
 * sets @again, so that it is not lost when the thread is about to end.
 */

/* Wait before the next attempt. Return: false if the machine is being freed */
static bool wait_to_retry(struct machine *m)
{
	struct timespec until = gate_deadline(RETRY_MS);
	bool ending;
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	while (m->gate != GATE_END && !rc)
		rc = pthread_cond_timedwait(&m->changed, &m->lock, &until);
	ending = m->gate == GATE_END;
	pthread_mutex_unlock(&m->lock);
	return !ending;
}

/*
 * A guest that resets its machine again and again gets one reset a second, or
 * each host would be busy with its log, events and memory
 */
static bool is_too_often(struct machine *m)
{
	bool often;

	pthread_mutex_lock(&m->lock);
	often = m->reset == RESET_GUEST &&
		!flood_pass(&m->reset_flood, now_ms());
	pthread_mutex_unlock(&m->lock);
	return often;
}

/* One reset, repeated while a vCPU or a device does not stop */
static void carry_out(struct machine *m)
{
	struct error err = { 0 };
	bool said = false;
	int rc;

	while (is_too_often(m))
		if (!wait_to_retry(m))
			return;
	while ((rc = machine_reset(m, &err)) == -ETIMEDOUT) {
		if (!wait_to_retry(m))
			return;
		if (!said)
			log_line("the reset waits: %s", err.text);
		said = true;
		err = (struct error){ 0 };
	}
	if (rc == -EBUSY)
		log_line("the reset waits until all pages of the guest have arrived");
	else if (rc)
		log_line("%s", err.text);
}

/* Is there another request? If not, the thread ends */
static bool is_wanted_again(struct machine *m)
{
	struct reset_thread *t = &m->reset_thread;
	bool again;

	pthread_mutex_lock(&m->lock);
	again = t->again && m->reset && m->gate != GATE_END;
	t->again = false;
	t->running = again;
	pthread_mutex_unlock(&m->lock);
	return again;
}

static void *reset_main(void *arg)
{
	do
		carry_out(arg);
	while (is_wanted_again(arg));
	return NULL;
}

int machine_reset_start(struct machine *m, struct error *err)
{
	struct reset_thread *t = &m->reset_thread;
	bool running;
	int rc;

	pthread_mutex_lock(&m->lock);
	running = t->running;
	t->again = running;
	t->running = true;
	pthread_mutex_unlock(&m->lock);
	if (running)
		return 0;
	machine_reset_join(m);
	rc = thread_start(&t->id, "reset", reset_main, m);
	t->started = !rc;
	if (!rc)
		return 0;
	pthread_mutex_lock(&m->lock);
	t->running = false;
	pthread_mutex_unlock(&m->lock);
	return error_set(err, -rc, "cannot start a thread for the reset: %s",
			 strerrordesc_np(-rc));
}

void machine_reset_join(struct machine *m)
{
	if (m->reset_thread.started)
		pthread_join(m->reset_thread.id, NULL);
	m->reset_thread.started = false;
}
