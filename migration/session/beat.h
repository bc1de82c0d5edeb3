/* SPDX-License-Identifier: MIT */
/*
 * beat.h - The heartbeat of a link: is the other side alive?
 *
 * While pages are sent, main carries nothing else. Each side sends BEAT on it
 * once in ferry-beat-interval, and expects a whole message within
 * ferry-dead-peer-timeout: a peer that is stopped, a network that drops
 * everything, and a peer that sends single bytes are all noticed by then. The
 * session threads do it, so that no heartbeat delays a page.
 */
#ifndef FERRY_BEAT_H
#define FERRY_BEAT_H

#include "session.h"

/**
 * struct beat - The heartbeat of the link that the session has now
 * @se:		the session
 * @heard:	when the last whole message came, ns
 * @said:	when BEAT was sent last, ns
 */
struct beat {
	struct session *se;
	uint64_t heard, said;
};

/** beat_begin() - The other side was alive just now */
void beat_begin(struct beat *b, struct session *se);

/**
 * beat_turn() - Wait for a message on main, and send BEAT when it is due
 * @b:		the heartbeat
 * @ms:		wait no longer, ms
 * @m:		filled in: its header. The payload is still to be received, by
 *		the deadline that is set on main
 * @wanted:	what the caller waits for, for the error text
 * @err:	why not
 *
 * Ends early when session_wake() is called. BEAT itself is not returned.
 *
 * Return: 1: a message; 0: none; -ETIMEDOUT: the other side is dead; as
 *	   session_hear()
 */
int beat_turn(struct beat *b, unsigned ms, struct wire_msg *m,
	      const char *wanted, struct error *err);

#endif /* FERRY_BEAT_H */
