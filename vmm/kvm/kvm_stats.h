/* SPDX-License-Identifier: MIT */
/*
 * kvm_stats.h - KVM's binary statistics of a vCPU
 *
 * They can be read while the vCPU is in KVM_RUN, which nothing else of a vCPU
 * can (api.rst, KVM_GET_STATS_FD; Linux 5.14).
 */
#ifndef FERRY_KVM_STATS_H
#define FERRY_KVM_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct kvm_stat - One statistic
 * @fd:		KVM's descriptor of the vCPU's statistics, or -1
 * @at:		offset of the value in it
 */
struct kvm_stat {
	int fd;
	off_t at;
};

/**
 * kvm_stat_open() - Find a statistic of a vCPU
 * @s:		filled in; its @fd is -1 where KVM does not have the statistic
 * @vcpu:	descriptor of the vCPU
 * @name:	e.g. "blocking"
 */
void kvm_stat_open(struct kvm_stat *s, int vcpu, const char *name);

/** kvm_stat_close() - Close it; no effect on one that is not open */
void kvm_stat_close(struct kvm_stat *s);

/** kvm_stat_read() - Its value now; any thread; 0 if it cannot be read */
uint64_t kvm_stat_read(const struct kvm_stat *s);

#endif /* FERRY_KVM_STATS_H */
