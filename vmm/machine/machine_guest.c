// SPDX-License-Identifier: MIT
/*
 * machine_guest.c - What a guest does to its own machine: end, panic, crash
 *
 * All of it comes from a vCPU's thread, which can't wait for the others: the
 * gate is closed, and each stops as soon as it comes out of the guest.
 */

#include "machine.h"
#include "machine_gate.h"
#include "reset.h"

void machine_crash(struct machine *m)
{
	machine_close_gate(m);
	machine_set_status(m, (struct run_status){ RUN_INTERNAL_ERROR,
						   WHY_CRASHED });
}

void machine_guest_exit(struct machine *m, int status)
{
	machine_close_gate(m);
	machine_set_status(m, (struct run_status){ RUN_SHUTDOWN,
						   WHY_SHUTDOWN });
	m->observer.exit(m->observer.ctx, status);
}

void machine_guest_reset(struct machine *m)
{
	machine_ask_reset(m, RESET_GUEST);
}

void machine_guest_panicked(struct machine *m)
{
	machine_close_gate(m);
	machine_set_panicked(m, true);
	m->observer.panic(m->observer.ctx, true);
	machine_set_status(m, (struct run_status){ RUN_GUEST_PANICKED,
						   WHY_CRASHED });
}

void machine_guest_crash_loaded(struct machine *m)
{
	m->observer.panic(m->observer.ctx, false);
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
