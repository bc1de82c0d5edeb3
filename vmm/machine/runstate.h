/* SPDX-License-Identifier: MIT */
/*
 * runstate.h - What a machine is doing, and why
 *
 * The states are QEMU's (query-status), the reasons are those that libvirt
 * tells apart. Who changes the state gives the reason; words.c turns the
 * pair into both vocabularies.
 */
#ifndef FERRY_RUNSTATE_H
#define FERRY_RUNSTATE_H

enum run_state {
	RUN_PRELAUNCH,		/* built, never run */
	RUN_INMIGRATE,		/* waits for a guest to arrive */
	RUN_RUNNING,
	RUN_PAUSED,
	RUN_SAVE_VM,		/* paused, its memory is being dumped */
	RUN_FINISH_MIGRATE,	/* paused, its state is being sent */
	RUN_POSTMIGRATE,	/* handed over: never runs again */
	RUN_INTERNAL_ERROR,	/* stopped by something it can't go on from */
	RUN_SHUTDOWN,		/* the guest ended */
	RUN_GUEST_PANICKED,	/* its kernel says that it has panicked: paused */
	RUN_STATES
};

enum run_reason {
	WHY_BOOTED,
	WHY_USER,
	WHY_STARTING_UP,
	WHY_MIGRATION,		/* paused for the hand-over */
	WHY_MIGRATED,		/* arrived whole, or left whole */
	WHY_MIGRATION_CANCELED,	/* came home again */
	WHY_POSTCOPY,		/* pages are still on their way */
	WHY_POSTCOPY_FAILED,	/* connection lost while they were */
	WHY_UNPAUSED,
	WHY_CRASHED,		/* panic, machine check it could not take, triple fault */
	WHY_SHUTDOWN,
	WHY_DUMP,		/* paused so that all of it can be looked at */
	RUN_REASONS
};

/* Who wants a reset; sent as a number (docs/protocol.md, power) */
enum reset_cause {
	RESET_NONE,
	RESET_GUEST,		/* the guest: a reboot, a triple fault */
	RESET_HOST,		/* system_reset */
	RESET_CAUSES
};

/* One value, so that both halves change together */
struct run_status {
	enum run_state state;
	enum run_reason reason;
};

#endif /* FERRY_RUNSTATE_H */
