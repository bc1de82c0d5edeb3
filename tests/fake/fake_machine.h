/* SPDX-License-Identifier: MIT */
/*
 * fake_machine.h - A machine without KVM, for tests of migration/
 *
 * fake_machine.c defines the functions of machine.h, machine_run.h,
 * machine_images.h, ram_hook.h, hot.h and inject.h that migration/ calls, and
 * fake_description.c those of description.h. RAM, the poison list, the gate,
 * the hold and the run status behave as vmm/machine/'s do; there are no
 * devices. A vCPU is a thread that repeats one function while the gate is open.
 *
 * A program that links these files before libferry.a gets them in place of
 * vmm/machine/. What such a machine asks of the test is in fake_host, which the
 * test fills in before the first machine is made. All of it may stay zero: then
 * no call fails and there are no vCPU threads.
 */
#ifndef FERRY_TESTS_FAKE_MACHINE_H
#define FERRY_TESTS_FAKE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/machine/machine.h"

#define FAKE_VCPUS_MAX	4
#define FAKE_MEMORY_MAX	(16ull << 20)	/* bytes, without @memory_max */
#define FAKE_STATE	64	/* bytes of a machine's state, after the tag */

/* Calls that a test may have fail: the errno comes from fake_host.fail() */
enum fake_call {
	FAKE_MACHINE_NEW, FAKE_MACHINE_HOLD, FAKE_MACHINE_SAVE,
	FAKE_MACHINE_LOAD, FAKE_RAM_CREATE, FAKE_RAM_READ, FAKE_RAM_HOLES,
	FAKE_RAM_SPLIT, FAKE_RAM_WALL, FAKE_RAM_RENEW, FAKE_RAM_DROP,
	FAKE_RAM_WRITE, FAKE_DIRTY_START, FAKE_DIRTY_FETCH, FAKE_UFFD_OPEN,
	FAKE_UFFD_REGISTER, FAKE_UFFD_UNREGISTER, FAKE_UFFD_COPY,
	FAKE_UFFD_ZERO, FAKE_UFFD_POISON, FAKE_UFFD_READ, FAKE_MADVISE,
	FAKE_UFFD_MOVE, FAKE_HUGE_BUFFER,
	FAKE_CALLS
};

/**
 * struct fake_host - What the fakes ask of the test
 * @ctx:	passed to each function
 * @memory_max:	bytes of RAM that a peer may ask for; 0: FAKE_MEMORY_MAX
 * @real_tids:	a vCPU's thread number is the kernel's, which a real userfaultfd
 *		names; else it is made up
 * @end_ms:	how long machine_halt() waits for vCPUs that wait for a page;
 *		0: as long as vmm/machine/ does
 * @fail:	asked before each call; 0: it succeeds; else a positive errno.
 *		NULL: none fails
 * @step:	one turn of a vCPU, which is inside the gate; returns when the
 *		vCPU shall look at the gate again. NULL: no vCPU threads
 * @gate:	the gate was opened or closed
 * @load:	called by machine_load(): may access RAM, as KVM may. 0, -errno
 * @hot:	hot_pages(): fill in @gpa. NULL: none
 * @lose:	make a page unreadable, for fake_machine_poison(). 0, -errno
 * @reset:	a reset is asked for, and may be possible now: the test calls
 *		fake_machine_reset() soon, from another place. NULL: nobody does
 * @was_reset:	RAM has been dropped, and no vCPU runs yet
 * @placed:	a page was placed by an ioctl: its bytes, or NULL for zeroes.
 *		Called with the RAM's lock held; NULL: not wanted
 * @copied:	ram_copy_out() has read a page; likewise
 * @fault:	a broken rule of the kernel or of the machine, as text
 */
struct fake_host {
	void *ctx;
	uint64_t memory_max;
	bool real_tids;
	unsigned end_ms;
	int (*fail)(void *ctx, enum fake_call call);
	void (*step)(void *ctx, struct machine *m, unsigned vcpu);
	void (*gate)(void *ctx, struct machine *m, bool open);
	int (*load)(void *ctx, struct machine *m);
	size_t (*hot)(void *ctx, struct machine *m, uint64_t *gpa,
		      size_t max);
	int (*lose)(void *ctx, struct machine *m, uint64_t offset);
	void (*reset)(void *ctx, struct machine *m);
	void (*was_reset)(void *ctx, struct machine *m);
	void (*placed)(void *ctx, size_t page, const uint8_t *bytes);
	void (*copied)(void *ctx, size_t page);
	void (*fault)(void *ctx, const char *text);
};

extern struct fake_host fake_host;

/** fake_reset() - Forget earlier machines: thread numbers begin again */
void fake_reset(void);

/** fake_call_name() - The call for messages; "?" if out of range */
const char *fake_call_name(enum fake_call call);

/** fake_fails() - Shall this call fail? Return: 0 or a positive errno */
int fake_fails(enum fake_call call);

/** fake_fault() - Report a broken rule; a test without @fault aborts */
void fake_fault(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * fake_config() - Fill in a configuration
 * @cfg:	filled in, with a processor and devices of zeroes
 * @memory:	bytes of RAM
 * @cpus:	1 to FAKE_VCPUS_MAX
 * @backing:	kind of RAM
 */
void fake_config(struct machine_config *cfg, uint64_t memory, unsigned cpus,
		 enum ram_backing backing);

/** fake_machine_state() - FAKE_STATE bytes that save and load carry along */
uint8_t *fake_machine_state(struct machine *m);

/**
 * fake_machine_dirty() - A vCPU has written a page: for the dirty log
 * @m:		the machine
 * @page:	number, by offset in RAM
 */
void fake_machine_dirty(struct machine *m, size_t page);

/** fake_machine_is_logging() - Was the dirty log started, and not stopped? */
bool fake_machine_is_logging(struct machine *m);

/** fake_machine_inside() - Number of vCPUs that are inside the gate */
unsigned fake_machine_inside(struct machine *m);

/** fake_machine_is_open() - Is the gate open? */
bool fake_machine_is_open(struct machine *m);

/** fake_machine_is_loaded() - Has machine_load() succeeded? */
bool fake_machine_is_loaded(struct machine *m);

/** fake_machine_ask_reset() - As machine_ask_reset(): the vCPUs stop */
void fake_machine_ask_reset(struct machine *m);

/**
 * fake_machine_reset() - As machine_reset()
 *
 * Return: 0, also if none is asked for; -EBUSY while the machine is held or
 *	   pages are missing; -ETIMEDOUT, -ENOMEM
 */
int fake_machine_reset(struct machine *m);

/** fake_machine_block() - A vCPU begins or ends to wait for a page */
void fake_machine_block(struct machine *m, unsigned vcpu, bool blocked);

/** fake_machine_idle() - A vCPU was idle for so long, ns */
void fake_machine_idle(struct machine *m, unsigned vcpu, uint64_t ns);

/**
 * fake_machine_poison() - Poison a page on purpose, as inject_poison() does
 * @m:		the machine
 * @gpa:	an address in the page
 * @simulate:	by a marker; else as the hardware would
 * @err:	why not
 *
 * Asks the RAM hook, then fake_host.lose(), and enters the page into the list.
 *
 * Return: as inject_poison()
 */
int fake_machine_poison(struct machine *m, uint64_t gpa, bool simulate,
			struct error *err);

#endif /* FERRY_TESTS_FAKE_MACHINE_H */
