// SPDX-License-Identifier: MIT
/* vcpu.c - A virtual processor and its thread */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch.h"
#include "vcpu.h"
#include "vcpu_exit.h"

#ifndef sigev_notify_thread_id	/* glibc before 2.38 */
#define sigev_notify_thread_id	_sigev_un._tid
#endif

static _Thread_local struct vcpu *this_vcpu;

/*
 * The signal interrupts KVM_RUN. A timer's may come before the thread has
 * entered, so it sets immediate_exit, as vcpu_kick() does. So does every other:
 * of two that are pending the kernel drops one, which may be the timer's
 */
static void on_kick(int sig)
{
	(void)sig;
	if (this_vcpu)
		vcpu_immediate_exit(this_vcpu, 1);
}

void vcpu_kick(struct vcpu *v)
{
	vcpu_immediate_exit(v, 1);
	pthread_mutex_lock(&v->kick_lock);
	if (v->kickable)
		pthread_kill(v->thread, SIG_KICK);
	pthread_mutex_unlock(&v->kick_lock);
}

static int make_timer(struct vcpu *v)
{
	struct sigevent e = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIG_KICK,
	};

	e.sigev_notify_thread_id = v->tid;
	if (timer_create(CLOCK_MONOTONIC, &e, &v->timer))
		return -errno;
	v->has_timer = true;
	return 0;
}

int vcpu_kick_later(struct vcpu *v, unsigned ms)
{
	const struct itimerspec t = {
		.it_value = { .tv_sec = ms / 1000,
			      .tv_nsec = ms % 1000 * 1000000l },
	};
	int rc = v->has_timer ? 0 : make_timer(v);

	if (rc)
		return rc;
	return timer_settime(v->timer, 0, &t, NULL) ? -errno : 0;
}

static void set_kickable(struct vcpu *v, bool kickable)
{
	pthread_mutex_lock(&v->kick_lock);
	v->kickable = kickable;
	pthread_mutex_unlock(&v->kick_lock);
}

static enum gate_state read_gate(struct machine *m)
{
	enum gate_state gate;

	pthread_mutex_lock(&m->lock);
	gate = m->gate;
	pthread_mutex_unlock(&m->lock);
	return gate;
}

static void wait_at_gate(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->parked++;
	pthread_cond_broadcast(&m->changed);
	while (m->gate == GATE_PARK)
		pthread_cond_wait(&m->changed, &m->lock);
	m->parked--;
	pthread_mutex_unlock(&m->lock);
}

/*
 * Wait until the gate is open. Return: false if it is at GATE_END
 *
 * Every vCPU that starts on this host has waited here: after a pause, a dump, a
 * reset, and on a destination.
 */
static bool pass_gate(struct vcpu *v)
{
	struct machine *m = v->m;
	enum gate_state gate;

	vcpu_immediate_exit(v, 0);
	while ((gate = read_gate(m)) == GATE_PARK) {
		vcpu_complete(v);
		wait_at_gate(m);
		arch_vcpu_resume(v);
		vcpu_immediate_exit(v, 0);
	}
	return gate == GATE_RUN;
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;

	this_vcpu = v;
	sigbus_watch(&v->sigbus);
	v->tid = gettid();
	while (pass_gate(v))
		vcpu_step(v);
	sigbus_watch(NULL);
	return NULL;
}

static int start_thread(struct vcpu *v, struct error *err)
{
	struct sigaction sa = { .sa_handler = on_kick };
	sigset_t block, old;
	char name[16];
	int rc;

	sigaction(SIG_KICK, &sa, NULL);
	/* All other signals go to the main thread */
	sigfillset(&block);
	sigdelset(&block, SIG_KICK);
	sigdelset(&block, SIGBUS);
	sigdelset(&block, SIGSYS);	/* sandbox.h */
	pthread_sigmask(SIG_SETMASK, &block, &old);
	rc = pthread_create(&v->thread, NULL, vcpu_main, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return error_set(err, rc, "cannot start vCPU %u: %s",
				 v->index, strerrordesc_np(rc));
	v->started = true;
	set_kickable(v, true);
	snprintf(name, sizeof(name), "vcpu%u", v->index);
	pthread_setname_np(v->thread, name);
	return 0;
}

int vcpu_new(struct vcpu *v, struct machine *m, unsigned index,
	     struct error *err)
{
	int rc;

	*v = (struct vcpu){ .m = m, .index = index, .fd = -1,
			    .blocking.fd = -1, .halted.fd = -1,
			    .polled.fd = -1, .exits.fd = -1 };
	pthread_mutex_init(&v->kick_lock, NULL);
	v->fd = rc = KVM_CALL(m->kvm.vm, KVM_CREATE_VCPU, index, err);
	if (rc < 0)
		return rc;
	v->run = mmap(NULL, m->kvm.run_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return error_set(err, errno, "cannot map vCPU %u: %s", index,
				 strerrordesc_np(errno));
	}
	kvm_stat_open(&v->blocking, v->fd, "blocking");
	kvm_stat_open(&v->halted, v->fd, "halt_wait_ns");
	kvm_stat_open(&v->polled, v->fd, "halt_poll_success_ns");
	kvm_stat_open(&v->exits, v->fd, "exits");
	rc = arch_vcpu_init(v, err);
	return rc < 0 ? rc : start_thread(v, err);
}

void vcpu_join(struct vcpu *v)
{
	if (!v->started)
		return;
	set_kickable(v, false);
	pthread_join(v->thread, NULL);
	v->started = false;
	if (v->has_timer)
		timer_delete(v->timer);
	v->has_timer = false;
}

void vcpu_free(struct vcpu *v)
{
	if (v->run)
		munmap(v->run, v->m->kvm.run_size);
	/* A vCPU that was never made is all zero */
	if (v->m) {
		kvm_stat_close(&v->blocking);
		kvm_stat_close(&v->halted);
		kvm_stat_close(&v->polled);
		kvm_stat_close(&v->exits);
	}
	if (v->m && v->fd >= 0)
		close(v->fd);
	if (v->m)
		pthread_mutex_destroy(&v->kick_lock);
	*v = (struct vcpu){ .fd = -1, .blocking.fd = -1,
			    .halted.fd = -1, .polled.fd = -1,
			    .exits.fd = -1 };
}
