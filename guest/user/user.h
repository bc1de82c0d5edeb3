/* SPDX-License-Identifier: MIT */
/*
 * user.h - Ring 3: boot, clock, interrupts, memory
 */
#ifndef GUEST_USER_H
#define GUEST_USER_H

#include "../guest.h"

enum order_kind { ORDER_SEQ, ORDER_STRIDE, ORDER_RANDOM };

/* Boot arguments; docs/guest.md says what they mean */
struct options {
	uint64_t work;		/* index into works[] */
	uint64_t order;		/* enum order_kind */
	uint64_t mib, vcpus, cpus, seed, interval_ms, rate, stride;
	uint64_t period_us, passes, hold, share;
};

/* What the VMM told us */
struct boot_info {
	const char *cmdline;
	const void *fdt;	/* or NULL */
};

struct fresh_page {
	uint64_t gpa;
	uint64_t *va;
};

extern struct options options;
extern uint64_t ticks_per_ms;	/* of the TSC */

static inline uint64_t tsc(void)
{
	uint32_t lo, hi;

	asm volatile("rdtsc" : "=a" (lo), "=d" (hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/**
 * tsc_after() - TSC once all earlier loads are done
 */
static inline uint64_t tsc_after(void)
{
	asm volatile("lfence" : : : "memory");
	return tsc();
}

static inline void spin_lock(uint32_t *lock)
{
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
		pause();
}

static inline void spin_unlock(uint32_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

/* args.c */
int args_parse(struct options *o, const char *cmdline, struct line *l);

/* bootinfo.c */
int boot_info_read(struct boot_info *b);

/* fdt.c */
int fdt_count_cpus(const void *fdt);

/* clock.c */
int clock_init(void);
uint64_t clock_us(uint64_t ticks);
uint64_t clock_ticks(uint64_t us);
uint64_t clock_now_us(void);

/* lapic.c */
void lapic_init(void);
void lapic_calibrate(void);
int lapic_start_cpus(uint32_t cpus);
void lapic_online(void);
void halt_until(uint64_t deadline);

/* window.c */
int window_init(void);
uint64_t page_gpa(uint64_t page);
bool gpa_page(uint64_t gpa, uint64_t *page);
uint64_t *page_va(uint64_t page);
bool pool_take(struct fresh_page *p);
int window_replace(uint64_t page, uint64_t gpa);
void window_sync(struct cpu *c);

#endif
