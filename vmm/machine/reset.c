// SPDX-License-Identifier: MIT
/*
 * reset.c - Reset a machine: everything as it was before its first instruction
 *
 * A machine keeps the state that it had when it was built, as bytes that could
 * be sent elsewhere, and a reset loads them. Nobody needs a second way to
 * say what a device or vCPU begins with. Clocks are left out: a guest's time
 * need not step back for a reboot, and on some hosts it can't be set.
 */

#include <errno.h>

#include "machine.h"
#include "machine_gate.h"
#include "reset.h"
#include "vcpu.h"
#include "vmm/base/log.h"
#include "vmm/boot/boot.h"

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
	machine_close_gate(m);
	machine_tell_reset(m);
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

void machine_tell_reset(struct machine *m)
{
	if (machine_reset_asked(m))
		m->observer.reset(m->observer.ctx);
}

/* vCPUs before RAM: KVM writes kvmclock's page for those that still have one */
static int renew(struct machine *m, struct error *err)
{
	int rc = machine_load_initial(m, err);

	if (rc)
		return rc;
	/* Who is poisoning a page now would find it gone */
	pthread_mutex_lock(&m->inject_lock);
	rc = ram_renew(&m->ram, err);
	if (!rc) {
		poison_clear(&m->poison);
		m->walled = false;
	}
	pthread_mutex_unlock(&m->inject_lock);
	return rc ? rc : boot_start(m, err);
}

int machine_reset(struct machine *m, struct error *err)
{
	enum reset_cause cause = machine_reset_asked(m);
	int rc = machine_begin_reset(m, err);

	if (rc == -EBUSY)
		return rc;
	if (!rc)
		rc = renew(m, err);
	if (rc) {
		error_prefix(err, "the machine can't be reset");
		machine_crash(m);
		machine_fail_reset(m);
		return rc;
	}
	m->observer.was_reset(m->observer.ctx, cause);
	machine_end_reset(m);
	return 0;
}
