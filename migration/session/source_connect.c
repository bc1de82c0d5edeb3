// SPDX-License-Identifier: MIT
/* source_connect.c - Open and close the connections of a source's link */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source_connect.h"
#include "vmm/memory/uffd.h"

static struct wire_hello make_hello(const struct source *s,
				    enum wire_role role)
{
	const uint32_t epoch = s->se.link.epoch;
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = role,
		.features = uffd_has_poison() == 1 ? WIRE_POISON : 0,
		.page_size = WIRE_PAGE, .epoch = epoch,
		.resume = role == WIRE_MAIN && epoch > 1,
		.push = role == WIRE_MAIN ? (uint16_t)s->connections : 0,
	};

	memcpy(h.id, s->se.id, WIRE_ID);
	memcpy(h.secret, s->se.secret, WIRE_SECRET);
	return h;
}

static int check_welcome(const struct source *s, const struct wire_hello *h,
			 struct error *err)
{
	if (h->page_size == WIRE_PAGE && h->epoch == s->se.link.epoch &&
	    !memcmp(h->id, s->se.id, WIRE_ID) &&
	    wire_same_secret(h->secret, s->se.secret))
		return 0;
	return error_set(err, EBADMSG,
			 "the destination's WELCOME does not fit our HELLO");
}

/* What the destination says in WELCOME on main, for the whole link */
static int take_welcome(struct source *s, const struct wire_hello *h,
			struct error *err)
{
	s->peer_poison = h->features & WIRE_POISON;
	if (!h->push || h->push > s->connections)
		return error_set(err, EBADMSG,
			"the destination takes %u push connections of %u",
			h->push, s->connections);
	s->se.link.pushes = h->push;
	return 0;
}

int source_greet(struct source *s, enum wire_role role, unsigned i,
		 struct error *err)
{
	struct link *l = &s->se.link;
	struct channel *c = link_channel(l, role, i);
	struct wire_hello h = make_hello(s, role);
	struct wire_msg m = { .type = WIRE_MSG_HELLO, .length = WIRE_HELLO };
	uint8_t out[WIRE_HELLO], *in = NULL;
	uint32_t n;
	int rc = link_connect(l, role, i, s->se.limits->connect_ms, err);

	channel_bind(c, h.secret, WIRE_SECRET, h.binding);
	wire_put_hello(out, &h);
	if (!rc)
		rc = channel_say(c, &m, out, err);
	if (!rc)
		rc = role == WIRE_MAIN
			? session_expect(&s->se, WIRE_MSG_WELCOME, &in, &n,
					 err)
			: channel_expect(c, WIRE_MSG_WELCOME, &in, &n, err);
	if (!rc)
		rc = wire_get_hello(in, n, &h, err);
	free(in);
	if (!rc)
		rc = check_welcome(s, &h, err);
	return rc || role != WIRE_MAIN ? rc : take_welcome(s, &h, err);
}

void source_demand_lost(void *ctx, const struct error *why)
{
	struct source *s = ctx;

	session_event(&s->se, phase_loss_of(EVENT_DEMAND_LOST, -why->code),
		      why);
}

/* The threads are created here, where failing still costs nothing */
int source_attach(struct source *s, struct error *err)
{
	struct link *l = &s->se.link;
	int rc = source_greet(s, WIRE_DEMAND, 0, err);

	for (unsigned i = 0; i < l->pushes && !rc; i++) {
		rc = source_greet(s, WIRE_PUSH, i, err);
		if (!rc)
			channel_set_silence(&l->push[i],
					    s->se.limits->silence_ms);
	}
	if (rc)
		return rc;
	/* Requests may stay away for long */
	channel_set_silence(&l->demand, 0);
	s->push.n = l->pushes;
	for (unsigned i = 0; i < l->pushes; i++)
		s->push.pusher[i].c = &l->push[i];
	return push_prepare(&s->push, err);
}

void source_close_link(struct source *s)
{
	s->pages.stop = true;
	link_shut(&s->se.link);
	demand_end(&s->answers);
	push_end(&s->push);
	link_close(&s->se.link);
}
