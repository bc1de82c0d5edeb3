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
 * @name:	for people
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

/* In the table's order; see there */
int source_hello(struct source *s, struct error *err);
int source_describe(struct source *s, struct error *err);
int source_attach(struct source *s, struct error *err);
int source_images(struct source *s, struct error *err);
int source_scan(struct source *s, struct error *err);
int source_precopy(struct source *s, struct error *err);
int source_hold(struct source *s, struct error *err);
int source_state(struct source *s, struct error *err);
int source_poison(struct source *s, struct error *err);
int source_zero(struct source *s, struct error *err);
int source_discard(struct source *s, struct error *err);
int source_prepare(struct source *s, struct error *err);
int source_commit(struct source *s, struct error *err);
int source_push(struct source *s, struct error *err);
int source_finish(struct source *s, struct error *err);

int source_redial(struct source *s, struct error *err);
int source_report(struct source *s, struct error *err);

/** source_confirm() - Tell a destination that is whole that this side knows */
int source_confirm(struct source *s, struct error *err);
int source_reattach(struct source *s, struct error *err);
int source_recommit(struct source *s, struct error *err);

int target_hello(struct target *t, struct error *err);
int target_build(struct target *t, struct error *err);
int target_attach(struct target *t, struct error *err);
int target_images(struct target *t, struct error *err);
int target_zero_list(struct target *t, struct error *err);
int target_precopy(struct target *t, struct error *err);
int target_state(struct target *t, struct error *err);
int target_written_list(struct target *t, struct error *err);
int target_discard(struct target *t, struct error *err);
int target_poison_list(struct target *t, struct error *err);
int target_prepare(struct target *t, struct error *err);
int target_commit(struct target *t, struct error *err);
int target_receive(struct target *t, struct error *err);
int target_finish(struct target *t, struct error *err);
int target_rejoin(struct target *t, struct error *err);
int target_report(struct target *t, struct error *err);
int target_reattach(struct target *t, struct error *err);
int target_recommit(struct target *t, struct error *err);

#endif /* FERRY_STAGES_H */
