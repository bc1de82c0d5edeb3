// SPDX-License-Identifier: MIT
/* vcpu.c - A virtual processor and its thread */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vcpu.h"
#include "vmm/base/log.h"
#include "vmm/cpu/cpuid.h"

/* Only here so that the signal interrupts KVM_RUN instead of being ignored */
static void on_kick(int sig)
{
	(void)sig;
}

bool vcpu_blocking(const struct vcpu *v)
{
	return kvm_stat_read(&v->blocking);
}

void vcpu_kick(struct vcpu *v)
{
	vcpu_immediate_exit(v, 1);
	if (v->tid)
		pthread_kill(v->thread, SIG_KICK);
}

/* Wait until the gate is open. Return: false if it's for ever closed */
static bool pass_gate(struct vcpu *v)
{
	struct machine *m = v->m;
	bool run;

	vcpu_immediate_exit(v, 0);
	pthread_mutex_lock(&m->lock);
	if (m->gate == GATE_PARK) {
		pthread_mutex_unlock(&m->lock);
		vcpu_complete(v);
		vcpu_immediate_exit(v, 0);
		pthread_mutex_lock(&m->lock);
		m->parked++;
		pthread_cond_broadcast(&m->changed);
		while (m->gate == GATE_PARK)
			pthread_cond_wait(&m->changed, &m->lock);
		m->parked--;
	}
	run = m->gate == GATE_RUN;
	pthread_mutex_unlock(&m->lock);
	return run;
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;

	sigbus_watch(&v->sigbus);
	v->tid = gettid();
	while (pass_gate(v))
		vcpu_step(v);
	sigbus_watch(NULL);
	return NULL;
}

static int start(struct vcpu *v, struct error *err)
{
	struct sigaction sa = { .sa_handler = on_kick };
	sigset_t block, old;
	char name[16];
	int rc;

	sigaction(SIG_KICK, &sa, NULL);
	/* Everything else is for the main thread */
	sigfillset(&block);
	sigdelset(&block, SIG_KICK);
	sigdelset(&block, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &block, &old);
	rc = pthread_create(&v->thread, NULL, vcpu_main, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return error_set(err, rc, "cannot start vCPU %u: %s",
				 v->index, strerrordesc_np(rc));
	v->started = true;
	snprintf(name, sizeof(name), "vcpu%u", v->index);
	pthread_setname_np(v->thread, name);
	return 0;
}

/* KVM_SET_CPUID2 wants each vCPU's own APIC ID in the leaves that name it */
static int set_cpuid(struct vcpu *v, struct error *err)
{
	struct kvm_cpuid_table t = v->m->cfg.cpuid;

	cpuid_vcpu(&t, v->index);
	return KVM_CALL(v->fd, KVM_SET_CPUID2, &t, err);
}

/*
 * kvm_amd takes MCG_SER_P away from its vCPUs (svm_setup_mce()): AMD's
 * processors don't have it. A guest that believes in an Intel one needs it, and
 * what it promises is Ferry's to keep: so Ferry says what MCG_CAP is.
 */
static int offer_recovery(struct vcpu *v, struct error *err)
{
	uint64_t cap;

	if (v->m->cfg.vendor != VENDOR_INTEL ||
	    kvm_get_msr(v->fd, MSR_MCG_CAP, &cap) ||
	    cap == v->m->kvm.mce_cap)
		return 0;
	return kvm_take_msr(&v->m->kvm, MSR_MCG_CAP, err);
}

int vcpu_new(struct vcpu *v, struct machine *m, unsigned index,
	     struct error *err)
{
	int rc;

	*v = (struct vcpu){ .m = m, .index = index, .fd = -1,
			    .blocking.fd = -1 };
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
	rc = set_cpuid(v, err);
	if (rc >= 0)
		rc = KVM_CALL(v->fd, KVM_X86_SETUP_MCE, &m->kvm.mce_cap, err);
	if (rc >= 0 && !index)
		rc = offer_recovery(v, err);
	return rc < 0 ? rc : start(v, err);
}

void vcpu_join(struct vcpu *v)
{
	if (v->started)
		pthread_join(v->thread, NULL);
	v->started = false;
}

void vcpu_free(struct vcpu *v)
{
	if (v->run)
		munmap(v->run, v->m->kvm.run_size);
	/* Of a vCPU that was never made, all is zero */
	if (v->m)
		kvm_stat_close(&v->blocking);
	if (v->m && v->fd >= 0)
		close(v->fd);
	*v = (struct vcpu){ .fd = -1, .blocking.fd = -1 };
}

int vcpu_boot(struct vcpu *v, uint32_t entry, uint32_t info,
	      struct error *err)
{
	/* Xen's PVH start: 32 bit, flat, protected, no paging, ebx = info */
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 8, .type = 0xb,
		.present = 1, .db = 1, .s = 1, .g = 1,
	};
	struct kvm_segment data = code;
	struct kvm_segment tss = { .limit = 0x67, .type = 0xb, .present = 1 };
	struct kvm_regs regs = { .rip = entry, .rbx = info, .rflags = 2 };
	struct kvm_sregs s;
	int rc;

	rc = KVM_CALL(v->fd, KVM_GET_SREGS, &s, err);
	if (rc)
		return rc;
	data.type = 3;
	data.selector = 16;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr = tss;
	s.cr0 = 0x11;			/* PE, ET */
	s.cr4 = s.efer = 0;
	rc = KVM_CALL(v->fd, KVM_SET_SREGS, &s, err);
	return rc ? rc : KVM_CALL(v->fd, KVM_SET_REGS, &regs, err);
}

#define CR0_PE		(1ull << 0)
#define CR0_ET		(1ull << 4)
#define CR0_PG		(1ull << 31)
#define CR4_PAE		(1ull << 5)
#define EFER_LME	(1ull << 8)
#define EFER_LMA	(1ull << 10)

int vcpu_boot_long(struct vcpu *v, const struct vcpu_long_start *start,
		   struct error *err)
{
	const struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 0x10, .type = 0xb,
		.present = 1, .l = 1, .s = 1, .g = 1,
	};
	const struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 0x18, .type = 3,
		.present = 1, .db = 1, .s = 1, .g = 1,
	};
	struct kvm_regs regs = {
		.rip = start->entry, .rsi = start->info, .rflags = 2,
	};
	struct kvm_sregs s;
	int rc;

	rc = KVM_CALL(v->fd, KVM_GET_SREGS, &s, err);
	if (rc)
		return rc;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr = (struct kvm_segment){ .limit = 0x67, .type = 0xb,
				     .present = 1 };
	s.gdt.base = start->gdt;
	s.gdt.limit = 4 * 8 - 1;
	s.cr3 = start->page_table;
	s.cr4 = CR4_PAE;
	s.efer = EFER_LME | EFER_LMA;
	s.cr0 = CR0_PE | CR0_ET | CR0_PG;
	rc = KVM_CALL(v->fd, KVM_SET_SREGS, &s, err);
	return rc ? rc : KVM_CALL(v->fd, KVM_SET_REGS, &regs, err);
}
