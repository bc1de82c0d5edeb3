// SPDX-License-Identifier: MIT
/*
 * poison-physical.c - The physical page stays healthy (anonymous memory)
 *
 * Man page: "Unlike MADV_HWPOISON this works by installing page table entries,
 * rather than really poisoning the underlying physical pages. This means it
 * only affects this particular address space." poison-space shows it for a
 * memfd, which can be mapped twice. An anonymous page that has been at a
 * poisoned address is kept here by a forked process, by a pipe or by another
 * address, and read there. /proc/kpageflags says of its frame that it has no
 * memory error. And poison takes no page: it is in the page tables alone.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "ktest.h"

#define KPF_HWPOISON	19	/* linux/kernel-page-flags.h */
#define PM_PRESENT	((uint64_t)1 << 63)
#define PM_PFN		(((uint64_t)1 << 55) - 1)
#define FILL		0x77

static uint64_t read_u64(const char *file, uint64_t index)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	uint64_t value;

	if (fd < 0)
		SKIP("%s: %m: run as root", file);
	CHECK(pread(fd, &value, sizeof(value), (off_t)(index * 8)) ==
	      sizeof(value), "read of %s: %m", file);
	close(fd);
	return value;
}

static uint64_t pagemap(const void *addr)
{
	return read_u64("/proc/self/pagemap", (uintptr_t)addr / PAGE);
}

/* Number of the frame at an address; without CAP_SYS_ADMIN the case ends */
static uint64_t frame(const void *addr)
{
	uint64_t entry = 0;

	/* Read it first: it may have been swapped out */
	for (int i = 0; i < 1000 && !(entry & PM_PRESENT); i++) {
		CHECK(!poisoned(addr), "the page at %p is poisoned", addr);
		entry = pagemap(addr);
	}
	CHECK(entry & PM_PRESENT, "no page at %p", addr);
	if (!(entry & PM_PFN))
		SKIP("/proc/self/pagemap shows no frame numbers: run as root");
	return entry & PM_PFN;
}

static void check_frame(uint64_t pfn)
{
	CHECK(!(read_u64("/proc/kpageflags", pfn) >> KPF_HWPOISON & 1),
	      "frame 0x%llx has a memory error", (unsigned long long)pfn);
	NOTE("frame 0x%llx has no memory error", (unsigned long long)pfn);
}

/* The page at an address had this frame. The kernel may move pages (compaction)
 * and then the frame is another one: that is no error.
 */
static void check_page(const unsigned char *addr, uint64_t pfn)
{
	for (size_t i = 0; i < PAGE; i++)
		CHECK(addr[i] == FILL, "byte %zu is 0x%x", i, addr[i]);
	if (frame(addr) == pfn)
		check_frame(pfn);
	else
		NOTE("the kernel moved the page meanwhile");
}

/* Value in kB of a line of a file like /proc/meminfo; 0 if it isn't there */
static long line_kb(const char *file, const char *name)
{
	char line[128];
	long value = 0;
	FILE *f = fopen(file, "re");

	CHECK(f, "%s: %m", file);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) &&
		    line[strlen(name)] == ':')
			value = atol(line + strlen(name) + 1);
	fclose(f);
	return value;
}

/* Drop the page at an address and put poison there, in this address space */
static void poison_in_its_place(struct mapping *m)
{
	int uffd = uffd_missing(m);

	CHECK(!madvise(m->addr, PAGE, MADV_DONTNEED), "MADV_DONTNEED: %m");
	EXPECT(0, uffd_poison(uffd, m->addr, PAGE));
	CHECK(poisoned(m->addr), "the page can be read");
}

/* Parent and child share the page. The child poisons, the parent reads */
static void child_poisons(struct mapping *m)
{
	uint64_t pfn;
	pid_t pid;

	memset(m->addr, FILL, PAGE);
	pfn = frame(m->addr);
	pid = ktest_fork();
	if (!pid) {
		poison_in_its_place(m);
		_exit(KTEST_OK);
	}
	ktest_reap(pid);
	check_page(m->addr, pfn);
	CHECK(!touch_write(m->addr, 1).signo, "it can't be written");
}

/* The parent poisons, the child reads */
static void parent_poisons(struct mapping *m)
{
	uint64_t pfn;
	int go[2];
	pid_t pid;
	char c;

	memset(m->addr, FILL, PAGE);
	pfn = frame(m->addr);
	CHECK(!pipe(go), "pipe: %m");
	pid = ktest_fork();
	if (!pid) {
		CHECK(read(go[0], &c, 1) == 1, "read: %m");
		check_page(m->addr, pfn);
		_exit(KTEST_OK);
	}
	poison_in_its_place(m);
	CHECK(write(go[1], "", 1) == 1, "write: %m");
	ktest_reap(pid);
	CHECK(poisoned(m->addr), "the poison is gone");
}

/* The pipe holds the page itself, not a copy */
static void pipe_keeps(struct mapping *m)
{
	struct iovec v = { m->addr, PAGE };
	unsigned char got[PAGE];
	long corrupted = line_kb("/proc/meminfo", "HardwareCorrupted");
	uint64_t pfn;
	int p[2];

	memset(m->addr, FILL, PAGE);
	CHECK(!pipe(p), "pipe: %m");
	CHECK(vmsplice(p[1], &v, 1, 0) == PAGE, "vmsplice: %m");
	pfn = frame(m->addr);		/* the pipe keeps it from moving */
	m->addr[1] = FILL + 1;		/* seen by the pipe: one page */
	poison_in_its_place(m);
	check_frame(pfn);
	CHECK(read(p[0], got, PAGE) == PAGE, "read of the pipe: %m");
	CHECK(got[0] == FILL && got[1] == FILL + 1 && got[PAGE - 1] == FILL,
	      "the pipe has 0x%x, 0x%x", got[0], got[1]);
	CHECK(poisoned(m->addr), "the poison is gone");
	CHECK(line_kb("/proc/meminfo", "HardwareCorrupted") == corrupted,
	      "HardwareCorrupted in /proc/meminfo has changed");
}

/* The page goes to another address, its old one is poisoned */
static void address_only(struct mapping *m)
{
	unsigned char *to;
	uint64_t pfn;
	int uffd;

	memset(m->addr, FILL, m->len);
	pfn = frame(m->addr);
	uffd = uffd_missing(m);
	to = mremap(m->addr, m->len, m->len,
		    MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (to == MAP_FAILED)
		SKIP("mremap MREMAP_DONTUNMAP: %m: needs Linux 5.7");
	EXPECT(0, uffd_poison(uffd, m->addr, m->len));
	CHECK(poisoned(m->addr), "the old address can be read");
	check_page(to, pfn);
}

static void on_sigbus(int sig)
{
	(void)sig;
}

/* The contrast: the page itself is lost, in each address space that has it */
static void hwpoison_differs(struct mapping *m)
{
	struct sigaction once = { .sa_handler = on_sigbus }, before;
	long corrupted;
	uint64_t pfn;
	int go[2], rc;
	pid_t pid;
	char c;

	ktest_need_hwpoison();
	memset(m->addr, FILL, PAGE);
	CHECK(!pipe(go), "pipe: %m");
	pid = ktest_fork();
	if (!pid) {
		/* The kernel may send SIGBUS before the page is touched */
		sigaction(SIGBUS, &once, &before);
		CHECK(read(go[0], &c, 1) == 1, "read: %m");
		sigaction(SIGBUS, &before, NULL);
		CHECK(poisoned(m->addr), "the child can read the page");
		_exit(KTEST_OK);
	}
	pfn = frame(m->addr);
	corrupted = line_kb("/proc/meminfo", "HardwareCorrupted");
	sigaction(SIGBUS, &once, &before);
	rc = madvise(m->addr, PAGE, MADV_HWPOISON) ? errno : 0;
	sigaction(SIGBUS, &before, NULL);
	if (rc == EPERM || rc == EINVAL)
		SKIP("MADV_HWPOISON: %s: needs CAP_SYS_ADMIN and "
		     "CONFIG_MEMORY_FAILURE", strerror(rc));
	CHECK(!rc, "MADV_HWPOISON: %s", strerror(rc));
	CHECK(read_u64("/proc/kpageflags", pfn) >> KPF_HWPOISON & 1,
	      "/proc/kpageflags does not know of it");
	CHECK(line_kb("/proc/meminfo", "HardwareCorrupted") > corrupted,
	      "HardwareCorrupted in /proc/meminfo has not grown");
	CHECK(poisoned(m->addr), "the parent can read the page");
	CHECK(write(go[1], "", 1) == 1, "write: %m");
	ktest_reap(pid);
}

#define MANY	(64UL << 20)

static void page_tables_only(struct mapping *m)
{
	int uffd = uffd_open(O_NONBLOCK, 0);
	unsigned char *p = mmap(NULL, MANY, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				-1, 0);
	long tables;

	(void)m;
	CHECK(p != MAP_FAILED, "mmap: %m");
	madvise(p, MANY, MADV_NOHUGEPAGE);
	EXPECT(0, uffd_register(uffd, p, MANY, UFFDIO_REGISTER_MODE_MISSING,
				NULL));
	tables = line_kb("/proc/self/status", "VmPTE");
	EXPECT(0, uffd_poison(uffd, p, MANY));
	tables = line_kb("/proc/self/status", "VmPTE") - tables;
	for (size_t i = 0; i < MANY; i += 16 * PAGE)
		CHECK(!(pagemap(p + i) & PM_PRESENT), "a page is at 0x%zx", i);
	/* One table of 4 KiB holds the entries of 2 MiB; the outer two may be
	 * shared with a neighbour
	 */
	CHECK(tables >= 4 * (long)(MANY / (2UL << 20) - 2),
	      "the page tables have grown by %ld kB", tables);
	NOTE("64 MiB poisoned, page tables +%ld kB", tables);
}

static const struct kcase cases[] = {
	{ "child", "a page shared by fork: poisoned in the child, whole in the "
	  "parent", child_poisons, ON_ANON },
	{ "parent", "poisoned in the parent, whole in the child",
	  parent_poisons, ON_ANON },
	{ "pipe", "a page in a pipe is whole, its address poisoned; no memory "
	  "error in /proc", pipe_keeps, ON_ANON },
	{ "address", "a page moved away is whole, its old address poisoned",
	  address_only, ON_ANON },
	{ "hwpoison", "unlike MADV_HWPOISON, which loses the page for parent, "
	  "child and kernel", hwpoison_differs, ON_ANON },
	{ "tables", "poison takes page table entries, no pages",
	  page_tables_only, ON_NONE },
};

KTEST_MAIN(cases)
