// SPDX-License-Identifier: MIT
/*
 * atomics.c - Other threads may run at each atomic operation
 *
 * For the simulator, migration/pages/ is compiled with -fsanitize=thread, and
 * linked without that sanitizer's library: the compiler calls the functions below for
 * each access to memory. Before an atomic operation that orders others
 * (relaxed ones only count or copy) the scheduler may choose another coroutine,
 * so that the protocols of the page table, the ledger and the staging are
 * tried in many orders. Plain accesses do nothing.
 *
 * The names and types are those of the compilers' interface; there is no
 * header for them.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "sched.h"

static void atomic_point(int order)
{
	if (order != __ATOMIC_RELAXED)
		sched_point();
}

#define PLAIN(name) \
	void __tsan_##name(void *at); \
	void __tsan_##name(void *at) { (void)at; }
#define PLAINS(size) \
	PLAIN(read##size) PLAIN(write##size) \
	PLAIN(unaligned_read##size) PLAIN(unaligned_write##size) \
	PLAIN(volatile_read##size) PLAIN(volatile_write##size) \
	PLAIN(unaligned_volatile_read##size) \
	PLAIN(unaligned_volatile_write##size) PLAIN(read_write##size)

PLAINS(1) PLAINS(2) PLAINS(4) PLAINS(8) PLAINS(16)
PLAIN(func_entry)

void __tsan_init(void);
void __tsan_func_exit(void);
void __tsan_read_range(void *at, unsigned long n);
void __tsan_write_range(void *at, unsigned long n);
void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

void __tsan_init(void)
{
}

void __tsan_func_exit(void)
{
}

void __tsan_read_range(void *at, unsigned long n)
{
	(void)at;
	(void)n;
}

void __tsan_write_range(void *at, unsigned long n)
{
	(void)at;
	(void)n;
}

void __tsan_atomic_thread_fence(int order)
{
	atomic_point(order);
}

void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}

/* clang's, for what memcpy(3) and the like are called for */
void *__tsan_memcpy(void *to, const void *from, size_t n);
void *__tsan_memmove(void *to, const void *from, size_t n);
void *__tsan_memset(void *to, int c, size_t n);

void *__tsan_memcpy(void *to, const void *from, size_t n)
{
	return memcpy(to, from, n);
}

void *__tsan_memmove(void *to, const void *from, size_t n)
{
	return memmove(to, from, n);
}

void *__tsan_memset(void *to, int c, size_t n)
{
	return memset(to, c, n);
}

#define MODIFY(bits, type, name) \
	type __tsan_atomic##bits##_##name(volatile type *at, type v, int o); \
	type __tsan_atomic##bits##_##name(volatile type *at, type v, int o) \
	{ \
		atomic_point(o); \
		return __atomic_##name(at, v, __ATOMIC_SEQ_CST); \
	}

#define COMPARE(bits, type, name, weak) \
	int __tsan_atomic##bits##_##name(volatile type *at, type *old, \
					 type new, int o, int p); \
	int __tsan_atomic##bits##_##name(volatile type *at, type *old, \
					 type new, int o, int p) \
	{ \
		(void)p; \
		atomic_point(o); \
		return __atomic_compare_exchange_n(at, old, new, weak, \
				__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	}

#define ATOMICS(bits, type) \
	type __tsan_atomic##bits##_load(const volatile type *at, int o); \
	type __tsan_atomic##bits##_load(const volatile type *at, int o) \
	{ \
		atomic_point(o); \
		return __atomic_load_n(at, __ATOMIC_SEQ_CST); \
	} \
	void __tsan_atomic##bits##_store(volatile type *at, type v, int o); \
	void __tsan_atomic##bits##_store(volatile type *at, type v, int o) \
	{ \
		atomic_point(o); \
		__atomic_store_n(at, v, __ATOMIC_SEQ_CST); \
	} \
	type __tsan_atomic##bits##_exchange(volatile type *at, type v, int o); \
	type __tsan_atomic##bits##_exchange(volatile type *at, type v, int o) \
	{ \
		atomic_point(o); \
		return __atomic_exchange_n(at, v, __ATOMIC_SEQ_CST); \
	} \
	MODIFY(bits, type, fetch_add) \
	MODIFY(bits, type, fetch_sub) \
	MODIFY(bits, type, fetch_and) \
	MODIFY(bits, type, fetch_or) \
	MODIFY(bits, type, fetch_xor) \
	COMPARE(bits, type, compare_exchange_strong, false) \
	COMPARE(bits, type, compare_exchange_weak, true) \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *at, \
					type old, type new, int o, int p); \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *at, \
					type old, type new, int o, int p) \
	{ \
		__tsan_atomic##bits##_compare_exchange_strong(at, &old, new, \
							      o, p); \
		return old; \
	}

ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)
