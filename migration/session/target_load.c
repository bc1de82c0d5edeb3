// SPDX-License-Identifier: MIT
/*
 * target_load.c - Lists, lost pages and state that a destination has received
 *
 * ZERO_LIST is applied as soon as it has come. All else is read first, and then
 * loaded in the stage "prepare" (invariant 6).
 */

#include <errno.h>
#include <stdlib.h>

#include "target_load.h"
#include "target_poison.h"

void target_drop_received(struct target *t)
{
	free(t->state);
	free(t->poison);
	free(t->written);
	free(t->discard);
	t->state = t->poison = t->written = t->discard = NULL;
}

/* extent_fn - A range of pages from a list; all of it is RAM. 0, -errno */
typedef int extent_fn(struct page_store *s, size_t page, size_t n,
		      struct error *err);

/*
 * Ranges must ascend and must not overlap, so that the work is bounded by the
 * size of RAM; the phase is looked at, so that it ends when the process does.
 */
static int walk_extents(struct target *t, const uint8_t *data, uint32_t len,
			const char *what, extent_fn *fn, struct error *err)
{
	struct reader r = { .data = data, .len = len };
	uint64_t pages = t->store.table.n, next = 0;
	uint32_t n = get_u32(&r);
	int rc;

	for (uint32_t i = 0; i < n && !r.failed; i++) {
		uint64_t at = get_u64(&r), bytes = get_u64(&r);
		uint64_t page = at / WIRE_PAGE, count = bytes / WIRE_PAGE;

		if (at % WIRE_PAGE || bytes % WIRE_PAGE || !count ||
		    page > pages || count > pages - page)
			return error_set(err, EBADMSG,
				"%s: entry %u is not whole pages of RAM",
				what, i);
		if (page < next)
			return error_set(err, EBADMSG,
				"%s: entry %u does not ascend", what, i);
		if (!target_is_linked(session_phase(&t->se)))
			return error_set(err, ECANCELED,
					 "this side is ending");
		next = page + count;
		rc = fn(&t->store, page, count, err);
		if (rc)
			return rc;
	}
	return reader_done(&r) ? 0 : error_set(err, EBADMSG,
					       "%s: wrong length", what);
}

static int set_zero(struct page_store *s, size_t page, size_t n,
		    struct error *err)
{
	(void)err;
	page_store_set_zero(s, page, n);
	return 0;
}

static int set_missing(struct page_store *s, size_t page, size_t n,
		       struct error *err)
{
	(void)err;
	page_store_set_missing(s, page, n);
	return 0;
}

static int say_ready(struct target *t, struct error *err)
{
	const struct wire_msg m = { .type = WIRE_MSG_READY,
				    .length = WIRE_READY };
	uint8_t unit[WIRE_READY];

	wire_put_ready(unit, (uint32_t)machine_ram(t->m)->unit);
	return channel_say(&t->se.link.main, &m, unit, err);
}

/*
 * The guest still runs on the source. All that takes long, or may fail for lack
 * of memory, is done when READY is sent.
 */
int target_zero_list(struct target *t, struct error *err)
{
	uint8_t *list = NULL;
	uint32_t len;
	int rc = session_expect(&t->se, WIRE_MSG_ZERO_LIST, &list, &len, err);

	if (!rc)
		rc = walk_extents(t, list, len, "zero list", set_zero, err);
	free(list);
	return rc ? rc : say_ready(t, err);
}

/* Entries that follow each other, and are alike, are one run */
static int next_run(const struct poison *p, int n, struct poison *run)
{
	int i = 1;

	for (*run = p[0]; i < n && p[i].gpa == run->gpa + run->size &&
	     p[i].delivered == run->delivered; i++)
		run->size += p[i].size;
	return i;
}

/* Pages that ZERO_LIST announced and that were poisoned since are no zeroes */
static int load_poison_run(struct target *t, const struct poison *run,
			   struct error *err)
{
	uint64_t offset;

	if (run->gpa % WIRE_PAGE || run->size % WIRE_PAGE)
		return error_set(err, EBADMSG,
			"poison list: 0x%llx is not whole pages",
			(unsigned long long)run->gpa);
	if (ram_offset(machine_ram(t->m), run->gpa, run->size, &offset)) {
		size_t page = (size_t)(offset / WIRE_PAGE);
		size_t n = (size_t)(run->size / WIRE_PAGE);

		/* The table would keep the contents, and refuse the poison */
		if (page_store_has_old(&t->store, page, n))
			return error_set(err, EBADMSG,
				"poison list: 0x%llx was sent before, and not discarded",
				(unsigned long long)run->gpa);
		page_store_set_missing(&t->store, page, n);
	}
	return page_store_poison(&t->store, run->gpa, run->size / WIRE_PAGE,
				 run->delivered, err);
}

/*
 * One ioctl for each run while the guest is held: some 4 us a run, so 40 ms for
 * 11,000 scattered pages and nothing to be seen for the few that real hosts
 * have. POISON_LIST can't be sent ahead as ZERO_LIST is: a reset of the guest
 * before the pause makes its pages good again, and poison is terminal here.
 */
static int load_poison_runs(struct target *t, const struct poison *p, int n,
			    struct error *err)
{
	int rc = 0;

	t->quiet = true;
	for (int i = 0; i < n && !rc; ) {
		struct poison run;

		i += next_run(p + i, n - i, &run);
		rc = target_is_linked(session_phase(&t->se))
			? load_poison_run(t, &run, err)
			: error_set(err, ECANCELED, "this side is ending");
	}
	t->quiet = false;
	target_report_poison(t);
	return rc;
}

static int load_poison(struct target *t, struct error *err)
{
	struct reader r = { .data = t->poison, .len = t->poison_len };
	struct poison *p;
	int n = poison_parse(&r, &p, err), rc;

	if (n < 0)
		return n;
	rc = load_poison_runs(t, p, n, err);
	if (!rc && !reader_done(&r))
		rc = error_set(err, EBADMSG, "poison list: wrong length");
	free(p);
	return rc;
}

static int load_written(struct target *t, struct error *err)
{
	int rc = walk_extents(t, t->written, t->written_len, "written list",
			      set_missing, err);

	/* Huge pages that are zeroes as a whole, or with lost parts */
	return rc ? rc : page_store_settle(&t->store, err);
}

static int load_state(struct target *t, struct error *err)
{
	struct reader r = { .data = t->state, .len = t->state_len };

	t->run_it = get_u8(&r);
	return machine_load(t->m, &r, err);
}

/* What comes before PREPARE are the pages that the guest needs first */
static int hear_prepare(struct target *t, struct error *err)
{
	uint8_t *data = receive_buffer();
	struct wire_msg m;
	int rc;

	if (!data)
		return error_set(err, ENOMEM, "out of memory for pages");
	for (;;) {
		rc = session_hear(&t->se, &m, "PREPARE", err);
		if (rc || m.type == WIRE_MSG_PREPARE)
			break;
		if (m.type != WIRE_MSG_PAGES && m.type != WIRE_MSG_ZERO &&
		    m.type != WIRE_MSG_POISON) {
			rc = error_set(err, EBADMSG,
				"the peer sent %s where PREPARE belongs",
				wire_name(m.type));
			break;
		}
		rc = channel_recv(&t->se.link.main, data, m.length, err);
		if (!rc)
			rc = page_store_message(&t->store, &m, data, false,
						err);
		if (rc)
			break;
	}
	free(data);
	return rc;
}

/* From here on the machine is kept, whatever happens to the link */
static int promise(struct target *t, struct error *err)
{
	if (session_event(&t->se, EVENT_LOADED, NULL))
		return error_set(err, EPIPE,
			"the connection was lost while the state was loaded");
	t->store.accepted = true;
	return 0;
}

/* All was read: now it is loaded (invariant 6) */
int target_prepare(struct target *t, struct error *err)
{
	struct ram_hook p = { .ctx = t, .poison = target_inject,
			   .missing = true };
	int rc = walk_extents(t, t->discard, t->discard_len, "discard list",
			      page_store_discard, err);

	if (!rc)
		rc = load_poison(t, err);
	if (!rc)
		rc = load_written(t, err);
	if (!rc)
		rc = hear_prepare(t, err);
	if (!rc)
		rc = load_state(t, err);
	target_drop_received(t);
	if (!rc)
		rc = promise(t, err);
	if (rc)
		return rc;
	machine_set_ram_hook(t->m, &p);
	return session_say(&t->se, WIRE_MSG_PREPARED, NULL, err);
}
