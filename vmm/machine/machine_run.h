/* SPDX-License-Identifier: MIT */
/*
 * machine_run.h - Start, stop and hold a machine's vCPUs; its run status
 *
 * A holder (a migration, a dump) keeps every other thread from starting or
 * stopping the machine until machine_thaw().
 */
#ifndef FERRY_MACHINE_RUN_H
#define FERRY_MACHINE_RUN_H

#include <stdbool.h>

#include "vmm/base/error.h"
#include "vmm/base/runstate.h"

struct machine;

/**
 * machine_run() - Let the vCPUs run
 * @m:		the machine
 * @why:	the reason to show
 * @err:	the reason on failure; may be NULL
 *
 * Return: 0, -EBUSY (held), -ECANCELED (the guest has ended)
 */
int machine_run(struct machine *m, enum run_reason why, struct error *err);

/**
 * machine_pause() - Stop all vCPUs, each with its pending exit completed
 * @m:		the machine
 * @state:	the state to show
 * @why:	the reason to show
 * @err:	the reason on failure
 *
 * During a reset it does not wait: the machine does not run after the reset.
 *
 * Return: 0, -ETIMEDOUT (a vCPU waits for memory that does not arrive; all
 *	   vCPUs continue), -EBUSY (held), -ECANCELED (the guest ended
 *	   meanwhile)
 */
int machine_pause(struct machine *m, enum run_state state,
		  enum run_reason why, struct error *err);

/**
 * machine_halt() - No vCPU enters the guest from now on
 * @m:		the machine; after this it can only be freed
 *
 * Waits at most a second for the vCPUs to leave the guest. Call it before the
 * memory that they may wait for is unmapped.
 */
void machine_halt(struct machine *m);

/**
 * machine_hold() - Pause the machine and become its holder, for a migration
 * @m:		the machine, running or not
 * @before:	set to its status before
 * @err:	the reason on failure
 *
 * Until machine_thaw(), machine_run() and machine_pause() fail. The status is
 * FINISH_MIGRATE.
 *
 * Return: as machine_pause()
 */
int machine_hold(struct machine *m, struct run_status *before,
		 struct error *err);

/**
 * machine_freeze() - Pause the machine and become its holder, for a dump
 * @m:		the machine, running or not; its guest may have ended
 * @before:	set to its status before, for machine_thaw()
 * @err:	the reason on failure
 *
 * As machine_hold(), with the status SAVE_VM. A guest that has ended keeps its
 * status.
 *
 * Return: as machine_pause()
 */
int machine_freeze(struct machine *m, struct run_status *before,
		   struct error *err);

/**
 * machine_thaw() - End the hold and restore the earlier status
 * @m:		the machine
 * @before:	from machine_freeze() or machine_hold()
 *
 * The vCPUs run again if they ran before, unless the guest has ended.
 */
void machine_thaw(struct machine *m, const struct run_status *before);

/** machine_held() - Does the machine have a holder? */
bool machine_held(struct machine *m);

/** machine_status() - The run status */
struct run_status machine_status(struct machine *m);

/**
 * machine_set_status() - Show another status; starts and stops nothing
 * @m:		the machine
 * @s:		the status to show
 */
void machine_set_status(struct machine *m, struct run_status s);

/**
 * machine_set_reason() - Show another reason for the same state
 * @m:		the machine
 * @from:	nothing happens unless this is the reason now
 * @to:		the new reason
 */
void machine_set_reason(struct machine *m, enum run_reason from,
			enum run_reason to);

/** machine_ended() - Has the guest ended or crashed? It never runs again */
bool machine_ended(struct machine *m);

/** machine_crash() - Stop all vCPUs for good, with the state INTERNAL_ERROR */
void machine_crash(struct machine *m);

/** machine_panicked() - Did the guest panic, and was not started since? */
bool machine_panicked(struct machine *m);

/** machine_set_panicked() - For a device that loads its state */
void machine_set_panicked(struct machine *m, bool panicked);

#endif /* FERRY_MACHINE_RUN_H */
