/* SPDX-License-Identifier: MIT */
/*
 * fault.h - The destination's thread that resolves page faults
 *
 * Waits for two things at once: a fault, which it resolves by itself where it
 * can (zeroes, pages that have arrived meanwhile) or sends on as a REQUEST;
 * and the source's answers. One thread does both, so that a fault costs no
 * hand-off beyond the unavoidable wake-ups. It never blocks but in poll(), and
 * takes no lock that a bulk thread takes.
 *
 * When the connection is lost, the thread stays: zero pages need no source,
 * and vCPUs that touch other pages wait until the session ends or has a new
 * link. fault_detach() makes sure that the thread does not use the lost
 * connection any more; fault_attach() gives it another one, on which it first
 * requests what vCPUs wait for.
 */
#ifndef FERRY_FAULT_H
#define FERRY_FAULT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "migration/link/channel.h"
#include "migration/pages/page_store.h"

#define FAULT_ANSWER_MS	20000	/* a request this old: the source is gone */

/**
 * struct fault_session - What the thread needs of its session
 * @ctx:	handed to each
 * @vcpus:	how many there are
 * @vcpu_of:	the vCPU with that thread id, or PAGE_STATS_OTHER
 * @vcpu_blocked: is that vCPU's thread blocked in the kernel?
 * @vcpu_idle:	how long that vCPU has been idle in all, ns, and how often it has
 *		left the guest; UINT64_MAX: unknown
 * @lost:	the demand connection failed, or the peer violates the
 *		protocol: called once
 */
struct fault_session {
	void *ctx;
	unsigned vcpus;
	unsigned (*vcpu_of)(void *ctx, pid_t tid);
	bool (*vcpu_blocked)(void *ctx, unsigned vcpu);
	uint64_t (*vcpu_idle)(void *ctx, unsigned vcpu, uint64_t *exits);
	void (*lost)(void *ctx, const struct error *why);
};

struct fault_buffers;

/**
 * enum fault_link - The fault thread's connection
 * @FAULT_LINK_USED:	the thread uses it
 * @FAULT_LINK_CUT:	the thread uses it until it notices
 * @FAULT_LINK_NONE:	the thread has none, and takes none
 * @FAULT_LINK_OFFERED:	there is another one, which the thread may take
 *
 * Only the thread goes from CUT to NONE and from OFFERED to USED, only others
 * go from NONE to OFFERED. So a thread that sees NONE may close the connection.
 */
enum fault_link {
	FAULT_LINK_USED, FAULT_LINK_CUT, FAULT_LINK_NONE, FAULT_LINK_OFFERED,
};

/**
 * struct fault_thread - See above
 * @store:	where pages go
 * @c:		demand connection
 * @session:	what the thread needs of it
 * @answer_ms:	longest time that a request may stay unanswered
 * @buffers:	what it receives and sends
 * @wake:	eventfd: the thread shall look at the flags
 * @link:	enum fault_link: who may use @c
 * @detached:	the thread has no connection; only the thread reads and sets it
 * @requested:	something was requested on @c
 * @asking:	pages that vCPUs have waited for are still being requested
 * @linked_at:	when the connection was attached, ns: no answer is due earlier
 * @ending:	the thread shall end
 * @thread, @started: the thread, while there is one
 */
struct fault_thread {
	struct page_store *store;
	struct channel *c;
	struct fault_session session;
	_Atomic unsigned answer_ms;
	struct fault_buffers *buffers;
	int wake;
	_Atomic int link;
	_Atomic bool ending;
	bool detached, asking, requested;
	uint64_t linked_at;
	pthread_t thread;
	_Atomic bool started;
};

/**
 * fault_start() - Allocate all and create the thread
 * @f:		filled in
 * @store:	open
 * @c:		demand connection
 * @session:	copied
 * @err:	why not
 *
 * To be called before any state is loaded: loading may fault.
 *
 * Return: 0, -errno
 */
int fault_start(struct fault_thread *f, struct page_store *store,
		struct channel *c, const struct fault_session *session,
		struct error *err);

/** fault_cut() - The session has failed: request nothing any more; any thread */
void fault_cut(struct fault_thread *f);

/**
 * fault_detach() - Wait until the thread does not use its connection any more
 * @f:		the thread, started; its connection was shut
 */
void fault_detach(struct fault_thread *f);

/**
 * fault_attach() - Give the thread another connection
 * @f:		the thread, detached
 * @c:		demand connection of the new link
 * @answer_ms:	longest time that a request may stay unanswered
 */
void fault_attach(struct fault_thread *f, struct channel *c,
		  unsigned answer_ms);

/**
 * fault_end() - End the thread and free its buffers; fine if it is all zeroes
 * @f:		the thread. Another thread may be in fault_cut(), which uses the
 *		eventfd: that stays until fault_fini()
 */
void fault_end(struct fault_thread *f);

/** fault_fini() - Free all; no other thread may use it any more */
void fault_fini(struct fault_thread *f);

#endif /* FERRY_FAULT_H */
