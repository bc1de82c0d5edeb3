// SPDX-License-Identifier: MIT
/*
 * vcpu_apf.c - A reset of a vCPU that KVM has halted until a page is there
 *
 * Theory of operation
 *
 * A vCPU that touches a missing page with interrupts on does not sleep in the
 * fault: KVM has a kernel worker fetch the page, and halts the vCPU meanwhile
 * (asynchronous page fault, also for guests that never asked for it). User space
 * sees nothing of that halt: it is no MP state. It ends when the page is there;
 * but writing MSR_KVM_ASYNC_PF_EN, as a reset must, or an INIT, drops what the
 * vCPU waits for, and then it would stay halted for ever (Linux 6.18).
 *
 * The halt has two forms. A request that the vCPU takes on its next entry:
 * vcpu_apf_take() has it taken before the reset, by an entry that comes back
 * before the guest runs. And the halt itself: an AP loses it when the guest
 * starts it (INIT); the BSP is woken by vcpu_apf_wake(), with the delivery mode
 * "remote read", for which KVM does nothing but to end a halt.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "vcpu.h"

#define MSI_ADDRESS	0xfee00000u	/* to APIC ID 0, the BSP's */
#define MSI_REMOTE_READ	(3u << 8)	/* SDM vol. 3, "Delivery Mode" */

/* While the vCPU is in KVM_RUN, this thread takes only this signal */
static int set_mask(struct vcpu *v, int sig, struct error *err)
{
	const uint64_t set = ~(1ull << (sig - 1));	/* the kernel's sigset_t */
	_Alignas(struct kvm_signal_mask)
	uint8_t raw[sizeof(struct kvm_signal_mask) + sizeof(set)];
	struct kvm_signal_mask *mask = (struct kvm_signal_mask *)raw;

	mask->len = sizeof(set);
	memcpy(mask->sigset, &set, sizeof(set));
	return KVM_CALL(v->fd, KVM_SET_SIGNAL_MASK, mask, err);
}

/* All as it was before */
static int clear_mask(struct vcpu *v, struct error *err)
{
	return KVM_CALL(v->fd, KVM_SET_SIGNAL_MASK, NULL, err);
}

int vcpu_apf_take(struct vcpu *v, struct error *err)
{
	const struct timespec now = { 0 };
	sigset_t kick, old;
	int rc;

	sigemptyset(&kick);
	sigaddset(&kick, SIG_KICK);
	pthread_sigmask(SIG_BLOCK, &kick, &old);
	rc = set_mask(v, SIG_KICK, err);
	if (rc >= 0) {
		/* It waits already when KVM looks whether to enter the guest */
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

int vcpu_apf_wake(struct vcpu *v, struct error *err)
{
	struct kvm_msi msi = {
		.address_lo = MSI_ADDRESS, .data = MSI_REMOTE_READ,
	};
	int rc;

	if (v->index)
		return 0;
	rc = KVM_CALL(v->m->kvm.vm, KVM_SIGNAL_MSI, &msi, err);
	if (!rc)	/* nobody's: it would sleep for ever, and nobody know */
		rc = error_set(err, EIO, "vCPU 0 could not be woken");
	return rc < 0 ? rc : 0;
}
