/* SPDX-License-Identifier: MIT */
/*
 * session_env.h - The process around a session that is fuzzed
 *
 * The session, its peer and the guest run in the simulator (tests/sim): their
 * threads are coroutines, their clock and network are virtual. So waits take no
 * time, and an input always gives the same run. The order in which threads run
 * is random; its seed is made of the input. The machine, its RAM and the
 * userfaultfd are those of tests/fake.
 */
#ifndef FERRY_TESTS_FUZZ_SESSION_ENV_H
#define FERRY_TESTS_FUZZ_SESSION_ENV_H

#include "migration/session/session.h"
#include "tests/fake/fake_machine.h"
#include "tests/sim/sched.h"

#define SESSION_RAM	(4 * MIB)

struct session_fuzz;

/** session_fuzz_fn - Run one session with a peer that does what @data says */
typedef void session_fuzz_fn(struct session_fuzz *f, const uint8_t *data,
			     size_t size);

/**
 * struct session_fuzz - One session
 * @env, @limits, @progress: for source_new() or target_new()
 * @side:	whose process this is
 * @fn, @data, @size: what is run
 * @session, @may_run: the session, and may its guest run now? Set by @fn; may
 *		be NULL
 * @m:		the machine that the process has, or NULL
 * @opened:	how often a gate was opened: guests began to run
 * @turns:	of the vCPUs
 * @ran_here, @gave_up: what an operator has decided about the guest
 * @over:	@fn has returned, and has left nothing
 */
struct session_fuzz {
	struct session_env env;
	struct session_limits limits;
	struct progress progress;
	enum side side;
	session_fuzz_fn *fn;
	const uint8_t *data;
	size_t size;
	void *session;
	bool (*may_run)(const void *session);
	struct machine *m;
	unsigned opened, turns;
	bool ran_here, gave_up, over;
};

/**
 * session_fuzz_run() - Run one session in the simulator
 * @side:	of the process
 * @fn:		the session
 * @data:	the input, which @fn gets
 * @size:	bytes
 *
 * Ends the program if the session leaves a thread, a descriptor or memory, or
 * uses one of these after its end; if all threads wait for ever; and if the
 * guest runs in a phase in which it must not.
 */
void session_fuzz_run(enum side side, session_fuzz_fn *fn, const uint8_t *data,
		      size_t size);

/** session_fuzz_settle() - Give a session time to see what the peer did */
void session_fuzz_settle(struct session_fuzz *f);

/**
 * session_fuzz_touch() - A vCPU accesses one page, then works for a while
 * @f:		its process
 * @m, @vcpu:	the vCPU
 * @page:	number, modulo those that RAM has
 * @write:	the page is modified
 */
void session_fuzz_touch(struct session_fuzz *f, struct machine *m,
			unsigned vcpu, size_t page, bool write);

/**
 * session_fuzz_lose() - A page of the guest is lost
 * @f:		its process, which may have no guest
 * @page:	number, modulo those that RAM has
 * @simulate:	by `ferry poison`; else by the hardware, unnoticed
 */
void session_fuzz_lose(struct session_fuzz *f, size_t page, bool simulate);

#endif /* FERRY_TESTS_FUZZ_SESSION_ENV_H */
