/* SPDX-License-Identifier: MIT */
/*
 * words.h - QEMU's and libvirt's names for Ferry's states
 *
 * Only words.c includes libvirt's headers; nothing links with libvirt. Each
 * name is written once, as the constant itself, so that a name that libvirt
 * does not have fails to compile. Pure.
 */
#ifndef FERRY_WORDS_H
#define FERRY_WORDS_H

#include <stdbool.h>

#include "vmm/base/runstate.h"

/**
 * struct domain_words - A run state, in both vocabularies
 * @qemu:	QEMU's RunState, e.g. "running"
 * @state:	name of libvirt's virDomainState constant
 * @reason:	name of libvirt's reason constant for that state
 * @state_value: value of the constant @state names
 * @reason_value: value of the constant @reason names
 * @running:	vCPUs run (QEMU's "running" in query-status)
 */
struct domain_words {
	const char *qemu;
	const char *state;
	const char *reason;
	int state_value;
	int reason_value;
	bool running;
};

/**
 * words_domain() - Name a run state
 * @status:	any state with any reason; one out of range is "no state"
 *
 * Return: the words, all strings literals
 */
struct domain_words words_domain(struct run_status status);

/* Recipient of a memory failure */
enum mf_recipient {
	MF_RECIPIENT_HYPERVISOR,	/* found by Ferry, not by the guest */
	MF_RECIPIENT_GUEST,
	MF_RECIPIENTS
};

/* Action taken on a memory failure */
enum mf_action {
	MF_ACTION_IGNORE,	/* recorded: no access to the page was seen */
	MF_ACTION_INJECT,	/* the guest received a machine check */
	MF_ACTION_FATAL,	/* it can't receive one: it was stopped */
	MF_ACTION_RESET,	/* the guest was reset */
	MF_ACTIONS
};

/**
 * struct memory_failure_word - Recipient or action in both vocabularies
 * @qemu:	QEMU's word in the MEMORY_FAILURE event
 * @libvirt:	name of libvirt's constant
 * @value:	value of that constant
 */
struct memory_failure_word {
	const char *qemu;
	const char *libvirt;
	int value;
};

/**
 * words_mf_recipient() - Name the recipient of a memory failure
 * @recipient:	below MF_RECIPIENTS
 *
 * Return: the words; @qemu is NULL if @recipient is out of range
 */
struct memory_failure_word words_mf_recipient(enum mf_recipient recipient);

/**
 * words_mf_action() - Name the action taken on a memory failure
 * @action:	below MF_ACTIONS
 *
 * Return: the words; @qemu is NULL if @action is out of range
 */
struct memory_failure_word words_mf_action(enum mf_action action);

/**
 * words_mf_flags() - libvirt's flags of a memory failure
 * @action_required: a vCPU accessed the page
 * @recursive:	the guest was handling another memory failure
 *
 * Return: VIR_DOMAIN_MEMORY_FAILURE_ACTION_REQUIRED and _RECURSIVE, or'ed
 */
unsigned words_mf_flags(bool action_required, bool recursive);

/* Fields of libvirt's job statistics that Ferry fills in */
enum job_word {
	JOB_OPERATION,		/* see words_job_operation() */
	JOB_TIME_ELAPSED,	/* ms since the start */
	JOB_DOWNTIME,		/* ms without running vCPUs */
	JOB_SETUP_TIME,		/* ms before the guest was paused */
	JOB_DATA_TOTAL,		/* bytes */
	JOB_DATA_PROCESSED,	/* bytes */
	JOB_DATA_REMAINING,	/* bytes */
	JOB_MEMORY_TOTAL,	/* bytes */
	JOB_MEMORY_PROCESSED,	/* bytes */
	JOB_MEMORY_REMAINING,	/* bytes */
	JOB_MEMORY_CONSTANT,	/* pages that hold one value: zero pages */
	JOB_MEMORY_NORMAL,	/* pages sent as they are */
	JOB_MEMORY_NORMAL_BYTES,
	JOB_MEMORY_BPS,		/* bytes per second */
	JOB_MEMORY_PAGE_SIZE,	/* bytes */
	JOB_MEMORY_POSTCOPY_REQS, /* pages asked for */
	JOB_SUCCESS,		/* bool, when it is over */
	JOB_ERRMSG,		/* string, when it failed */
	JOB_WORDS
};

/**
 * words_job() - libvirt's key for a job statistic
 * @word:	below JOB_WORDS
 *
 * Return: the value of its VIR_DOMAIN_JOB_ macro, e.g. "memory_total", or
 *	   NULL if @word is out of range
 */
const char *words_job(enum job_word word);

/**
 * words_job_operation() - libvirt's number of a job's operation
 * @outgoing:	this machine is the source; else the destination
 *
 * Return: VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT or _IN
 */
int words_job_operation(bool outgoing);

#endif /* FERRY_WORDS_H */
