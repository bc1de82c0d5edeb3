// SPDX-License-Identifier: MIT
/* machine.c - A virtual machine: RAM, vCPUs, devices, and what it is doing */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "description.h"
#include "machine.h"
#include "vcpu.h"

/* A vCPU comes out of the guest in microseconds; one that waits for a page
 * from a slow peer may take as long as that page
 */
#define PAUSE_DEADLINE_MS	5000
#define KICK_AGAIN_MS		10
#define HALT_DEADLINE_MS	1000

static void init_sync(struct machine *m)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&m->device_lock, NULL);
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->inject_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->changed, &attr);
	pthread_condattr_destroy(&attr);
}

static int map_ram(struct machine *m, struct error *err)
{
	int rc = ram_create(&m->ram, m->cfg.memory, m->cfg.backing, err);

	for (unsigned i = 0; !rc && i < m->ram.regions; i++) {
		const struct ram_region *r = &m->ram.region[i];

		rc = kvm_set_memory(&m->kvm, i, r->gpa, r->size,
				    m->ram.base + r->offset, err);
	}
	return rc;
}

static int add_vcpus(struct machine *m, struct error *err)
{
	int rc = 0;

	m->vcpu = calloc(m->cfg.cpus, sizeof(*m->vcpu));
	if (!m->vcpu)
		return error_set(err, ENOMEM, "out of memory for vCPUs");
	for (unsigned i = 0; i < m->cfg.cpus && rc >= 0; i++)
		rc = vcpu_new(&m->vcpu[i], m, i, err);
	if (rc >= 0)
		vcpu_msr_probe(&m->vcpu[0]);
	return rc < 0 ? rc : 0;
}

static int build(struct machine *m, struct error *err)
{
	int rc;

	rc = kvm_open(&m->kvm, err);
	if (!rc)
		rc = kvm_msr_list(&m->kvm, &m->msr, &m->msrs, err);
	if (!rc)
		rc = description_build(&m->cfg, &m->fdt, &m->fdt_size, err);
	if (!rc)
		rc = map_ram(m, err);
	if (!rc)
		rc = devices_init(m, err);
	return rc ? rc : add_vcpus(m, err);
}

struct machine *machine_new(const struct machine_config *cfg,
			    const struct machine_observer *obs,
			    struct error *err)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m) {
		error_set(err, ENOMEM, "out of memory for a machine");
		return NULL;
	}
	m->cfg = *cfg;
	m->observer = *obs;
	m->kvm = (struct kvm){ .sys = -1, .vm = -1 };
	m->ram.memfd = -1;
	m->poison_uffd = -1;
	m->status = (struct run_status){ RUN_PRELAUNCH, WHY_STARTING_UP };
	init_sync(m);
	poison_init(&m->poison);
	if (build(m, err)) {
		machine_free(m);
		return NULL;
	}
	return m;
}

static void set_gate(struct machine *m, enum gate gate)
{
	pthread_mutex_lock(&m->lock);
	/* The end is final: a vCPU may crash while it is being ended */
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

void machine_halt(struct machine *m)
{
	set_gate(m, GATE_END);
	for (unsigned ms = 0; ms < HALT_DEADLINE_MS; ms++) {
		kick_all(m);
		if (!any_inside(m))
			break;
		usleep(1000);
	}
}

void machine_free(struct machine *m)
{
	if (!m)
		return;
	machine_halt(m);
	for (unsigned i = 0; m->vcpu && i < m->cfg.cpus; i++)
		vcpu_join(&m->vcpu[i]);
	for (unsigned i = 0; m->vcpu && i < m->cfg.cpus; i++)
		vcpu_free(&m->vcpu[i]);
	free(m->vcpu);
	devices_fini(m);
	kvm_close(&m->kvm);
	ram_destroy(&m->ram);
	if (m->poison_uffd >= 0)
		close(m->poison_uffd);
	poison_fini(&m->poison);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->inject_lock);
	pthread_mutex_destroy(&m->device_lock);
	free(m->fdt);
	free(m->msr);
	free(m);
}

void machine_set_status(struct machine *m, struct run_status s)
{
	pthread_mutex_lock(&m->lock);
	m->status = s;
	pthread_mutex_unlock(&m->lock);
	m->observer.status(m->observer.ctx, s);
}

struct run_status machine_status(struct machine *m)
{
	struct run_status s;

	pthread_mutex_lock(&m->lock);
	s = m->status;
	pthread_mutex_unlock(&m->lock);
	return s;
}

bool machine_ended(struct machine *m)
{
	struct run_status s = machine_status(m);

	return s.state == RUN_SHUTDOWN || s.state == RUN_INTERNAL_ERROR;
}

static int may_run(const struct machine *m, struct error *err)
{
	if (m->held)
		return error_set(err, EBUSY, "the guest is being migrated");
	if (m->status.state == RUN_SHUTDOWN ||
	    m->status.state == RUN_INTERNAL_ERROR)
		return error_set(err, ECANCELED, "the guest has ended");
	return 0;
}

int machine_run(struct machine *m, enum run_reason why, struct error *err)
{
	const struct run_status s = { RUN_RUNNING, why };
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = may_run(m, err);
	if (!rc) {
		m->status = s;
		if (m->gate != GATE_END)
			m->gate = GATE_RUN;
		pthread_cond_broadcast(&m->changed);
	}
	pthread_mutex_unlock(&m->lock);
	if (!rc)
		m->observer.status(m->observer.ctx, s);
	return rc;
}

static struct timespec ms_from_now(unsigned ms)
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

/* Wait until all have parked, kicking again those that a kick went past */
static bool wait_parked(struct machine *m)
{
	bool all;

	for (unsigned ms = 0; ms < PAUSE_DEADLINE_MS; ms += KICK_AGAIN_MS) {
		struct timespec until = ms_from_now(KICK_AGAIN_MS);
		int rc = 0;

		kick_all(m);
		pthread_mutex_lock(&m->lock);
		while (m->parked < m->cfg.cpus && !rc)
			rc = pthread_cond_timedwait(&m->changed, &m->lock,
						    &until);
		all = m->parked == m->cfg.cpus;
		pthread_mutex_unlock(&m->lock);
		if (all)
			return true;
	}
	return false;
}

/* What other threads asked a vCPU to tell its guest is state, too */
static void deliver_asked(struct machine *m)
{
	for (unsigned i = 0; i < m->cfg.cpus; i++)
		vcpu_deliver(&m->vcpu[i]);
}

/*
 * A pause that failed lets the guest go on, but not when another one took the
 * machine meanwhile
 */
static void reopen(struct machine *m, bool was_open, bool holder)
{
	pthread_mutex_lock(&m->lock);
	if (holder)
		m->held = false;
	if (was_open && m->gate == GATE_PARK && !may_run(m, NULL)) {
		m->gate = GATE_RUN;
		pthread_cond_broadcast(&m->changed);
	}
	pthread_mutex_unlock(&m->lock);
}

/* Close the gate and wait. On failure the vCPUs that can still run do */
static int park_all(struct machine *m, bool was_open, bool holder,
		    struct error *err)
{
	set_gate(m, GATE_PARK);
	if (wait_parked(m)) {
		deliver_asked(m);
		return 0;
	}
	reopen(m, was_open, holder);
	return error_set(err, ETIMEDOUT,
		"a vCPU did not stop within %d s: it waits for memory that the other side has not sent",
		PAUSE_DEADLINE_MS / 1000);
}

/* Set the status of a pause, unless things have changed meanwhile */
static int show_paused(struct machine *m, struct run_status s, bool holder,
		       struct error *err)
{
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = holder && m->held ? 0 : may_run(m, err);
	if (holder && (m->status.state == RUN_SHUTDOWN ||
		       m->status.state == RUN_INTERNAL_ERROR))
		rc = error_set(err, ECANCELED, "the guest has ended");
	if (!rc)
		m->status = s;
	pthread_mutex_unlock(&m->lock);
	if (!rc)
		m->observer.status(m->observer.ctx, s);
	return rc;
}

int machine_pause(struct machine *m, enum run_state state,
		  enum run_reason why, struct error *err)
{
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = may_run(m, err);
	pthread_mutex_unlock(&m->lock);
	if (!rc)
		rc = park_all(m, true, false, err);
	return rc ? rc : show_paused(m, (struct run_status){ state, why },
				     false, err);
}

int machine_hold(struct machine *m, struct run_status *before,
		 struct error *err)
{
	const struct run_status s = { RUN_FINISH_MIGRATE, WHY_MIGRATION };
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = may_run(m, err);
	if (!rc)
		m->held = true;
	*before = m->status;
	pthread_mutex_unlock(&m->lock);
	if (rc)
		return rc;
	rc = park_all(m, before->state == RUN_RUNNING, true, err);
	if (!rc)
		rc = show_paused(m, s, true, err);
	if (rc)
		machine_release(m);
	return rc;
}

void machine_release(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->held = false;
	pthread_mutex_unlock(&m->lock);
}

bool machine_held(struct machine *m)
{
	bool held;

	pthread_mutex_lock(&m->lock);
	held = m->held;
	pthread_mutex_unlock(&m->lock);
	return held;
}

void machine_set_reason(struct machine *m, enum run_reason from,
			enum run_reason to)
{
	struct run_status s;
	bool changed;

	pthread_mutex_lock(&m->lock);
	changed = m->status.reason == from;
	if (changed)
		m->status.reason = to;
	s = m->status;
	pthread_mutex_unlock(&m->lock);
	if (changed)
		m->observer.status(m->observer.ctx, s);
}

void machine_crash(struct machine *m)
{
	set_gate(m, GATE_PARK);
	kick_all(m);
	machine_set_status(m, (struct run_status){ RUN_INTERNAL_ERROR,
						   WHY_CRASHED });
}

void machine_guest_exit(struct machine *m, int status)
{
	set_gate(m, GATE_PARK);
	kick_all(m);
	machine_set_status(m, (struct run_status){ RUN_SHUTDOWN,
						   WHY_SHUTDOWN });
	m->observer.exit(m->observer.ctx, status);
}

void machine_serial_out(struct machine *m, uint8_t byte)
{
	m->observer.output(m->observer.ctx, &byte, 1);
}

void *machine_device(struct machine *m, const struct device_ops *ops)
{
	for (unsigned i = 0; i < DEVICES; i++)
		if (device_list[i] == ops)
			return m->device[i];
	return NULL;
}

int machine_save(struct machine *m, struct writer *w, struct error *err)
{
	int rc;

	rc = devices_save(m, w, err);
	put_u32(w, m->cfg.cpus);
	for (unsigned i = 0; i < m->cfg.cpus && rc >= 0; i++) {
		size_t mark = put_open(w);

		rc = vcpu_save(&m->vcpu[i], w, err);
		put_close(w, mark);
	}
	if (rc >= 0 && w->failed)
		rc = error_set(err, ENOMEM, "out of memory for the state");
	return rc < 0 ? rc : 0;
}

int machine_load(struct machine *m, struct reader *r, struct error *err)
{
	uint32_t n;
	int rc;

	rc = devices_load(m, r, err);
	if (rc < 0)
		return rc;
	n = get_u32(r);
	if (n != m->cfg.cpus)
		return error_set(err, EBADMSG,
				 "state of %u vCPUs for a machine with %u", n,
				 m->cfg.cpus);
	for (unsigned i = 0; i < n && rc >= 0; i++) {
		struct reader part = get_part(r);

		rc = vcpu_load(&m->vcpu[i], &part, err);
		if (rc >= 0 && !reader_done(&part))
			rc = error_set(err, EBADMSG,
				"vCPU %u: state of the wrong length", i);
	}
	if (rc >= 0 && !reader_done(r))
		rc = error_set(err, EBADMSG, "state has something behind it");
	return rc < 0 ? rc : 0;
}

void machine_set_pager(struct machine *m, const struct pager *p)
{
	pthread_mutex_lock(&m->lock);
	m->pager = p ? *p : (struct pager){ 0 };
	pthread_mutex_unlock(&m->lock);
}

void machine_failure(struct machine *m, const struct memory_failure *f)
{
	m->observer.failure(m->observer.ctx, f);
}
