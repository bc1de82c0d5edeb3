/* SPDX-License-Identifier: MIT */
/*
 * control_dispatch.h - From the text of a QMP command to its answer
 *
 * No I/O: what it does to the machine is up to the commands registered.
 */
#ifndef FERRY_CONTROL_DISPATCH_H
#define FERRY_CONTROL_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "control.h"

#define DISPATCH_TABLES 8

/**
 * struct dispatch - The commands there are
 * @tables:	as registered, in the order of registration
 * @tables.list: ends with a NULL name
 * @tables.ctx:	handed to each command of it
 * @count:	of @tables
 */
struct dispatch {
	struct {
		const struct control_command *list;
		void *ctx;
	} tables[DISPATCH_TABLES];
	unsigned count;
};

/**
 * dispatch_add() - Register commands
 * @d:		the commands so far
 * @table:	ends with a NULL name; not copied
 * @ctx:	handed to each
 *
 * More than DISPATCH_TABLES are a mistake in the program, caught by assert().
 */
void dispatch_add(struct dispatch *d, const struct control_command *table,
		  void *ctx);

/**
 * dispatch_message() - Do what a client asks
 * @d:		the commands
 * @ready:	the client has been through qmp_capabilities; changed by it
 * @text:	the message
 * @len:	of it
 *
 * Return: the answer (a new reference), or NULL if there is no memory for one
 */
json_t *dispatch_message(const struct dispatch *d, bool *ready,
			 const char *text, size_t len);

#endif /* FERRY_CONTROL_DISPATCH_H */
