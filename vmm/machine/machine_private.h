/* SPDX-License-Identifier: MIT */
/*
 * machine_private.h - struct machine, for vmm/machine/ and tests only
 *
 * scripts/lint rejects an include from any other directory.
 *
 * Lock order: inject_lock, settle_lock, a device's lock, notify_lock, lock. No
 * lock is taken while lock is held, except poison_list's own, the innermost.
 */
#ifndef FERRY_MACHINE_PRIVATE_H
#define FERRY_MACHINE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "flood.h"
#include "machine.h"
#include "machine_images.h"
#include "vmm/devices/bus.h"
#include "vmm/kvm/kvm.h"
#include "x86_arch.h"

struct vcpu;

/* What the vCPU threads may do */
enum gate_state {
	GATE_PARK,	/* each thread completes its exit and waits */
	GATE_RUN,	/* they run the guest */
	GATE_END,	/* they end; final */
};

/**
 * struct reset_thread - The thread of machine_reset_start()
 * @id:		its number
 * @started:	it must be joined; only for the thread that starts and joins it
 * @running:	it has not decided to end; under the machine's lock, as @again
 * @again:	another reset was requested while it ran
 */
struct reset_thread {
	pthread_t id;
	bool started, running, again;
};

/**
 * struct machine - A virtual machine
 * @cfg:	what it was built from
 * @kvm:	its VM
 * @ram:	its RAM
 * @dirty_on:	KVM logs writes (dirty.h); of the thread that started it
 * @dirty_manual: pages are write protected when they are cleared
 * @fdt:	its description, flattened; @fdt_size bytes
 * @vcpu:	@cfg.cpus vCPUs
 * @arch:	the architecture's part
 * @observer:	receives notifications
 * @image:	what a reset starts it from; @restart does so
 * @initial:	its state when it was built, which a reset loads
 * @bus:	its devices
 * @settle_lock: held while the devices follow the gate (machine_devices.h)
 * @notify_lock: held while the status changes and its observer is called, so
 *		that notifications arrive in the order of the changes
 * @inject_lock: one page at a time is poisoned on purpose, and none while a
 *		reset replaces RAM
 * @poison_uffd: userfaultfd that makes poison markers, or -1; under inject_lock
 * @poison:	lost memory
 * @broadcast_lock: one vCPU at a time asks the others to enter its machine check
 * @untimed:	it was logged that a vCPU has no timer
 * @walled:	a vCPU is ending the guest because of ram_wall()
 * @lock:	protects all members below
 * @changed:	signalled when any of them changes
 * @gate:	what the vCPU threads may do
 * @held:	a holder keeps others from starting and stopping it
 * @parked:	number of vCPU threads that wait at the gate
 * @status:	the run status
 * @reset:	a reset is requested: the gate stays closed
 * @resetting:	a reset is being carried out
 * @no_reboot:	a reset ends the machine
 * @reset_thread: carries out resets
 * @panicked:	the guest panicked and was not started since
 * @crash_loaded: the guest's crash kernel was reported since the last reset
 * @reset_flood: limits how often the guest is reset at its own request
 * @failure_flood: limits machine_failure_again()
 * @last_failure: the last one that was counted there
 * @ram_hook:	the migration's hook, or all zero
 * @hook_busy:	a page is being poisoned, and @ram_hook was or will be called
 */
struct machine {
	struct machine_config cfg;
	struct kvm kvm;
	struct ram ram;
	bool dirty_on, dirty_manual;
	void *fdt;
	size_t fdt_size;
	struct vcpu *vcpu;
	struct arch_machine arch;
	struct machine_observer observer;
	struct machine_image image[MACHINE_IMAGES];
	machine_restart_fn *restart;
	struct writer initial;

	struct bus bus;
	pthread_mutex_t settle_lock;

	pthread_mutex_t notify_lock;
	pthread_mutex_t inject_lock;
	int poison_uffd;
	struct poison_list poison;
	pthread_mutex_t broadcast_lock;
	_Atomic bool walled, untimed;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum gate_state gate;
	bool held;
	unsigned parked;
	struct run_status status;
	enum reset_cause reset;
	bool resetting, no_reboot;
	struct reset_thread reset_thread;
	bool panicked, crash_loaded;
	struct flood reset_flood, failure_flood;
	struct memory_failure last_failure;
	struct ram_hook ram_hook;
	bool hook_busy;
};

/**
 * machine_slot() - The memslot with a number
 * @m:		the machine, with its RAM
 * @slot:	the number
 * @s:		filled in, without flags
 *
 * Return: false if there are not so many
 */
bool machine_slot(const struct machine *m, unsigned slot, struct kvm_slot *s);

/**
 * machine_load_initial() - Take over the state that the machine was built with
 * @m:		the machine, its vCPUs parked and its devices quiesced
 * @err:	the reason on failure
 *
 * Lasting devices and the vCPUs' clocks keep their state. A requested reset and
 * a panic stay as they are.
 *
 * Return: 0, -errno
 */
int machine_load_initial(struct machine *m, struct error *err);

/**
 * machine_reset_join() - Wait for the reset thread
 * @m:		the machine, whose reset has ended or whose gate is at GATE_END
 */
void machine_reset_join(struct machine *m);

/**
 * ram_hook_begin() - Get the hook, and keep it until ram_hook_end()
 * @m:		the machine, with inject_lock held
 *
 * Return: the hook that is installed; all zero if none is
 */
struct ram_hook ram_hook_begin(struct machine *m);

/** ram_hook_end() - The hook's functions have returned: it may be replaced */
void ram_hook_end(struct machine *m);

#endif /* FERRY_MACHINE_PRIVATE_H */
