// SPDX-License-Identifier: MIT
/*
 * target_connect.c - Wait for and close the connections of a destination's link;
 * the threads that use them
 */

#include <errno.h>
#include <string.h>

#include "target_connect.h"

#define LOOK_NS		100000000	/* main may be lost meanwhile */

int target_welcome(struct target *t, enum wire_role role, unsigned i,
		   struct error *err)
{
	struct link *l = &t->se.link;
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = role, .page_size = WIRE_PAGE,
		.features = t->can_poison ? WIRE_POISON : 0,
		.epoch = l->epoch, .resume = role == WIRE_MAIN && l->epoch > 1,
		.push = role == WIRE_MAIN ? (uint16_t)l->pushes : 0,
	};
	struct wire_msg m = { .type = WIRE_MSG_WELCOME,
			      .length = WIRE_HELLO };
	uint8_t out[WIRE_HELLO];

	memcpy(h.id, t->se.id, WIRE_ID);
	memcpy(h.secret, t->se.secret, WIRE_SECRET);
	wire_put_hello(out, &h);
	return channel_say(link_channel(l, role, i), &m, out, err);
}

/* Wait until the source has opened a connection, and answer its HELLO */
static int await_channel(struct target *t, enum wire_role role, unsigned i,
			 struct error *err)
{
	struct link *l = &t->se.link;
	const uint64_t end = ns_after(t->se.limits->hello_ms);
	int rc = 0;

	pthread_mutex_lock(&t->se.lock);
	while (!link_has(l, role, i) && !rc) {
		if (!target_is_linked(t->se.phase))
			rc = error_set(err, ECANCELED, "this side is ending");
		else if (link_ended(l))
			rc = error_set(err, EPIPE,
				"the other side closed the connection");
		else if (now_ns() >= end)
			rc = error_set(err, ETIMEDOUT,
				"the source did not connect in time: no %s connection",
				role == WIRE_PUSH ? "push" : "demand");
		if (rc)
			break;
		session_sleep(&t->se, now_ns() + LOOK_NS);
	}
	pthread_mutex_unlock(&t->se.lock);
	return rc ? rc : target_welcome(t, role, i, err);
}

int target_open_link(struct target *t, struct error *err)
{
	struct link *l = &t->se.link;
	unsigned silence = t->se.limits->silence_ms;
	int rc = await_channel(t, WIRE_DEMAND, 0, err);

	for (unsigned i = 0; i < l->pushes && !rc; i++) {
		rc = await_channel(t, WIRE_PUSH, i, err);
		if (!rc)
			channel_set_silence(&l->push[i], silence);
	}
	if (rc)
		return rc;
	channel_set_silence(&l->main, silence);
	channel_set_silence(&l->demand, silence);
	t->receive.n = l->pushes;
	for (unsigned i = 0; i < l->pushes; i++)
		t->receive.receiver[i].c = &l->push[i];
	return receive_prepare(&t->receive, err);
}

static void target_demand_lost(void *ctx, const struct error *why)
{
	struct target *t = ctx;

	session_event(&t->se, phase_loss_of(EVENT_DEMAND_LOST, -why->code),
		      why);
}

static unsigned target_vcpu_of(void *ctx, pid_t tid)
{
	struct target *t = ctx;

	for (unsigned i = 0; i < machine_config(t->m)->cpus; i++)
		if (machine_vcpu_tid(t->m, i) == tid)
			return i;
	return PAGE_STATS_OTHER;
}

static bool target_vcpu_blocked(void *ctx, unsigned vcpu)
{
	struct target *t = ctx;

	return machine_vcpu_blocking(t->m, vcpu);
}

static uint64_t target_vcpu_idle(void *ctx, unsigned vcpu, uint64_t *exits)
{
	struct target *t = ctx;

	return machine_vcpu_idle(t->m, vcpu, exits);
}

static int start_faults(struct target *t, struct error *err)
{
	const struct fault_session fs = {
		.ctx = t, .vcpus = machine_config(t->m)->cpus,
		.vcpu_of = target_vcpu_of,
		.vcpu_blocked = target_vcpu_blocked,
		.vcpu_idle = target_vcpu_idle,
		.lost = target_demand_lost,
	};

	t->faults.answer_ms = t->se.limits->answer_ms;
	return fault_start(&t->faults, &t->store, &t->se.link.demand, &fs,
			   err);
}

/*
 * The fault thread must run before any state is loaded: loading may fault. Here
 * and not later, like the receive threads: what can fail fails early.
 */
int target_attach(struct target *t, struct error *err)
{
	int rc = target_open_link(t, err);

	return rc ? rc : start_faults(t, err);
}

void target_end_link(struct target *t)
{
	link_shut(&t->se.link);
	fault_end(&t->faults);
	receive_end(&t->receive);
	link_close(&t->se.link);
}

void target_leave_link(struct target *t)
{
	link_shut(&t->se.link);
	fault_detach(&t->faults);
	receive_end(&t->receive);
	link_close(&t->se.link);
	t->parked = true;
}
