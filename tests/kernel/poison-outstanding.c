// SPDX-License-Identifier: MIT
/*
 * poison-outstanding.c - The memory layout changes while UFFDIO_POISON runs
 *
 * Man page: "ENOENT: The faulting process has changed its virtual memory layout
 * simultaneously with an outstanding UFFDIO_POISON operation." "ESRCH: The
 * faulting process has exited at the time of a UFFDIO_POISON operation." "The
 * updated field is output-only; it is not read".
 *
 * Theory of operation
 *
 * The ioctl is held in the kernel, at one of two places, for as long as the
 * case likes: its argument lies in a page that is missing on a second
 * userfaultfd, the gate. The gate's page fault says that the ioctl has begun;
 * the ioctl goes on when the gate's page is placed.
 *
 * HOLD_BEFORE	all of the argument is missing: the kernel waits while it reads
 *		the argument, before it has looked at the memory
 * HOLD_AFTER	only the field updated is: the kernel waits while it writes the
 *		result, after it has poisoned the range
 *
 * In between the kernel cannot be held: it keeps the mapping locked, so that a
 * change of the layout waits (poison-race).
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "ktest.h"

#define JUNK	0x5a5a5a5a5a5a5a5a

enum hold { HOLD_BEFORE, HOLD_AFTER };

/** struct call - A UFFDIO_POISON in a thread of its own, held in the kernel
 * @thread:	makes the call
 * @uffd:	userfaultfd that the call is for
 * @gate:	userfaultfd of the argument's pages
 * @pages:	two pages for the argument
 * @arg:	the argument, in them
 * @rc:		what the call returned: 0 or -errno
 */
struct call {
	pthread_t thread;
	int uffd;
	int gate;
	unsigned char *pages;
	struct uffdio_poison *arg;
	int rc;
};

static void *call_main(void *arg)
{
	struct call *c = arg;

	c->rc = ioctl(c->uffd, UFFDIO_POISON, c->arg) ? -errno : 0;
	return NULL;
}

/* Place one of the argument's pages, with the argument's bytes in it */
static void gate_open(struct call *c, size_t page,
		      const struct uffdio_poison *value)
{
	unsigned char src[2 * PAGE] = { 0 };
	struct uffdio_copy copy = {
		.dst = (uintptr_t)c->pages + page * PAGE,
		.src = (uintptr_t)src + page * PAGE, .len = PAGE,
	};

	memcpy(src + ((unsigned char *)c->arg - c->pages), value,
	       sizeof(*value));
	CHECK(!ioctl(c->gate, UFFDIO_COPY, &copy), "UFFDIO_COPY: %m");
}

static struct uffdio_poison call_value(void *addr, size_t len)
{
	return (struct uffdio_poison){
		.range = { (uintptr_t)addr, len }, .updated = JUNK,
	};
}

static void call_start(struct call *c, int uffd, void *addr, size_t len,
		       enum hold hold)
{
	struct uffdio_poison value = call_value(addr, len);
	struct uffd_msg msg;

	c->uffd = uffd;
	c->gate = uffd_open(O_NONBLOCK, 0);
	c->pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(c->pages != MAP_FAILED, "mmap: %m");
	madvise(c->pages, 2 * PAGE, MADV_NOHUGEPAGE);
	EXPECT(0, uffd_register(c->gate, c->pages, 2 * PAGE,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	/* The field updated begins the second page */
	c->arg = (void *)(c->pages + PAGE -
			  offsetof(struct uffdio_poison, updated));
	if (hold == HOLD_AFTER)
		gate_open(c, 0, &value);
	CHECK(!pthread_create(&c->thread, NULL, call_main, c), "no thread");
	uffd_wait_fault(c->gate, &msg);
	CHECK(msg.arg.pagefault.address >> 12 ==
	      (uintptr_t)(c->pages + (hold == HOLD_AFTER) * PAGE) >> 12,
	      "the call waits for another page");
	CHECK(!!(msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE) ==
	      (hold == HOLD_AFTER), "the first access to the page is a %s",
	      hold == HOLD_AFTER ? "read" : "write");
	if (hold == HOLD_BEFORE)
		gate_open(c, 1, &value);
}

/* Continue the call. Return: what it returned */
static int call_finish(struct call *c, void *addr, size_t len, enum hold hold,
		       int64_t *updated)
{
	struct uffdio_poison value = call_value(addr, len);

	gate_open(c, hold == HOLD_AFTER ? 1 : 0, &value);
	CHECK(!pthread_join(c->thread, NULL), "pthread_join failed");
	*updated = c->arg->updated;
	return c->rc;
}

/** struct scene - A held call for the first @len bytes of a mapping */
struct scene {
	struct mapping *m;
	struct call call;
	int uffd;
	size_t len;
	enum hold hold;
};

static void scene_start(struct scene *s, struct mapping *m, uint64_t features,
			enum hold hold)
{
	*s = (struct scene){ .m = m, .len = 4 * PAGE, .hold = hold };
	s->uffd = uffd_open(O_NONBLOCK, features);
	EXPECT(0, uffd_register(s->uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	call_start(&s->call, s->uffd, m->addr, s->len, hold);
}

static void scene_expect(struct scene *s, int want)
{
	int64_t updated;
	int rc = call_finish(&s->call, s->m->addr, s->len, s->hold, &updated);

	CHECK(rc == want, "UFFDIO_POISON: %s, expected %s", strerror(-rc),
	      strerror(-want));
	CHECK(updated == (want ? want : (int64_t)s->len), "updated = %lld",
	      (long long)updated);
}

static void none_poisoned(const unsigned char *addr, size_t len)
{
	for (size_t i = 0; i < len; i += PAGE)
		CHECK(!poisoned(addr + i), "page %zu was poisoned", i / PAGE);
}

static void unmapped(struct mapping *m)
{
	struct scene s;

	scene_start(&s, m, 0, HOLD_BEFORE);
	CHECK(!munmap(m->addr, m->len), "munmap: %m");
	scene_expect(&s, -ENOENT);
}

static void unmapped_in_part(struct mapping *m)
{
	struct scene s;

	scene_start(&s, m, 0, HOLD_BEFORE);
	CHECK(!munmap(m->addr + 3 * PAGE, PAGE), "munmap: %m");
	scene_expect(&s, -ENOENT);
	EXPECT(0, uffd_unregister(s.uffd, m->addr, 3 * PAGE));
	none_poisoned(m->addr, 3 * PAGE);
}

static void moved(struct mapping *m)
{
	unsigned char *to = mmap(NULL, m->len, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct scene s;

	CHECK(to != MAP_FAILED, "mmap: %m");
	scene_start(&s, m, 0, HOLD_BEFORE);
	CHECK(mremap(m->addr, m->len, m->len, MREMAP_MAYMOVE | MREMAP_FIXED,
		     to) == to, "mremap: %m");
	scene_expect(&s, -ENOENT);
	none_poisoned(to, m->len);
}

static void replaced(struct mapping *m)
{
	struct scene s;

	scene_start(&s, m, 0, HOLD_BEFORE);
	CHECK(mmap(m->addr, m->len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == m->addr,
	      "mmap: %m");
	scene_expect(&s, -ENOENT);
	none_poisoned(m->addr, m->len);
}

/* The kernel looks at what is there now, not at what was there at the call */
static void replaced_and_registered(struct mapping *m)
{
	struct scene s;

	scene_start(&s, m, 0, HOLD_BEFORE);
	CHECK(mmap(m->addr, m->len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == m->addr,
	      "mmap: %m");
	madvise(m->addr, m->len, MADV_NOHUGEPAGE);
	EXPECT(0, uffd_register(s.uffd, m->addr, m->len,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	scene_expect(&s, 0);
	CHECK(poisoned(m->addr), "the new memory can be read");
}

static void unregistered(struct mapping *m)
{
	struct scene s;

	scene_start(&s, m, 0, HOLD_BEFORE);
	EXPECT(0, uffd_unregister(s.uffd, m->addr, m->len));
	scene_expect(&s, -ENOENT);
	none_poisoned(m->addr, m->len);
}

static void filled(struct mapping *m)
{
	struct scene s;

	scene_start(&s, m, 0, HOLD_BEFORE);
	EXPECT(0, uffd_copy(s.uffd, m->addr, 0x42));
	scene_expect(&s, -EEXIST);
	CHECK(touch_read(m->addr).value == 0x42, "the page changed");
}

static void truncated(struct mapping *m)
{
	struct scene s;

	scene_start(&s, m, 0, HOLD_BEFORE);
	CHECK(!ftruncate(m->fd, 0), "ftruncate: %m");
	scene_expect(&s, -EFAULT);
}

static void *remover(void *arg)
{
	struct mapping *m = arg;

	/* Waits until its UFFD_EVENT_REMOVE has been read */
	madvise(m->addr, PAGE, MADV_DONTNEED);
	return NULL;
}

static void changing(struct mapping *m)
{
	struct uffd_msg msg;
	pthread_t thread;
	struct scene s;

	scene_start(&s, m, UFFD_FEATURE_EVENT_REMOVE, HOLD_BEFORE);
	CHECK(!pthread_create(&thread, NULL, remover, m), "no thread");
	uffd_wait_event(s.uffd);
	scene_expect(&s, -EAGAIN);
	CHECK(read(s.uffd, &msg, sizeof(msg)) == sizeof(msg) &&
	      msg.event == UFFD_EVENT_REMOVE, "event 0x%x", msg.event);
	CHECK(!pthread_join(thread, NULL), "pthread_join failed");
	EXPECT(0, uffd_poison(s.uffd, m->addr, s.len));
}

#define CHILD_FD	100

/* The child shares our descriptors, not our memory */
static void owner(struct mapping *m, int go)
{
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CHECK(dup2(uffd_missing(m), CHILD_FD) == CHILD_FD, "dup2: %m");
	CHECK(read(go, &c, 1) == 1, "read: %m");
	_exit(KTEST_OK);
}

static void exited(struct mapping *m)
{
	struct call call;
	int64_t updated;
	int go[2];
	pid_t pid;

	CHECK(!pipe(go), "pipe: %m");
	pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	CHECK(pid >= 0, "clone: %m");
	if (!pid)
		owner(m, go[0]);
	while (fcntl(CHILD_FD, F_GETFD) < 0 && !ktest_ended(pid))
		sched_yield();
	if (ktest_ended(pid))
		ktest_reap(pid);
	call_start(&call, CHILD_FD, m->addr, PAGE, HOLD_BEFORE);
	CHECK(write(go[1], "", 1) == 1, "write: %m");
	ktest_reap(pid);
	EXPECT(-ESRCH, call_finish(&call, m->addr, PAGE, HOLD_BEFORE,
				   &updated));
	NOTE("updated is %s", updated == (int64_t)JUNK ? "not written" :
	     "written");
	none_poisoned(m->addr, m->len);
}

static void unmapped_after(struct mapping *m)
{
	struct scene s;

	scene_start(&s, m, 0, HOLD_AFTER);
	CHECK(poisoned(m->addr) && poisoned(m->addr + s.len - 1),
	      "the range is not poisoned yet");
	CHECK(!munmap(m->addr, m->len), "munmap: %m");
	scene_expect(&s, 0);
}

static void second_call(struct mapping *m)
{
	struct scene s;

	scene_start(&s, m, 0, HOLD_AFTER);
	EXPECT(-EEXIST, uffd_poison(s.uffd, m->addr, PAGE));
	scene_expect(&s, 0);
}

static void wakes_last(struct mapping *m)
{
	struct toucher t;
	struct uffd_msg msg;
	struct scene s;
	int uffd = uffd_missing(m);

	toucher_start(&t, m->addr);
	uffd_wait_fault(uffd, &msg);
	s = (struct scene){ .m = m, .uffd = uffd, .len = PAGE,
			    .hold = HOLD_AFTER };
	call_start(&s.call, uffd, m->addr, PAGE, HOLD_AFTER);
	CHECK(poisoned(m->addr), "the page is not poisoned yet");
	CHECK(toucher_blocked(&t), "the waiter woke before updated is written");
	scene_expect(&s, 0);
	CHECK(toucher_join(&t).signo == SIGBUS, "the waiter read the page");
}

/* The poison is there, but the call failed, and nothing says how far it came */
static void result_unwritable(struct mapping *m)
{
	unsigned char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_poison *arg;
	int uffd = uffd_missing(m);
	struct uffd_msg msg;
	struct toucher t;

	CHECK(p != MAP_FAILED, "mmap: %m");
	arg = (void *)(p + PAGE - offsetof(struct uffdio_poison, updated));
	*arg = call_value(m->addr, PAGE);
	CHECK(!mprotect(p + PAGE, PAGE, PROT_READ), "mprotect: %m");
	toucher_start(&t, m->addr);
	uffd_wait_fault(uffd, &msg);
	CHECK(ioctl(uffd, UFFDIO_POISON, arg) == -1 && errno == EFAULT,
	      "UFFDIO_POISON: %m");
	CHECK(poisoned(m->addr), "the page is not poisoned");
	CHECK(toucher_blocked(&t), "the waiter woke");
	EXPECT(0, uffd_wake(uffd, m->addr, PAGE));
	CHECK(toucher_join(&t).signo == SIGBUS, "the waiter read the page");
}

static const struct kcase cases[] = {
	{ "munmap", "munmap during the call: ENOENT, updated is -ENOENT",
	  unmapped, ON_BOTH },
	{ "part", "munmap of the last page during the call: ENOENT, nothing is "
	  "poisoned", unmapped_in_part, ON_BOTH },
	{ "mremap", "mremap during the call: ENOENT, the memory is healthy at "
	  "its new place", moved, ON_BOTH },
	{ "replace", "another mapping takes the place during the call: ENOENT",
	  replaced, ON_BOTH },
	{ "register", "if that is registered, too, it is poisoned",
	  replaced_and_registered, ON_BOTH },
	{ "unregister", "UFFDIO_UNREGISTER during the call: ENOENT",
	  unregistered, ON_BOTH },
	{ "fill", "a page is placed during the call: EEXIST", filled, ON_BOTH },
	{ "truncate", "the file is truncated during the call: EFAULT",
	  truncated, ON_MEMFD },
	{ "changing", "a layout change that waits for its event's reader: "
	  "EAGAIN, updated is -EAGAIN", changing, ON_BOTH },
	{ "exit", "the owner exits during the call: ESRCH", exited, ON_BOTH },
	{ "after", "munmap after the work, before the result: 0, updated is "
	  "the length", unmapped_after, ON_BOTH },
	{ "second", "a second call meanwhile: EEXIST", second_call, ON_BOTH },
	{ "wakes", "waiters wake after the result is written", wakes_last,
	  ON_BOTH },
	{ "unwritable", "updated cannot be written: EFAULT, yet the range is "
	  "poisoned; no waiter wakes", result_unwritable, ON_BOTH },
};

KTEST_MAIN(cases)
