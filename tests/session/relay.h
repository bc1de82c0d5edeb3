/* SPDX-License-Identifier: MIT */
/*
 * relay.h - A relay between a source and a destination that cuts at a message
 *
 * It forwards the messages of all connections one by one. At the message that a
 * test has named it cuts all connections, or one; what comes later passes. A
 * test can also hold everything, as a network that drops all packets does.
 */
#ifndef FERRY_TESTS_SESSION_RELAY_H
#define FERRY_TESTS_SESSION_RELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "migration/wire/wire.h"

struct relay;

/* Who says a message */
enum relay_from { FROM_SOURCE, FROM_TARGET, FROM_EITHER };

/**
 * struct relay_cut - Where to cut
 * @from:	who says the message
 * @type:	its type; 0 for any
 * @role:	on which kind of connection; WIRE_ROLES for any
 * @nth:	the how many-th such message, from 1; 0: never
 * @after:	the message itself still passes
 * @inside:	half of the message still passes
 * @only:	cut just the connection that the message is on
 * @hold:	do not cut: from now on nothing passes, until relay_release()
 * @as:		do not cut: this one message passes as one of that type
 * @then:	where to cut next, once this cut has been made: on connections
 *		that are opened later
 */
struct relay_cut {
	enum relay_from from;
	enum wire_type type;
	enum wire_role role;
	unsigned nth;
	bool after, inside, only, hold;
	enum wire_type as;
	const struct relay_cut *then;
};

/** relay_new() - Listen at a Unix socket, and connect to another one */
struct relay *relay_new(const char *here, const char *there);

/** relay_cut() - Cut there, once */
void relay_cut(struct relay *r, const struct relay_cut *c);

/** relay_done() - Has the cut been made? The last one, if others follow it */
bool relay_done(struct relay *r);

/** relay_release() - Let pass what is held */
void relay_release(struct relay *r);

/** relay_cut_all() - Cut all connections now */
void relay_cut_all(struct relay *r);

/** relay_links() - How many main connections there were */
unsigned relay_links(struct relay *r);

/** relay_free() - Cut all, and end its threads */
void relay_free(struct relay *r);

#endif /* FERRY_TESTS_SESSION_RELAY_H */
