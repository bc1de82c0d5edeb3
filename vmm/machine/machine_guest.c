// SPDX-License-Identifier: MIT
/* machine_guest.c - Actions of a guest on its own machine */

#include "gate.h"
#include "machine_guest.h"
#include "machine_private.h"
#include "machine_reset.h"

void machine_guest_exit(struct machine *m, int status)
{
	gate_close(m);
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
	gate_close(m);
	machine_set_panicked(m, true);
	m->observer.panic(m->observer.ctx, true);
	machine_set_status(m, (struct run_status){ RUN_GUEST_PANICKED,
						   WHY_CRASHED });
}

void machine_guest_crash_loaded(struct machine *m)
{
	m->observer.panic(m->observer.ctx, false);
}
