/* SPDX-License-Identifier: MIT */
/*
 * vcpu_stats.h - Is a vCPU blocked in the kernel at this moment?
 *
 * KVM's binary statistics (api.rst, KVM_GET_STATS_FD) can be read while the
 * vCPU is in KVM_RUN, which no other call can. One of them, "blocking", is 1
 * while the vCPU waits: halted, or for a page that KVM has a kernel worker
 * fetch (an asynchronous page fault, of which userfaultfd names the worker's thread only).
 */
#ifndef FERRY_VCPU_STATS_H
#define FERRY_VCPU_STATS_H

#include <stdbool.h>

struct vcpu;

/**
 * vcpu_stats_open() - Find the statistic
 * @v:		the vCPU; its stats_fd stays -1 where KVM has none
 */
void vcpu_stats_open(struct vcpu *v);

/** vcpu_blocking() - Is it blocked? Any thread; false if it can't be told */
bool vcpu_blocking(const struct vcpu *v);

#endif /* FERRY_VCPU_STATS_H */
