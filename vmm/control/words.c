// SPDX-License-Identifier: MIT
/*
 * words.c - QEMU's and libvirt's names for Ferry's states
 *
 * A reason of libvirt's belongs to one state, and some of our pairs are another
 * state in libvirt: a source that still has pages to send after the hand-over
 * is "postmigrate" in QEMU, and in libvirt paused for postcopy until it is shut
 * off. So the table has a row for each state with a cell for each reason. A
 * pair that should not occur has an empty cell, and is named by its state
 * alone, with the reason unknown, so that the state is never hidden.
 */

#include <assert.h>
#include <stddef.h>

#include <libvirt/libvirt.h>

#include "words.h"
#include "vmm/base/units.h"

/* A libvirt state with its reason: names without VIR_DOMAIN_ */
#define CELL(s, r)                                                           \
	{ "VIR_DOMAIN_" #s, "VIR_DOMAIN_" #s "_" #r,                         \
	  VIR_DOMAIN_##s, VIR_DOMAIN_##s##_##r }

struct cell {
	const char *state, *reason;
	int state_value, reason_value;
};

struct row {
	const char *qemu;
	struct cell other;		/* for pairs not listed */
	struct cell why[RUN_REASONS];
};

static const struct row rows[] = {
	[RUN_PRELAUNCH] = {
		.qemu = "prelaunch",
		.other = CELL(PAUSED, STARTING_UP),
		.why = {
			[WHY_USER] = CELL(PAUSED, USER),
		},
	},
	[RUN_INMIGRATE] = {
		.qemu = "inmigrate",
		.other = CELL(PAUSED, MIGRATION),
		.why = {
			[WHY_POSTCOPY] = CELL(PAUSED, POSTCOPY),
			[WHY_POSTCOPY_FAILED] = CELL(PAUSED, POSTCOPY_FAILED),
		},
	},
	[RUN_RUNNING] = {
		.qemu = "running",
		.other = CELL(RUNNING, UNKNOWN),
		.why = {
			[WHY_BOOTED] = CELL(RUNNING, BOOTED),
			[WHY_USER] = CELL(RUNNING, UNPAUSED),
			[WHY_STARTING_UP] = CELL(RUNNING, BOOTED),
			[WHY_MIGRATED] = CELL(RUNNING, MIGRATED),
			[WHY_MIGRATION_CANCELED] =
				CELL(RUNNING, MIGRATION_CANCELED),
			[WHY_POSTCOPY] = CELL(RUNNING, POSTCOPY),
			[WHY_POSTCOPY_FAILED] = CELL(RUNNING, POSTCOPY_FAILED),
			[WHY_UNPAUSED] = CELL(RUNNING, UNPAUSED),
			[WHY_CRASHED] = CELL(RUNNING, CRASHED),
		},
	},
	[RUN_PAUSED] = {
		.qemu = "paused",
		.other = CELL(PAUSED, UNKNOWN),
		.why = {
			[WHY_BOOTED] = CELL(PAUSED, STARTING_UP),
			[WHY_USER] = CELL(PAUSED, USER),
			[WHY_STARTING_UP] = CELL(PAUSED, STARTING_UP),
			[WHY_MIGRATION] = CELL(PAUSED, MIGRATION),
			/* Paused by its user before the migration, and still */
			[WHY_MIGRATED] = CELL(PAUSED, USER),
			[WHY_MIGRATION_CANCELED] = CELL(PAUSED, USER),
			[WHY_POSTCOPY] = CELL(PAUSED, POSTCOPY),
			[WHY_POSTCOPY_FAILED] = CELL(PAUSED, POSTCOPY_FAILED),
			[WHY_CRASHED] = CELL(PAUSED, CRASHED),
			[WHY_SHUTDOWN] = CELL(PAUSED, SHUTTING_DOWN),
		},
	},
	[RUN_SAVE_VM] = {
		.qemu = "save-vm",
		.other = CELL(PAUSED, DUMP),
	},
	[RUN_FINISH_MIGRATE] = {
		.qemu = "finish-migrate",
		.other = CELL(PAUSED, MIGRATION),
		.why = {
			[WHY_POSTCOPY] = CELL(PAUSED, POSTCOPY),
			[WHY_POSTCOPY_FAILED] = CELL(PAUSED, POSTCOPY_FAILED),
		},
	},
	[RUN_POSTMIGRATE] = {
		.qemu = "postmigrate",
		.other = CELL(SHUTOFF, MIGRATED),
		.why = {
			[WHY_POSTCOPY] = CELL(PAUSED, POSTCOPY),
			[WHY_POSTCOPY_FAILED] = CELL(PAUSED, POSTCOPY_FAILED),
		},
	},
	[RUN_INTERNAL_ERROR] = {
		.qemu = "internal-error",
		.other = CELL(CRASHED, UNKNOWN),
		.why = {
			[WHY_CRASHED] = CELL(CRASHED, PANICKED),
			[WHY_POSTCOPY_FAILED] = CELL(PAUSED, POSTCOPY_FAILED),
		},
	},
	[RUN_GUEST_PANICKED] = {
		.qemu = "guest-panicked",
		.other = CELL(CRASHED, PANICKED),
		.why = {
			[WHY_POSTCOPY] = CELL(PAUSED, POSTCOPY),
			[WHY_POSTCOPY_FAILED] = CELL(PAUSED, POSTCOPY_FAILED),
		},
	},
	[RUN_SHUTDOWN] = {
		.qemu = "shutdown",
		.other = CELL(SHUTOFF, SHUTDOWN),
		.why = {
			[WHY_USER] = CELL(SHUTOFF, DESTROYED),
			[WHY_STARTING_UP] = CELL(SHUTOFF, FAILED),
			[WHY_MIGRATED] = CELL(SHUTOFF, MIGRATED),
			[WHY_POSTCOPY_FAILED] = CELL(SHUTOFF, FAILED),
			[WHY_CRASHED] = CELL(SHUTOFF, CRASHED),
		},
	},
};
static_assert(ARRAY_SIZE(rows) == RUN_STATES,
	      "every run state needs its row of words");

struct domain_words words_domain(struct run_status status)
{
	static const struct row nothing = {
		.qemu = "internal-error",
		.other = CELL(NOSTATE, UNKNOWN),
	};
	const struct row *row = &nothing;
	const struct cell *cell;

	if ((unsigned)status.state < RUN_STATES)
		row = &rows[status.state];

	cell = &row->other;
	if ((unsigned)status.reason < RUN_REASONS &&
	    row->why[status.reason].state)
		cell = &row->why[status.reason];

	return (struct domain_words){
		.qemu = row->qemu,
		.state = cell->state,
		.reason = cell->reason,
		.state_value = cell->state_value,
		.reason_value = cell->reason_value,
		.running = status.state == RUN_RUNNING,
	};
}

#define CONST(word, name) { word, #name, name }

static const struct memory_failure_word recipients[] = {
	[MF_RECIPIENT_HYPERVISOR] = CONST("hypervisor",
		VIR_DOMAIN_EVENT_MEMORY_FAILURE_RECIPIENT_HYPERVISOR),
	[MF_RECIPIENT_GUEST] = CONST("guest",
		VIR_DOMAIN_EVENT_MEMORY_FAILURE_RECIPIENT_GUEST),
};
static_assert(ARRAY_SIZE(recipients) == MF_RECIPIENTS,
	      "every recipient needs its words");

static const struct memory_failure_word actions[] = {
	[MF_ACTION_IGNORE] = CONST("ignore",
		VIR_DOMAIN_EVENT_MEMORY_FAILURE_ACTION_IGNORE),
	[MF_ACTION_INJECT] = CONST("inject",
		VIR_DOMAIN_EVENT_MEMORY_FAILURE_ACTION_INJECT),
	[MF_ACTION_FATAL] = CONST("fatal",
		VIR_DOMAIN_EVENT_MEMORY_FAILURE_ACTION_FATAL),
	[MF_ACTION_RESET] = CONST("reset",
		VIR_DOMAIN_EVENT_MEMORY_FAILURE_ACTION_RESET),
};
static_assert(ARRAY_SIZE(actions) == MF_ACTIONS,
	      "every action needs its words");

struct memory_failure_word words_mf_recipient(enum mf_recipient recipient)
{
	if ((unsigned)recipient >= MF_RECIPIENTS)
		return (struct memory_failure_word){ 0 };
	return recipients[recipient];
}

struct memory_failure_word words_mf_action(enum mf_action action)
{
	if ((unsigned)action >= MF_ACTIONS)
		return (struct memory_failure_word){ 0 };
	return actions[action];
}

unsigned words_mf_flags(bool action_required, bool recursive)
{
	unsigned flags = 0;

	if (action_required)
		flags |= VIR_DOMAIN_MEMORY_FAILURE_ACTION_REQUIRED;
	if (recursive)
		flags |= VIR_DOMAIN_MEMORY_FAILURE_RECURSIVE;
	return flags;
}

static const char *const job_words[] = {
	[JOB_OPERATION] = VIR_DOMAIN_JOB_OPERATION,
	[JOB_TIME_ELAPSED] = VIR_DOMAIN_JOB_TIME_ELAPSED,
	[JOB_DOWNTIME] = VIR_DOMAIN_JOB_DOWNTIME,
	[JOB_SETUP_TIME] = VIR_DOMAIN_JOB_SETUP_TIME,
	[JOB_DATA_TOTAL] = VIR_DOMAIN_JOB_DATA_TOTAL,
	[JOB_DATA_PROCESSED] = VIR_DOMAIN_JOB_DATA_PROCESSED,
	[JOB_DATA_REMAINING] = VIR_DOMAIN_JOB_DATA_REMAINING,
	[JOB_MEMORY_TOTAL] = VIR_DOMAIN_JOB_MEMORY_TOTAL,
	[JOB_MEMORY_PROCESSED] = VIR_DOMAIN_JOB_MEMORY_PROCESSED,
	[JOB_MEMORY_REMAINING] = VIR_DOMAIN_JOB_MEMORY_REMAINING,
	[JOB_MEMORY_CONSTANT] = VIR_DOMAIN_JOB_MEMORY_CONSTANT,
	[JOB_MEMORY_NORMAL] = VIR_DOMAIN_JOB_MEMORY_NORMAL,
	[JOB_MEMORY_NORMAL_BYTES] = VIR_DOMAIN_JOB_MEMORY_NORMAL_BYTES,
	[JOB_MEMORY_BPS] = VIR_DOMAIN_JOB_MEMORY_BPS,
	[JOB_MEMORY_PAGE_SIZE] = VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE,
	[JOB_MEMORY_POSTCOPY_REQS] = VIR_DOMAIN_JOB_MEMORY_POSTCOPY_REQS,
	[JOB_SUCCESS] = VIR_DOMAIN_JOB_SUCCESS,
	[JOB_ERRMSG] = VIR_DOMAIN_JOB_ERRMSG,
};
static_assert(ARRAY_SIZE(job_words) == JOB_WORDS,
	      "every job statistic needs its key");

const char *words_job(enum job_word word)
{
	return (unsigned)word < JOB_WORDS ? job_words[word] : NULL;
}

int words_job_operation(bool outgoing)
{
	return outgoing ? VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT :
			  VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN;
}
