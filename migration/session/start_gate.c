// SPDX-License-Identifier: MIT
/* start_gate.c - Threads that are created early and start later */

#include "start_gate.h"

void start_gate_init(struct start_gate *g)
{
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
	g->state = START_WAIT;
}

void start_gate_fini(struct start_gate *g)
{
	pthread_mutex_destroy(&g->lock);
	pthread_cond_destroy(&g->changed);
}

void start_gate_set(struct start_gate *g, enum start_state state)
{
	pthread_mutex_lock(&g->lock);
	g->state = state;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

bool start_gate_wait(struct start_gate *g)
{
	bool go;

	pthread_mutex_lock(&g->lock);
	while (g->state == START_WAIT)
		pthread_cond_wait(&g->changed, &g->lock);
	go = g->state == START_GO;
	pthread_mutex_unlock(&g->lock);
	return go;
}
