/* SPDX-License-Identifier: MIT */
/*
 * lock.h - Spin locks of ring 3
 *
 * No lock is taken within a visit to a page: a machine check that ends the
 * visit would leave it locked.
 */
#ifndef GUEST_USER_LOCK_H
#define GUEST_USER_LOCK_H

#include "../ports.h"

static inline void spin_lock(uint32_t *lock)
{
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
		cpu_pause();
}

static inline void spin_unlock(uint32_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

#endif
