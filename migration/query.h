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

#endif /* FERRY_QUERY_H */
