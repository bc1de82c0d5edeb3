/* SPDX-License-Identifier: MIT */
/*
 * pair.h - Both sides of a session in one process, with a relay between them
 *
 * The sessions, their threads, sockets and userfaultfd are the real ones; the
 * machines are tests/fake's, so that no KVM is needed.
 */
#ifndef FERRY_TESTS_SESSION_PAIR_H
#define FERRY_TESTS_SESSION_PAIR_H

#include "../unit/unit.h"
#include "migration/session/source.h"
#include "migration/session/target.h"
#include "relay.h"
#include "tests/fake/fake_machine.h"

#define RAM_BYTES	(16 * MIB)
#define PAGES		(RAM_BYTES / WIRE_PAGE)
#define CPUS		2u
#define LONG_MS		30000u	/* much longer: nothing comes any more */

/**
 * struct pair - One migration
 * @dir:	of the sockets
 * @near, @far: where the relay listens, and the destination
 * @other:	an address for tests that need one more
 * @home:	the guest's machine on the source
 * @gone:	the machine at the destination, once it was handed over
 */
struct pair {
	char dir[32], near[64], far[64], other[64];
	struct session_limits limits;
	struct session_env here, there;
	struct progress near_progress, far_progress;
	struct machine *home;
	struct machine *_Atomic gone;
	struct source *s;
	struct target *t;
	struct relay *r;
};

/**
 * pair_new() - Addresses, limits, progress, and the machine, which does not run
 * @on_near, @on_far: called with the pair when a side's status has changed
 *
 * Set fake_host before it. pair_connect() follows.
 */
struct pair *pair_new(progress_fn *on_near, progress_fn *on_far);

/** pair_new_backing() - As pair_new(), with another kind of RAM on the source */
struct pair *pair_new_backing(enum ram_backing backing, progress_fn *on_near,
			      progress_fn *on_far);

/**
 * pair_connect() - A destination that listens, a relay, a source
 * @p:		the pair
 * @backing:	the destination's kind of RAM; -1: as on the source
 */
void pair_connect(struct pair *p, int backing);

/** pair_free() - End and free all; no socket may be left */
void pair_free(struct pair *p);

/** pair_new_source() - Another source, which replaces the last one */
void pair_new_source(struct pair *p);

/** pair_uri() - The URI of a Unix socket */
struct uri pair_uri(const char *path);

/** pair_ignore() - A progress_fn that does nothing */
void pair_ignore(void *ctx, enum progress_status status);

/** pair_start() - The source begins */
void pair_start(struct pair *p);

/** pair_stuck() - Fail the test, and say in which state both sides are */
void pair_stuck(struct pair *p, const char *what);

/** pair_await() - Wait for a status of one side */
void pair_await(struct pair *p, struct progress *side,
		enum progress_status status, const char *what);

/** pair_await_phase() - Wait for a phase of one side */
void pair_await_phase(struct pair *p, struct session *side, unsigned phase,
		      const char *what);

/** pair_await_cut() - Wait until the relay has made its cut */
void pair_await_cut(struct pair *p, const char *what);

#endif /* FERRY_TESTS_SESSION_PAIR_H */
