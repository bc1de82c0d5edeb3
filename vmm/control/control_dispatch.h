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
 * struct control_later - An answer that is owed
 * @loop:	the main thread's
 * @client:	who it is for; NULL once it has gone. The main thread's
 * @done:	what takes the answer, in the main thread
 * @id:		of the command, or NULL
 * @ret, @err:	the answer
 */
struct control_later {
	struct loop *loop;
	void *client;
	void (*done)(void *later);
	json_t *id;
	json_t *ret;
	struct error err;
};

/**
 * struct dispatch_client - What is to be known of who asks
 * @ready:	it has been through qmp_capabilities
 * @later:	template for answers that are owed
 * @owed:	the answer that is owed to it now, or NULL
 */
struct dispatch_client {
	bool ready;
	struct control_later later;
	struct control_later *owed;
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
 * @from:	the client; changed by it
 * @text:	the message
 * @len:	of it
 *
 * Return: the answer (a new reference), or NULL: with @from->owed set it will
 *	   come, else there is no memory for one
 */
json_t *dispatch_message(const struct dispatch *d,
			 struct dispatch_client *from, const char *text,
			 size_t len);

/**
 * dispatch_late() - The answer that was owed, as a message
 * @l:		from control_answer(); freed
 *
 * Return: the answer (a new reference), or NULL if there is no memory for it
 */
json_t *dispatch_late(struct control_later *l);

#endif /* FERRY_CONTROL_DISPATCH_H */
