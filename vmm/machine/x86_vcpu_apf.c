// SPDX-License-Identifier: MIT
/*
 * x86_vcpu_apf.c - x86: reset a vCPU that KVM has halted until a page arrives
 *
 * Theory of operation
 *
 * A vCPU that touches a missing page while its interrupts are on does not
 * sleep in the fault: KVM has a kernel worker fetch the page and halts the
 * vCPU meanwhile (asynchronous page fault, also for guests that never asked
 * for it). User space does not see that halt: it is no MP state. It ends when
 * the page arrives. But writing MSR_KVM_ASYNC_PF_EN, which a reset must do, or
 * an INIT, drops what the vCPU waits for, and then it stays halted for ever
 * (Linux 6.18).
 *
 * The halt has two forms. The first is a request that the vCPU takes at its
 * next entry: x86_apf_take() has it taken before the reset, by an entry that
 * returns before the guest runs. The second is the halt itself: an AP loses it
 * when the guest starts it (INIT); x86_apf_wake() wakes the BSP, by an
 * interrupt with the delivery mode "remote read", for which KVM does nothing
 * except end a halt.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "arch.h"
#include "vcpu.h"

#define MSI_ADDRESS	0xfee00000u	/* to APIC ID 0, the BSP's */
#define MSI_REMOTE_READ	(3u << 8)	/* SDM vol. 3, "Delivery Mode" */

/* While the vCPU is in KVM_RUN, its thread takes only this signal */
static int set_mask(struct vcpu *v, int sig, struct error *err)
{
	const uint64_t set = ~(1ull << (sig - 1));	/* kernel's sigset_t */
	_Alignas(struct kvm_signal_mask)
	uint8_t raw[sizeof(struct kvm_signal_mask) + sizeof(set)];
	struct kvm_signal_mask *mask = (struct kvm_signal_mask *)raw;

	mask->len = sizeof(set);
	memcpy(mask->sigset, &set, sizeof(set));
	return KVM_CALL(v->fd, KVM_SET_SIGNAL_MASK, mask, err);
}

static int clear_mask(struct vcpu *v, struct error *err)
{
	return KVM_CALL(v->fd, KVM_SET_SIGNAL_MASK, NULL, err);
}

int x86_apf_take(struct vcpu *v, struct error *err)
{
	const struct timespec now = { 0 };
	sigset_t kick, old;
	int rc;

	sigemptyset(&kick);
	sigaddset(&kick, SIG_KICK);
	pthread_sigmask(SIG_BLOCK, &kick, &old);
	rc = set_mask(v, SIG_KICK, err);
	if (rc >= 0) {
		/* Pending before KVM checks whether to enter the guest */
		pthread_kill(pthread_self(), SIG_KICK);
		vcpu_immediate_exit(v, 0);
		ioctl(v->fd, KVM_RUN, 0);
		while (sigtimedwait(&kick, NULL, &now) > 0 || errno == EINTR)
			;
		rc = clear_mask(v, err);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

int x86_apf_wake(struct vcpu *v, struct error *err)
{
	struct kvm_msi msi = {
		.address_lo = MSI_ADDRESS, .data = MSI_REMOTE_READ,
	};
	int rc;

	if (v->index)
		return 0;
	rc = KVM_CALL(v->m->kvm.vm, KVM_SIGNAL_MSI, &msi, err);
	if (!rc)	/* not delivered: the vCPU would stay halted */
		rc = error_set(err, EIO, "vCPU 0 could not be woken");
	return rc < 0 ? rc : 0;
}
