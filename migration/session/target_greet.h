/* SPDX-License-Identifier: MIT */
/* target_greet.h - The listener of a destination, and which greetings it accepts */
#ifndef FERRY_TARGET_GREET_H
#define FERRY_TARGET_GREET_H

#include "target.h"

/** target_listen() - Begin to listen at @t->uri. Return: 0, -errno */
int target_listen(struct target *t, struct error *err);

/** target_can_recover() - Must the source connect again, or may it have to ask? */
bool target_can_recover(const struct target *t);

/**
 * target_listen_at() - Listen at another address from now on
 * @t:		it, listening
 * @uri:	where; no effect if it listens there already
 * @err:	why not: it listens where it did
 *
 * Return: 0, -EBUSY: the migration is not paused any more, -errno
 */
int target_listen_at(struct target *t, const struct uri *uri,
		     struct error *err);

/** target_stop_listening() - Stop; does not wait for the listener's thread */
void target_stop_listening(struct target *t);

/** target_free_listener() - Stop, and wait for the listener's thread */
void target_free_listener(struct target *t);

#endif /* FERRY_TARGET_GREET_H */
