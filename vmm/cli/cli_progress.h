/* SPDX-License-Identifier: MIT */
/*
 * cli_progress.h - A migration in words
 *
 * Takes what query-migrate returned; members that are not there are left out
 * of the text.
 */
#ifndef FERRY_CLI_PROGRESS_H
#define FERRY_CLI_PROGRESS_H

#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

/**
 * progress_text() - How far it is, in one line
 * @info:	from query-migrate
 * @name:	the machine's
 * @buf:	where to put it
 * @size:	of @buf: what does not fit is cut off
 */
void progress_text(json_t *info, const char *name, char *buf, size_t size);

/**
 * progress_summary() - How it went, in a few lines
 * @info:	from query-migrate, when it is over
 * @out:	where to
 */
void progress_summary(json_t *info, FILE *out);

#endif /* FERRY_CLI_PROGRESS_H */
