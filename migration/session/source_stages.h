/* SPDX-License-Identifier: MIT */
/* source_stages.h - What a source does in most stages (stages.c has the table) */
#ifndef FERRY_SOURCE_STAGES_H
#define FERRY_SOURCE_STAGES_H

#include "source.h"

int source_hello(struct source *s, struct error *err);
int source_describe(struct source *s, struct error *err);
int source_hold(struct source *s, struct error *err);
int source_state(struct source *s, struct error *err);
int source_poison(struct source *s, struct error *err);
int source_prepare(struct source *s, struct error *err);
int source_commit(struct source *s, struct error *err);
int source_push(struct source *s, struct error *err);
int source_finish(struct source *s, struct error *err);

/** source_say_commit() - Send COMMIT, which was decided, and await RUNNING */
int source_say_commit(struct source *s, struct error *err);

/** source_confirm() - Send CONFIRMED to a destination that has every page */
int source_confirm(struct source *s, struct error *err);

#endif /* FERRY_SOURCE_STAGES_H */
