// SPDX-License-Identifier: MIT
/*
 * poison-race.c - munmap and mremap race with UFFDIO_POISON, for all or nothing
 *
 * Man page: "ENOENT: The faulting process has changed its virtual memory layout
 * simultaneously with an outstanding UFFDIO_POISON operation." The kernel keeps
 * the mapping locked while it works: a change comes before all of the work
 * (ENOENT, nothing is poisoned) or after all of it (0, everything was), and
 * never in the middle. That holds for every timing, so it is checked in each
 * round. Each round waits longer, up to twice as long as the call takes alone; how
 * many rounds went which way is only noted.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/uio.h>
#include <time.h>

#include "ktest.h"

#define RANGE	(32UL << 20)
#define ROUNDS	40
#define STEP	(RANGE / 64)	/* between the pages that are looked at */

/** struct round - One race
 * @uffd:	userfaultfd
 * @addr:	RANGE bytes, registered
 * @to:		where the change moves them
 * @started:	the thread is about to make the call
 * @go:		and may
 * @rc:		what the call returned
 * @updated:	and wrote
 */
struct round {
	int uffd;
	unsigned char *addr;
	unsigned char *to;
	atomic_bool started;
	atomic_bool go;
	int rc;
	int64_t updated;
};

static void *poisoner(void *arg)
{
	struct round *r = arg;

	r->updated = 0;
	r->started = true;
	while (!r->go)
		sched_yield();
	r->rc = uffd_poison_mode(r->uffd, r->addr, RANGE, 0, &r->updated);
	return NULL;
}

static unsigned char *range_map(int prot, int flags, int fd)
{
	unsigned char *p = mmap(NULL, RANGE, prot, flags | MAP_NORESERVE, fd,
				0);

	CHECK(p != MAP_FAILED, "mmap: %m");
	return p;
}

static void round_prepare(struct round *r, struct mapping *m)
{
	int flags = m->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

	CHECK(m->fd < 0 || !ftruncate(m->fd, RANGE), "ftruncate: %m");
	r->addr = range_map(PROT_READ | PROT_WRITE, flags, m->fd);
	madvise(r->addr, RANGE, MADV_NOHUGEPAGE);
	EXPECT(0, uffd_register(r->uffd, r->addr, RANGE,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
}

/* As poisoned(), without a signal, which the kernel may log (poison-log) */
static bool unreadable(const unsigned char *addr)
{
	unsigned char byte;
	struct iovec to = { &byte, 1 }, from = { (void *)addr, 1 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) != 1;
}

/* How much of it is poisoned? Part of the work would be its beginning */
static void check_poisoned(const unsigned char *addr, size_t len, bool want,
			   int n)
{
	for (size_t i = 0; i < len; i += STEP) {
		CHECK(unreadable(addr + i) == want, "round %d: byte 0x%zx is %s"
		      "poisoned", n, i, want ? "not " : "");
		CHECK(unreadable(addr + i + STEP - 1) == want, "round %d: byte "
		      "0x%zx is %spoisoned", n, i + STEP - 1,
		      want ? "not " : "");
	}
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* How long does the call take, alone? */
static int64_t call_ns(struct round *r, struct mapping *m)
{
	int64_t start, ns;

	round_prepare(r, m);
	start = now_ns();
	EXPECT(0, uffd_poison(r->uffd, r->addr, RANGE));
	ns = now_ns() - start;
	CHECK(!munmap(r->addr, RANGE), "munmap: %m");
	return ns;
}

/* Make the change after a while. Was all poisoned? */
static bool round_run(struct round *r, int64_t wait_ns,
		      void (*change)(struct round *r))
{
	pthread_t thread;
	int64_t start;

	r->started = false;
	r->go = false;
	CHECK(!pthread_create(&thread, NULL, poisoner, r), "no thread");
	while (!r->started)
		sched_yield();
	r->go = true;
	for (start = now_ns(); now_ns() - start < wait_ns; )
		;
	change(r);
	CHECK(!pthread_join(thread, NULL), "pthread_join failed");
	if (!r->rc)
		CHECK(r->updated == (int64_t)RANGE, "0, but updated = %lld",
		      (long long)r->updated);
	else
		CHECK(r->rc == -ENOENT && r->updated == -ENOENT,
		      "%s, updated = %lld", strerror(-r->rc),
		      (long long)r->updated);
	return !r->rc;
}

static void unmap_half(struct round *r)
{
	CHECK(!munmap(r->addr + RANGE / 2, RANGE / 2), "munmap: %m");
}

static void unmapping(struct mapping *m)
{
	struct round r = { .uffd = uffd_open(O_NONBLOCK, 0) };
	const int64_t ns = call_ns(&r, m);
	int done = 0;

	for (int i = 0; i < ROUNDS; i++) {
		bool all;

		round_prepare(&r, m);
		all = round_run(&r, 2 * ns * i / ROUNDS, unmap_half);
		EXPECT(0, uffd_unregister(r.uffd, r.addr, RANGE / 2));
		check_poisoned(r.addr, RANGE / 2, all, i);
		CHECK(!munmap(r.addr, RANGE / 2), "munmap: %m");
		done += all;
	}
	NOTE("%d rounds poisoned, %d ENOENT", done, ROUNDS - done);
}

static void move(struct round *r)
{
	CHECK(mremap(r->addr, RANGE, RANGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     r->to) == r->to, "mremap: %m");
}

/* The poison moves along; the registration does not, without its event */
static void moving(struct mapping *m)
{
	struct round r = { .uffd = uffd_open(O_NONBLOCK, 0) };
	const int64_t ns = call_ns(&r, m);
	int done = 0;

	for (int i = 0; i < ROUNDS; i++) {
		bool all;

		round_prepare(&r, m);
		r.to = range_map(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		all = round_run(&r, 2 * ns * i / ROUNDS, move);
		check_poisoned(r.to, RANGE, all, i);
		CHECK(!munmap(r.to, RANGE), "munmap: %m");
		done += all;
	}
	NOTE("%d rounds poisoned, %d ENOENT", done, ROUNDS - done);
}

static const struct kcase cases[] = {
	{ "munmap", "munmap of half the range: all of it is poisoned, or none",
	  unmapping, ON_BOTH },
	{ "mremap", "mremap: all of it is poisoned at the new place, or none",
	  moving, ON_BOTH },
};

KTEST_MAIN(cases)
