/* SPDX-License-Identifier: MIT */
/*
 * linux.h - An init that works a Linux guest, and says what it found
 *
 * One process, PID 1, with a thread per workload. What each prints is one line
 * "kind key=value …", as the freestanding guest's lines are (docs/guest.md).
 */
#ifndef GUEST_LINUX_H
#define GUEST_LINUX_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define PAGE_BYTES	4096u
#define PAGE_WORDS	(PAGE_BYTES / sizeof(uint64_t))
#define MIB		(1ull << 20)
#define THREADS_MAX	64

enum work {
	WORK_VERIFY, WORK_VICTIM, WORK_CACHE, WORK_CLOCK, WORK_KMSG,
	WORK_STRESS, WORK_MEMTESTER, WORK_SHELL, WORKS,
};

/**
 * struct options - What the kernel's command line asks for
 * @works:	a bit for each enum work
 * @mib:	verify: MiB of the area, 0 for most of what is free
 * @threads:	verify: threads, 0 for one a CPU
 * @seed:	goes into every word
 * @hold:	1: fill the memory, then wait for "go"
 * @interval_ms: time between reports
 * @victims:	victim, cache: pages each
 * @touch_ms:	victim: time between touches of a page, 0 for never
 * @kmsg:	kmsg: kernel messages up to this level
 * @mce_poll_s:	time between looks at the machine-check banks, 0: Linux's own
 * @stress_mib, @memtester_mib: memory that these work on
 */
struct options {
	unsigned works;
	uint64_t mib, threads, seed, hold, interval_ms, victims, touch_ms;
	uint64_t kmsg, mce_poll_s, stress_mib, memtester_mib;
};

extern struct options options;

/**
 * args_parse() - Read every ferry.KEY=VALUE of a command line
 * @line:	the command line, which is cut up
 *
 * Says "error arg=…" for one that is not known, or has a bad value.
 *
 * Return: 0, -1 after such a line
 */
int args_parse(char *line);

/** wants() - Is a workload asked for? */
static inline bool wants(enum work w)
{
	return options.works & 1u << w;
}

/* say.c: the console */

/**
 * say() - Print one line
 * @format:	as for printf(), without the newline; it is cut at 1000 bytes
 *
 * Lines of several threads never mix. While half a line stands there
 * (say_half()) they are kept back. From any thread.
 */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** say_half() - Print a text without a newline; all else waits */
void say_half(const char *text);

/** say_rest() - Print a text and a newline, then all that has waited */
void say_rest(const char *text);

/* time.c */

/** now_us() - Microseconds by CLOCK_MONOTONIC */
uint64_t now_us(void);

/** sleep_ms() - Sleep, to the end */
void sleep_ms(uint64_t ms);

/* page.c: what a page must hold, and where it is */

/**
 * page_write() - Fill a page
 * @page:	where
 * @gen:	its generation
 */
void page_write(uint64_t *page, uint64_t gen);

/**
 * page_check() - Check a page; report each wrong word and set it right
 * @page:	where
 * @gen:	its generation
 * @who:	for the lines "bad work=…"
 *
 * Return: wrong words
 */
unsigned page_check(uint64_t *page, uint64_t gen, const char *who);

/**
 * page_map() - Map memory that consists of small pages
 * @at:		where, in the place of what is there, or NULL for anywhere
 * @pages:	how many
 *
 * Return: the address. Ends the guest when there is no memory
 */
void *page_map(void *at, uint64_t pages);

/**
 * page_gpa() - Guest-physical address of a page of ours
 * @page:	where it is mapped
 *
 * From /proc/self/pagemap, whose PFN is the guest's physical page frame.
 *
 * Return: the address, 0 if no page is there
 */
uint64_t page_gpa(const void *page);

/* bus.c: a SIGBUS is caught where a page is touched */

/**
 * struct catch - What a SIGBUS said
 * @back:	where to go on
 * @info:	filled in by the handler
 */
struct catch {
	sigjmp_buf back;
	siginfo_t info;
};

extern __thread struct catch *catching;

/*
 * CAUGHT() - Watch for a SIGBUS of this thread, until catching = NULL
 *
 * False at first; true when it comes back because of one, with c->info
 * filled in. Must stand where sigsetjmp() may.
 */
#define CAUGHT(c)	(catching = (c), sigsetjmp((c)->back, 0))

/** bus_init() - Handle SIGBUS from now on */
void bus_init(void);

/**
 * bus_report() - Print "bus work=… n=… code=… addr=… lsb=…"
 * @who:	the workload
 * @n:		number of the page that was touched
 * @info:	what the kernel said
 */
void bus_report(const char *who, uint64_t n, const siginfo_t *info);

/* The workloads. Each _start() returns when it is ready to work */

/** verify_start() - Fill the area, check and rewrite it from "go" on */
void verify_start(void);

/** verify_go() - End of the hold */
void verify_go(void);

/** verify_sweep() - Have all pages checked; prints "sweep n= pages=" */
void verify_sweep(void);

/**
 * struct tally - What verification has done so far
 * @pages:	visits
 * @passes:	passes of the slowest thread
 * @lost:	pages that a SIGBUS was met in, and that were replaced
 */
struct tally {
	uint64_t pages, passes, lost;
};

/** verify_tally() - Add it up */
struct tally verify_tally(void);

/** victim_start() - Map the pages, print where each is */
void victim_start(void);

/** victim_go() - Touch them in turn from now on, if asked to */
void victim_go(void);

/**
 * victim_touch() - Touch one page, and say how that was
 * @n:		which
 *
 * "touched n=…", or "bus …" and then where its replacement is.
 */
void victim_touch(uint64_t n);

/** victim_where() - Print where each page is now */
void victim_where(void);

/** cache_start() - Map pages of a file in memory, print where each is */
void cache_start(void);

/**
 * cache_read() - Have the kernel read one of them, by pread()
 * @n:		which
 *
 * The kernel copies from a page of its own cache: when that one is lost it
 * can't go on.
 */
void cache_read(uint64_t n);

/** clock_start() - Watch the clocks from now on */
void clock_start(void);

/** clock_mark() - Forget the gaps so far */
void clock_mark(void);

/** clock_report() - Print "clock …" */
void clock_report(void);

/** kmsg_start() - Print what the kernel says, "kmsg level=… t_us=… TEXT" */
void kmsg_start(void);

/**
 * tool_start() - Run a program that was packed, print what it prints
 * @name:	"stress-ng" or "memtester"
 */
void tool_start(const char *name);

/** tool_stop() - Interrupt all of them; "tool name=… status=…" comes then */
void tool_stop(void);

/** bad_count() - Wrong words and clocks and failed tools so far; adds @n */
uint64_t bad_count(uint64_t n);

/**
 * command_run() - Obey a line that was typed
 * @line:	without its newline
 */
void command_run(char *line);

/** report() - Print "report …" */
void report(void);

/** power_off() - End the guest */
void power_off(void) __attribute__((noreturn));

#endif
