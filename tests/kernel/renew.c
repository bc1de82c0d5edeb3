// SPDX-License-Identifier: MIT
/*
 * renew.c - Operations that make every page of guest RAM empty again
 *
 * A reset needs that (vmm/memory/ram.c:ram_renew()): contents, markers and
 * pages that the kernel took out of use must all be removed. MADV_DONTNEED is
 * enough for anonymous memory. The file of a memfd keeps its pages, also one
 * with a real memory error, until they are punched out; and punching leaves
 * UFFDIO_POISON's markers, which only the mapping has.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "ktest.h"

static void drop(struct mapping *m)
{
	CHECK(!madvise(m->addr, m->len, MADV_DONTNEED), "MADV_DONTNEED: %m");
}

static void punch(struct mapping *m)
{
	CHECK(!fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			 (off_t)m->len), "FALLOC_FL_PUNCH_HOLE: %m");
}

static void renew(struct mapping *m)
{
	drop(m);
	if (m->fd >= 0)
		punch(m);
}

static void fresh(unsigned char *page)
{
	struct touch t = touch_read(page);

	CHECK(!t.signo, "the page is still lost");
	CHECK(!t.value, "byte 0x%x is still there", t.value);
	CHECK(!touch_write(page, 0x43).signo, "it can't be written");
	CHECK(touch_read(page).value == 0x43, "it does not keep what is "
	      "written");
}

static void contents(struct mapping *m)
{
	memset(m->addr, 0x42, m->len);
	renew(m);
	for (size_t i = 0; i < NPAGES; i++)
		fresh(m->addr + i * PAGE);
}

static void markers(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, 2 * PAGE));
	EXPECT(0, uffd_copy(uffd, m->addr + 2 * PAGE, 0x42));
	EXPECT(0, uffd_unregister(uffd, m->addr, m->len));
	CHECK(poisoned(m->addr), "not poisoned");
	renew(m);
	for (size_t i = 0; i < NPAGES; i++)
		fresh(m->addr + i * PAGE);
}

static void punch_alone(struct mapping *m)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	EXPECT(0, uffd_unregister(uffd, m->addr, m->len));
	punch(m);
	if (!poisoned(m->addr))
		NOTE("(here it does not)");
}

static void on_sigbus(int sig)
{
	(void)sig;
}

/* madvise() may itself raise the SIGBUS of the error that it makes */
static void lose(struct mapping *m)
{
	struct sigaction once = { .sa_handler = on_sigbus }, before;
	int rc;

	ktest_need_hwpoison();
	memset(m->addr, 0x42, m->len);
	sigaction(SIGBUS, &once, &before);
	rc = madvise(m->addr + PAGE, PAGE, MADV_HWPOISON) ? errno : 0;
	sigaction(SIGBUS, &before, NULL);
	if (rc == EPERM)
		SKIP("MADV_HWPOISON needs CAP_SYS_ADMIN");
	if (rc == EINVAL)
		SKIP("the kernel has no CONFIG_MEMORY_FAILURE");
	CHECK(!rc, "MADV_HWPOISON: %s", strerror(rc));
}

static void real(struct mapping *m)
{
	lose(m);
	CHECK(poisoned(m->addr + PAGE), "not poisoned");
	renew(m);
	for (size_t i = 0; i < NPAGES; i++)
		fresh(m->addr + i * PAGE);
}

/* Therefore the file must be punched, too */
static void drop_alone(struct mapping *m)
{
	lose(m);
	drop(m);
	CHECK(poisoned(m->addr + PAGE), "the file has dropped the page");
}

static const struct kcase cases[] = {
	{ "contents", "dropped RAM reads as zeroes", contents, ON_BOTH },
	{ "markers", "and has no marker of UFFDIO_POISON", markers, ON_BOTH },
	{ "punch", "punching a memfd alone leaves a marker", punch_alone,
	  ON_MEMFD },
	{ "hwpoison", "and no page with a memory error", real, ON_BOTH },
	{ "drop", "dropping a memfd's mapping alone leaves that one",
	  drop_alone, ON_MEMFD },
};

KTEST_MAIN(cases)
