/* SPDX-License-Identifier: MIT */
/*
 * bus.h - Recovery from the SIGBUS that an access to a lost page raises
 */
#ifndef GUEST_LINUX_BUS_H
#define GUEST_LINUX_BUS_H

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>

/**
 * struct bus_catch - An access that may raise SIGBUS
 * @back:	where the thread resumes after one
 * @info:	what the kernel reported; filled in by the handler
 */
struct bus_catch {
	sigjmp_buf back;
	siginfo_t info;
};

extern __thread struct bus_catch *bus_catching;

/*
 * BUS_CAUGHT() - Catch a SIGBUS of this thread, until bus_catching = NULL
 *
 * False at first; true when it returns again because of a SIGBUS, with c->info
 * filled in. Valid only where sigsetjmp() is.
 */
#define BUS_CAUGHT(c)	(bus_catching = (c), sigsetjmp((c)->back, 0))

/** bus_init() - Install the handler */
void bus_init(void);

/**
 * bus_report() - Print "bus work=… n=… code=… addr=… lsb=…"
 * @workload:	the workload
 * @n:		number of the page that was accessed
 * @info:	what the kernel reported
 */
void bus_report(const char *workload, uint64_t n, const siginfo_t *info);

#endif
