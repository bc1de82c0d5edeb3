/* SPDX-License-Identifier: MIT */
/*
 * poison.h - The list of guest memory that is lost
 *
 * A machine has one list, which travels with the guest. Memory enters it and
 * leaves it only by a reset of the guest (invariant 2). The entries are sorted
 * by address and disjoint; adjacent entries with the same flags are merged, so
 * the list is as long as the number of runs. Safe from any thread.
 *
 * Threads that vCPUs wait for (those that place pages, invariant 7) must not
 * wait for a thread that holds the list's lock and is preempted. They call
 * poison_post(), which takes no lock: it writes the run into one of POISON_POSTS
 * slots. Every other function takes the lock and first moves the posts into the
 * list. So no reader misses what was posted before it began:
 *
 *	(a) poison_post() returns after its slot is POST_FULL and @posted counts
 *	    it, so a reader that begins later sees @posted > 0 and looks at all
 *	    slots. Slots are independent of each other: one whose writer is
 *	    preempted in between hides no other one.
 *	(b) Only a holder of the lock empties slots, after the run is in the
 *	    list. A run that can't be entered for lack of memory stays in its
 *	    slot: poison_find() finds it there, and what returns the list fails.
 *	(c) The list is a set: it does not depend on the order of posts. A vCPU
 *	    that consumes the page before its post arrives has entered it itself.
 *	(d) A post carries the number of resets that came before its page was
 *	    read. If there was another one since, the page has been replaced by
 *	    a good one, and the post is dropped.
 *
 * If all slots are full, poison_post() takes the lock after all, and empties
 * them: only a peer that sends poison faster than it is reported causes that.
 */
#ifndef FERRY_POISON_H
#define FERRY_POISON_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/bytes.h"
#include "vmm/base/error.h"

#define POISON_MAX	(1u << 19)	/* entries; as many as a message has */
#define POISON_POSTS	256u

/**
 * struct poison - A run of lost memory
 * @gpa:	guest-physical address
 * @size:	bytes
 * @delivered:	the guest was informed, by a machine check or a record
 * @report:	the host found it: inform the guest before it touches it. Not
 *		saved: where the guest is migrated to, it is informed when it
 *		touches the page
 * @news:	was posted, and poison_take_news() has not returned it
 */
struct poison {
	uint64_t gpa, size;
	bool delivered, report, news;
};

/* What a slot is */
enum poison_post_state {
	POST_FREE,
	POST_WRITING,	/* by one thread */
	POST_FULL,
};

struct poison_post {
	_Atomic unsigned state;
	unsigned resets;	/* of the list when the run was found */
	struct poison p;
};

/**
 * struct poison_list - The list
 * @lock:	protects @entry, @n, @cap, and who empties a slot
 * @entry:	the runs
 * @n, @cap:	how many there are, and fit
 * @post:	slots of poison_post()
 * @posted:	slots that are full
 * @next:	where the next post looks for a free slot first
 * @resets:	how often the list was emptied; changes under @lock
 */
struct poison_list {
	pthread_mutex_t lock;
	struct poison *entry;
	size_t n, cap;
	struct poison_post post[POISON_POSTS];
	_Atomic size_t posted, next;
	_Atomic unsigned resets;
};

/** poison_init() - Make an empty list */
void poison_init(struct poison_list *l);

/** poison_fini() - Free it */
void poison_fini(struct poison_list *l);

/**
 * poison_add() - Enter a run
 * @l:		the list
 * @p:		the run
 *
 * Parts that the list has already keep their flags, except that @p->delivered
 * sets theirs; the rest is entered.
 *
 * Return: 1 if any of it is new, 0 if the list had all of it, -ENOMEM (also if
 *	   the list would exceed POISON_MAX entries)
 */
int poison_add(struct poison_list *l, const struct poison *p);

/**
 * poison_post() - Enter a run without waiting for another thread
 * @l:		the list
 * @p:		the run, as for poison_add(); @p->news is set
 *
 * Return: 0, -ENOMEM
 */
int poison_post(struct poison_list *l, const struct poison *p);

/** poison_resets() - How often the list was emptied; for poison_post_read() */
unsigned poison_resets(const struct poison_list *l);

/**
 * poison_post_read() - As poison_post(), for a page that could not be read
 * @l:		the list
 * @p:		the run
 * @resets:	poison_resets() before the read: after a reset since then, which
 *		may have been carried out between the read and this call, the
 *		run is not entered
 *
 * Return: 0, -ENOMEM
 */
int poison_post_read(struct poison_list *l, const struct poison *p,
		     unsigned resets);

/**
 * poison_take_news() - Runs that were posted, to be reported to the host
 * @l:		the list
 * @out:	filled in, ascending
 * @max:	at most so many
 * @more:	set to the runs that did not fit; these count as reported, too
 *
 * What poison_delivered() has named meanwhile is no news: it was reported with
 * more. Adjacent runs are one.
 *
 * Return: runs in @out, -ENOMEM if a run that was posted can't be entered
 */
int poison_take_news(struct poison_list *l, struct poison *out, size_t max,
		     size_t *more);

/** poison_clear() - Empty the list, for a reset with fresh RAM (invariant 2) */
void poison_clear(struct poison_list *l);

/**
 * poison_find() - Is a byte in the list?
 * @l:		the list
 * @gpa:	its address
 * @found:	set to the entry that contains it; may be NULL
 *
 * Return: true if it is
 */
bool poison_find(struct poison_list *l, uint64_t gpa, struct poison *found);

/**
 * poison_unreported() - Find a page that the guest must still be informed of
 * @l:		the list
 * @first:	set to the first such page, of GUEST_PAGE_SIZE; may be NULL
 *
 * Return: true if there is one
 */
bool poison_unreported(struct poison_list *l, struct poison *first);

/**
 * poison_delivered() - Record that the guest was informed of a range
 * @l:		the list
 * @gpa:	where it starts
 * @size:	bytes; parts that are not in the list are ignored
 *
 * If there is no memory to divide an entry, all of the entry counts as
 * delivered.
 */
void poison_delivered(struct poison_list *l, uint64_t gpa, uint64_t size);

/**
 * poison_copy() - Copy the whole list
 * @l:		the list
 * @out:	set to an array to be freed; NULL if the list is empty
 *
 * Return: number of entries, -ENOMEM
 */
int poison_copy(struct poison_list *l, struct poison **out);

/**
 * struct poison_sum - All entries together
 * @ranges:	how many there are
 * @bytes:	of them all
 */
struct poison_sum {
	size_t ranges;
	uint64_t bytes;
};

/**
 * poison_head() - Copy the first entries
 * @l:		the list
 * @out:	receives them
 * @max:	how many @out has room for
 * @sum:	of the whole list
 *
 * For the main thread: poison_copy() takes too long with POISON_MAX entries.
 *
 * Return: 0, -ENOMEM: the list lacks what could not be entered
 */
int poison_head(struct poison_list *l, struct poison *out, size_t max,
		struct poison_sum *sum);

/**
 * poison_save() - Append a list to a byte string
 * @p:		from poison_copy()
 * @n:		number of entries
 * @w:		where to
 */
void poison_save(const struct poison *p, size_t n, struct writer *w);

/**
 * poison_parse() - Read a list that poison_save() wrote
 * @r:		where from; not trusted
 * @out:	set to an array to be freed; NULL if the list is empty
 * @err:	what is wrong with it
 *
 * Checks that the entries ascend and are disjoint; the caller checks whether
 * they are RAM.
 *
 * Return: number of entries, -EBADMSG, -ENOMEM
 */
int poison_parse(struct reader *r, struct poison **out, struct error *err);

#endif /* FERRY_POISON_H */
