// SPDX-License-Identifier: MIT
/* ram_hook.c - A migration's hook between the machine and its RAM */

#include "machine_private.h"
#include "machine_reset.h"
#include "ram_hook.h"

void machine_set_ram_hook(struct machine *m, const struct ram_hook *hook)
{
	pthread_mutex_lock(&m->lock);
	while (m->hook_busy)
		pthread_cond_wait(&m->changed, &m->lock);
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

struct ram_hook ram_hook_begin(struct machine *m)
{
	struct ram_hook hook;

	pthread_mutex_lock(&m->lock);
	hook = m->ram_hook;
	m->hook_busy = true;
	pthread_mutex_unlock(&m->lock);
	return hook;
}

void ram_hook_end(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->hook_busy = false;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}
