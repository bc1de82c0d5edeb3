/* SPDX-License-Identifier: MIT */
/*
 * machine_gate.h - What machine_run.c offers to the rest of the machine
 *
 * For those that stop a machine from within (machine_guest.c) and that reset
 * it (reset.c).
 */
#ifndef FERRY_MACHINE_GATE_H
#define FERRY_MACHINE_GATE_H

#include "machine.h"

/** machine_close_gate() - Have all vCPUs stop soon, without waiting for it */
void machine_close_gate(struct machine *m);

/**
 * machine_begin_reset() - Stop all vCPUs, and keep all others away
 * @m:		the machine
 * @err:	why not
 *
 * Return: 0, -EBUSY (it is held, or its RAM is still arriving), -ETIMEDOUT
 */
int machine_begin_reset(struct machine *m, struct error *err);

/**
 * machine_end_reset() - The reset is done
 * @m:		the machine
 *
 * One that ran runs on; any other is as if it had never run.
 */
void machine_end_reset(struct machine *m);

/** machine_fail_reset() - It failed, and the machine has crashed */
void machine_fail_reset(struct machine *m);

/**
 * machine_load_initial() - Take over the state that the machine was built with
 * @m:		the machine, its vCPUs parked and its devices quiesced
 * @err:	why not
 *
 * Lasting devices and the vCPUs' TSCs keep their state. A requested reset and a
 * panic are machine_end_reset()'s to clear.
 *
 * Return: 0, -errno
 */
int machine_load_initial(struct machine *m, struct error *err);

/** machine_set_panicked() - Note that the guest's kernel panicked, or not */
void machine_set_panicked(struct machine *m, bool panicked);

#endif /* FERRY_MACHINE_GATE_H */
