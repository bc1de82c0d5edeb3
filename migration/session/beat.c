// SPDX-License-Identifier: MIT
/* beat.c - The heartbeat of a link: is the other side alive? */

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "beat.h"
#include "vmm/base/clock.h"


void beat_begin(struct beat *b, struct session *se)
{
	*b = (struct beat){ .se = se, .heard = now_ns() };
}

static uint64_t dead_at(const struct beat *b)
{
	return b->heard + b->se->limits->dead_peer_ms * NS_PER_MS;
}

static int say_beat(struct beat *b, uint64_t now, struct error *err)
{
	if (b->said && now - b->said < b->se->limits->beat_ms * NS_PER_MS)
		return 0;
	b->said = now;
	/* A peer that reads nothing is lost, too, as one that sends nothing */
	channel_set_end(&b->se->link.main, dead_at(b));
	return session_say(b->se, WIRE_MSG_BEAT, NULL, err);
}

/* Until the next BEAT or the deadline, whichever comes first; at most @ms */
static int wait_ms(const struct beat *b, uint64_t now, unsigned ms)
{
	uint64_t next = b->said + b->se->limits->beat_ms * NS_PER_MS;
	uint64_t end = dead_at(b) < next ? dead_at(b) : next;
	uint64_t left = end > now ? (end - now) / NS_PER_MS + 1 : 0;

	return left < ms ? (int)left : (int)ms;
}

static int explain_dead(const struct beat *b, struct error *err)
{
	return error_set(err, ETIMEDOUT,
		"the other side has shown no sign of life for %u ms (ferry-dead-peer-timeout)",
		b->se->limits->dead_peer_ms);
}

/* The header must be complete by the deadline: bytes are no message */
static int hear_one(struct beat *b, struct wire_msg *m, const char *wanted,
		    struct error *err)
{
	int rc;

	channel_set_end(&b->se->link.main, dead_at(b));
	rc = session_hear(b->se, m, wanted, err);
	if (rc == -ETIMEDOUT) {
		error_clear(err);
		return explain_dead(b, err);
	}
	if (rc)
		return rc;
	b->heard = now_ns();
	channel_set_end(&b->se->link.main, dead_at(b));
	return m->type != WIRE_MSG_BEAT;
}

int beat_turn(struct beat *b, unsigned ms, struct wire_msg *m,
	      const char *wanted, struct error *err)
{
	struct channel *main = &b->se->link.main;
	struct pollfd p[2] = {
		{ .fd = channel_poll_fd(main), .events = POLLIN },
		{ .fd = b->se->wake, .events = POLLIN },
	};
	uint64_t now = now_ns();
	int rc = say_beat(b, now, err), wait;

	if (rc)
		return rc;
	wait = channel_poll_ms(main, wait_ms(b, now, ms));
	if (poll(p, 2, wait) < 0 && errno != EINTR)
		return error_set(err, errno, "poll: %s",
				 strerrordesc_np(errno));
	session_woken(b->se);
	if (p[0].revents || channel_pending(main))
		return hear_one(b, m, wanted, err);
	return now_ns() < dead_at(b) ? 0 : explain_dead(b, err);
}
