// SPDX-License-Identifier: MIT
/*
 * dirty.c - Which pages of RAM change while the guest runs
 *
 * Where KVM offers it (Linux 5.2, or 5.7 for the second part), a page is write
 * protected only when it is cleared, and no page when logging begins. Otherwise
 * switching the log on write protects all of RAM, and each fetch protects what it
 * returns: it is correct, and slower for the guest.
 */

#include <errno.h>
#include <stdlib.h>

#include "dirty.h"
#include "machine_private.h"
#include "vmm/base/log.h"
#include "vmm/base/page.h"
#include "vmm/memory/ram_dirty.h"

#define WORD_PAGES	64

/* KVM permits the change only while no slot logs */
static bool protects_on_clear(struct machine *m)
{
	return !kvm_dirty_log_manual(&m->kvm, true, NULL) ||
	       !kvm_dirty_log_manual(&m->kvm, false, NULL);
}

static int set_logging(struct machine *m, bool on, struct error *err)
{
	struct kvm_slot s;
	int rc = 0;

	for (unsigned i = 0; !rc && machine_slot(m, i, &s); i++) {
		s.flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
		rc = kvm_set_memory(&m->kvm, &s, err);
	}
	return rc;
}

int machine_dirty_start(struct machine *m, struct error *err)
{
	int rc = ram_dirty_begin(&m->ram);

	if (rc)
		return error_set(err, -rc, "out of memory for the dirty pages");
	m->dirty_manual = protects_on_clear(m);
	rc = set_logging(m, true, err);
	if (rc)
		set_logging(m, false, NULL);
	m->dirty_on = !rc;
	/* Whatever KVM's log begins with */
	ram_dirty_mark(&m->ram, 0, m->ram.size);
	return rc;
}

void machine_dirty_stop(struct machine *m)
{
	struct error err = { 0 };

	if (m->dirty_on && set_logging(m, false, &err))
		log_line("the dirty log stays on: %s", err.text);
	m->dirty_on = false;
}

static size_t slot_page(const struct machine *m, const struct kvm_slot *s)
{
	return (size_t)((uint8_t *)s->hva - m->ram.base) / GUEST_PAGE_SIZE;
}

static int fetch_slot(struct machine *m, const struct kvm_slot *s,
		      uint64_t *bits, struct error *err)
{
	const size_t words = (size_t)(s->size / GUEST_PAGE_SIZE + WORD_PAGES -
				      1) / WORD_PAGES;
	uint64_t *to = bits + slot_page(m, s) / WORD_PAGES;
	uint64_t *log = calloc(words, sizeof(*log));
	int rc = log ? kvm_get_dirty_log(&m->kvm, s->slot, log, err)
		     : error_set(err, ENOMEM, "out of memory for a dirty log");

	for (size_t w = 0; w < words && !rc; w++)
		to[w] |= log[w];
	free(log);
	return rc;
}

int machine_dirty_fetch(struct machine *m, uint64_t *bits, struct error *err)
{
	struct kvm_slot s;
	int rc = 0;

	for (unsigned i = 0; !rc && machine_slot(m, i, &s); i++)
		rc = fetch_slot(m, &s, bits, err);
	/* After KVM's: a write of a vCPU's thread is marked before it is parked */
	if (!rc)
		ram_dirty_take(&m->ram, bits);
	return rc;
}

/* The part of a range that is in one slot */
static int clear_in_slot(struct machine *m, const struct kvm_slot *s,
			 const uint64_t *bits, size_t first, size_t n,
			 struct error *err)
{
	const size_t at = slot_page(m, s), end = at + s->size / GUEST_PAGE_SIZE;
	const size_t from = first > at ? first : at;
	const size_t to = first + n < end ? first + n : end;
	struct kvm_page_range r = { .slot = s->slot };

	if (from >= to)
		return 0;
	r.first = from - at;
	r.count = (uint32_t)(to - from);
	return kvm_clear_dirty_log(&m->kvm, &r, bits + from / WORD_PAGES, err);
}

int machine_dirty_clear(struct machine *m, const uint64_t *bits, size_t first,
			size_t n, struct error *err)
{
	struct kvm_slot s;
	int rc = 0;

	for (unsigned i = 0; !rc && m->dirty_manual && machine_slot(m, i, &s);
	     i++)
		rc = clear_in_slot(m, &s, bits, first, n, err);
	return rc;
}
