// SPDX-License-Identifier: MIT
/*
 * poison-sigbus.c - A user-mode access to poison raises SIGBUS
 *
 * Man page: "Future accesses to these addresses will raise a SIGBUS signal."
 * si_code depends on the kernel's configuration: BUS_MCEERR_AR with lsb 12
 * where CONFIG_MEMORY_FAILURE is set, else BUS_ADRERR.
 */
#include "ktest.h"

static void check_bus(struct touch t, unsigned char *addr)
{
	CHECK(t.signo == SIGBUS, "no SIGBUS");
	CHECK((t.code == BUS_MCEERR_AR && t.lsb == 12) || t.code == BUS_ADRERR,
	      "si_code %d, lsb %d", t.code, t.lsb);
	CHECK(((uintptr_t)t.addr & ~(PAGE - 1)) ==
	      ((uintptr_t)addr & ~(PAGE - 1)), "si_addr %p for %p", t.addr,
	      (void *)addr);
	NOTE("si_code %s, si_addr %s", t.code == BUS_MCEERR_AR ?
	     "BUS_MCEERR_AR" : "BUS_ADRERR", t.addr == addr ? "the byte" :
	     "in the page");
}

static void on_read(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	check_bus(touch_read(m->addr + 0x123), m->addr + 0x123);
}

static void on_write(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	check_bus(touch_write(m->addr + 0x123, 1), m->addr + 0x123);
}

static void again(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	for (int i = 0; i < 10; i++)
		CHECK(poisoned(m->addr), "access %d went through", i);
}

static void no_event(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	CHECK(poisoned(m->addr), "the page can be read");
	CHECK(uffd_quiet(uffd), "the access also raised a page fault event");
}

static const struct kcase cases[] = {
	{ "read", "a read raises SIGBUS", on_read, ON_BOTH },
	{ "write", "a write raises SIGBUS", on_write, ON_BOTH },
	{ "again", "every access does, not only the first", again, ON_BOTH },
	{ "event", "and no page fault event", no_event, ON_BOTH },
};

KTEST_MAIN(cases)
