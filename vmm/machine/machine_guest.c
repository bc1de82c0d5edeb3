// SPDX-License-Identifier: MIT
/* machine_guest.c - Actions of a guest on its own machine */

#include "gate.h"
#include "machine_guest.h"
#include "machine_private.h"
#include "machine_reset.h"

void machine_guest_exit(struct machine *m, int status)
{
	gate_close(m);
	machine_flush_failures(m);
	machine_set_status(m, (struct run_status){ RUN_SHUTDOWN,
						   WHY_SHUTDOWN });
	m->observer.exit(m->observer.ctx, status);
}

void machine_guest_reset(struct machine *m)
{
	machine_ask_reset(m, RESET_GUEST);
}

/* Set a flag. Return: was it set before? */
static bool test_and_set(struct machine *m, bool *flag)
{
	bool before;

	pthread_mutex_lock(&m->lock);
	before = *flag;
	*flag = true;
	pthread_mutex_unlock(&m->lock);
	return before;
}

/* Once until it is started again, however often and on however many vCPUs the
 * guest writes to the port before the vCPUs stop
 */
void machine_guest_panicked(struct machine *m)
{
	gate_close(m);
	if (test_and_set(m, &m->panicked))
		return;
	m->observer.panic(m->observer.ctx, true);
	machine_set_status(m, (struct run_status){ RUN_GUEST_PANICKED,
						   WHY_CRASHED });
}

void machine_guest_crash_loaded(struct machine *m)
{
	if (test_and_set(m, &m->crash_loaded))
		return;
	m->observer.panic(m->observer.ctx, false);
}
