/* SPDX-License-Identifier: MIT */
/*
 * session_env.h - The process around a session that is fuzzed
 *
 * The machine, its RAM and the userfaultfd are those of tests/fake.
 */
#ifndef FERRY_TESTS_FUZZ_SESSION_ENV_H
#define FERRY_TESTS_FUZZ_SESSION_ENV_H

#include "migration/session/session.h"
#include "tests/fake/fake_machine.h"

#define SESSION_RAM	(4 * MIB)

/**
 * struct session_fuzz - One session
 * @env, @limits, @progress: for source_new() or target_new()
 * @fds, @threads: lowest free descriptor, and number of threads, before
 * @opened:	how often a gate was opened: guests began to run
 */
struct session_fuzz {
	struct session_env env;
	struct session_limits limits;
	struct progress progress;
	int fds;
	unsigned threads;
	_Atomic unsigned opened;
};

/** session_fuzz_init() - Before a session */
void session_fuzz_init(struct session_fuzz *f);

/** session_fuzz_settle() - Give a session time to see what the peer did */
void session_fuzz_settle(struct session_fuzz *f);

/** session_fuzz_fini() - After it: it has left no descriptor and no thread */
void session_fuzz_fini(struct session_fuzz *f);

/** session_fuzz_touch() - A vCPU accesses one page */
void session_fuzz_touch(struct machine *m, unsigned vcpu, size_t page,
			bool write);

#endif /* FERRY_TESTS_FUZZ_SESSION_ENV_H */
