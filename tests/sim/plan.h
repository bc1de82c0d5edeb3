/* SPDX-License-Identifier: MIT */
/*
 * plan.h - What a seed makes of a run: the guest, the network, the faults
 *
 * A fault has a trigger (a moment) and an effect. Most runs have one or two of
 * them. Whatever they are, the run must keep the rules that check.c has.
 */
#ifndef FERRY_TESTS_SIM_PLAN_H
#define FERRY_TESTS_SIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migration/wire/wire.h"
#include "network.h"
#include "sched.h"
#include "stranger.h"
#include "tests/fake/fake_machine.h"

/* Calls that a plan may have fail; behind them enum fake_call */
enum sim_call {
	CALL_ALLOC, CALL_THREAD, CALL_EVENTFD, CALL_SOCKET, CALL_CONNECT,
	CALL_ACCEPT, CALL_RECV, CALL_SEND, CALL_POLL, CALL_RESOLVE,
	CALL_BIND, CALL_LISTEN, CALL_RANDOM, CALL_FAKE, CALLS = CALL_FAKE + FAKE_CALLS
};

/**
 * enum cut_kind - How a connection, or all, break
 * @CUT_RESET:	at both ends at once; bytes under way are lost
 * @CUT_ONE_WAY: what was sent arrives, then each end sees the reset
 * @CUT_STALL:	nothing passes on this connection for some time
 * @CUT_NETWORK: nothing passes anywhere for some time
 * @CUT_NETWORK_RESET: all connections are reset; no network for some time
 */
enum cut_kind { CUT_RESET, CUT_ONE_WAY, CUT_STALL, CUT_NETWORK,
		CUT_NETWORK_RESET, CUT_KINDS };

/*
 * What an operator or a host does to one side. RECONNECT is migrate-recover on
 * a destination, migrate with resume on a source
 */
enum command {
	COMMAND_CANCEL, COMMAND_PAUSE, COMMAND_STOP, COMMAND_CONT,
	COMMAND_POISON, COMMAND_HWPOISON, COMMAND_LOSE, COMMAND_QUIT,
	COMMAND_KILL, COMMAND_VANISH, COMMAND_RECONNECT, COMMAND_RESET,
	COMMAND_POSTCOPY,
	COMMANDS_BY_CHANCE,	/* the others only where they are right */
	COMMAND_RUN_HERE = COMMANDS_BY_CHANCE, COMMAND_GIVE_UP,
	COMMAND_RESET_NOW,	/* what a request of a reset causes */
	COMMANDS
};

/* FAULT_LATE: the thread that enters a phase does not run for a while */
enum fault_kind { FAULT_CALL, FAULT_CUT, FAULT_COMMAND, FAULT_STRANGER,
		  FAULT_LATE };

enum trigger { AT_CALL, AT_MESSAGE, AT_PHASE, AT_TIME };

/**
 * struct plan_cut - A broken connection
 * @kind:	how
 * @ns:	for how long, where that applies; NEVER
 */
struct plan_cut {
	enum cut_kind kind;
	uint64_t ns;
};

/**
 * struct fault - One of them
 * @kind:	which of the next four, or FAULT_LATE
 * @call:	fails with @error
 * @cut:	of the connection of the message that triggers it
 * @command:	is executed on @side
 * @stranger:	connects to the destination
 * @trigger:	which of the rest
 * @side:	whose calls, phase or command
 * @nth, @times: AT_CALL: the first such call that fails, from 1, and how many
 * @role, @from_source, @index, @byte: AT_MESSAGE: on which connection, in
 *		which direction, which message, before which byte of it;
 *		SIZE_MAX: after its last
 * @phase:	AT_PHASE: when this phase is entered, the @nth time
 * @time:	AT_TIME: then; AT_PHASE and AT_MESSAGE: so much later; ns.
 *		FAULT_LATE: for so long
 * @fired:	it has happened
 */
struct fault {
	enum fault_kind kind;
	enum sim_call call;
	int error;
	struct plan_cut cut;
	enum command command;
	enum stranger stranger;

	enum trigger trigger;
	enum side side;
	unsigned nth, times;
	enum wire_role role;
	bool from_source;
	unsigned index;
	size_t byte;
	unsigned phase;
	uint64_t time;
	bool fired;
};

#define FAULTS_MAX	4

/**
 * struct plan - A run
 * @pages:	of RAM
 * @cpus, @connections: of the guest, of the migration
 * @backing:	of RAM: RAM_ANON or RAM_HUGETLB
 * @runs:	the guest is not paused when it is migrated
 * @written:	of 16 pages, how many are written before the migration
 * @lost:	pages that are lost before it
 * @image:	bytes of the kernel image
 * @bandwidth:	limit, bytes a second; 0 for none
 * @short_waits: limits of waits are a tenth of the defaults
 * @again:	after a failure, the guest is migrated once more
 * @automatic:	a lost link is replaced without an operator
 * @chain:	a guest that has arrived is moved once more, to a third process
 * @rounds:	how many times recovery meets new faults before it meets none
 * @passes:	precopy passes
 * @shape:	of the network
 * @fault, @faults: what goes wrong
 * @armed:	it may go wrong from now on
 */
struct plan {
	size_t pages;
	unsigned cpus, connections;
	enum ram_backing backing;
	bool runs, short_waits, again, automatic, chain;
	unsigned rounds, passes;
	unsigned written, lost;
	size_t image;
	uint64_t bandwidth;
	struct network_shape shape;
	struct fault fault[FAULTS_MAX];
	unsigned faults;
	bool armed;
};

extern struct plan plan;

/** plan_begin() - Make the plan of a seed, by the seed's random numbers */
void plan_begin(void);

/**
 * plan_force() - Runs from now on have these faults and no others
 * @fault:	the faults
 * @n:		how many, up to FAULTS_MAX
 *
 * plan_begin() takes the same random numbers as without: the run is the same up
 * to the fault.
 */
void plan_force(const struct fault *fault, unsigned n);

/** plan_allow() - Undo plan_force() */
void plan_allow(void);

/** plan_calls() - How often a side has made a call in this run, armed */
unsigned plan_calls(enum side side, unsigned call);

/** plan_errors() - The errors that a call may give. Return: how many */
unsigned plan_errors(unsigned call, const int **error);

/** plan_call_name() - For messages */
const char *plan_call_name(unsigned call);

/** plan_is_harmless() - Nothing goes wrong in this run that may be noticed */
bool plan_is_harmless(void);

/** plan_second_leg() - New faults, for a migration from the second process */
void plan_second_leg(void);

/** plan_more_faults() - Other faults from now on, with the network back */
void plan_more_faults(void);

/** plan_end_faults() - Nothing goes wrong from now on, and waits are long */
void plan_end_faults(void);

/** plan_print() - Describe it to standard output */
void plan_print(void);

/**
 * plan_fails() - Shall a call fail?
 * @call:	which; of the side that runs
 *
 * Return: 0, or a positive errno
 */
int plan_fails(unsigned call);

/**
 * struct plan_point - A part of a message passes
 * @role, @from_source, @index: as in struct fault
 * @length:	of the message with its header; 0 before the header has passed
 * @from, @to:	bytes of it that pass
 * @ends:	the message ends at @to
 */
struct plan_point {
	enum wire_role role;
	bool from_source;
	unsigned index;
	size_t length, from, to;
	bool ends;
};

/**
 * plan_message() - A part of a message is about to pass
 *
 * Return: bytes that pass before something happens, @to - @from if nothing does
 */
size_t plan_message(const struct plan_point *p);

/** plan_take_cut() - What plan_message() has decided. Return: false: nothing */
bool plan_take_cut(struct plan_cut *cut);

/** plan_phase() - A side has entered a phase */
void plan_phase(enum side side, unsigned phase);

/**
 * plan_due() - Commands whose time has come are handed to node_command()
 *
 * Return: when the next one is due, ns; NEVER. It may become earlier: then
 * plan_changed is woken
 */
uint64_t plan_due(void);

extern const char plan_changed;

/** cut_name(), command_name() - For the trace */
const char *cut_name(enum cut_kind kind);
const char *command_name(enum command command);

#endif /* FERRY_TESTS_SIM_PLAN_H */
