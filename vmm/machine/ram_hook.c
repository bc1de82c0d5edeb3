// SPDX-License-Identifier: MIT
/* ram_hook.c - A migration's hook between the machine and its RAM */

#include "machine_private.h"
#include "machine_reset.h"
#include "ram_hook.h"

void machine_set_ram_hook(struct machine *m, const struct ram_hook *hook)
{
	pthread_mutex_lock(&m->lock);
	m->ram_hook = hook ? *hook : (struct ram_hook){ 0 };
	pthread_mutex_unlock(&m->lock);
	if (!hook)
		machine_notify_reset(m);
}

struct ram_hook machine_ram_hook(struct machine *m)
{
	struct ram_hook hook;

	pthread_mutex_lock(&m->lock);
	hook = m->ram_hook;
	pthread_mutex_unlock(&m->lock);
	return hook;
}
