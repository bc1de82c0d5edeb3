/* SPDX-License-Identifier: MIT */
/*
 * machine.h - A virtual machine: RAM, vCPUs, devices, and what it is doing
 *
 * Built from a struct machine_config, which is also what the description
 * (description.h) holds. It knows nothing of migration: whoever moves it
 * pauses it, saves and loads its state, and may put itself between the
 * machine and its RAM with a struct pager.
 *
 * Lock order: settling, a device's lock, telling, lock; nothing else is taken
 * under lock.
 */
#ifndef FERRY_MACHINE_H
#define FERRY_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runstate.h"
#include "vmm/base/bytes.h"
#include "vmm/base/error.h"
#include "vmm/boot/boot_image.h"
#include "vmm/cpu/mce.h"
#include "vmm/devices/bus.h"
#include "vmm/kvm/kvm.h"
#include "vmm/memory/poison.h"
#include "vmm/memory/ram.h"

#define MACHINE_CPUS_MAX	64
#define MACHINE_BOOTARGS_MAX	2048

struct vcpu;

/**
 * struct machine_config - All that a machine is built from
 * @memory:	bytes of RAM
 * @cpus:	number of vCPUs
 * @backing:	kind of RAM
 * @vendor:	whose machine-check format the guest expects
 * @host_id:	CPUID identification of the hosts that it may run on
 * @tsc_khz:	frequency of the TSC, kHz
 * @bootargs:	the guest's command line
 * @cpuid:	the guest's CPUID leaves, as vCPU 0 sees them
 * @devices:	its devices, in the order in which their state is saved
 */
struct machine_config {
	uint64_t memory;
	unsigned cpus;
	enum ram_backing backing;
	enum cpu_vendor vendor;
	char host_id[13];
	uint32_t tsc_khz;
	char bootargs[MACHINE_BOOTARGS_MAX];
	struct kvm_cpuid_table cpuid;
	struct device_list devices;
};

enum memory_failure_action {
	MF_NOTED,	/* lost, and nobody touched it yet */
	MF_INJECTED,	/* the guest got a machine check */
	MF_FATAL,	/* the guest could not take one */
};

/**
 * struct memory_failure - What is told of a memory error
 * @gpa:	guest-physical address
 * @size:	bytes
 * @action:	what was done about it
 * @required:	a vCPU consumed it
 * @recursive:	the guest was in a machine check already
 */
struct memory_failure {
	uint64_t gpa, size;
	enum memory_failure_action action;
	bool required, recursive;
};

/**
 * struct machine_observer - Who wants to know
 * @ctx:	handed to each
 * @status:	the run status changed
 * @failure:	a memory error was found or passed on
 * @exit:	the guest ended, with this status
 * @reset:	a reset was asked for: have machine_reset() called soon
 * @was_reset:	it is done, for this cause; no vCPU runs yet
 * @panic:	the guest's kernel has panicked; @paused if that stops it, else
 *		it deals with it and goes on
 * @output:	bytes that the guest wrote to its serial port
 *
 * Called from any thread, without locks held but a device's and telling; must
 * be short, and must not call back into the machine.
 */
struct machine_observer {
	void *ctx;
	void (*status)(void *ctx, struct run_status s);
	void (*failure)(void *ctx, const struct memory_failure *f);
	void (*exit)(void *ctx, int status);
	void (*reset)(void *ctx);
	void (*was_reset)(void *ctx, enum reset_cause cause);
	void (*panic)(void *ctx, bool paused);
	void (*output)(void *ctx, const uint8_t *data, size_t n);
};

/**
 * struct pager - Who stands between the machine and its RAM, if anybody
 * @ctx:	handed to it
 * @poison:	about to make the page at a RAM offset unreadable on purpose, by
 *		simulation or for real; return 0 if that was done, 1 to have it done
 *		in the ordinary way, -errno to refuse
 * @done:	an attempt in the ordinary way is over, successful or not; may
 *		be NULL
 * @missing:	pages of RAM may not be there yet: who reads one waits, and it
 *		must not be dropped
 */
struct pager {
	void *ctx;
	bool missing;
	int (*poison)(void *ctx, uint64_t offset, bool simulate,
		      struct error *err);
	void (*done)(void *ctx, uint64_t offset);
};

enum gate { GATE_PARK, GATE_RUN, GATE_END };

struct machine {
	struct machine_config cfg;
	struct kvm kvm;
	struct ram ram;
	void *fdt;			/* description, flattened */
	size_t fdt_size;
	struct vcpu *vcpu;		/* cfg.cpus of them */
	uint32_t *msr;			/* MSRs that are state */
	unsigned msrs;
	struct machine_observer observer;
	struct boot_images boot;	/* what a reset starts it from */
	struct writer initial;		/* its state when it was built */

	struct bus bus;			/* its devices */
	pthread_mutex_t settling;	/* see machine_settle_devices() */
	bool tsc_shifts;		/* by tsc_shift, when state is loaded: */
	uint64_t tsc_shift;		/* x86_clock_tsc_shift() */

	pthread_mutex_t telling;	/* held while a change of the status is told:
					 * so that they are told in order
					 */
	pthread_mutex_t lock;		/* protects all below */
	pthread_cond_t changed;
	enum gate gate;
	bool held;			/* see machine_hold() */
	unsigned parked;		/* vCPU threads that wait at the gate */
	struct run_status status;
	enum reset_cause reset;		/* asked for: the gate stays closed */
	bool resetting;			/* and just being done */
	bool panicked;			/* and nobody let it go on since */
	struct pager pager;
	int poison_uffd;		/* for poison made here, or -1 */

	struct poison_list poison;	/* has its own lock */
	_Atomic bool walled;		/* vcpu_walled() ends the guest */
	pthread_mutex_t inject_lock;	/* one poisoning on purpose at a time, and
					 * none while RAM is renewed
					 */
};

/**
 * machine_config_host() - Fill in what this host decides: CPUID and TSC
 * @cfg:	memory and cpus are given; vendor, host_id, cpuid and tsc_khz are set
 * @model:	"host" for all that KVM supports, or "baseline"
 * @vendor:	"host", "amd" or "intel"
 * @err:	why not
 *
 * Return: 0, -ENOTSUP (naming what the host lacks), -errno
 */
int machine_config_host(struct machine_config *cfg, const char *model,
			const char *vendor, struct error *err);

/**
 * machine_new() - Build a machine; its vCPUs wait at the gate
 * @cfg:	what from; copied
 * @obs:	who wants to know; copied
 * @err:	why not
 *
 * Return: the machine, or NULL
 */
struct machine *machine_new(const struct machine_config *cfg,
			    const struct machine_observer *obs,
			    struct error *err);

/**
 * machine_halt() - No vCPU enters the guest any more
 * @m:		the machine, which can only be freed then
 *
 * Waits a second at most: for use before memory that vCPUs may wait for is let go.
 */
void machine_halt(struct machine *m);

/** machine_free() - End the vCPU threads and free all; NULL is fine */
void machine_free(struct machine *m);

/**
 * machine_run() - Let the vCPUs run
 * @m:		the machine
 * @why:	the reason to show
 * @err:	why not; may be NULL
 *
 * Return: 0, -EBUSY (held), -ECANCELED (the guest has ended)
 */
int machine_run(struct machine *m, enum run_reason why, struct error *err);

/**
 * machine_pause() - Stop all vCPUs, each with its pending exit completed
 * @m:		the machine
 * @state:	what to show
 * @why:	the reason to show
 * @err:	why not, naming the vCPU that did not stop
 *
 * Return: 0, -ETIMEDOUT (a vCPU waits for memory that nobody provides; all
 *	   run on), -EBUSY (held), -ECANCELED (the guest has ended meanwhile)
 */
int machine_pause(struct machine *m, enum run_state state,
		  enum run_reason why, struct error *err);

/**
 * machine_hold() - Pause, and keep it so whatever others ask for
 * @m:		the machine, running or not
 * @before:	set to what it did before
 * @err:	why not
 *
 * For a migration: neither machine_run() nor machine_pause() work until
 * machine_thaw(). The status is FINISH_MIGRATE afterwards.
 *
 * Return: as machine_pause()
 */
int machine_hold(struct machine *m, struct run_status *before,
		 struct error *err);

/**
 * machine_freeze() - Hold it still, to look at all of it
 * @m:		the machine, running or not; also one whose guest has ended
 * @before:	what it did before, for machine_thaw()
 * @err:	why not
 *
 * As machine_hold(), with the status SAVE_VM. A guest that has ended keeps its
 * status.
 *
 * Return: as machine_pause()
 */
int machine_freeze(struct machine *m, struct run_status *before,
		   struct error *err);

/**
 * machine_thaw() - Let it go on as before, unless its guest has ended
 * @m:		the machine
 * @before:	from machine_freeze() or machine_hold()
 */
void machine_thaw(struct machine *m, const struct run_status *before);

/** machine_held() - Is it being held? */
bool machine_held(struct machine *m);

/**
 * machine_set_status() - Show something else without starting or stopping
 * @m:		the machine
 * @s:		what to show
 */
void machine_set_status(struct machine *m, struct run_status s);

/**
 * machine_set_reason() - Show another reason for the same state
 * @m:		the machine
 * @from:	only if this is the reason now
 * @to:		the new one
 */
void machine_set_reason(struct machine *m, enum run_reason from,
			enum run_reason to);

/** machine_status() - What it is doing */
struct run_status machine_status(struct machine *m);

/** machine_ended() - Has the guest ended or crashed? It never runs again */
bool machine_ended(struct machine *m);

/** machine_crash() - For a vCPU thread: stop all, for good */
void machine_crash(struct machine *m);

/** machine_guest_exit() - For a device: the guest ended, with a status */
void machine_guest_exit(struct machine *m, int status);

/** machine_guest_reset() - For a device, a vCPU: the guest wants a reset */
void machine_guest_reset(struct machine *m);

/** machine_guest_panicked() - For a device: the guest panicked; it is paused */
void machine_guest_panicked(struct machine *m);

/** machine_guest_crash_loaded() - The same, but the guest deals with it itself */
void machine_guest_crash_loaded(struct machine *m);

/** machine_panicked() - Has the guest panicked, and not been let go on since? */
bool machine_panicked(struct machine *m);

/**
 * machine_serial_input() - Type bytes to the guest's serial port
 * @m:		the machine
 * @data:	the bytes
 * @n:		how many
 *
 * Return: how many bytes the port accepted; none while the machine is held
 */
size_t machine_serial_input(struct machine *m, const uint8_t *data, size_t n);

/**
 * machine_save() - Append all state but RAM
 * @m:		the machine, paused
 * @w:		to where
 * @err:	why not
 *
 * Return: 0, -errno
 */
int machine_save(struct machine *m, struct writer *w, struct error *err);

/**
 * machine_load() - Take over all state but RAM
 * @m:		the machine, never run
 * @r:		from where
 * @err:	why not
 *
 * May touch guest RAM (kvmclock), so missing pages must be served meanwhile.
 *
 * Return: 0, -EBADMSG, -errno
 */
int machine_load(struct machine *m, struct reader *r, struct error *err);

/**
 * machine_set_pager() - Put somebody between the machine and its RAM
 * @m:		the machine
 * @p:		who; NULL for nobody
 */
void machine_set_pager(struct machine *m, const struct pager *p);

/** machine_pager() - Who stands between the machine and its RAM; all zero if nobody */
struct pager machine_pager(struct machine *m);

/**
 * machine_lost() - The VMM itself met memory that can't be read
 * @m:		the machine
 * @gpa:	guest-physical address
 * @size:	bytes
 *
 * Enters it into the list and tells the observer, unless it was known, or a
 * reset has made it whole meanwhile.
 */
void machine_lost(struct machine *m, uint64_t gpa, uint64_t size);

/**
 * machine_failure() - Tell the observer of a memory error
 * @m:		the machine
 * @f:		what
 */
void machine_failure(struct machine *m, const struct memory_failure *f);

#endif /* FERRY_MACHINE_H */
