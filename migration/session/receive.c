// SPDX-License-Identifier: MIT
/* receive.c - The destination's threads that receive pushed pages */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "priority.h"
#include "receive.h"

void receive_init(struct receive_group *g, struct page_store *store,
		  void (*lost)(void *ctx, const struct error *why), void *ctx)
{
	*g = (struct receive_group){ .store = store, .lost = lost,
				     .ctx = ctx };
	for (unsigned i = 0; i < WIRE_PUSH_MAX; i++)
		g->receiver[i].group = g;
	start_gate_init(&g->gate);
}

void receive_fini(struct receive_group *g)
{
	start_gate_fini(&g->gate);
}

uint8_t *receive_buffer(void)
{
	uint8_t *data = malloc(WIRE_RUN_PAGES * WIRE_PAGE);

	/* The pages of the buffer, too, are allocated now */
	if (data)
		memset(data, 1, WIRE_RUN_PAGES * WIRE_PAGE);
	return data;
}

/* Until DONE */
static int receive_pages(struct receiver *me, struct error *err)
{
	struct page_store *store = me->group->store;
	struct wire_msg m;
	int rc;

	do {
		rc = channel_hear(me->c, &m, err);
		if (rc || m.type == WIRE_MSG_DONE)
			break;
		if (m.type == WIRE_MSG_PAGES)
			rc = channel_recv(me->c, me->data, m.length, err);
		if (!rc)
			rc = page_store_message(store, &m, me->data, false,
						err);
	} while (!rc);
	return rc;
}

static void *receiver_main(void *arg)
{
	struct receiver *me = arg;
	struct error err = { 0 };
	int rc;

	if (!start_gate_wait(&me->group->gate))
		return NULL;
	/* Not before: a thread with a long slice is the last to be woken */
	priority_bulk();
	rc = receive_pages(me, &err);
	if (rc)
		me->group->lost(me->group->ctx, &err);
	me->group->running--;
	return rc ? NULL : me;
}

int receive_prepare(struct receive_group *g, struct error *err)
{
	start_gate_set(&g->gate, START_WAIT);
	for (unsigned i = 0; i < g->n; i++) {
		struct receiver *me = &g->receiver[i];
		int rc;

		me->data = receive_buffer();
		rc = me->data ? pthread_create(&me->thread, NULL,
					       receiver_main, me) : ENOMEM;
		if (rc)
			return error_set(err, rc,
				"cannot start a receive thread: %s",
				strerrordesc_np(rc));
		me->started = true;
		pthread_setname_np(me->thread, "receiver");
	}
	return 0;
}

void receive_start(struct receive_group *g)
{
	g->running = g->n;
	start_gate_set(&g->gate, START_GO);
}

bool receive_end(struct receive_group *g)
{
	bool all = true;

	if (g->gate.state == START_WAIT)
		start_gate_set(&g->gate, START_QUIT);
	for (unsigned i = 0; i < g->n; i++) {
		struct receiver *me = &g->receiver[i];
		void *done = NULL;

		if (me->started)
			pthread_join(me->thread, &done);
		all &= done != NULL;
		me->started = false;
		free(me->data);
		me->data = NULL;
	}
	return all;
}
