/* SPDX-License-Identifier: MIT */
/*
 * control_client.h - The connections of a control socket
 *
 * No client can delay another. A message longer than 64 KiB is refused, and its
 * client disconnected; so is a client that leaves more than 4 MiB of answers or
 * 8 MiB of events unread. While CLIENTS_MAX clients are connected, a further
 * connection is closed. Main thread only.
 */
#ifndef FERRY_CONTROL_CLIENT_H
#define FERRY_CONTROL_CLIENT_H

#include <sys/queue.h>

#include "control_dispatch.h"

#define CLIENTS_MAX 64

struct client;
struct loop;
struct sent_event;

/**
 * struct clients - All connections of a control socket
 * @list:	the clients
 * @count:	of @list
 * @events:	events that a client has not taken yet, oldest first
 * @event_bytes: of @events
 * @loop:	runs them
 * @dispatch:	answers them
 * @last:	no further command is run; answers that are owed are still sent
 */
struct clients {
	TAILQ_HEAD(client_list, client) list;
	unsigned count;
	TAILQ_HEAD(sent_event_list, sent_event) events;
	size_t event_bytes;
	struct loop *loop;
	const struct dispatch *dispatch;
	bool last;
};

/**
 * clients_init() - Start without connections
 * @set:	filled in
 * @loop:	runs the clients
 * @dispatch:	answers them; must live as long as @set
 */
void clients_init(struct clients *set, struct loop *loop,
		  const struct dispatch *dispatch);

/**
 * clients_add() - Greet a new client, or close the connection
 * @set:	the clients
 * @fd:		accepted connection, non-blocking, taken over
 */
void clients_add(struct clients *set, int fd);

/**
 * clients_tell() - Send an event to every client past qmp_capabilities
 * @set:	the clients; those that do not read are disconnected
 * @text:	a whole line, from malloc(3); taken over
 */
void clients_tell(struct clients *set, char *text);

/**
 * clients_close() - Write what the sockets take at once, and disconnect all
 * @set:	the clients
 */
void clients_close(struct clients *set);

#endif /* FERRY_CONTROL_CLIENT_H */
