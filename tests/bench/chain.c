// SPDX-License-Identifier: MIT
/*
 * chain.c - Duration of single demand faults on an idle machine
 *
 *   toucher            handler                       server process
 *   reads page ------> poll, read event
 *                      send 16 bytes --------------> recv
 *                      poll, recv <----------------- send 16 + 4096 bytes
 *   continues <------- UFFDIO_COPY
 *
 * The toucher is a thread of this process or a vCPU. It reads all pages of an
 * empty range, each once, in random order, and measures each access. The handler
 * is one thread that waits for {userfaultfd, socket}. After the run the range
 * must equal the source: a chain that delivers a wrong page is void.
 */
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "limits.h"

/* Both directions: a request is a header, an answer a header and a page */
struct header {
	uint64_t offset;
	uint64_t len;
};

struct answer {
	struct header head;
	char page[PAGE];
};

/**
 * struct chain - One run
 * @a:		the empty range
 * @pages:	its pages
 * @sock:	the handler's end of the connection
 * @cpu:	where the handler runs
 * @order:	page numbers in the order of access
 * @us:		duration of each access, in that order
 */
struct chain {
	struct arena a;
	size_t pages;
	int sock, cpu;
	uint32_t *order;
	double *us;
};

/* What the server sends: each page is different */
static char *source_map(size_t pages)
{
	uint64_t *source = mem_map(pages * PAGE);

	for (size_t i = 0; i < pages * PAGE / sizeof(uint64_t); i++)
		source[i] = i + 1;
	return (char *)source;
}

void chain_serve(char **argv)
{
	int sock = atoi(argv[1]);
	char *source = source_map(atoi(argv[2]));
	struct header req;

	while (recv(sock, &req, sizeof(req), MSG_WAITALL) == sizeof(req)) {
		struct iovec iov[2] = {
			{ &req, sizeof(req) },
			{ source + req.offset, req.len },
		};
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
		size_t len = sizeof(req) + req.len;

		if (sendmsg(sock, &msg, MSG_NOSIGNAL) != (ssize_t)len)
			err(1, "server: short answer");
	}
}

static void cpu_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : cpu, &set);
	if (cpu >= 0 && sched_setaffinity(0, sizeof(set), &set))
		err(1, "cannot bind a thread to CPU %d", cpu);
}

static void page_request(struct chain *c)
{
	struct uffd_msg msg;
	struct header req = { .len = PAGE };

	if (read(c->a.uffd, &msg, sizeof(msg)) != sizeof(msg)) {
		if (errno != EAGAIN)
			err(1, "userfaultfd");
		return;
	}
	req.offset = (msg.arg.pagefault.address & ~(PAGE - 1)) -
		     (uintptr_t)c->a.mem;
	stream_write(c->sock, &req, sizeof(req));
}

/* Return: pages placed by this answer: 0 when it was present already */
static size_t answer_place(struct chain *c)
{
	struct answer ans;
	int64_t n;

	if (recv(c->sock, &ans, sizeof(ans), MSG_WAITALL) != sizeof(ans))
		errx(1, "the server closed the connection");
	n = arena_place(&c->a, ans.head.offset, ans.page, PAGE);
	if (n == PAGE)
		return 1;
	if (n != -EEXIST)
		errx(1, "UFFDIO_COPY: %s", strerror(-n));
	/* A vCPU faulted twice: end the second wait explicitly */
	if (uffd_wake(c->a.uffd, c->a.mem + ans.head.offset, PAGE))
		errx(1, "UFFDIO_WAKE failed");
	return 0;
}

static void *handler_thread(void *arg)
{
	struct chain *c = arg;
	struct pollfd fds[2] = {
		{ .fd = c->a.uffd, .events = POLLIN },
		{ .fd = c->sock, .events = POLLIN },
	};
	size_t placed = 0;

	cpu_pin(c->cpu);
	while (placed < c->pages) {
		if (poll(fds, 2, -1) < 0)
			err(1, "poll");
		if (fds[0].revents)
			page_request(c);
		if (fds[1].revents)
			placed += answer_place(c);
	}
	return NULL;
}

static void pages_touch(struct chain *c)
{
	for (size_t i = 0; i < c->pages; i++) {
		volatile char *p = c->a.mem + c->order[i] * PAGE;
		uint64_t t0 = now_ns();

		(void)*p;
		c->us[i] = (now_ns() - t0) / 1000.0;
	}
}

/* Page numbers in random order, the same in each run */
static uint32_t *order_shuffled(size_t pages)
{
	uint32_t *order = calloc(pages, sizeof(*order));
	uint64_t seed = 42;

	if (!order)
		err(1, "calloc");
	for (size_t i = 0; i < pages; i++) {
		size_t j;

		/* Insert i at a random place of what is shuffled already */
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		j = (seed >> 33) % (i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	return order;
}

void chain_touch(char **argv)
{
	struct chain c = {
		.sock = atoi(argv[1]), .pages = atoi(argv[2]),
		.cpu = atoi(argv[5]), .order = order_shuffled(atoi(argv[2])),
	};
	bool vcpu = strcmp(argv[3], "thread");
	char *source = source_map(c.pages);
	pthread_t handler;

	mem_warm(2 * c.pages * PAGE);
	arena_open(&c.a, "anon", "copy", c.pages * PAGE);
	c.us = calloc(c.pages, sizeof(*c.us));
	if (vcpu)
		vcpu_create(c.a.mem, c.pages, c.order,
			    !strcmp(argv[3], "vcpu_irqs"));
	if (!c.us || pthread_create(&handler, NULL, handler_thread, &c))
		errx(1, "cannot start a thread");
	cpu_pin(atoi(argv[4]));
	if (vcpu)
		vcpu_touch(c.us, c.pages);
	else
		pages_touch(&c);
	pthread_join(handler, NULL);
	if (memcmp(c.a.mem, source, c.pages * PAGE))
		errx(1, "the pages are not those that the server sent");
	for (size_t i = 0; i < c.pages; i++)
		printf("%.3f\n", c.us[i]);
}
