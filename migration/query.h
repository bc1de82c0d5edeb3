/* SPDX-License-Identifier: MIT */
/* query.h - The progress of a migration as JSON: query-migrate */
#ifndef FERRY_QUERY_H
#define FERRY_QUERY_H

#include <jansson.h>

#include "migration/session/progress.h"

/** query_status_name() - QEMU's MigrationStatus, a literal */
const char *query_status_name(enum progress_status s);

/**
 * query_migrate() - What query-migrate returns
 * @p:		the progress
 *
 * Return: new object
 */
json_t *query_migrate(struct progress *p);

/**
 * query_add_wait() - Add what a session waits for, unless it has a wait already
 * @o:		the answer of query_migrate()
 * @w:		of a session that @o may not be about
 */
void query_add_wait(json_t *o, const struct progress_wait *w);

#endif /* FERRY_QUERY_H */
