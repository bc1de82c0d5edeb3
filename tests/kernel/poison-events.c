// SPDX-License-Identifier: MIT
/*
 * poison-events.c - UFFDIO_POISON between a layout change and its event
 *
 * Man page: "ENOENT: The faulting process has changed its virtual memory layout
 * simultaneously with an outstanding UFFDIO_POISON operation." With the events
 * UNMAP, REMAP, REMOVE or FORK switched on, the thread that changes the layout
 * waits until the event has been read. As long as it waits, UFFDIO_POISON of
 * any range of that userfaultfd gives EAGAIN, and does nothing. Once the event
 * has been read, the new layout decides: ENOENT where nothing is registered any
 * more, success elsewhere. So after EAGAIN with nothing done, a monitor must
 * read the userfaultfd before it tries again.
 */
#include <fcntl.h>
#include <sys/wait.h>

#include "ktest.h"

/** struct change - A layout change in a thread of its own
 * @thread:	makes the change, and waits for the reader of its event
 * @m:		the memory
 * @to:		where to move it (REMAP)
 * @go:		pipe: a byte in it makes the child continue (FORK)
 */
struct change {
	pthread_t thread;
	struct mapping *m;
	unsigned char *to;
	int go[2];
};

static void *unmap_main(void *arg)
{
	struct change *c = arg;

	munmap(c->m->addr, 4 * PAGE);
	return NULL;
}

static void *remap_main(void *arg)
{
	struct change *c = arg;

	if (mremap(c->m->addr, 4 * PAGE, 4 * PAGE,
		   MREMAP_MAYMOVE | MREMAP_FIXED, c->to) != c->to)
		c->to = NULL;
	return NULL;
}

static void *remove_main(void *arg)
{
	struct change *c = arg;

	madvise(c->m->addr, 4 * PAGE, MADV_DONTNEED);
	return NULL;
}

/* Not ktest_fork(): its child would end with this thread. It ends when the pipe
 * closes, so with its parent, too.
 */
static void *fork_main(void *arg)
{
	struct change *c = arg;
	pid_t pid = fork();
	char byte;

	if (!pid) {
		close(c->go[1]);
		if (read(c->go[0], &byte, 1) != 1)
			_exit(KTEST_OK);
		_exit(poisoned(c->m->addr) ? KTEST_OK : KTEST_NOT_OK);
	}
	return (void *)(uintptr_t)pid;
}

static void refused(int uffd, unsigned char *addr)
{
	int64_t updated = 0;

	EXPECT(-EAGAIN, uffd_poison_mode(uffd, addr, PAGE, 0, &updated));
	CHECK(updated == 0 || updated == -EAGAIN, "updated = %lld",
	      (long long)updated);
}

/* Start a change and see EAGAIN, in the part that changes and in the other */
static int change_start(struct change *c, struct mapping *m, uint64_t feature,
			void *(*main)(void *))
{
	int uffd = uffd_open(O_NONBLOCK, feature);

	c->m = m;
	EXPECT(0, uffd_register(uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	CHECK(!pthread_create(&c->thread, NULL, main, c), "no thread");
	uffd_wait_event(uffd);
	refused(uffd, m->addr);
	refused(uffd, m->addr + 6 * PAGE);
	return uffd;
}

static void change_finish(struct change *c, int uffd, unsigned event,
			  struct uffd_msg *msg, void **result)
{
	CHECK(read(uffd, msg, sizeof(*msg)) == sizeof(*msg), "read: %m");
	CHECK(msg->event == event, "event 0x%x, expected 0x%x", msg->event,
	      event);
	CHECK(!pthread_join(c->thread, result), "pthread_join failed");
}

static void unmap(struct mapping *m)
{
	struct change c = { 0 };
	struct uffd_msg msg;
	int uffd = change_start(&c, m, UFFD_FEATURE_EVENT_UNMAP, unmap_main);

	change_finish(&c, uffd, UFFD_EVENT_UNMAP, &msg, NULL);
	EXPECT(-ENOENT, uffd_poison(uffd, m->addr, PAGE));
	EXPECT(0, uffd_poison(uffd, m->addr + 6 * PAGE, PAGE));
}

static void remap(struct mapping *m)
{
	struct change c = { 0 };
	struct uffd_msg msg;
	int uffd;

	c.to = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	CHECK(c.to != MAP_FAILED, "mmap: %m");
	uffd = change_start(&c, m, UFFD_FEATURE_EVENT_REMAP, remap_main);
	change_finish(&c, uffd, UFFD_EVENT_REMAP, &msg, NULL);
	CHECK(c.to, "mremap failed");
	EXPECT(-ENOENT, uffd_poison(uffd, m->addr, PAGE));
	/* The registration moved along */
	EXPECT(0, uffd_poison(uffd, c.to, PAGE));
	CHECK(poisoned(c.to), "the page can be read");
	EXPECT(0, uffd_poison(uffd, m->addr + 6 * PAGE, PAGE));
}

static void removed(struct mapping *m)
{
	struct change c = { 0 };
	struct uffd_msg msg;
	int uffd = change_start(&c, m, UFFD_FEATURE_EVENT_REMOVE, remove_main);

	change_finish(&c, uffd, UFFD_EVENT_REMOVE, &msg, NULL);
	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	EXPECT(0, uffd_poison(uffd, m->addr + 6 * PAGE, PAGE));
}

/* Each process has its own userfaultfd now, which poisons only its memory */
static void forked(struct mapping *m)
{
	struct change c = { 0 };
	struct uffd_msg msg;
	int uffd, child, status;
	void *pid;

	CHECK(!pipe(c.go), "pipe: %m");
	uffd = change_start(&c, m, UFFD_FEATURE_EVENT_FORK, fork_main);
	change_finish(&c, uffd, UFFD_EVENT_FORK, &msg, &pid);
	child = (int)msg.arg.fork.ufd;
	EXPECT(0, uffd_poison(child, m->addr, PAGE));
	EXPECT(0, uffd_copy(uffd, m->addr, 0x42));
	CHECK(touch_read(m->addr).value == 0x42, "the parent's page is hit");
	CHECK((pid_t)(uintptr_t)pid > 0, "fork failed");
	CHECK(write(c.go[1], "", 1) == 1, "write: %m");
	CHECK(waitpid((pid_t)(uintptr_t)pid, &status, 0) > 0, "waitpid: %m");
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status),
	      "the child's page can be read, or it died: 0x%x", status);
	EXPECT(-ESRCH, uffd_poison(child, m->addr + PAGE, PAGE));
}

static const struct kcase cases[] = {
	{ "unmap", "munmap: EAGAIN until its event is read, then ENOENT", unmap,
	  ON_BOTH },
	{ "remap", "mremap: EAGAIN, then ENOENT at the old place, success at "
	  "the new", remap, ON_BOTH },
	{ "remove", "MADV_DONTNEED: EAGAIN, then success", removed, ON_BOTH },
	{ "fork", "fork: EAGAIN, then parent and child are poisoned apart",
	  forked, ON_BOTH },
};

KTEST_MAIN(cases)
