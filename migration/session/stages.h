/* SPDX-License-Identifier: MIT */
/*
 * stages.h - The two tables that both sides of a migration walk through
 *
 * A row is a stage: what the source does in it, and what the destination does
 * at the same time. A side that has nothing to do in a stage has NULL there.
 * The second table is that of a session's further links.
 * The phases (phase.h) say what a failure in a stage means; docs/protocol.md
 * describes the messages.
 */
#ifndef FERRY_STAGES_H
#define FERRY_STAGES_H

#include "vmm/base/error.h"

struct source;
struct target;

/**
 * struct stage - A row of the table
 * @name:	shown to clients
 * @source:	what the source does, or NULL
 * @target:	what the destination does, or NULL
 *
 * Both return 0; or -errno with the reason set, which ends the walk and is
 * reported as an event; or STAGES_OVER: there is nothing left to do.
 */
struct stage {
	const char *name;
	int (*source)(struct source *s, struct error *err);
	int (*target)(struct target *t, struct error *err);
};

#define STAGES_OVER	1

/* Both end with a NULL name */
extern const struct stage stages[], resume_stages[];

#endif /* FERRY_STAGES_H */
