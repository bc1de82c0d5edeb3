/* SPDX-License-Identifier: MIT */
/*
 * runstate.h - Run states of a machine, and the reasons for them
 *
 * The states are QEMU's (query-status), the reasons are those that libvirt
 * distinguishes. The code that changes the state gives the reason;
 * control/words.c translates the pair into both vocabularies.
 */
#ifndef FERRY_RUNSTATE_H
#define FERRY_RUNSTATE_H

enum run_state {
	RUN_PRELAUNCH,		/* built, never run */
	RUN_INMIGRATE,		/* waits for a guest to arrive */
	RUN_RUNNING,
	RUN_PAUSED,
	RUN_SAVE_VM,		/* paused while its memory is dumped */
	RUN_FINISH_MIGRATE,	/* paused while its state is sent */
	RUN_POSTMIGRATE,	/* handed over: never runs here again */
	RUN_INTERNAL_ERROR,	/* stopped by an error it can't continue from */
	RUN_SHUTDOWN,		/* the guest ended */
	RUN_GUEST_PANICKED,	/* paused: its kernel reported a panic */
	RUN_STATES
};

enum run_reason {
	WHY_BOOTED,
	WHY_USER,
	WHY_STARTING_UP,
	WHY_MIGRATION,		/* paused for the hand-over */
	WHY_MIGRATED,		/* all pages arrived, or all pages were sent */
	WHY_MIGRATION_CANCELED,	/* the migration failed or was cancelled */
	WHY_POSTCOPY,		/* the destination still lacks pages */
	WHY_POSTCOPY_FAILED,	/* the connection was lost in that state */
	WHY_UNPAUSED,
	WHY_CRASHED,		/* panic, undeliverable MCE, triple fault */
	WHY_SHUTDOWN,
	WHY_DUMP,		/* paused for a consistent dump of memory */
	RUN_REASONS
};

/* Origin of a reset; sent as a number (docs/protocol.md, power) */
enum reset_cause {
	RESET_NONE,
	RESET_GUEST,		/* a reboot, a triple fault */
	RESET_HOST,		/* system_reset */
	RESET_CAUSES
};

/* State and reason in one value, so that they change together */
struct run_status {
	enum run_state state;
	enum run_reason reason;
};

#endif /* FERRY_RUNSTATE_H */
