/* SPDX-License-Identifier: MIT */
/*
 * rig.h - A machine with an observer, for tests
 *
 * The rig outlives the machine in it, as a guest does that moves: output is
 * collected across machines. Waiting is by condition and deadline; a deadline that
 * passes fails the test, with the guest's last lines.
 */
#ifndef FERRY_TESTS_RIG_H
#define FERRY_TESTS_RIG_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/skip.h"
#include "vmm/base/page.h"
#include "vmm/machine/machine_private.h"

#define RIG_SECONDS	120	/* machines are slow, and shared */
#define RIG_FAILURES	64

/* struct pvclock_vcpu_time_info (Linux, asm/pvclock-abi.h) */
#define PVCLOCK_FLAGS		29	/* offset, bytes */
#define PVCLOCK_GUEST_STOPPED	2u

/**
 * struct rig - See above
 * @m:		the machine now, or NULL
 * @cfg:	what it is built from
 * @lock:	protects all below
 * @changed:	any of it did
 * @out:	all that the guest printed, a string
 * @len:	its length
 * @cap:	room
 * @lines:	complete lines in it
 * @exited:	the guest ended, with @exit_status
 * @resets_asked: how often the machine requested a reset
 * @was_reset:	cause of the last reset
 * @status:	the last run status that was reported
 * @failure:	the memory failures that were reported
 * @failures:	how many
 * @panics:	how often a panic was reported, @crash_loads: a crash kernel
 */
struct rig {
	struct machine *m;
	struct machine_config cfg;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char *out;
	size_t len, cap;
	unsigned lines;
	bool exited;
	int exit_status;
	unsigned resets_asked;
	enum reset_cause was_reset;
	struct run_status status;
	struct memory_failure failure[RIG_FAILURES];
	unsigned failures, panics, crash_loads;
};

/**
 * rig_check_kvm() - End the program with 77 and a reason if there is no KVM
 * @argv0:	of main(), to find guest.elf by
 */
void rig_check_kvm(const char *argv0);

/** rig_guest() - Path of guest.elf */
const char *rig_guest(void);

/** rig_ring0() - Path of ring0.elf */
const char *rig_ring0(void);

/**
 * rig_new() - A rig without a machine
 * @mib:	RAM of its machines
 * @cpus:	their vCPUs
 * @backing:	kind of RAM
 * @vendor:	"host", "amd" or "intel"
 * @args:	boot arguments
 */
struct rig *rig_new(unsigned mib, unsigned cpus, enum ram_backing backing,
		    const char *vendor, const char *args);

/** rig_observer() - What its machines report to */
struct machine_observer rig_observer(struct rig *r);

/** rig_build() - Build a machine from @r->cfg, never run */
void rig_build(struct rig *r);

/** rig_boot() - Build one, load an image, run it */
void rig_boot(struct rig *r, const char *image);

/** rig_run() - Let the machine run (again) */
void rig_run(struct rig *r);

/** rig_free() - Free the machine, too */
void rig_free(struct rig *r);

/** rig_type() - Type a command line to the guest, and the newline */
void rig_type(struct rig *r, const char *line);

/**
 * rig_wait() - Wait for text in the guest's output
 * @r:		the rig
 * @from:	where in the output to start looking
 * @text:	what to wait for; the rest of its line is waited for, too
 *
 * Return: where the text is
 */
size_t rig_wait(struct rig *r, size_t from, const char *text);

/** rig_lines() - Wait until the guest has printed so many lines in all */
void rig_lines(struct rig *r, unsigned n);

/** rig_exit() - Wait for the guest's end. Return: its status */
int rig_exit(struct rig *r);

/** rig_state() - Wait until the machine is in a state */
void rig_state(struct rig *r, enum run_state state);

/** rig_failure() - Wait for the n-th memory failure (from 0) */
struct memory_failure rig_failure(struct rig *r, unsigned n);

/**
 * rig_number() - A number in the guest's output
 * @r:		the rig
 * @at:		where the line begins, from rig_wait()
 * @key:	e.g. "bad": the line must have "bad=…"
 */
uint64_t rig_number(struct rig *r, size_t at, const char *key);

/**
 * rig_fill_registers() - Fill registers that no guest here uses
 * @r:		the rig; its machine is paused or was never run
 *
 * Of each vCPU, all different: XCR0, x87, SSE, AVX and PKRU (where its CPUID has
 * them), debug registers, KERNEL_GS_BASE.
 */
void rig_fill_registers(struct rig *r);

/** rig_save() - All state of a machine but RAM */
void rig_save(struct machine *m, struct writer *w);

/** rig_clock() - The guest's kvmclock, ns */
uint64_t rig_clock(struct rig *r);

/** rig_pause() - Pause the machine; true unless the guest has ended */
bool rig_pause(struct rig *r);

#endif /* FERRY_TESTS_RIG_H */
