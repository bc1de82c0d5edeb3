// SPDX-License-Identifier: MIT
/*
 * pager.c - The destination's thread that resolves faults
 *
 * Waits for two things at once: a fault, which it answers by itself where it
 * can (zeroes, pages that came meanwhile) or sends on as a request; and what
 * the source answers. When the connection is lost it stays: zero pages
 * still need nobody, and whoever waits for another page goes on waiting.
 *
 * A fault's thread is a vCPU's, or a kernel worker's that fetches the page
 * for a vCPU with interrupts on (KVM's asynchronous page faults), which the
 * kernel doesn't name.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "migration/pages/huge.h"
#include "priority.h"
#include "target.h"
#include "vmm/base/log.h"
#include "vmm/kvm/vcpu_stats.h"
#include "vmm/machine/vcpu.h"
#include "vmm/memory/uffd.h"

#define LOOK_MS		1000
#define FAULTS_MAX	64

enum { POLL_UFFD, POLL_DEMAND, POLL_WAKE, POLLS };

/* The demand connection's next messages, as they come */
struct inbox {
	size_t have;
	uint8_t data[2 * (WIRE_HEADER + WIRE_RUN_PAGES * WIRE_PAGE)];
};

static unsigned vcpu_of(const struct target *t, pid_t tid)
{
	for (unsigned i = 0; i < t->m->cfg.cpus; i++)
		if (t->m->vcpu[i].tid == tid)
			return i;
	return PAGE_STATS_OTHER;
}

/*
 * A kernel worker waits for a page, on behalf of one of the vCPUs that are
 * blocked now and not for a page that is known. If there is just one, it's
 * that; else nobody can tell.
 */
static void name_waiter(struct target *t, size_t page)
{
	unsigned found = PAGE_STATS_OTHER, n = 0;

	for (unsigned i = 0; i < t->m->cfg.cpus; i++) {
		if (inflight_has(&t->inflight, i) ||
		    !vcpu_blocking(&t->m->vcpu[i]))
			continue;
		found = i;
		n++;
	}
	if (n == 1)
		inflight_name(&t->inflight, page, found);
}

/* Its page is here: by now the vCPU has certainly gone to sleep */
static void name_late(struct target *t, uint64_t gpa)
{
	uint64_t offset;

	if (inflight_has(&t->inflight, PAGE_STATS_OTHER) &&
	    ram_offset(&t->m->ram, gpa, WIRE_PAGE, &offset))
		name_waiter(t, (size_t)(offset / WIRE_PAGE));
}

static int ask(struct target *t, size_t page, size_t n, struct error *err)
{
	struct wire_msg m = {
		.type = WIRE_MSG_REQUEST, .b = n,
		.a = ram_gpa(&t->m->ram, page * WIRE_PAGE),
	};
	uint8_t out[WIRE_HEADER];

	wire_put(out, &m);
	t->se.progress->stats.requests += n;
	return channel_send(&t->se.link.demand, out, sizeof(out), err);
}

/* It came since the fault: whoever waits for it shall look again */
static void arrived(struct target *t, size_t page)
{
	inflight_done(&t->inflight, page, 1);
	uffd_wake(t->uffd, t->m->ram.base + page * WIRE_PAGE, WIRE_PAGE);
}

static int handle_missing(struct target *t, size_t page, pid_t tid,
			  struct error *err)
{
	unsigned vcpu = vcpu_of(t, tid);

	/* First the note, then the look: a page that is placed from here on
	 * ends the wait in place.c, one that was placed before is seen here
	 */
	inflight_add(&t->inflight, page, vcpu);
	if (target_is_linked(session_phase(&t->se)) && pages_request(&t->pages, page)) {
		int rc = ask(t, page, 1, err);

		/* While the source is at it: this may take its time */
		if (vcpu == PAGE_STATS_OTHER)
			name_waiter(t, page);
		return rc;
	}

	switch (pages_get(&t->pages, page)) {
	case PAGE_ZERO:
		return target_zero_fault(t, page, err);
	case PAGE_PRESENT:
	case PAGE_POISONED:
		arrived(t, page);
		break;
	default:
		break;
	}
	return 0;
}

/* A vCPU needs all of a huge page: what nobody has asked for is asked for */
static int handle_huge(struct target *t, size_t page, pid_t tid,
		       struct error *err)
{
	const size_t first = page - page % HUGE_PAGES;
	unsigned vcpu = vcpu_of(t, tid);
	bool wanted[HUGE_PAGES];
	int rc;

	inflight_add(&t->inflight, first, vcpu);
	rc = huge_touch(t, first, wanted, err);
	if (rc > 0) {
		inflight_done(&t->inflight, first, 1);
		uffd_wake(t->uffd, t->m->ram.base + first * WIRE_PAGE,
			  RAM_HUGE);
		return 0;
	}
	for (size_t i = 0, n; i < HUGE_PAGES && !rc && target_is_linked(session_phase(&t->se)); i += n) {
		for (n = 0; i + n < HUGE_PAGES && n < WIRE_RUN_PAGES &&
		     wanted[i + n]; n++)
			;
		if (n)
			rc = ask(t, first + i, n, err);
		else
			n = 1;
	}
	if (!rc && vcpu == PAGE_STATS_OTHER)
		name_waiter(t, first);
	return rc;
}

static int handle_fault(struct target *t, const struct uffd_fault *f,
			struct error *err)
{
	uint64_t offset;
	size_t page;

	if (!ram_from_hva(&t->m->ram, f->addr, &offset))
		return 0;
	page = (size_t)(offset / WIRE_PAGE);
	if (t->huge)
		return handle_huge(t, page, f->tid, err);
	switch (pages_get(&t->pages, page)) {
	case PAGE_ZERO:
		return target_zero_fault(t, page, err);
	case PAGE_MISSING:
	case PAGE_REQUESTED:
		return handle_missing(t, page, f->tid, err);
	case PAGE_PLACING:
		break;		/* that ioctl wakes whoever waits by then */
	case PAGE_PRESENT:
	case PAGE_POISONED:
		arrived(t, page);
		break;
	}
	return 0;
}

static int handle_faults(struct target *t, struct error *err)
{
	struct uffd_fault f[FAULTS_MAX];
	int n = uffd_read(t->uffd, f, FAULTS_MAX), rc = 0;

	if (n < 0)
		return error_set(err, -n, "userfaultfd: %s",
				 strerrordesc_np(-n));
	/* None may be dropped: the kernel doesn't report it again */
	for (int i = 0; i < n; i++) {
		int one = handle_fault(t, &f[i], err);

		rc = rc ? rc : one;
	}
	return rc;
}

static int handle_answers(struct target *t, struct inbox *in,
			  struct error *err)
{
	long n = channel_recv_some(&t->se.link.demand, in->data + in->have,
				   sizeof(in->data) - in->have, false, err);
	size_t used = 0;
	int rc = n < 0 ? (int)n : 0;

	in->have += n > 0 ? (size_t)n : 0;
	while (!rc && in->have - used >= WIRE_HEADER) {
		uint8_t *at = in->data + used;
		struct wire_msg m;

		rc = wire_get(at, &m, err);
		if (rc || in->have - used < WIRE_HEADER + m.length)
			break;
		/* One page is what was asked for, more are its neighbours */
		if (m.b == 1)
			name_late(t, m.a);
		rc = target_message(t, &m, at + WIRE_HEADER,
				    m.b == 1 || t->huge ? COUNT_DEMAND
							: COUNT_PUSH, err);
		used += WIRE_HEADER + m.length;
	}
	in->have -= used;
	memmove(in->data, in->data + used, in->have);
	return rc;
}

static int check_silence(struct target *t, struct error *err)
{
	uint64_t since = inflight_oldest(&t->inflight);
	unsigned ms = t->se.limits->answer_ms;

	if (!since || !target_is_linked(session_phase(&t->se)) ||
	    now_ns() - since < ms * 1000000ull)
		return 0;
	return error_set(err, ETIMEDOUT,
		"the source has not answered a request for %u ms", ms);
}

static void take_wake(struct target *t)
{
	uint64_t n;

	if (read(t->wake, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_line("eventfd: %m");
}

/* One turn: wait, then deal with what there is */
static int turn(struct target *t, struct pollfd *p, struct inbox *in,
		struct error *err)
{
	struct channel *demand = &t->se.link.demand;
	int rc = poll(p, POLLS, channel_poll_ms(demand, LOOK_MS));

	if (rc < 0 || (!rc && !channel_pending(demand)))
		return rc < 0 && errno != EINTR
			? error_set(err, errno, "poll: %s",
				    strerrordesc_np(errno)) : 0;
	rc = 0;
	if (p[POLL_WAKE].revents)
		take_wake(t);
	if (p[POLL_UFFD].revents)
		rc = handle_faults(t, err);
	if (!rc && (p[POLL_DEMAND].revents || channel_pending(demand)))
		rc = handle_answers(t, in, err);
	return rc;
}

void *target_pager_main(void *arg)
{
	struct target *t = arg;
	struct inbox *in = malloc(sizeof(*in));
	uint64_t looked = now_ns();
	struct pollfd p[POLLS] = {
		[POLL_UFFD] = { .fd = t->uffd, .events = POLLIN },
		[POLL_DEMAND] = { .fd = channel_poll_fd(&t->se.link.demand), .events = POLLIN },
		[POLL_WAKE] = { .fd = t->wake, .events = POLLIN },
	};

	priority_raise();
	if (in)
		in->have = 0;
	else
		p[POLL_DEMAND].fd = -1;
	while (target_serves_faults(session_phase(&t->se))) {
		struct error err = { 0 };
		int rc = turn(t, p, in, &err);

		/* However busy it is with what needs no answer */
		if (!rc && now_ns() - looked >= LOOK_MS * 1000000ull) {
			looked = now_ns();
			rc = check_silence(t, &err);
		}
		if (!rc)
			continue;
		/* Lost. What needs no peer goes on */
		p[POLL_DEMAND].fd = -1;
		target_lost(t, WIRE_DEMAND, &err);
	}
	free(in);
	return NULL;
}

void target_wake_pager(struct target *t)
{
	uint64_t one = 1;

	/* EAGAIN: it is about to look up already */
	if (write(t->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_line("eventfd: %m");
}
