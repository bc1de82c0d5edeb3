// SPDX-License-Identifier: MIT
/*
 * place.c - Pages into a destination's RAM: contents, zeroes, poison
 *
 * Both threads come here. The table says who may touch a page: claim, ioctl,
 * settle. Runs are kept as long as they can be, since an ioctl for many pages
 * costs little more than one for one.
 */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "huge.h"
#include "migration/session/mutant.h"
#include "migration/session/target.h"
#include "vmm/base/log.h"
#include "vmm/memory/uffd.h"

#define ZERO_AROUND	32	/* pages placed for one touch of a zero page */

/* Pages that one thread has claimed, in a row */
struct run {
	size_t first, n;
	enum page_state was[WIRE_RUN_PAGES];
};

static void *hva(struct target *t, size_t page)
{
	return t->m->ram.base + page * WIRE_PAGE;
}

/* Claim from @page on until one can't be had. Return: false if not even one */
static bool claim_run(struct target *t, struct run *r, size_t page, size_t n)
{
	if (n > WIRE_RUN_PAGES)
		n = WIRE_RUN_PAGES;
	r->first = page;
	for (r->n = 0; r->n < n; r->n++)
		if (!pages_claim(&t->pages, page + r->n, &r->was[r->n]))
			break;
	return r->n;
}

static void settle_run(struct target *t, const struct run *r, size_t from,
		       size_t to, enum page_state now)
{
	for (size_t i = from; i < to; i++)
		pages_settle(&t->pages, r->first + i, r->was[i], now);
	inflight_done(&t->inflight, r->first + from, to - from);
}

static void release_run(struct target *t, const struct run *r, size_t from)
{
	for (size_t i = from; i < r->n; i++)
		pages_release(&t->pages, r->first + i, r->was[i]);
}

enum place_op { PLACE_COPY, PLACE_ZERO, PLACE_POISON };

/* Nothing was ever placed there, so there is nothing to read behind it */
static int wall(struct target *t, size_t page, size_t len, size_t *done)
{
	int rc = ram_wall(&t->m->ram, page * WIRE_PAGE, len);

	*done = rc ? 0 : len;
	if (!rc)
		uffd_wake(t->uffd, hva(t, page), len);
	return rc;
}

static int do_ioctl(struct target *t, enum place_op op, size_t page,
		    const uint8_t *data, size_t len, size_t *done)
{
	switch (op) {
	case PLACE_COPY:
		return uffd_copy(t->uffd, hva(t, page), data, len, done);
	case PLACE_ZERO:
		return uffd_zero(t->uffd, hva(t, page), len, done);
	default:
		return t->can_poison
			? uffd_poison(t->uffd, hva(t, page), len, done)
			: wall(t, page, len, done);
	}
}

/*
 * The kernel found something where the table says that nothing is: it stays
 * what it is (invariant 1), and the run goes on behind it. That is never
 * normal, so it is said.
 */
static void found_present(struct target *t, enum place_op op, size_t page)
{
	log_line("0x%llx: %s refused, %s",
		 (unsigned long long)ram_gpa(&t->m->ram, page * WIRE_PAGE),
		 op == PLACE_POISON ? "poison" : "page", uffd_cause(-EEXIST));
	if (op == PLACE_POISON)
		t->se.progress->stats.refused++;
	else
		t->se.progress->stats.duplicates++;
	uffd_wake(t->uffd, hva(t, page), WIRE_PAGE);
}

/* Return: pages that were really placed, or -errno */
static long place_run(struct target *t, struct run *r, enum place_op op,
		      const uint8_t *data, struct error *err)
{
	const enum page_state now = op == PLACE_POISON ? PAGE_POISONED
						       : PAGE_PRESENT;
	size_t i = 0, placed = 0;

	while (i < r->n) {
		size_t done;
		int rc = do_ioctl(t, op, r->first + i,
				  data ? data + i * WIRE_PAGE : NULL,
				  (r->n - i) * WIRE_PAGE, &done);

		done /= WIRE_PAGE;
		settle_run(t, r, i, i + done, now);
		i += done;
		placed += done;
		if (rc == -EEXIST) {
			found_present(t, op, r->first + i);
			settle_run(t, r, i, i + 1, PAGE_PRESENT);
			i++;
		} else if (rc) {
			release_run(t, r, i);
			return error_set(err, -rc,
				"cannot place a page at 0x%llx: %s",
				(unsigned long long)ram_gpa(&t->m->ram,
					(r->first + i) * WIRE_PAGE),
				uffd_cause(rc));
		}
	}
	return (long)placed;
}

static int find_pages(struct target *t, uint64_t gpa, size_t n, size_t *page,
		      struct error *err)
{
	uint64_t offset;

	if (!ram_offset(&t->m->ram, gpa, n * WIRE_PAGE, &offset))
		return error_set(err, EBADMSG,
			"the peer named pages that are no RAM: %zu at 0x%llx",
			n, (unsigned long long)gpa);
	*page = (size_t)(offset / WIRE_PAGE);
	return 0;
}

int target_place(struct target *t, uint64_t gpa, const uint8_t *data,
		 size_t n, enum page_count kind, struct error *err)
{
	size_t page = 0;
	int rc = find_pages(t, gpa, n, &page, err);

	if (!rc && t->huge)
		return huge_pages(t, page, data, n, kind, err);
	for (size_t i = 0; !rc && i < n; ) {
		struct run r;
		long placed;

		if (!claim_run(t, &r, page + i, n - i)) {
			t->se.progress->stats.duplicates++;
			i++;
			continue;
		}
		placed = place_run(t, &r, PLACE_COPY, data + i * WIRE_PAGE,
				   err);
		if (placed < 0)
			return (int)placed;
		t->se.progress->stats.pages[kind] += (uint64_t)placed;
		i += r.n;
	}
	return rc;
}

/* Somebody waits for it: it can't wait until it's touched again */
static int place_one_zero(struct target *t, size_t page, struct error *err)
{
	struct run r;
	long placed;

	if (!claim_run(t, &r, page, 1))
		return 0;
	placed = place_run(t, &r, PLACE_ZERO, NULL, err);
	if (placed > 0)
		t->se.progress->stats.pages[COUNT_ZERO]++;
	return placed < 0 ? (int)placed : 0;
}

int target_zero(struct target *t, uint64_t gpa, size_t n, struct error *err)
{
	size_t page = 0;
	int rc = find_pages(t, gpa, n, &page, err);

	if (rc)
		return rc;
	if (t->huge)
		return huge_zero(t, page, n, err);
	t->se.progress->stats.pages[COUNT_ZERO] += pages_set_zero(&t->pages, page, n);
	for (size_t i = 0; i < n && !rc; i++)
		if (pages_get(&t->pages, page + i) == PAGE_REQUESTED)
			rc = place_one_zero(t, page + i, err);
	return rc;
}

int target_zero_fault(struct target *t, size_t page, struct error *err)
{
	size_t n = 0;
	struct run r;
	long rc;

	while (n < ZERO_AROUND && page + n < t->pages.n &&
	       pages_get(&t->pages, page + n) == PAGE_ZERO)
		n++;
	/* Somebody else was here first: then it is being placed */
	if (!n || !claim_run(t, &r, page, n))
		return 0;
	rc = place_run(t, &r, PLACE_ZERO, NULL, err);
	return rc < 0 ? (int)rc : 0;
}

int target_enter_poison(struct target *t, size_t page, size_t n,
			bool delivered, struct error *err)
{
	uint64_t gpa = ram_gpa(&t->m->ram, page * WIRE_PAGE);
	struct poison p = { .gpa = gpa, .size = n * WIRE_PAGE,
			    .delivered = delivered };
	struct memory_failure f = { .gpa = gpa, .size = n * WIRE_PAGE,
				    .action = MF_NOTED };
	int rc = poison_add(&t->m->poison, &p);

	t->se.progress->stats.pages[COUNT_POISON] += n;
	if (rc > 0 && !t->quiet)
		machine_failure(t->m, &f);
	return rc < 0 ? error_set(err, -rc, "out of memory for poison") : 0;
}

/* What a VMM without a table of its own would do, sooner or later */
static void copy_over_poison(struct target *t, size_t page)
{
	static const uint8_t stale[WIRE_PAGE];
	size_t done;

	uffd_copy(t->uffd, hva(t, page), stale, WIRE_PAGE, &done);
}

/* One page, claimed. It's in the list before a vCPU can run into a wall */
static int poison_run(struct target *t, struct run *r, bool delivered,
		      struct error *err)
{
	int rc = t->can_poison ? 0 : target_enter_poison(t, r->first, 1,
							 delivered, err);
	long placed;

	if (rc) {
		release_run(t, r, 0);
		return rc;
	}
	placed = place_run(t, r, PLACE_POISON, NULL, err);
	if (placed < 0)
		return (int)placed;
	return placed && t->can_poison ? target_enter_poison(t, r->first, 1,
							     delivered, err)
				       : 0;
}

int target_poison(struct target *t, uint64_t gpa, size_t n, bool delivered,
		  struct error *err)
{
	size_t page = 0;
	int rc = find_pages(t, gpa, n, &page, err);

	if (!rc && !t->can_poison && !target_has_promised(session_phase(&t->se)))
		rc = error_set(err, ENOTSUP,
			"the guest's page at 0x%llx is lost, and this kernel has no UFFDIO_POISON (Linux 6.6 or newer has)",
			(unsigned long long)gpa);
	if (!rc && t->huge)
		return huge_poison(t, page, n, delivered, err);
	for (size_t i = 0; i < n && !rc; i++) {
		struct run r;

		if (!claim_run(t, &r, page + i, 1)) {
			t->se.progress->stats.refused++;
			continue;
		}
		rc = poison_run(t, &r, delivered, err);
		if (mutant("late-copy"))
			copy_over_poison(t, page + i);
	}
	return rc;
}

int target_message(struct target *t, const struct wire_msg *msg,
		   const uint8_t *data, enum page_count kind,
		   struct error *err)
{
	t->se.progress->stats.bytes += WIRE_HEADER + msg->length;
	switch (msg->type) {
	case WIRE_MSG_PAGES:
		return target_place(t, msg->a, data, msg->b, kind, err);
	case WIRE_MSG_ZERO:
		return target_zero(t, msg->a, msg->b, err);
	case WIRE_MSG_POISON:
		return target_poison(t, msg->a, msg->b, false, err);
	default:
		return error_set(err, EBADMSG,
			"the peer sent %s among the pages",
			wire_name(msg->type));
	}
}

/*
 * A page that is here is made to be lost. A vCPU that touches an anonymous page in
 * between waits for the pager, which leaves poisoned pages alone. In a
 * memfd the touch finds the file's page, which is still right: then the kernel
 * refuses the marker, and the page is dropped once more.
 */
static int poison_present(struct target *t, size_t page, struct error *err)
{
	size_t done;
	int rc = -EEXIST;

	for (unsigned i = 0; i < 1000 && rc == -EEXIST; i++) {
		if (madvise(hva(t, page), WIRE_PAGE, MADV_DONTNEED))
			return error_set(err, errno, "MADV_DONTNEED: %s",
					 strerrordesc_np(errno));
		rc = uffd_poison(t->uffd, hva(t, page), WIRE_PAGE, &done);
	}
	/* The page is gone, and nothing says so: no guest may go on */
	if (rc)
		machine_crash(t->m);
	return rc ? error_set(err, -rc, "UFFDIO_POISON at 0x%llx: %s",
			(unsigned long long)ram_gpa(&t->m->ram,
						    page * WIRE_PAGE),
			uffd_cause(rc)) : 0;
}

static int poison_page(struct target *t, uint64_t offset, bool simulate,
		       struct error *err)
{
	size_t page = (size_t)(offset / WIRE_PAGE);
	struct run r;
	long rc;

	if (pages_get(&t->pages, page) == PAGE_PRESENT && !simulate)
		return 1;
	if (!simulate)
		return error_set(err, EAGAIN,
			"the page has not arrived yet: try again, or use --method simulate");
	if (!t->can_poison)
		return error_set(err, ENOTSUP,
			"this kernel has no UFFDIO_POISON (Linux 6.6 or newer has): use --method hwpoison");
	if (t->huge)
		return huge_inject(t, page, err);
	if (pages_poison_present(&t->pages, page))
		return poison_present(t, page, err);
	if (!claim_run(t, &r, page, 1))
		return error_set(err, EAGAIN,
			"the page is just arriving: try again");
	rc = place_run(t, &r, PLACE_POISON, NULL, err);
	if (rc < 0)
		return (int)rc;
	if (!rc)
		return error_set(err, EEXIST, "a page is there already");
	t->se.progress->stats.pages[COUNT_POISON]++;
	return 0;
}

int target_pager_hook(void *ctx, uint64_t offset, bool simulate,
		      struct error *err)
{
	struct target *t = ctx;
	int rc = 1;

	pthread_mutex_lock(&t->hook_lock);
	/* Closed: all pages are here, and it's done in the ordinary way */
	if (t->uffd >= 0)
		rc = poison_page(t, offset, simulate, err);
	pthread_mutex_unlock(&t->hook_lock);
	return rc;
}
