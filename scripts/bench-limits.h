/* SPDX-License-Identifier: MIT */
/*
 * bench-limits: what this machine allows at best, measured bare
 *
 * Nothing of Ferry runs here. Each file measures one kind of limit and adds
 * one or more objects to the JSON answer; Ferry's own figures are then read
 * as a ratio to these, taken on the same machine in the same minute.
 *
 * A measurement that cannot be set up ends the program with a message
 * (die()): half a set of limits is of no use to anybody. What a kernel or
 * machine may rightly lack (KVM, UFFDIO_POISON, a second CPU ...) is no
 * failure: it is reported as {"unavailable": "reason"}.
 */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE		4096UL
#define MIB		(1UL << 20)
#define CHUNK		(256UL << 10)	/* what one bulk read or copy moves */
#define BATCH		(512 * PAGE)
#define MAX_RUNS	64
#define ANY_CPU		(-1)

/**
 * struct bench - What was asked for, and where it runs
 * @runs:	Times that each figure is measured, 1 to MAX_RUNS
 * @quick:	Smaller sizes: seconds instead of a minute, rougher figures
 * @ncpus:	CPUs to place threads on: 1 or 2
 * @cpu:	Their numbers; on different cores if the machine has them
 */
struct bench {
	int runs;
	bool quick;
	int ncpus;
	int cpu[2];
};

/**
 * struct spread - One figure of every run
 * @n:		Figures taken so far
 * @v:		The figures, in the order of the runs
 */
struct spread {
	int n;
	double v[MAX_RUNS];
};

/* What memory is made of */
enum backing { BACK_ANON, BACK_MEMFD };

/**
 * struct arena - A userfaultfd-registered range without pages
 * @backing:	What it is made of
 * @mem:	Where it is
 * @size:	Bytes
 * @uffd:	userfaultfd on which all of it is registered
 * @memfd:	The file, or -1 for BACK_ANON
 */
struct arena {
	enum backing backing;
	char *mem;
	size_t size;
	int uffd;
	int memfd;
};

/* bench-limits-util.c */
void die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));
void progress(void);
void section(const char *name);
uint64_t now_ns(void);
void find_cpus(struct bench *b);
void pin(int cpu);
pid_t fork_child(void);
void reap_child(pid_t pid);
double cpu_use(double *stolen);
void stream_pair(bool tcp, int sv[2]);
void write_all(int fd, const void *buf, size_t len);
void *map_filled(size_t size);
void warm_pages(size_t size);

/* bench-limits-uffd.c */
int arena_open(struct arena *a, enum backing backing, size_t size,
	       uint64_t features, uint64_t mode);
void arena_empty(struct arena *a);
void arena_close(struct arena *a);
int64_t uffd_copy(int uffd, void *dst, const void *src, size_t len);
int64_t uffd_zeropage(int uffd, void *dst, const void *src, size_t len);
int64_t uffd_poison(int uffd, void *dst, const void *src, size_t len);
int64_t uffd_continue(int uffd, void *dst, const void *src, size_t len);

/* bench-limits-json.c */
void spread_add(struct spread *s, double v);
double spread_median(const struct spread *s);
double spread_min(const struct spread *s);
double spread_max(const struct spread *s);
void json_say(const char *key, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void json_start(void);
void json_open(const char *key);
void json_close(void);
void json_number(const char *key, uint64_t v);
void json_figure(const char *key, double v);
void json_string(const char *key, const char *v);
void json_spread(const char *key, const struct spread *s);
void json_unavailable(const char *key, const char *reason);
void json_print(void);

/* bench-limits-vcpu.c */
struct vcpu;
int vcpu_open(struct vcpu **out, void *region, size_t pages,
	      const uint32_t *order, bool irqs);
void vcpu_touch(struct vcpu *v, double *us);
void vcpu_close(struct vcpu *v);

/* The measurements, one file each */
void bench_loopback(const struct bench *b);
void bench_pipeline(const struct bench *b);
void bench_chain(const struct bench *b);
void bench_ioctls(const struct bench *b);

#endif /* BENCH_LIMITS_H */
