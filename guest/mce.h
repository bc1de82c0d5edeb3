/* SPDX-License-Identifier: MIT */
/*
 * mce.h - Ring 0: machine checks
 */
#ifndef GUEST_MCE_H
#define GUEST_MCE_H

#include "cpu.h"

/**
 * mce_enable() - Let this vCPU take machine checks, in every bank
 * @c:		vCPU; its number of banks is set
 *
 * Where MCG_CTL or a bank's CTL is not all ones, KVM drops the event; where
 * CR4.MCE is clear, a machine check shuts the machine down.
 */
void mce_enable(struct cpu *c);

/**
 * mce_poll() - Queue what was recorded without a machine check (AMD: deferred)
 * @c:		this vCPU
 */
void mce_poll(struct cpu *c);

/**
 * mce_handle() - Handle a machine check
 * @c:		this vCPU
 * @f:		what it interrupted
 */
void mce_handle(struct cpu *c, struct trap_frame *f);

#endif
