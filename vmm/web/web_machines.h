/* SPDX-License-Identifier: MIT */
/*
 * web_machines.h - The machines that the page shows
 *
 * Those of `ferry list`, looked for once a second, and those of --control. Each
 * has a follower and, once it is known, a connection to its console.
 */
#ifndef FERRY_WEB_MACHINES_H
#define FERRY_WEB_MACHINES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>

#include "vmm/base/error.h"
#include "vmm/base/runtime.h"

#define WEB_MACHINES_MAX	32

struct event;
struct web;
struct web_console;
struct web_follower;

/**
 * struct web_machine - A machine that is followed, or was
 * @web:	the process
 * @id:		name of its socket, or the path given by --control
 * @control:	its control socket
 * @follower:	NULL once it has ended
 * @console:	its serial port, or NULL
 * @state:	what query-status has returned, or NULL
 * @migration:	what query-migrate has returned, or NULL. Both with what
 *		web_follower.c leaves in them
 * @pages:	the last answer of query-ferry-pages, or NULL; its runs are changes
 * @answered:	it has been reached
 * @failed:	and then or before lost: when, ns; 0: it is followed
 */
struct web_machine {
	TAILQ_ENTRY(web_machine) link;
	struct web *web;
	char id[RUNTIME_PATH_MAX], control[RUNTIME_PATH_MAX];
	struct web_follower *follower;
	struct web_console *console;
	json_t *state, *migration, *pages;
	bool answered;
	uint64_t failed;
};

/**
 * struct web_machines - All of them
 * @list:	in the order of their discovery
 * @n:		how many
 * @timer:	looks for new ones
 */
struct web_machines {
	TAILQ_HEAD(web_machine_list, web_machine) list;
	unsigned n;
	struct event *timer;
};

/**
 * web_machines_open() - Begin to follow
 * @w:		the process
 * @err:	why not
 *
 * Return: 0, -errno
 */
int web_machines_open(struct web *w, struct error *err);

/** web_machines_close() - Follow none any more */
void web_machines_close(struct web *w);

/** web_machines_find() - The machine with an id, or NULL */
struct web_machine *web_machines_find(struct web *w, const char *id);

/** web_machines_look() - Look for new machines now */
void web_machines_look(struct web *w);

/**
 * web_machines_watch() - Pages were opened or closed
 * @w:		the process
 * @viewed:	there is at least one
 * @whole:	report all state once more
 */
void web_machines_watch(struct web *w, bool viewed, bool whole);

#endif /* FERRY_WEB_MACHINES_H */
