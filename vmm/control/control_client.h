/* SPDX-License-Identifier: MIT */
/*
 * control_client.h - The connections of a control socket
 *
 * Nothing a client does costs the others anything. A message longer than
 * 64 KiB is refused and the client disconnected; a client that lets more than
 * 4 MiB of answers and events pile up is disconnected; one client more than
 * CLIENTS_MAX is not let in. Main thread only.
 */
#ifndef FERRY_CONTROL_CLIENT_H
#define FERRY_CONTROL_CLIENT_H

#include <sys/queue.h>

#include "control_dispatch.h"

#define CLIENTS_MAX 64

struct client;
struct loop;

/**
 * struct clients - All of them
 * @list:	the clients
 * @count:	how many
 * @loop:	that runs them
 * @dispatch:	what answers them
 * @last:	no further command is taken, what is owed is still answered
 */
struct clients {
	TAILQ_HEAD(client_list, client) list;
	unsigned count;
	struct loop *loop;
	const struct dispatch *dispatch;
	bool last;
};

/**
 * clients_init() - Start with none
 * @set:	filled in
 * @loop:	that is to run them
 * @dispatch:	what is to answer them; must live as long as @set
 */
void clients_init(struct clients *set, struct loop *loop,
		  const struct dispatch *dispatch);

/**
 * clients_add() - Greet a new client, or turn it away
 * @set:	the clients
 * @fd:		accepted connection, non-blocking, taken over
 */
void clients_add(struct clients *set, int fd);

/**
 * clients_tell() - Give one event to every client that wants events
 * @set:	the clients; those that do not read are disconnected
 * @text:	whole line
 */
void clients_tell(struct clients *set, const char *text);

/**
 * clients_close() - Write what the sockets take at once, and disconnect all
 * @set:	the clients
 */
void clients_close(struct clients *set);

#endif /* FERRY_CONTROL_CLIENT_H */
