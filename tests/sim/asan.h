/* SPDX-License-Identifier: MIT */
/* asan.h - AddressSanitizer, if it is built in */
#ifndef FERRY_TESTS_SIM_ASAN_H
#define FERRY_TESTS_SIM_ASAN_H

#include <stddef.h>

#ifdef __SANITIZE_ADDRESS__
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif

#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

/** asan_poison() - Report accesses to these bytes from now on */
static inline void asan_poison(const void *at, size_t n)
{
#ifdef HAS_ASAN
	__asan_poison_memory_region(at, n);
#else
	(void)at;
	(void)n;
#endif
}

/** asan_unpoison() - Do not report them any more */
static inline void asan_unpoison(const void *at, size_t n)
{
#ifdef HAS_ASAN
	__asan_unpoison_memory_region(at, n);
#else
	(void)at;
	(void)n;
#endif
}

#endif /* FERRY_TESTS_SIM_ASAN_H */
