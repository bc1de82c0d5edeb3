/* SPDX-License-Identifier: MIT */
/*
 * page_query.h - query-ferry-pages: a map of RAM, and its changes
 *
 * Runs in the thread "commands", and takes no lock that the fault path takes:
 * it reads the page table and the ledger while other threads change them. It
 * looks for holes in parts of 256 MiB, so that the kernel holds its lock of the
 * address space only for a short time. docs/control.md has the command.
 */
#ifndef FERRY_PAGE_QUERY_H
#define FERRY_PAGE_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "migration/pages/page_map.h"
#include "vmm/base/error.h"

#define PAGE_QUERY_ARGS	"?begin:i ?size:i ?grain:i ?cells:i ?cursor:i"

struct machine;

/**
 * page_query_fn - What a migration says about pages
 * @ctx:	the caller's
 * @page:	first page, by offset in RAM
 * @n:		pages
 * @to:		filled in: enum page_show of each
 *
 * Return: false if no migration knows: @to is unchanged
 */
typedef bool page_query_fn(void *ctx, size_t page, size_t n, uint8_t *to);

struct page_query;

/**
 * page_query_new() - No map so far
 * @fn:		asked for each part of RAM
 * @ctx:	for @fn
 *
 * Return: it, or NULL if memory ran out
 */
struct page_query *page_query_new(page_query_fn *fn, void *ctx);

/**
 * page_query_run() - Answer the command
 * @q:		it; one thread at a time
 * @m:		the machine
 * @args:	checked against PAGE_QUERY_ARGS
 * @ret:	receives the answer
 * @err:	why not
 *
 * Return: 0, -EINVAL, -ENOMEM
 */
int page_query_run(struct page_query *q, struct machine *m, json_t *args,
		   json_t **ret, struct error *err);

/** page_query_free() - Free all maps; @q may be NULL */
void page_query_free(struct page_query *q);

#endif /* FERRY_PAGE_QUERY_H */
