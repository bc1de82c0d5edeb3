// SPDX-License-Identifier: MIT
/*
 * bench-limits: the life of one demand fault with nothing else going on
 *
 *   toucher            handler                       server process
 *   touches page ----> poll, read event
 *                      send 16 bytes --------------> recv
 *                      poll, recv <----------------- send 16 + 4096 bytes
 *   goes on <--------- UFFDIO_COPY
 *
 * The toucher is a thread of this process or a vCPU; it touches all pages of
 * an empty range, each once, in random order, and takes the time of each
 * touch. The handler is one thread that waits on {userfaultfd, socket}. Where
 * the three run matters more than anything that they do, so that each kind of
 * toucher and socket is measured in three placements.
 *
 * Every page of the source is different, and after the run the range must
 * equal it: a chain that delivers the wrong page is not a fast one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench-limits.h"

#define CHAIN_PAGES	4096
#define QUICK_PAGES	1000

/* Both directions: a request is a header, an answer a header and a page */
struct header {
	uint64_t offset;
	uint64_t len;
};

struct answer {
	struct header head;
	char page[PAGE];
};

/* Which of the two CPUs (0 or 1) each part runs on, or ANY_CPU */
static const struct placement {
	const char *name;
	int toucher, handler, server;
} placements[] = {
	{ "free",		ANY_CPU,	ANY_CPU,	ANY_CPU },
	{ "one_core",		0,		0,		0 },
	{ "toucher_apart",	1,		0,		0 },
};

#define PLACEMENTS	(sizeof(placements) / sizeof(placements[0]))

enum toucher { THREAD, VCPU, VCPU_IRQS };

/**
 * struct chain - One run
 * @a:		The empty range
 * @pages:	Its pages
 * @sock:	The handler's end of the connection
 * @cpu:	Where the handler runs
 * @source:	What the server sends
 * @order:	Page numbers in the order of touching
 * @us:		Time of each touch, in that order
 */
struct chain {
	struct arena a;
	size_t pages;
	int sock;
	int cpu;
	char *source;
	uint32_t *order;
	double *us;
};

/* One kind of toucher, socket and placement: percentiles of each run, in us */
struct figures {
	struct spread p50, p90, p99, max;
};

static _Noreturn void serve(int sock, const char *source)
{
	struct header req;

	while (recv(sock, &req, sizeof(req), MSG_WAITALL) == sizeof(req)) {
		struct iovec iov[2] = {
			{ &req, sizeof(req) },
			{ (void *)(source + req.offset), req.len },
		};
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
		size_t len = sizeof(req) + req.len;

		if (sendmsg(sock, &msg, MSG_NOSIGNAL) != (ssize_t)len)
			die("server: short answer: %s", strerror(errno));
	}
	_exit(0);
}

static void ask_for_page(struct chain *c)
{
	struct uffd_msg msg;
	struct header req = { .len = PAGE };
	uint64_t addr;

	if (read(c->a.uffd, &msg, sizeof(msg)) != sizeof(msg)) {
		if (errno != EAGAIN)
			die("userfaultfd: %s", strerror(errno));
		return;
	}
	addr = msg.arg.pagefault.address & ~(PAGE - 1);
	req.offset = addr - (uintptr_t)c->a.mem;
	write_all(c->sock, &req, sizeof(req));
}

/* Return: pages placed by this answer: 0 when it was there already */
static size_t place_answer(struct chain *c)
{
	struct answer ans;
	struct uffdio_range range = { .len = PAGE };
	int64_t n;

	if (recv(c->sock, &ans, sizeof(ans), MSG_WAITALL) != sizeof(ans))
		die("the server is gone");
	n = uffd_copy(c->a.uffd, c->a.mem + ans.head.offset, ans.page, PAGE);
	if (n == PAGE)
		return 1;
	if (n != -EEXIST)
		die("UFFDIO_COPY: %s", strerror(-n));
	/* A vCPU asked twice; the second wait is ended by hand */
	range.start = (uintptr_t)c->a.mem + ans.head.offset;
	if (ioctl(c->a.uffd, UFFDIO_WAKE, &range))
		die("UFFDIO_WAKE: %s", strerror(errno));
	return 0;
}

static void *handle(void *arg)
{
	struct chain *c = arg;
	struct pollfd fds[2] = {
		{ .fd = c->a.uffd, .events = POLLIN },
		{ .fd = c->sock, .events = POLLIN },
	};
	size_t placed = 0;

	pin(c->cpu);
	while (placed < c->pages) {
		if (poll(fds, 2, -1) < 0)
			die("poll: %s", strerror(errno));
		if (fds[0].revents)
			ask_for_page(c);
		if (fds[1].revents)
			placed += place_answer(c);
	}
	return NULL;
}

static void touch_pages(struct chain *c)
{
	size_t i;

	for (i = 0; i < c->pages; i++) {
		volatile char *p = c->a.mem + c->order[i] * PAGE;
		uint64_t t0 = now_ns();

		(void)*p;
		c->us[i] = (now_ns() - t0) / 1000.0;
	}
}

/* Each page must be where it belongs, whole */
static void check_pages(const struct chain *c)
{
	size_t i;

	for (i = 0; i < c->pages; i++)
		if (memcmp(c->a.mem + i * PAGE, c->source + i * PAGE, PAGE))
			die("page %zu is not what the server sent", i);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void keep(struct figures *f, double *us, size_t n)
{
	qsort(us, n, sizeof(*us), by_value);
	spread_add(&f->p50, us[n / 2]);
	spread_add(&f->p90, us[n * 90 / 100]);
	spread_add(&f->p99, us[n * 99 / 100]);
	spread_add(&f->max, us[n - 1]);
}

static int at(const struct bench *b, int which)
{
	return which == ANY_CPU ? ANY_CPU : b->cpu[which];
}

/* Handler and toucher of one run; the server is there already */
static void touch_all(const struct bench *b, struct chain *c,
		      const struct placement *p, struct vcpu *vcpu)
{
	pthread_t handler;
	int rc;

	c->cpu = at(b, p->handler);
	rc = pthread_create(&handler, NULL, handle, c);
	if (rc)
		die("cannot start a thread: %s", strerror(rc));
	pin(at(b, p->toucher));
	if (vcpu)
		vcpu_touch(vcpu, c->us);
	else
		touch_pages(c);
	pin(ANY_CPU);
	pthread_join(handler, NULL);
}

static void chain_run(const struct bench *b, struct chain *c,
		      const struct placement *p, bool tcp, enum toucher who)
{
	struct vcpu *vcpu = NULL;
	int sv[2], rc;
	pid_t pid;

	progress();
	stream_pair(tcp, sv);
	pid = fork_child();
	if (!pid) {
		close(sv[0]);
		pin(at(b, p->server));
		serve(sv[1], c->source);
	}
	close(sv[1]);
	c->sock = sv[0];
	warm_pages(2 * c->pages * PAGE);
	rc = arena_open(&c->a, BACK_ANON, c->pages * PAGE, 0,
			UFFDIO_REGISTER_MODE_MISSING);
	if (rc)
		die("userfaultfd: %s", strerror(-rc));
	if (who != THREAD &&
	    vcpu_open(&vcpu, c->a.mem, c->pages, c->order, who == VCPU_IRQS))
		die("KVM worked a moment ago and does not now");

	touch_all(b, c, p, vcpu);

	check_pages(c);
	if (vcpu)
		vcpu_close(vcpu);
	arena_close(&c->a);
	close(c->sock);
	reap_child(pid);
}

static void shuffle(uint32_t *order, size_t n)
{
	uint64_t seed = 42;
	size_t i;

	for (i = 0; i < n; i++)
		order[i] = i;
	for (i = n - 1; i; i--) {
		size_t j;
		uint32_t tmp = order[i];

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		j = (seed >> 33) % (i + 1);
		order[i] = order[j];
		order[j] = tmp;
	}
}

static void chain_init(struct chain *c, size_t pages)
{
	size_t i;

	*c = (struct chain){ .pages = pages };
	c->source = map_filled(pages * PAGE);
	c->order = calloc(pages, sizeof(*c->order));
	c->us = calloc(pages, sizeof(*c->us));
	if (!c->order || !c->us)
		die("no memory");
	shuffle(c->order, pages);
	for (i = 0; i < pages * PAGE / sizeof(uint64_t); i++)
		((uint64_t *)c->source)[i] = i + 1;
}

static void chain_free(struct chain *c)
{
	munmap(c->source, c->pages * PAGE);
	free(c->order);
	free(c->us);
}

static void report(const char *name, const struct figures *f, size_t pages)
{
	json_open(name);
	json_figure("p50", spread_median(&f->p50));
	json_figure("p90", spread_median(&f->p90));
	json_figure("p99", spread_median(&f->p99));
	json_figure("max", spread_max(&f->max));
	json_figure("p50_min", spread_min(&f->p50));
	json_figure("p50_max", spread_max(&f->p50));
	json_number("pages_per_run", pages);
	json_close();
	json_say(name, "p50 %.4g (%.4g to %.4g) p90 %.4g p99 %.4g max %.5g",
		 spread_median(&f->p50), spread_min(&f->p50),
		 spread_max(&f->p50), spread_median(&f->p90),
		 spread_median(&f->p99), spread_max(&f->max));
}

/* One kind of toucher and socket, in all placements */
static void bench_link(const struct bench *b, struct chain *c, bool tcp,
		       enum toucher who)
{
	struct figures figures[PLACEMENTS] = {};
	size_t i;
	int run;

	/* In turns, so that a slow minute of the machine hits all alike */
	for (run = 0; run < b->runs; run++) {
		for (i = 0; i < PLACEMENTS; i++) {
			if (b->ncpus < 2 && placements[i].toucher == 1)
				continue;
			chain_run(b, c, &placements[i], tcp, who);
			keep(&figures[i], c->us, c->pages);
		}
	}
	json_open(tcp ? "tcp" : "unix");
	for (i = 0; i < PLACEMENTS; i++) {
		if (figures[i].p50.n)
			report(placements[i].name, &figures[i], c->pages);
		else
			json_unavailable(placements[i].name, "needs two CPUs");
	}
	json_close();
}

static void bench_vcpu(const struct bench *b, struct chain *c,
		       enum toucher who)
{
	const char *key = who == VCPU_IRQS ? "vcpu_irqs" : "vcpu";
	struct vcpu *v;
	char *mem = map_filled(c->pages * PAGE);
	int rc = vcpu_open(&v, mem, c->pages, c->order, who == VCPU_IRQS);

	if (!rc)
		vcpu_close(v);
	munmap(mem, c->pages * PAGE);
	if (rc) {
		json_unavailable(key, strerror(-rc));
		return;
	}
	section(who == VCPU_IRQS
		? "fault chain, a vCPU with interrupts touches, us"
		: "fault chain, a vCPU touches, us");
	json_open(key);
	bench_link(b, c, true, who);
	bench_link(b, c, false, who);
	json_close();
}

/**
 * bench_chain() - Touch, fetch over loopback, UFFDIO_COPY, resumed
 * @b:		What is asked for
 *
 * Adds "chain_us": {"tcp", "unix", "vcpu": {"tcp", "unix"}, "vcpu_irqs": {"tcp",
 * "unix"}}, where the latter two have a vCPU as the toucher, without and with
 * interrupts (bench-limits-vcpu.c), and the others a thread. Each holds the placements
 * "free", "one_core" and "toucher_apart" with p50, p90, p99 (median of the
 * runs), max (of all runs), and the range of p50 over the runs.
 */
void bench_chain(const struct bench *b)
{
	struct chain c;

	chain_init(&c, b->quick ? QUICK_PAGES : CHAIN_PAGES);
	section("fault chain, a thread touches, us");
	json_open("chain_us");
	bench_link(b, &c, true, THREAD);
	bench_link(b, &c, false, THREAD);
	bench_vcpu(b, &c, VCPU);
	bench_vcpu(b, &c, VCPU_IRQS);
	json_close();
	chain_free(&c);
}
