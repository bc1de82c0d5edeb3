// SPDX-License-Identifier: MIT
/* gate.c - Stop the vCPU threads and let them run */

#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "gate.h"
#include "machine_private.h"
#include "vcpu.h"

#define KICK_AGAIN_MS		10

static void gate_set(struct machine *m, enum gate_state gate)
{
	pthread_mutex_lock(&m->lock);
	/* GATE_END is final: a vCPU may crash while the machine is freed */
	if (m->gate != GATE_END)
		m->gate = gate;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

static void kick_all(struct machine *m)
{
	for (unsigned i = 0; m->vcpu && i < m->cfg.cpus; i++)
		if (m->vcpu[i].started)
			vcpu_kick(&m->vcpu[i]);
}

static bool any_inside(struct machine *m)
{
	for (unsigned i = 0; m->vcpu && i < m->cfg.cpus; i++)
		if (m->vcpu[i].inside)
			return true;
	return false;
}

void gate_close(struct machine *m)
{
	gate_set(m, GATE_PARK);
	kick_all(m);
}

struct timespec gate_deadline(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

bool gate_wait(struct machine *m)
{
	bool all, ended;

	for (unsigned ms = 0; ms < GATE_DEADLINE_MS; ms += KICK_AGAIN_MS) {
		struct timespec until = gate_deadline(KICK_AGAIN_MS);
		int rc = 0;

		kick_all(m);
		pthread_mutex_lock(&m->lock);
		while (m->parked < m->cfg.cpus && m->gate != GATE_END && !rc)
			rc = pthread_cond_timedwait(&m->changed, &m->lock,
						    &until);
		all = m->parked == m->cfg.cpus;
		ended = m->gate == GATE_END;
		pthread_mutex_unlock(&m->lock);
		if (all || ended)
			return all && !ended;
	}
	return false;
}

bool gate_park(struct machine *m)
{
	gate_set(m, GATE_PARK);
	return gate_wait(m);
}

void gate_reopen(struct machine *m)
{
	if (m->gate == GATE_PARK && m->status.state == RUN_RUNNING &&
	    !m->reset && !m->resetting) {
		arch_clock_start(m);
		m->gate = GATE_RUN;
	}
	pthread_cond_broadcast(&m->changed);
}

void gate_end(struct machine *m)
{
	gate_set(m, GATE_END);
	for (unsigned ms = 0; ms < GATE_END_MS; ms++) {
		kick_all(m);
		if (!any_inside(m))
			break;
		usleep(1000);
	}
}
