/* SPDX-License-Identifier: MIT */
/*
 * cli_progress.h - A migration as text
 *
 * Takes what query-migrate returned; members that are missing are left out of
 * the text.
 */
#ifndef FERRY_CLI_PROGRESS_H
#define FERRY_CLI_PROGRESS_H

#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

/**
 * progress_text() - Progress, in one line
 * @info:	from query-migrate
 * @name:	machine's name
 * @buf:	receives the text
 * @size:	of @buf: longer text is cut
 */
void progress_text(json_t *info, const char *name, char *buf, size_t size);

/**
 * progress_summary() - Summary of a finished migration, in a few lines
 * @info:	from query-migrate
 * @out:	receives the text
 */
void progress_summary(json_t *info, FILE *out);

#endif /* FERRY_CLI_PROGRESS_H */
