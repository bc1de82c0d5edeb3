/* SPDX-License-Identifier: MIT */
/*
 * lapic.h - Local APIC: starting the other vCPUs, sleeping with a timer
 */
#ifndef GUEST_USER_LAPIC_H
#define GUEST_USER_LAPIC_H

#include <stdint.h>

/**
 * lapic_init() - Enable this vCPU's local APIC, with a one-shot timer
 */
void lapic_init(void);

/**
 * lapic_calibrate() - Measure the timer against the TSC, once
 */
void lapic_calibrate(void);

/**
 * lapic_start_cpus() - Start vCPUs 1 to @cpus - 1 and wait for them
 * @cpus:	number of all vCPUs, with APIC ids from 0
 *
 * Return: number of running vCPUs, this one included
 */
int lapic_start_cpus(uint32_t cpus);

/**
 * lapic_online() - Report that this vCPU is in ring 3, and wait for the others
 *
 * Work begins when all vCPUs can take a machine check: one that is broadcast
 * to a vCPU without CR4.MCE ends the machine.
 */
void lapic_online(void);

/**
 * halt_until() - Sleep until a time, or until an interrupt or a machine check
 * @deadline:	TSC
 */
void halt_until(uint64_t deadline);

#endif
