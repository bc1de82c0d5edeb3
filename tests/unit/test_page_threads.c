// SPDX-License-Identifier: MIT
/*
 * test_page_threads.c - The four kinds of threads that move pages, without a
 * session
 *
 * Push and demand threads over one RAM, receive and fault threads over
 * another, sockets between them, threads that touch pages in the place of
 * vCPUs. Proves what needs a peer that misbehaves, or a moment that an
 * end-to-end test can't choose.
 */

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#include "migration/pages/answer_size.h"
#include "migration/link/socket.h"
#include "migration/session/demand.h"
#include "migration/session/fault.h"
#include "migration/session/push.h"
#include "migration/session/receive.h"
#include "vmm/base/clock.h"
#include "vmm/memory/ram_huge.h"
#include "vmm/memory/uffd.h"

#define RAM_BYTES	(32 * MIB)
#define PAGES		(RAM_BYTES / WIRE_PAGE)
#define PUSHERS		3

struct source_side {
	struct ram ram;
	struct page_stats stats;
	struct page_source pages;
	struct push_group push;
	struct demand_server answers;
	struct channel c[PUSHERS], demand;
};

struct target_side {
	struct ram ram;
	struct page_stats stats;
	struct page_store store;
	struct receive_group receive;
	struct fault_thread faults;
	struct channel c[PUSHERS], demand;
};

struct world {
	struct source_side s;
	struct target_side t;
	_Atomic unsigned failures, push_lost, push_ended;
	struct error why;
	_Atomic unsigned events;
};

static void on_failure(void *ctx, const struct error *why)
{
	/* The threads of both sides may fail at the same time */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct world *w = ctx;

	pthread_mutex_lock(&lock);
	if (!w->failures)
		w->why = *why;
	/* After that: a test waits for it, and reads @why */
	w->failures++;
	pthread_mutex_unlock(&lock);
}

/* Of one of several, it is no failure */
static void on_push_lost(void *ctx, bool last, const struct error *why)
{
	struct world *w = ctx;

	w->push_lost++;
	if (last)
		on_failure(w, why);
}

static void on_push_ended(void *ctx)
{
	struct world *w = ctx;

	w->push_ended++;
}

static void on_lost(void *ctx, uint64_t gpa)
{
	(void)ctx;
	(void)gpa;
}

static int on_poisoned(void *ctx, uint64_t gpa, uint64_t size, bool delivered)
{
	struct world *w = ctx;

	(void)gpa;
	(void)size;
	(void)delivered;
	w->events++;
	return 0;
}

static void on_crash(void *ctx)
{
	(void)ctx;
	abort();
}

static void channel_open_pair(struct channel *a, struct channel *b)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	socket_channel(a, fd[0]);
	socket_channel(b, fd[1]);
}

static void set_up_source(struct world *w)
{
	struct source_side *s = &w->s;
	struct error err = { 0 };

	assert_int_equal(ram_create(&s->ram, RAM_BYTES, RAM_ANON, &err), 0);
	for (size_t i = 0; i < PAGES; i += 2)
		memset(s->ram.base + i * WIRE_PAGE, 1 + (int)(i % 200),
		       WIRE_PAGE);
	assert_int_equal(page_source_init(&s->pages, &s->ram, &s->stats,
					  on_lost, w), 0);
	push_init(&s->push, &s->pages, on_push_lost, on_push_ended, w);
	s->push.n = PUSHERS;
	for (unsigned i = 0; i < PUSHERS; i++)
		s->push.pusher[i].c = &s->c[i];
	assert_int_equal(demand_prepare(&s->answers, &s->pages, &s->demand,
					on_failure, w, &err), 0);
}

static void set_up_target(struct world *w, bool huge)
{
	const struct page_store_events ev = {
		.ctx = w, .poisoned = on_poisoned, .crash = on_crash,
	};
	struct target_side *t = &w->t;
	struct error err = { 0 };

	assert_int_equal(ram_create(&t->ram, RAM_BYTES, RAM_ANON, &err), 0);
	if (huge) {
		t->ram.unit = RAM_HUGE;
		t->ram.small = calloc(RAM_BYTES / RAM_HUGE, 1);
	}
	page_store_init(&t->store, &t->stats, &ev, true);
	if (page_store_open(&t->store, &t->ram, &err))
		fail_msg("%s", err.text);
	receive_init(&t->receive, &t->store, on_push_lost, on_push_ended, w);
	t->receive.n = PUSHERS;
	for (unsigned i = 0; i < PUSHERS; i++)
		t->receive.receiver[i].c = &t->c[i];
}

static struct world *set_up(bool huge)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	set_up_source(w);
	set_up_target(w, huge);
	for (unsigned i = 0; i < PUSHERS; i++)
		channel_open_pair(&w->s.c[i], &w->t.c[i]);
	channel_open_pair(&w->s.demand, &w->t.demand);
	return w;
}

static unsigned vcpu_of(void *ctx, pid_t tid)
{
	(void)ctx;
	(void)tid;
	return PAGE_STATS_OTHER;
}

static bool vcpu_blocked(void *ctx, unsigned vcpu)
{
	(void)ctx;
	(void)vcpu;
	return false;
}

/* How long the test's vCPU has been idle; unknown if it is not set */
static _Atomic uint64_t idle_ns = UINT64_MAX;

static uint64_t vcpu_idle(void *ctx, unsigned vcpu, uint64_t *exits)
{
	(void)ctx;
	(void)vcpu;
	*exits = now_ns();
	return idle_ns;
}

static void start_faults(struct world *w)
{
	const struct fault_session fs = {
		.ctx = w, .vcpus = 1, .vcpu_of = vcpu_of,
		.vcpu_blocked = vcpu_blocked, .vcpu_idle = vcpu_idle,
		.lost = on_failure,
	};
	struct error err = { 0 };

	if (fault_start(&w->t.faults, &w->t.store, &w->t.demand, &fs, &err))
		fail_msg("%s", err.text);
}

static void tear_down(struct world *w)
{
	w->s.pages.stop = true;
	for (unsigned i = 0; i < PUSHERS; i++) {
		shutdown(w->s.c[i].fd, SHUT_RDWR);
		shutdown(w->t.c[i].fd, SHUT_RDWR);
	}
	shutdown(w->s.demand.fd, SHUT_RDWR);
	push_end(&w->s.push);
	receive_end(&w->t.receive);
	demand_end(&w->s.answers);
	fault_fini(&w->t.faults);
	for (unsigned i = 0; i < PUSHERS; i++) {
		close(w->s.c[i].fd);
		close(w->t.c[i].fd);
	}
	close(w->s.demand.fd);
	close(w->t.demand.fd);
	push_fini(&w->s.push);
	receive_fini(&w->t.receive);
	page_source_fini(&w->s.pages);
	page_store_close(&w->t.store);
	page_store_fini(&w->t.store);
	ram_destroy(&w->s.ram);
	ram_destroy(&w->t.ram);
	free(w);
}

static void prepare_bulk(struct world *w)
{
	struct error err = { 0 };

	assert_int_equal(push_prepare(&w->s.push, &err), 0);
	assert_int_equal(receive_prepare(&w->t.receive, &err), 0);
}

static void assert_same_ram(struct world *w)
{
	for (size_t i = 0; i < PAGES; i++)
		if (memcmp(w->s.ram.base + i * WIRE_PAGE,
			   w->t.ram.base + i * WIRE_PAGE, WIRE_PAGE))
			fail_msg("page %zu differs", i);
}

/* A thread that touches pages as a vCPU does */
struct toucher {
	struct world *w;
	uint64_t seed;
	size_t pages;
	pthread_t thread;
};

static void *touch(void *arg)
{
	struct toucher *o = arg;

	for (size_t i = 0; i < o->pages; i++) {
		size_t page = dice(&o->seed) % PAGES;

		/* Not sanitized as a race: the kernel fills the page */
		(void)*(volatile uint8_t *)(o->w->t.ram.base +
					    page * WIRE_PAGE + 1);
	}
	return NULL;
}

static void start_touching(struct toucher *o, struct world *w, uint64_t seed,
			   size_t pages)
{
	*o = (struct toucher){ .w = w, .seed = seed, .pages = pages };
	assert_int_equal(pthread_create(&o->thread, NULL, touch, o), 0);
}

static void move_all(bool huge)
{
	struct world *w = set_up(huge);
	struct error err = { 0 };
	struct toucher o[3];
	uint64_t placed = 0;

	prepare_bulk(w);
	assert_int_equal(demand_start(&w->s.answers, &err), 0);
	start_faults(w);
	for (unsigned i = 0; i < 3; i++)
		start_touching(&o[i], w, i + 1, 3000);
	while (!w->s.stats.requests)
		usleep(100);
	receive_start(&w->t.receive);
	push_start(&w->s.push);
	assert_true(push_end(&w->s.push));
	assert_true(receive_end(&w->t.receive));
	for (unsigned i = 0; i < 3; i++)
		pthread_join(o[i].thread, NULL);
	while (w->t.store.table.missing)
		usleep(1000);
	assert_int_equal(w->failures, 0);
	assert_int_equal(w->push_ended, 2);
	assert_int_equal(ledger_left(&w->s.pages.ledger), 0);
	/* Each page is counted once on either side */
	for (unsigned i = 0; i < PAGE_COUNTS; i++)
		placed += w->s.stats.pages[i];
	assert_int_equal(placed, PAGES);
	placed = 0;
	for (unsigned i = 0; i < PAGE_COUNTS; i++)
		placed += w->t.stats.pages[i];
	assert_int_equal(placed, PAGES);
	assert_true(w->t.stats.demand.count > 0);
	fault_fini(&w->t.faults);
	page_store_close(&w->t.store);
	assert_same_ram(w);
	tear_down(w);
}

static void every_page_moves_once(void **state)
{
	(void)state;
	move_all(false);
}

static void every_page_moves_once_into_huge_pages(void **state)
{
	(void)state;
	move_all(true);
}

/* Created before the point of no return, ended without having begun */
static void prepared_threads_end_without_start(void **state)
{
	struct world *w = set_up(false);

	(void)state;
	prepare_bulk(w);
	usleep(20000);
	assert_int_equal(ledger_left(&w->s.pages.ledger), PAGES);
	assert_false(push_end(&w->s.push));
	assert_false(receive_end(&w->t.receive));
	assert_int_equal(w->failures, 0);
	tear_down(w);
}

static void acknowledge(int fd, uint64_t pages)
{
	const struct wire_msg m = { .type = WIRE_MSG_CHUNK_ACK,
				    .length = WIRE_CHUNK_ACK };
	uint8_t out[WIRE_HEADER + WIRE_CHUNK_ACK];

	wire_put(out, &m);
	wire_put_count(out + WIRE_HEADER, pages);
	assert_int_equal(send(fd, out, sizeof(out), 0), sizeof(out));
}

/* Read a push connection until DONE. Return: pages that came */
static size_t drain(int fd)
{
	struct error err = { 0 };
	uint8_t h[WIRE_HEADER], data[WIRE_PAGE];
	size_t pages = 0;
	struct wire_msg m;

	for (;;) {
		if (recv(fd, h, sizeof(h), MSG_WAITALL) != sizeof(h))
			fail_msg("no DONE");
		assert_int_equal(wire_get(h, &m, &err), 0);
		if (m.type == WIRE_MSG_DONE)
			return pages;
		if (m.type == WIRE_MSG_BEAT)
			continue;
		pages += m.b;
		for (size_t i = 0; i < m.length; i += WIRE_PAGE)
			assert_int_equal(recv(fd, data, WIRE_PAGE,
					      MSG_WAITALL), WIRE_PAGE);
		acknowledge(fd, pages);
	}
}

static void *end_push(void *arg)
{
	struct world *w = arg;

	return push_end(&w->s.push) ? w : NULL;
}

/* Defect 13: a page is held while all others are pushed, then comes back */
static void the_push_waits_for_a_held_page(void **state)
{
	struct world *w = set_up(false);
	struct error err = { 0 };
	pthread_t t;
	void *done;

	(void)state;
	w->s.push.n = 1;
	assert_true(ledger_hold(&w->s.pages.ledger, 77));
	assert_int_equal(ledger_take(&w->s.pages.ledger, 100, PAGES),
			 PAGES - 100);
	assert_int_equal(push_prepare(&w->s.push, &err), 0);
	push_start(&w->s.push);
	assert_int_equal(pthread_create(&t, NULL, end_push, w), 0);
	while (ledger_left(&w->s.pages.ledger) > 1)
		usleep(100);
	usleep(20000);
	ledger_unhold(&w->s.pages.ledger);
	assert_int_equal(drain(w->t.c[0].fd), 100);
	pthread_join(t, &done);
	assert_non_null(done);
	tear_down(w);
}

static size_t sum(const struct page_stats *stats)
{
	size_t n = 0;

	for (unsigned i = 0; i < PAGE_COUNTS; i++)
		n += stats->pages[i];
	return n;
}

/*
 * A push connection is lost in the middle: what it carried goes on the others,
 * and nobody but them notices
 */
static void a_lost_push_costs_what_it_carried(void **state)
{
	struct world *w = set_up(false);
	struct error err = { 0 };

	(void)state;
	assert_int_equal(push_prepare(&w->s.push, &err), 0);
	/* Nobody receives on this one: its socket is full of pages */
	w->t.receive.receiver[0].c = &w->t.c[1];
	w->t.receive.receiver[1].c = &w->t.c[2];
	w->t.receive.n = 2;
	assert_int_equal(receive_prepare(&w->t.receive, &err), 0);
	receive_start(&w->t.receive);
	push_start(&w->s.push);
	while (!unacked_any(&w->s.push.pusher[0].unacked))
		usleep(100);
	while (ledger_left(&w->s.pages.ledger))
		usleep(100);
	usleep(20000);
	assert_int_equal(w->push_ended, 0);
	shutdown(w->t.c[0].fd, SHUT_RDWR);
	assert_true(push_end(&w->s.push));
	assert_true(receive_end(&w->t.receive));
	assert_int_equal(w->push_lost, 1);
	assert_int_equal(w->failures, 0);
	assert_true(w->s.stats.again > 0);
	assert_int_equal(sum(&w->s.stats) - w->s.stats.again, PAGES);
	page_store_close(&w->t.store);
	assert_same_ram(w);
	tear_down(w);
}

/* Only the loss of the last one is the loss of the link */
static void the_last_push_is_a_failure(void **state)
{
	struct world *w = set_up(false);
	struct error err = { 0 };

	(void)state;
	assert_int_equal(push_prepare(&w->s.push, &err), 0);
	push_start(&w->s.push);
	for (unsigned i = 0; i < PUSHERS; i++) {
		assert_int_equal(w->failures, 0);
		shutdown(w->t.c[i].fd, SHUT_RDWR);
		for (unsigned ms = 0; w->push_lost <= i && ms < 10000; ms++)
			usleep(1000);
	}
	assert_false(push_end(&w->s.push));
	assert_int_equal(w->failures, 1);
	assert_int_equal(w->push_ended, 1);
	assert_int_equal(ledger_left(&w->s.pages.ledger), PAGES);
	tear_down(w);
}

/* An acknowledgement of what was not sent, and another message */
static void wrong_acknowledgements(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = set_up(false);
		const struct wire_msg m = { .type = WIRE_MSG_DONE };
		uint8_t out[WIRE_HEADER + WIRE_CHUNK_ACK] = { 0 };
		struct error err = { 0 };

		w->s.push.n = 1;
		assert_int_equal(push_prepare(&w->s.push, &err), 0);
		wire_put(out, &m);
		if (i)
			send(w->t.c[0].fd, out, sizeof(out), 0);
		else
			acknowledge(w->t.c[0].fd, PAGES + 1);
		push_start(&w->s.push);
		assert_false(push_end(&w->s.push));
		assert_int_equal(w->failures, 1);
		assert_int_equal(w->why.code, EBADMSG);
		tear_down(w);
	}
}

static void push_run(struct world *w, size_t page, size_t n)
{
	const struct wire_msg m = {
		.type = WIRE_MSG_PAGES, .a = page * WIRE_PAGE, .b = n,
		.length = (uint32_t)(n * WIRE_PAGE),
	};
	struct error err = { 0 };

	if (channel_say(&w->s.c[0], &m, w->s.ram.base + page * WIRE_PAGE,
			&err))
		fail_msg("%s", err.text);
}

static uint64_t acknowledged(struct world *w)
{
	uint8_t in[WIRE_HEADER + WIRE_CHUNK_ACK];

	assert_int_equal(recv(w->s.c[0].fd, in, sizeof(in), MSG_WAITALL),
			 sizeof(in));
	return wire_get_count(in + WIRE_HEADER);
}

/*
 * A block of which a part has come is acknowledged when it is whole, or when
 * the source says that nothing follows at once
 */
static void a_part_of_a_block_is_not_acknowledged(void **state)
{
	const struct wire_msg beat = { .type = WIRE_MSG_BEAT };
	struct world *w = set_up(false);
	struct error err = { 0 };
	struct pollfd p = { .fd = w->s.c[0].fd, .events = POLLIN };

	(void)state;
	w->t.receive.n = 1;
	assert_int_equal(receive_prepare(&w->t.receive, &err), 0);
	w->t.receive.receiver[0].block.huge.limit_ns = UINT64_MAX;
	if (!huge_buffer_get(&w->t.receive.receiver[0].block.huge)) {
		print_message("# no transparent huge page can be had here\n");
		receive_end(&w->t.receive);
		tear_down(w);
		skip();
	}
	w->t.receive.collect_ms = 60000;
	receive_start(&w->t.receive);
	/* Two runs of the first block; a page of another one; nothing */
	push_run(w, 0, 64);
	push_run(w, 64, 64);
	assert_int_equal(poll(&p, 1, 100), 0);
	push_run(w, 5000, 1);
	assert_int_equal(acknowledged(w), 129);
	push_run(w, CHUNK_PAGES, 64);
	assert_int_equal(poll(&p, 1, 100), 0);
	channel_say(&w->s.c[0], &beat, NULL, &err);
	assert_int_equal(acknowledged(w), 129 + 64);
	for (size_t i = 0; i < CHUNK_PAGES; i += 64)
		push_run(w, 2 * CHUNK_PAGES + i, 64);
	assert_int_equal(acknowledged(w), 129 + 64 + CHUNK_PAGES);
	/* What was collected when the connection ends is placed */
	push_run(w, 4 * CHUNK_PAGES, 64);
	shutdown(w->s.c[0].fd, SHUT_RDWR);
	receive_end(&w->t.receive);
	assert_int_equal(w->t.store.table.present, 129 + 64 + CHUNK_PAGES + 64);
	tear_down(w);
}

/* The source has sent a part of a block, and then nothing for long */
static void a_block_is_not_collected_for_long(void **state)
{
	struct world *w = set_up(false);
	struct error err = { 0 };

	(void)state;
	w->t.receive.n = 1;
	assert_int_equal(receive_prepare(&w->t.receive, &err), 0);
	receive_start(&w->t.receive);
	push_run(w, 0, 64);
	assert_int_equal(acknowledged(w), 64);
	/* Nor if there is always something to receive */
	for (size_t i = 0; i < 448; i += 64) {
		push_run(w, CHUNK_PAGES + i, 64);
		usleep(20000);
	}
	assert_true(acknowledged(w) > 64);
	shutdown(w->s.c[0].fd, SHUT_RDWR);
	receive_end(&w->t.receive);
	assert_int_equal(w->t.store.table.present, 64 + 448);
	tear_down(w);
}

/* With nothing to send and something not acknowledged it says so, once */
static void an_idle_push_thread_says_so(void **state)
{
	struct world *w = set_up(false);
	struct error err = { 0 };
	uint8_t h[WIRE_HEADER], data[WIRE_PAGE];
	struct wire_msg m;
	pthread_t t;

	(void)state;
	w->s.push.n = 1;
	assert_true(ledger_take(&w->s.pages.ledger, 1, PAGES));
	assert_int_equal(push_prepare(&w->s.push, &err), 0);
	push_start(&w->s.push);
	assert_int_equal(pthread_create(&t, NULL, end_push, w), 0);
	recv(w->t.c[0].fd, h, sizeof(h), MSG_WAITALL);
	assert_int_equal(wire_get(h, &m, &err), 0);
	assert_int_equal(m.type, WIRE_MSG_PAGES);
	recv(w->t.c[0].fd, data, sizeof(data), MSG_WAITALL);
	recv(w->t.c[0].fd, h, sizeof(h), MSG_WAITALL);
	assert_int_equal(wire_get(h, &m, &err), 0);
	assert_int_equal(m.type, WIRE_MSG_BEAT);
	usleep(20000);
	assert_int_equal(recv(w->t.c[0].fd, h, 1, MSG_DONTWAIT), -1);
	acknowledge(w->t.c[0].fd, 1);
	pthread_join(t, NULL);
	recv(w->t.c[0].fd, h, sizeof(h), MSG_WAITALL);
	assert_int_equal(wire_get(h, &m, &err), 0);
	assert_int_equal(m.type, WIRE_MSG_DONE);
	tear_down(w);
}

static void request_around(struct world *w, size_t page, size_t n,
			   struct around around)
{
	const struct wire_msg m = { .type = WIRE_MSG_REQUEST,
				    .a = page * WIRE_PAGE, .b = n,
				    .before = around.before,
				    .after = around.after };
	uint8_t h[WIRE_HEADER];

	wire_put(h, &m);
	assert_int_equal(send(w->t.demand.fd, h, sizeof(h), 0), sizeof(h));
}

static void request(struct world *w, size_t page, size_t n)
{
	request_around(w, page, n, (struct around){ 0 });
}

/* Return: first page of the next answer; -1 if none comes within @ms */
static long next_answer(struct world *w, int ms, size_t *n)
{
	struct pollfd p = { .fd = w->t.demand.fd, .events = POLLIN };
	static uint8_t data[WIRE_RUN_PAGES * WIRE_PAGE];
	struct error err = { 0 };
	uint8_t h[WIRE_HEADER];
	struct wire_msg m;

	if (!poll(&p, 1, ms))
		return -1;
	assert_int_equal(recv(p.fd, h, sizeof(h), MSG_WAITALL), sizeof(h));
	assert_int_equal(wire_get(h, &m, &err), 0);
	if (m.length)
		assert_int_equal(recv(p.fd, data, m.length, MSG_WAITALL),
				 m.length);
	*n = m.b;
	return (long)(m.a / WIRE_PAGE);
}

/* A page that is being poisoned on purpose is answered when that is decided */
static void an_answer_waits_for_a_held_page(void **state)
{
	struct world *w = set_up(false);
	struct error err = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(demand_start(&w->s.answers, &err), 0);
	assert_true(ledger_hold(&w->s.pages.ledger, 50));
	request(w, 50, 1);
	assert_int_equal(next_answer(w, 50, &n), -1);
	ledger_unhold(&w->s.pages.ledger);
	assert_int_equal(next_answer(w, 10000, &n), 50);
	assert_int_equal(n, 1);
	assert_int_equal(w->s.stats.duplicates, 0);
	/* What was sent before is sent again */
	request(w, 50, 1);
	assert_int_equal(next_answer(w, 10000, &n), 50);
	assert_int_equal(w->s.stats.duplicates, 1);
	tear_down(w);
}

/* Failing memory: the page can't be read any more */
static void lose(struct ram *ram, size_t page)
{
	void *at = ram->base + page * WIRE_PAGE;
	struct error err = { 0 };
	int fd = uffd_open(true, &err);
	size_t done;

	if (fd < 0)
		fail_msg("%s", err.text);
	assert_int_equal(madvise(at, WIRE_PAGE, MADV_DONTNEED), 0);
	assert_int_equal(uffd_register(fd, at, WIRE_PAGE, UFFD_MISSING, &err),
			 0);
	assert_int_equal(uffd_poison(fd, at, WIRE_PAGE, &done), 0);
	assert_int_equal(uffd_unregister(fd, at, WIRE_PAGE), 0);
	close(fd);
}

/*
 * A page is lost after its contents were pushed, and is requested then: they
 * are still under way, and what is under way is right
 */
static void no_poison_follows_contents(void **state)
{
	struct world *w = set_up(false);
	struct error err = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(ledger_take(&w->s.pages.ledger, 50, 1), 1);
	lose(&w->s.ram, 50);
	lose(&w->s.ram, 60);
	assert_int_equal(demand_start(&w->s.answers, &err), 0);
	request(w, 50, 1);
	request(w, 60, 1);
	/* Only the second one was not sent before */
	assert_int_equal(next_answer(w, 10000, &n), 60);
	assert_int_equal(next_answer(w, 50, &n), -1);
	assert_int_equal(w->s.stats.pages[COUNT_POISON], 1);
	assert_int_equal(w->s.stats.duplicates, 1);
	assert_int_equal(w->failures, 0);
	tear_down(w);
}

/* A destination that asks for what it can't have ends the connection */
static void only_ram_can_be_requested(void **state)
{
	static const size_t page[] = { PAGES, PAGES - 1, 0 };
	static const size_t n[] = { 1, 2, WIRE_RUN_PAGES + 1 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct world *w = set_up(false);
		struct error err = { 0 };
		size_t got;

		assert_int_equal(demand_start(&w->s.answers, &err), 0);
		request(w, page[i], n[i]);
		for (unsigned ms = 0; !w->failures && ms < 10000; ms++)
			usleep(1000);
		assert_int_equal(w->failures, 1);
		assert_int_equal(w->why.code, EBADMSG);
		assert_int_equal(next_answer(w, 0, &got), -1);
		tear_down(w);
	}
}

/* A push connection that ends before DONE has not brought all */
static void a_push_ends_with_done(void **state)
{
	struct world *w = set_up(false);
	struct error err = { 0 };

	(void)state;
	w->t.receive.n = 1;
	assert_int_equal(receive_prepare(&w->t.receive, &err), 0);
	receive_start(&w->t.receive);
	shutdown(w->s.c[0].fd, SHUT_RDWR);
	assert_false(receive_end(&w->t.receive));
	assert_int_equal(w->failures, 1);
	assert_int_equal(w->why.code, EPIPE);
	tear_down(w);
}

/* So many pages come, each once, and no more */
static void await_pages(struct world *w, bool *came, size_t pages)
{
	size_t n = 0;
	long page;

	for (; pages; pages -= n) {
		page = next_answer(w, 10000, &n);
		assert_true(page >= 0 && n <= pages);
		for (size_t i = 0; i < n; i++) {
			assert_false(came[(size_t)page + i]);
			came[(size_t)page + i] = true;
		}
	}
	assert_int_equal(next_answer(w, 30, &n), -1);
}

/* The page first, then what is after it, then what is before it: but for what
 * was sent */
static void a_block_follows_its_answer(void **state)
{
	struct world *w = set_up(false);
	bool came[PAGES] = { false };
	struct error err = { 0 };
	size_t n;

	(void)state;
	assert_int_equal(ledger_take(&w->s.pages.ledger, 600, 10), 10);
	assert_int_equal(demand_start(&w->s.answers, &err), 0);
	request_around(w, 570, 1, (struct around){ 58, 453 });
	assert_int_equal(next_answer(w, 10000, &n), 570);
	assert_int_equal(n, 1);
	came[570] = true;
	assert_int_equal(next_answer(w, 10000, &n), 571);
	for (size_t i = 0; i < n; i++)
		came[571 + i] = true;
	await_pages(w, came, 502 - 1 - n);
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(came[i], i >= CHUNK_PAGES && i < 1024 &&
				 !(i >= 600 && i < 610));
	assert_int_equal(ledger_left(&w->s.pages.ledger), PAGES - CHUNK_PAGES);
	assert_int_equal(w->s.stats.pages[COUNT_DEMAND] +
			 w->s.stats.pages[COUNT_PUSH] +
			 w->s.stats.pages[COUNT_ZERO], 502);
	tear_down(w);
}

/* What a peer asks for ends where RAM ends */
static void pages_around_end_with_ram(void **state)
{
	struct world *w = set_up(false);
	bool came[PAGES] = { false };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(demand_start(&w->s.answers, &err), 0);
	request_around(w, 3, 1, (struct around){ 511, 0 });
	await_pages(w, came, 4);
	request_around(w, PAGES - 4, 2, (struct around){ 0, 511 });
	await_pages(w, came, 4);
	assert_int_equal(w->failures, 0);
	tear_down(w);
}

/*
 * The rest of a block fills the socket, which nobody reads. Another request
 * comes: its answer precedes what is left, except for the run that is being sent
 */
static void a_newer_request_overtakes(void **state)
{
	struct world *w = set_up(false);
	const int size = 4096;
	struct error err = { 0 };
	size_t n, before = 0, all = 0;
	long page;

	(void)state;
	assert_int_equal(setsockopt(w->s.demand.fd, SOL_SOCKET, SO_SNDBUF,
				    &size, sizeof(size)), 0);
	assert_int_equal(demand_start(&w->s.answers, &err), 0);
	request_around(w, CHUNK_PAGES, 1, (struct around){ 0, 511 });
	/* The answer has come, and the first run is on its way */
	assert_int_equal(next_answer(w, 10000, &n), CHUNK_PAGES);
	while (ledger_left(&w->s.pages.ledger) > PAGES - 1 - WIRE_RUN_PAGES)
		usleep(1000);
	request(w, 5, 1);
	while ((page = next_answer(w, 10000, &n)) != 5) {
		before += n;
		assert_true(before < 3 * WIRE_RUN_PAGES);
	}
	while (all + before < 511) {
		assert_true(next_answer(w, 10000, &n) > CHUNK_PAGES);
		all += n;
	}
	tear_down(w);
}

/* Defect 10: what follows an answer is paced, answers are not */
static void pages_around_are_paced(void **state)
{
	struct world *w = set_up(false);
	bool came[PAGES] = { false };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(demand_start(&w->s.answers, &err), 0);
	request_around(w, 100, 1, (struct around){ 0, 4 });
	await_pages(w, came, 5);
	pacer_set_limit(&w->s.pages.pacer, 1 << 20);
	pacer_spend(&w->s.pages.pacer, now_ns(), 100 << 20);
	for (size_t page = 1000; page < 1500; page += 100) {
		request_around(w, page, 1, (struct around){ 10, 10 });
		await_pages(w, came, 1);
	}
	pacer_set_limit(&w->s.pages.pacer, 0);
	request_around(w, 2000, 1, (struct around){ 0, 4 });
	await_pages(w, came, 5);
	tear_down(w);
}

/*
 * Defect 7: more requests than the socket takes, from a source that does not
 * read. The fault thread must not block in sending: it still places what
 * arrives, and all requests are sent when the source reads again.
 */
#define TOUCHERS	60

/* Wait until the fault thread has no room for the requests of another fault */
static void wait_full(struct world *w)
{
	uint64_t before;

	for (unsigned ms = 0; w->t.stats.requests < 7 * 256; ms++) {
		if (ms > 10000)
			fail_msg("too few requests to fill the outbox");
		usleep(1000);
	}
	do {
		before = w->t.stats.requests;
		usleep(50000);
	} while (w->t.stats.requests != before);
}

static void send_zero(struct world *w, size_t page)
{
	const struct wire_msg m = { .type = WIRE_MSG_ZERO, .b = 1,
				    .a = page * WIRE_PAGE };
	uint8_t h[WIRE_HEADER];

	wire_put(h, &m);
	assert_int_equal(send(w->s.demand.fd, h, sizeof(h), 0), sizeof(h));
}

static void *touch_page(void *arg)
{
	(void)*(volatile uint8_t *)arg;
	return NULL;
}

/* A vCPU touches a page, a page of zeroes is the answer. Return: the request */
static struct wire_msg touch_and_answer(struct world *w, size_t page)
{
	struct error err = { 0 };
	uint8_t h[WIRE_HEADER];
	struct wire_msg m;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, touch_page,
					w->t.ram.base + page * WIRE_PAGE), 0);
	assert_int_equal(recv(w->s.demand.fd, h, sizeof(h), MSG_WAITALL),
			 sizeof(h));
	assert_int_equal(wire_get(h, &m, &err), 0);
	assert_int_equal(m.type, WIRE_MSG_REQUEST);
	assert_true(m.a == page * WIRE_PAGE && m.b == 1);
	send_zero(w, page);
	pthread_join(thread, NULL);
	usleep(ANSWER_WINDOW_NS / 1000 + 1000);
	return m;
}

/*
 * By windows: a page, a run, a block; a page once the vCPU was idle. What a
 * request shows counts for the next one
 */
static void a_busy_vcpu_asks_for_blocks(void **state)
{
	struct world *w = set_up(false);
	struct wire_msg m;

	(void)state;
	idle_ns = 0;
	start_faults(w);
	m = touch_and_answer(w, 100);
	assert_true(!m.before && !m.after);
	m = touch_and_answer(w, 5000);
	assert_true(!m.before && !m.after);
	m = touch_and_answer(w, 600);
	assert_true(m.before == 600 % 64 && m.after == 63 - 600 % 64);
	m = touch_and_answer(w, 1300);
	assert_true(m.before == 1300 - 1024 && m.after == 511 - m.before);
	idle_ns = now_ns();
	touch_and_answer(w, 2000);
	m = touch_and_answer(w, 7000);
	assert_true(!m.before && !m.after);
	idle_ns = UINT64_MAX;
	tear_down(w);
}

static void requests_never_block_the_fault_thread(void **state)
{
	struct world *w = set_up(true);
	struct toucher o[TOUCHERS];
	const int small = 1;
	struct error err = { 0 };

	(void)state;
	setsockopt(w->t.demand.fd, SOL_SOCKET, SO_SNDBUF, &small,
		   sizeof(small));
	/* Every second page is known: a fault takes 256 requests */
	for (size_t i = 0; i < PAGES; i += 2) {
		page_store_set_zero(&w->t.store, i, 1);
		assert_int_equal(ledger_take(&w->s.pages.ledger, i, 1), 1);
		memset(w->s.ram.base + i * WIRE_PAGE, 0, WIRE_PAGE);
	}
	start_faults(w);
	for (unsigned i = 0; i < TOUCHERS; i++)
		start_touching(&o[i], w, i + 1, 10);
	wait_full(w);
	/* The source reads nothing, but an answer must be placed */
	for (size_t i = 1; i < PAGES; i += 2)
		send_zero(w, i);
	for (unsigned ms = 0; w->t.store.table.missing; ms++) {
		if (ms > 10000)
			fail_msg("the fault thread waits for the source");
		usleep(1000);
	}
	/* Now the source reads: all that was requested is answered */
	assert_int_equal(demand_start(&w->s.answers, &err), 0);
	for (unsigned i = 0; i < TOUCHERS; i++)
		pthread_join(o[i].thread, NULL);
	for (unsigned ms = 0; w->s.stats.requests != w->t.stats.requests;
	     ms++) {
		if (ms > 10000)
			fail_msg("requests were lost");
		usleep(1000);
	}
	assert_int_equal(w->failures, 0);
	tear_down(w);
}

static void await_failures(struct world *w, unsigned n)
{
	for (unsigned ms = 0; w->failures < n && ms < 10000; ms++)
		usleep(1000);
	assert_int_equal(w->failures, n);
}

/* A source that sends pages here during precopy passes could overtake them */
static void an_answer_needs_a_request(void **state)
{
	struct world *w = set_up(false);
	struct error err = { 0 };
	struct toucher o;

	(void)state;
	start_faults(w);
	send_zero(w, 5);
	await_failures(w, 1);
	assert_refused(-w->why.code, EBADMSG, w->why, "requested nothing");
	assert_int_equal(w->t.store.table.missing, PAGES);
	/* On the next connection a page is requested, and may be answered */
	fault_detach(&w->t.faults);
	fault_attach(&w->t.faults, &w->t.demand, 20000);
	assert_int_equal(demand_start(&w->s.answers, &err), 0);
	start_touching(&o, w, 9, 1);
	pthread_join(o.thread, NULL);
	assert_int_equal(w->failures, 1);
	/* A request on a lost connection permits nothing on the next one */
	fault_detach(&w->t.faults);
	fault_attach(&w->t.faults, &w->t.demand, 20000);
	send_zero(w, 5);
	await_failures(w, 2);
	tear_down(w);
}

/* A source that does not answer is noticed, once, and vCPUs go on waiting */
static void silence_is_noticed(void **state)
{
	struct world *w = set_up(false);
	struct toucher o, late;

	(void)state;
	w->t.faults.answer_ms = 100;
	start_faults(w);
	usleep(300000);
	assert_int_equal(w->failures, 0);
	start_touching(&o, w, 9, 1);
	for (unsigned ms = 0; !w->failures && ms < 10000; ms++)
		usleep(1000);
	assert_int_equal(w->failures, 1);
	assert_int_equal(w->why.code, ETIMEDOUT);
	/* It is asked for nothing more */
	assert_int_equal(w->t.stats.requests, 1);
	start_touching(&late, w, 10, 1);
	usleep(300000);
	assert_int_equal(w->failures, 1);
	assert_int_equal(w->t.stats.requests, 1);
	page_store_abandon(&w->t.store);
	pthread_join(o.thread, NULL);
	pthread_join(late.thread, NULL);
	tear_down(w);
}

/* Without a source, zero pages are still served, and no other fault is lost */
static void zeroes_need_no_source(void **state)
{
	struct world *w = set_up(false);
	struct toucher o;

	(void)state;
	page_store_set_zero(&w->t.store, 0, PAGES);
	start_faults(w);
	shutdown(w->s.demand.fd, SHUT_RDWR);
	for (unsigned ms = 0; !w->failures && ms < 10000; ms++)
		usleep(1000);
	assert_int_equal(w->failures, 1);
	start_touching(&o, w, 9, 500);
	pthread_join(o.thread, NULL);
	assert_int_equal(w->failures, 1);
	assert_int_equal(w->t.stats.requests, 0);
	tear_down(w);
}

/*
 * The demand connection is lost while a vCPU waits, another one touches a page
 * before there is a new connection: both pages are requested on the new one
 */
static void a_new_link_requests_what_is_waited_for(void **state)
{
	struct world *w = set_up(false);
	struct toucher before, after;
	struct channel again;
	struct error err = { 0 };

	(void)state;
	start_faults(w);
	start_touching(&before, w, 9, 1);
	while (!w->t.stats.requests)
		usleep(1000);
	shutdown(w->s.demand.fd, SHUT_RDWR);
	for (unsigned ms = 0; !w->failures && ms < 10000; ms++)
		usleep(1000);
	fault_detach(&w->t.faults);
	start_touching(&after, w, 10, 1);
	usleep(50000);
	assert_int_equal(w->t.stats.requests, 1);
	close(w->s.demand.fd);
	close(w->t.demand.fd);
	channel_open_pair(&w->s.demand, &again);
	w->t.demand = again;
	assert_int_equal(demand_start(&w->s.answers, &err), 0);
	fault_attach(&w->t.faults, &w->t.demand, 20000);
	pthread_join(before.thread, NULL);
	pthread_join(after.thread, NULL);
	assert_int_equal(w->t.stats.requests, 3);
	assert_int_equal(w->failures, 1);
	tear_down(w);
}

/* Of the linker's --wrap: the fault thread takes a connection, and is late */
void __wrap_page_store_waits_begin(struct page_store *s, struct page_waits *w);
void __real_page_store_waits_begin(struct page_store *s, struct page_waits *w);

static _Atomic bool make_late, is_late;

void __wrap_page_store_waits_begin(struct page_store *s, struct page_waits *w)
{
	if (make_late) {
		is_late = true;
		usleep(100000);
	}
	__real_page_store_waits_begin(s, w);
}

/* A connection that must not be used while its owner has it closed */
struct guarded {
	struct channel c;
	_Atomic bool closed;
	_Atomic unsigned used, wrong;
};

static ssize_t guarded_sendv(struct channel *c, const struct iovec *iov,
			     size_t n, bool wait)
{
	struct guarded *g = c->ctx;

	(void)iov;
	(void)n;
	(void)wait;
	g->used++;
	g->wrong += g->closed;
	return 0;
}

/* A link is lost while the thread takes its connection: the owner waits */
static void a_lost_connection_is_not_taken(void **state)
{
	static const struct channel_ops ops = { .sendv = guarded_sendv };
	struct guarded g = { .c = { .ops = &ops, .ctx = &g } };
	struct world *w = set_up(false);
	struct toucher o;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	g.c.fd = fd[0];
	start_faults(w);
	/* So that there is a page to request on each connection */
	start_touching(&o, w, 9, 1);
	while (!w->t.stats.requests)
		usleep(1000);
	fault_detach(&w->t.faults);
	make_late = true;
	fault_attach(&w->t.faults, &g.c, 20000);
	while (!is_late)
		usleep(1000);
	fault_detach(&w->t.faults);
	g.closed = true;
	usleep(300000);
	assert_int_equal(g.wrong, 0);
	make_late = false;
	page_store_abandon(&w->t.store);
	pthread_join(o.thread, NULL);
	close(fd[0]);
	close(fd[1]);
	tear_down(w);
}

/* Of the linker's --wrap: how many calls fail */
int __wrap_uffd_unregister(int fd, void *addr, size_t len);
int __real_uffd_unregister(int fd, void *addr, size_t len);

static _Atomic unsigned unregister_fails;

int __wrap_uffd_unregister(int fd, void *addr, size_t len)
{
	if (!unregister_fails)
		return __real_uffd_unregister(fd, addr, len);
	unregister_fails--;
	return -ENOMEM;
}

/* Nothing else ends the wait of a thread for a page that does not come */
static void abandoning_is_tried_again(void **state)
{
	struct world *w = set_up(false);
	struct toucher o;

	(void)state;
	start_faults(w);
	fault_cut(&w->t.faults);
	start_touching(&o, w, 9, 1);
	usleep(20000);
	unregister_fails = 3;
	page_store_abandon(&w->t.store);
	pthread_join(o.thread, NULL);
	assert_int_equal(unregister_fails, 0);
	tear_down(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_page_moves_once),
		cmocka_unit_test(every_page_moves_once_into_huge_pages),
		cmocka_unit_test(prepared_threads_end_without_start),
		cmocka_unit_test(the_push_waits_for_a_held_page),
		cmocka_unit_test(a_lost_push_costs_what_it_carried),
		cmocka_unit_test(the_last_push_is_a_failure),
		cmocka_unit_test(a_part_of_a_block_is_not_acknowledged),
		cmocka_unit_test(a_block_is_not_collected_for_long),
		cmocka_unit_test(an_idle_push_thread_says_so),
		cmocka_unit_test(wrong_acknowledgements),
		cmocka_unit_test(an_answer_waits_for_a_held_page),
		cmocka_unit_test(no_poison_follows_contents),
		cmocka_unit_test(only_ram_can_be_requested),
		cmocka_unit_test(a_push_ends_with_done),
		cmocka_unit_test(a_block_follows_its_answer),
		cmocka_unit_test(pages_around_end_with_ram),
		cmocka_unit_test(a_newer_request_overtakes),
		cmocka_unit_test(pages_around_are_paced),
		cmocka_unit_test(a_busy_vcpu_asks_for_blocks),
		cmocka_unit_test(requests_never_block_the_fault_thread),
		cmocka_unit_test(an_answer_needs_a_request),
		cmocka_unit_test(silence_is_noticed),
		cmocka_unit_test(zeroes_need_no_source),
		cmocka_unit_test(a_new_link_requests_what_is_waited_for),
		cmocka_unit_test(a_lost_connection_is_not_taken),
		cmocka_unit_test(abandoning_is_tried_again),
	};

	return cmocka_run_group_tests_name("page threads", tests, NULL, NULL);
}
