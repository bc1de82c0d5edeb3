// SPDX-License-Identifier: MIT
/* fault.c - The destination's thread that resolves page faults */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fault.h"
#include "migration/pages/outbox.h"
#include "priority.h"
#include "vmm/base/bits.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/memory/uffd.h"

#define LOOK_MS		1000
#define FAULTS_MAX	64
#define DETACH_US	100

enum { POLL_UFFD, POLL_DEMAND, POLL_WAKE, POLLS };

/**
 * struct fault_buffers - What one turn works on
 * @out:	requests to send
 * @sizes:	what the requests ask for
 * @unnamed:	first pages of faults whose vCPU is not known
 * @unnamed_n:	how many
 * @waits:	pages to request again on a new connection
 * @have:	bytes in @in
 * @in:		the demand connection's next messages
 */
struct fault_buffers {
	struct outbox out;
	struct answer_size sizes;
	size_t unnamed[FAULTS_MAX];
	unsigned unnamed_n;
	struct page_waits waits;
	size_t have;
	uint8_t in[2 * (WIRE_HEADER + WIRE_RUN_PAGES * WIRE_PAGE)];
};

/*
 * A kernel worker waits for a page on behalf of a vCPU (KVM's asynchronous
 * page faults), and the kernel names the worker's thread. The vCPU is one of
 * those that are blocked now, and are not known to wait for a page. If there
 * is just one, it is named; else the latency is counted as that of no vCPU.
 */
static void name_waiter(struct fault_thread *f, size_t page)
{
	struct waiters *w = &f->store->waiters;
	unsigned found = PAGE_STATS_OTHER, n = 0;

	for (unsigned i = 0; i < f->session.vcpus; i++) {
		if (waiters_has(w, i) ||
		    !f->session.vcpu_blocked(f->session.ctx, i))
			continue;
		found = i;
		n++;
	}
	if (n == 1)
		waiters_name(w, page, found);
}

/* The page has arrived: by now its vCPU has certainly blocked */
static void name_late(struct fault_thread *f, uint64_t gpa)
{
	uint64_t offset;

	if (waiters_has(&f->store->waiters, PAGE_STATS_OTHER) &&
	    ram_offset(f->store->ram, gpa, WIRE_PAGE, &offset))
		name_waiter(f, (size_t)(offset / WIRE_PAGE));
}

/* Append the requests of a fault, in runs */
static void request_pages(struct fault_thread *f, const struct page_wants *w,
			  struct around around)
{
	size_t n;

	for (size_t i = 0; i < CHUNK_PAGES; i += n ? n : 1) {
		for (n = 0; i + n < CHUNK_PAGES && n < WIRE_RUN_PAGES &&
		     bits_test(w->bits, i + n); n++)
			;
		if (!n)
			continue;
		outbox_request(&f->buffers->out,
			       ram_gpa(f->store->ram,
				       (w->first + i) * WIRE_PAGE), n,
			       around);
		f->store->stats->requests += n;
	}
}

/* What shall follow the answer. Faults on huge pages request runs already */
static struct around around_fault(struct fault_thread *f, size_t page,
				  unsigned vcpu)
{
	if (page_store_requests_max(f->store) > 1)
		return (struct around){ 0 };
	return answer_size_around(&f->buffers->sizes, page, vcpu);
}

static void measure_sizes(struct fault_thread *f)
{
	struct answer_size *a = &f->buffers->sizes;
	const uint64_t now = now_ns();

	if (!answer_size_due(a, now) || page_store_requests_max(f->store) > 1)
		return;
	for (unsigned i = 0; i < f->session.vcpus; i++) {
		uint64_t exits = 0;
		uint64_t idle = f->session.vcpu_idle(f->session.ctx, i, &exits);

		answer_size_measure(a, i, idle, exits,
				 waiters_has(&f->store->waiters, i), now);
	}
	answer_size_next(a, f->session.vcpus, now);
}

static int handle_fault(struct fault_thread *f, const struct uffd_fault *u,
			struct error *err)
{
	struct fault_buffers *b = f->buffers;
	struct page_wants wants;
	uint64_t offset;
	unsigned vcpu;
	int rc;

	if (!ram_from_hva(f->store->ram, u->addr, &offset))
		return 0;
	vcpu = f->session.vcpu_of(f->session.ctx, u->tid);
	rc = page_store_fault(f->store, (size_t)(offset / WIRE_PAGE), vcpu,
			      !f->detached, &wants, err);
	if (!wants.any)
		return rc;
	request_pages(f, &wants, around_fault(f, wants.first, vcpu));
	if (vcpu == PAGE_STATS_OTHER)
		b->unnamed[b->unnamed_n++] = wants.first;
	return rc;
}

/* Faults for whose requests there is room; the kernel keeps the others */
static int faults_room(const struct fault_thread *f)
{
	size_t n = outbox_room(&f->buffers->out) /
		   page_store_requests_max(f->store);

	return n < FAULTS_MAX ? (int)n : FAULTS_MAX;
}

static int send_requests(struct fault_thread *f, struct error *err)
{
	const uint8_t *data;
	size_t n;
	long sent;

	data = outbox_pending(&f->buffers->out, &n);
	if (!n || f->detached)
		return 0;
	sent = channel_send_some(f->c, data, n, err);
	if (sent > 0) {
		outbox_sent(&f->buffers->out, (size_t)sent);
		f->requested = true;
	}
	return sent < 0 ? (int)sent : 0;
}

/* What vCPUs have waited for since the last link, as far as there is room */
static int ask_again(struct fault_thread *f, struct error *err)
{
	const size_t most = page_store_requests_max(f->store);
	struct page_wants wants;

	while (f->asking && outbox_room(&f->buffers->out) >= most) {
		f->asking = page_store_waits_next(f->store,
						  &f->buffers->waits, &wants);
		if (f->asking)
			request_pages(f, &wants, (struct around){ 0 });
	}
	return send_requests(f, err);
}

static int handle_faults(struct fault_thread *f, struct error *err)
{
	struct fault_buffers *b = f->buffers;
	struct uffd_fault u[FAULTS_MAX];
	int n = uffd_read(f->store->uffd, u, faults_room(f)), rc = 0, one;

	if (n < 0)
		return error_set(err, -n, "userfaultfd: %s",
				 strerrordesc_np(-n));
	/* None may be dropped: the kernel does not report it again */
	for (int i = 0; i < n; i++) {
		one = handle_fault(f, &u[i], err);
		rc = rc ? rc : one;
	}
	one = send_requests(f, err);
	/* While the source is at work: this may take its time */
	for (unsigned i = 0; i < b->unnamed_n; i++)
		name_waiter(f, b->unnamed[i]);
	b->unnamed_n = 0;
	measure_sizes(f);
	return rc ? rc : one;
}

/*
 * Before the first request a source has nothing to send here: pages that arrive
 * in precopy passes come on main, in one order (invariant 1)
 */
static int check_answer(const struct fault_thread *f, const struct wire_msg *m,
			struct error *err)
{
	if (!f->requested)
		return error_set(err, EBADMSG,
			"the peer sent %s on the demand connection, which has requested nothing yet",
			wire_name(m->type));
	if (m->length > sizeof(f->buffers->in) - WIRE_HEADER)
		return error_set(err, EBADMSG,
			"the peer sent %s among the pages",
			wire_name(m->type));
	return 0;
}

static int handle_answers(struct fault_thread *f, struct error *err)
{
	struct fault_buffers *b = f->buffers;
	long n = channel_recv_some(f->c, b->in + b->have,
				   sizeof(b->in) - b->have, false, err);
	size_t used = 0;
	int rc = n < 0 ? (int)n : 0;

	b->have += n > 0 ? (size_t)n : 0;
	while (!rc && b->have - used >= WIRE_HEADER) {
		uint8_t *at = b->in + used;
		struct wire_msg m;

		rc = wire_get(at, &m, err);
		if (!rc)
			rc = check_answer(f, &m, err);
		if (rc || b->have - used < WIRE_HEADER + m.length)
			break;
		if (m.b == 1)
			name_late(f, m.a);
		rc = page_store_message(f->store, &m, at + WIRE_HEADER,
					page_store_is_demanded(f->store, &m),
					err);
		used += WIRE_HEADER + m.length;
	}
	b->have -= used;
	memmove(b->in, b->in + used, b->have);
	return rc;
}

static int check_silence(struct fault_thread *f, struct error *err)
{
	uint64_t since = waiters_oldest(&f->store->waiters);

	if (!since || f->detached)
		return 0;
	/* What waited before this link was requested when it began */
	if (since < f->linked_at)
		since = f->linked_at;
	if (now_ns() - since < f->answer_ms * NS_PER_MS)
		return 0;
	return error_set(err, ETIMEDOUT,
		"the source has not answered a request for %u s",
		f->answer_ms / 1000);
}

static void take_wake(struct fault_thread *f)
{
	uint64_t n;

	if (read(f->wake, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_line("eventfd: %m");
}

static void set_polls(struct fault_thread *f, struct pollfd *p)
{
	size_t pending;

	outbox_pending(&f->buffers->out, &pending);
	p[POLL_UFFD] = (struct pollfd){
		.fd = faults_room(f) ? f->store->uffd : -1, .events = POLLIN,
	};
	p[POLL_DEMAND] = (struct pollfd){
		.fd = f->detached ? -1 : channel_poll_fd(f->c),
		.events = pending ? POLLIN | POLLOUT : POLLIN,
	};
	p[POLL_WAKE] = (struct pollfd){ .fd = f->wake, .events = POLLIN };
}

/* Wait, then handle what there is */
static int fault_turn(struct fault_thread *f, struct error *err)
{
	const int look_ms = f->answer_ms < LOOK_MS ? (int)f->answer_ms
						   : LOOK_MS;
	struct pollfd p[POLLS];
	bool pending;
	int rc;

	set_polls(f, p);
	pending = !f->detached && channel_pending(f->c);
	rc = poll(p, POLLS, pending ? 0 : look_ms);
	if (rc < 0 && errno != EINTR)
		return error_set(err, errno, "poll: %s",
				 strerrordesc_np(errno));
	if (rc < 0 || (!rc && !pending))
		return 0;
	rc = 0;
	if (p[POLL_WAKE].revents)
		take_wake(f);
	if (p[POLL_UFFD].revents)
		rc = handle_faults(f, err);
	if (!rc && p[POLL_DEMAND].revents & POLLOUT)
		rc = ask_again(f, err);
	if (!rc && (pending || p[POLL_DEMAND].revents & ~POLLOUT))
		rc = handle_answers(f, err);
	return rc;
}

/*
 * The connection was lost: what can't be sent must not keep faults from being
 * read, and half an answer is worth nothing
 */
static void drop_connection(struct fault_thread *f)
{
	f->buffers->out.from = f->buffers->out.to = 0;
	f->buffers->have = 0;
	f->asking = false;
	f->detached = true;
	f->link = FAULT_LINK_NONE;
}

/* Return: false if it was withdrawn meanwhile, and may be closed by now */
static bool take_connection(struct fault_thread *f)
{
	int offered = FAULT_LINK_OFFERED;

	if (!atomic_compare_exchange_strong(&f->link, &offered, FAULT_LINK_USED))
		return false;
	page_store_waits_begin(f->store, &f->buffers->waits);
	f->linked_at = now_ns();
	f->requested = false;
	f->asking = true;
	f->detached = false;
	return true;
}

/* Only here @detached changes, so that a turn has a connection or has none */
static int follow_link(struct fault_thread *f, struct error *err)
{
	if (f->link == FAULT_LINK_CUT)
		drop_connection(f);
	return take_connection(f) ? ask_again(f, err) : 0;
}

/* Return: true if there was a connection, or was to be one */
static bool cut(struct fault_thread *f)
{
	int link = f->link, to;

	do {
		if (link == FAULT_LINK_CUT || link == FAULT_LINK_NONE)
			return false;
		to = link == FAULT_LINK_OFFERED ? FAULT_LINK_NONE : FAULT_LINK_CUT;
	} while (!atomic_compare_exchange_weak(&f->link, &link, to));
	return true;
}

static void *fault_main(void *arg)
{
	struct fault_thread *f = arg;
	uint64_t looked = now_ns();

	priority_raise();
	while (!f->ending) {
		struct error err = { 0 };
		int rc = follow_link(f, &err);

		rc = rc ? rc : fault_turn(f, &err);
		/* However busy it is with what needs no answer */
		if (!rc && now_ns() - looked >= (f->answer_ms < LOOK_MS
					? f->answer_ms : LOOK_MS) * NS_PER_MS) {
			looked = now_ns();
			rc = check_silence(f, &err);
		}
		if (rc && cut(f))
			f->session.lost(f->session.ctx, &err);
	}
	return NULL;
}

static void fault_wake(struct fault_thread *f)
{
	uint64_t one = 1;

	/* EAGAIN: it is about to look already */
	if (write(f->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_line("eventfd: %m");
}

int fault_start(struct fault_thread *f, struct page_store *store,
		struct channel *c, const struct fault_session *session,
		struct error *err)
{
	const bool again = f->store && f->wake >= 0;
	int rc;

	*f = (struct fault_thread){
		.store = store, .c = c, .session = *session,
		.answer_ms = f->answer_ms ? f->answer_ms : FAULT_ANSWER_MS,
		.buffers = calloc(1, sizeof(*f->buffers)),
		.wake = again ? f->wake
			      : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	if (!f->buffers || f->wake < 0) {
		fault_end(f);
		return error_set(err, ENOMEM,
				 "out of memory for the fault thread");
	}
	/* The pages of the buffers, too, are allocated now */
	memset(f->buffers->in, 1, sizeof(f->buffers->in));
	rc = pthread_create(&f->thread, NULL, fault_main, f);
	if (rc) {
		fault_end(f);
		return error_set(err, rc, "cannot start the fault thread: %s",
				 strerrordesc_np(rc));
	}
	pthread_setname_np(f->thread, "fault");
	f->started = true;
	return 0;
}

void fault_cut(struct fault_thread *f)
{
	cut(f);
	if (f->started)
		fault_wake(f);
}

void fault_detach(struct fault_thread *f)
{
	if (!f->started)
		return;
	fault_cut(f);
	while (f->link != FAULT_LINK_NONE)
		usleep(DETACH_US);
}

void fault_attach(struct fault_thread *f, struct channel *c,
		  unsigned answer_ms)
{
	f->c = c;
	f->answer_ms = answer_ms;
	f->link = FAULT_LINK_OFFERED;
	fault_wake(f);
}

void fault_end(struct fault_thread *f)
{
	f->ending = true;
	if (f->started) {
		fault_wake(f);
		pthread_join(f->thread, NULL);
		f->started = false;
	}
	free(f->buffers);
	f->buffers = NULL;
}

void fault_fini(struct fault_thread *f)
{
	fault_end(f);
	if (f->store && f->wake >= 0)
		close(f->wake);
	f->wake = -1;
}
