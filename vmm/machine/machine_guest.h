/* SPDX-License-Identifier: MIT */
/*
 * machine_guest.h - Actions of a guest on its own machine (private)
 *
 * For devices and vCPU threads. The caller is a vCPU's thread, which cannot
 * wait for the other vCPUs: the gate is closed, and each vCPU stops when it
 * leaves the guest.
 */
#ifndef FERRY_MACHINE_GUEST_H
#define FERRY_MACHINE_GUEST_H

struct machine;

/** machine_guest_exit() - The guest ended with a status */
void machine_guest_exit(struct machine *m, int status);

/** machine_guest_reset() - The guest requests a reset */
void machine_guest_reset(struct machine *m);

/** machine_guest_panicked() - The guest's kernel panicked: pause it */
void machine_guest_panicked(struct machine *m);

/**
 * machine_guest_crash_loaded() - The guest panicked and handles it itself
 * @m:		the machine; its observer is notified once until a reset
 */
void machine_guest_crash_loaded(struct machine *m);

#endif /* FERRY_MACHINE_GUEST_H */
