/* SPDX-License-Identifier: MIT */
/*
 * control_dispatch.h - From the text of a QMP command to its answer
 *
 * No I/O: the effects are those of the registered commands.
 */
#ifndef FERRY_CONTROL_DISPATCH_H
#define FERRY_CONTROL_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "control.h"

#define DISPATCH_TABLES 8

/**
 * struct dispatch - The registered commands
 * @tables:	in the order of registration
 * @tables.list: ends with a NULL name
 * @tables.ctx:	passed to each command of it
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
 * struct control_later - An answer that is owed to a client
 * @loop:	the main thread's
 * @client:	receives the answer; NULL once it disconnected. Main thread only
 * @done:	sends the answer, called in the main thread
 * @id:		of the command, or NULL
 * @ret:	the answer, or
 * @err:	the error
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
 * struct dispatch_client - The dispatcher's state of one client
 * @ready:	the client sent qmp_capabilities
 * @later:	template for answers that are owed
 * @owed:	the answer that is owed to the client now, or NULL
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
 * @ctx:	passed to each command
 *
 * More than DISPATCH_TABLES tables fail an assert().
 */
void dispatch_add(struct dispatch *d, const struct control_command *table,
		  void *ctx);

/**
 * dispatch_message() - Run the command in a message
 * @d:		the commands
 * @from:	the client that sent it; updated
 * @text:	the message
 * @len:	of @text
 *
 * Return: the answer (a new reference), or NULL: with @from->owed set the
 *	   answer follows later, else memory ran out
 */
json_t *dispatch_message(const struct dispatch *d,
			 struct dispatch_client *from, const char *text,
			 size_t len);

/**
 * dispatch_late() - Turn an answer that was owed into a message
 * @l:		from control_answer(); freed
 *
 * Return: the answer (a new reference), or NULL if memory ran out
 */
json_t *dispatch_late(struct control_later *l);

/**
 * dispatch_check_args() - Check an "arguments" object
 * @spec:	as in struct control_command: "uri:s ?detach:b"; NULL or "" for
 *		none
 * @args:	an object
 * @err:	names the argument that is unknown, missing or of the wrong type
 *
 * Return: 0, -EINVAL
 */
int dispatch_check_args(const char *spec, json_t *args, struct error *err);

#endif /* FERRY_CONTROL_DISPATCH_H */
