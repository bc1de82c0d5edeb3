// SPDX-License-Identifier: MIT
/*
 * test_dirty.c - Which pages change while a guest runs: KVM's log and the VMM's
 *
 * A copy of RAM that is taken page by page while the guest writes, as a precopy
 * pass does, and repeated for what is dirty, must be the guest's RAM when the
 * guest is paused, but for the pages that the last fetch names.
 */

#include <unistd.h>

#include "rig.h"
#include "vmm/base/page.h"
#include "vmm/machine/dirty.h"

#define MIBS	32u
#define PAGES	(MIBS * MIB / GUEST_PAGE_SIZE)
#define WORDS	(PAGES / 64 + 1)

static uint64_t dirty[WORDS];
static uint8_t copy[MIBS * MIB];

static bool is_dirty(size_t page)
{
	return dirty[page / 64] >> page % 64 & 1;
}

static size_t count_dirty(void)
{
	size_t n = 0;

	for (size_t i = 0; i < PAGES; i++)
		n += is_dirty(i);
	return n;
}

static void fetch(struct rig *r)
{
	struct error err = { 0 };

	if (machine_dirty_fetch(r->m, dirty, &err))
		fail_msg("%s", err.text);
}

/* Clear, then read, in ranges, while the guest runs */
static void copy_dirty(struct rig *r)
{
	struct error err = { 0 };

	for (size_t at = 0; at < PAGES; at += 1024) {
		if (machine_dirty_clear(r->m, dirty, at, 1024, &err))
			fail_msg("%s", err.text);
		for (size_t i = at; i < at + 1024; i++)
			if (is_dirty(i))
				assert_int_equal(ram_read(&r->m->ram,
					i * GUEST_PAGE_SIZE,
					copy + i * GUEST_PAGE_SIZE,
					GUEST_PAGE_SIZE), 0);
	}
	memset(dirty, 0, sizeof(dirty));
}

static void assert_no_write_is_missed(struct rig *r)
{
	uint8_t page[GUEST_PAGE_SIZE];

	for (size_t i = 0; i < PAGES; i++) {
		assert_int_equal(ram_read(&r->m->ram, i * GUEST_PAGE_SIZE,
					  page, sizeof(page)), 0);
		if (!is_dirty(i) && memcmp(page, copy + i * GUEST_PAGE_SIZE,
					   sizeof(page)))
			fail_msg("page %zu was written, and is not dirty", i);
	}
}

static void follow(enum ram_backing backing, unsigned cpus)
{
	struct rig *r = rig_new(MIBS, cpus, backing, "host",
				"work=verify mib=8");
	struct error err = { 0 };

	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready");
	if (machine_dirty_start(r->m, &err))
		fail_msg("%s", err.text);
	fetch(r);
	assert_int_equal(count_dirty(), PAGES);
	for (unsigned i = 0; i < 4; i++) {
		copy_dirty(r);
		usleep(20000);
		fetch(r);
		/* Not all of RAM: a log that says so would be useless */
		assert_in_range(count_dirty(), 0, PAGES - 1);
	}
	assert_true(rig_pause(r));
	fetch(r);
	assert_no_write_is_missed(r);
	/* Paused, and copied once more: nothing is dirty but what is written */
	copy_dirty(r);
	fetch(r);
	assert_int_equal(count_dirty(), 0);
	assert_int_equal(ram_write(&r->m->ram, 7 * GUEST_PAGE_SIZE,
				   copy + 7 * GUEST_PAGE_SIZE, 1), 0);
	fetch(r);
	assert_int_equal(count_dirty(), 1);
	assert_true(is_dirty(7));
	machine_dirty_stop(r->m);
	rig_run(r);
	/* Again, in the same machine */
	assert_int_equal(machine_dirty_start(r->m, &err), 0);
	memset(dirty, 0, sizeof(dirty));
	fetch(r);
	assert_int_equal(count_dirty(), PAGES);
	machine_dirty_stop(r->m);
	rig_free(r);
}

static void no_write_is_missed(void **state)
{
	(void)state;
	follow(RAM_ANON, 1);
	follow(RAM_MEMFD, 2);
}

/* 8200 GiB are in three slots; the hole under 4 GiB is between two */
static void slots_cover_ram(void **state)
{
	struct machine m = { .ram.size = 8200 * GIB };
	uint64_t at = 0;
	struct kvm_slot s;
	unsigned n = 0;

	(void)state;
	m.ram.regions = ram_layout(m.ram.size, m.ram.region);
	for (; machine_slot(&m, n, &s); n++) {
		assert_int_equal((uintptr_t)s.hva, at);
		assert_int_equal(s.gpa, ram_gpa(&m.ram, at));
		assert_int_equal(s.slot, n);
		at += s.size;
	}
	assert_int_equal(at, m.ram.size);
	assert_int_equal(n, 4);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_cover_ram),
		cmocka_unit_test(no_write_is_missed),
	};

	(void)argc;
	rig_check_kvm(argv[0]);
	return cmocka_run_group_tests_name("dirty", tests, NULL, NULL);
}
