/* SPDX-License-Identifier: MIT */
/*
 * vcpu_exit.h - Enter the guest and handle its exit (private)
 */
#ifndef FERRY_VCPU_EXIT_H
#define FERRY_VCPU_EXIT_H

#include <stdbool.h>

struct vcpu;

/**
 * vcpu_step() - Enter the guest once and handle the exit
 * @v:		this thread's vCPU
 */
void vcpu_step(struct vcpu *v);

/**
 * vcpu_complete() - Have KVM complete the last exit, without running the guest
 * @v:		this thread's vCPU
 */
void vcpu_complete(struct vcpu *v);

/**
 * vcpu_try_again() - Have the guest repeat the instruction that failed
 * @v:		this thread's vCPU
 *
 * Return: true; false after ten times in a row at the same instruction
 */
bool vcpu_try_again(struct vcpu *v);

#endif /* FERRY_VCPU_EXIT_H */
