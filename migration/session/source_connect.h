/* SPDX-License-Identifier: MIT */
/* source_connect.h - Open and close the connections of a source's link */
#ifndef FERRY_SOURCE_CONNECT_H
#define FERRY_SOURCE_CONNECT_H

#include "source.h"

/**
 * source_greet() - Open a connection: send HELLO, and receive WELCOME
 * @s:		it; its link was begun and resolved
 * @role:	which kind of connection
 * @i:		which of the push connections; 0 for the others
 * @err:	why not
 *
 * Return: 0, as link_connect(), channel_expect()
 */
int source_greet(struct source *s, enum wire_role role, unsigned i,
		 struct error *err);

/** source_demand_lost() - The demand thread has ended; @ctx: the source */
void source_demand_lost(void *ctx, const struct error *why);

/** source_attach() - Stage: the other connections, and the push threads */
int source_attach(struct source *s, struct error *err);

/** source_close_link() - End the threads that use the link, and close it */
void source_close_link(struct source *s);

#endif /* FERRY_SOURCE_CONNECT_H */
