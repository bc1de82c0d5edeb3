// SPDX-License-Identifier: MIT
/* test_ram.c - The one way into RAM: round the hole, and past poison */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "unit.h"

#include "vmm/base/page.h"
#include "vmm/base/bytes.h"
#include "vmm/memory/ram.h"
#include "vmm/memory/ram_dirty.h"
#include "vmm/memory/ram_holes.h"
#include "vmm/memory/sigbus.h"
#include "vmm/memory/uffd.h"

#define PAGE	GUEST_PAGE_SIZE
#define PAGES	4096		/* of 16 MiB */

static void make(struct ram *ram, uint64_t size, enum ram_backing backing)
{
	struct error err = { 0 };

	if (ram_create(ram, size, backing, &err))
		fail_msg("%s", err.text);
	/* These tests count pages of 4 KiB, on kernels, too, that give anyone
	 * huge ones; EINVAL where there are none
	 */
	madvise(ram->base, ram->size, MADV_NOHUGEPAGE);
}

static void layout_below_the_hole(void **state)
{
	struct ram ram;
	uint64_t at;

	(void)state;
	make(&ram, 16 * MIB, RAM_ANON);
	assert_int_equal(ram.regions, 1);
	assert_true(ram_offset(&ram, 0, 16 * MIB, &at) && at == 0);
	assert_true(ram_offset(&ram, 16 * MIB - 1, 1, &at));
	assert_int_equal(at, 16 * MIB - 1);
	assert_false(ram_offset(&ram, 0, 16 * MIB + 1, &at));
	assert_false(ram_offset(&ram, 16 * MIB, 1, &at));
	assert_false(ram_offset(&ram, 16 * MIB - 1, 2, &at));
	assert_false(ram_offset(&ram, UINT64_MAX, 1, &at));
	assert_false(ram_offset(&ram, 1, UINT64_MAX, &at));
	ram_destroy(&ram);
	assert_null(ram.base);
	ram_destroy(&ram);
}

static void layout_round_the_hole(void **state)
{
	const uint64_t size = 3 * GIB + 5 * MIB;
	struct ram ram;
	uint64_t at;

	(void)state;
	make(&ram, size, RAM_MEMFD);
	assert_int_equal(ram.regions, 2);
	assert_true(ram_offset(&ram, 3 * GIB - 1, 1, &at));
	assert_true(at == 3 * GIB - 1 && ram_gpa(&ram, at) == at);
	assert_false(ram_offset(&ram, 3 * GIB - 1, 2, &at));
	assert_false(ram_offset(&ram, 3 * GIB, 1, &at));
	assert_false(ram_offset(&ram, 4 * GIB - 1, 1, &at));
	assert_false(ram_offset(&ram, 4 * GIB - 1, 2, &at));
	assert_true(ram_offset(&ram, 4 * GIB, 5 * MIB, &at));
	assert_true(at == 3 * GIB && ram_gpa(&ram, at) == 4 * GIB);
	assert_true(ram_offset(&ram, 4 * GIB + 5 * MIB - 1, 1, &at));
	assert_true(at == size - 1);
	assert_true(ram_gpa(&ram, size - 1) == 4 * GIB + 5 * MIB - 1);
	assert_false(ram_offset(&ram, 4 * GIB + 5 * MIB, 1, &at));
	ram_destroy(&ram);
}

static void exactly_up_to_the_hole(void **state)
{
	struct ram ram;

	(void)state;
	make(&ram, 3 * GIB, RAM_ANON);
	assert_int_equal(ram.regions, 1);
	ram_destroy(&ram);
}

static void bytes_on_both_sides_of_the_hole(void **state)
{
	static const uint64_t where[] = {
		0, 3 * GIB - 4, 4 * GIB, 4 * GIB + MIB - 4,
	};
	struct ram ram;
	uint32_t v;

	(void)state;
	make(&ram, 3 * GIB + MIB, RAM_ANON);
	for (uint32_t i = 0; i < ARRAY_SIZE(where); i++) {
		v = 0x1000 + i;
		assert_int_equal(ram_write(&ram, where[i], &v, 4), 0);
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(where); i++) {
		assert_int_equal(ram_read(&ram, where[i], &v, 4), 0);
		assert_int_equal(v, 0x1000 + i);
	}
	assert_int_equal(ram_write(&ram, 3 * GIB - 3, &v, 4), -ERANGE);
	assert_int_equal(ram_read(&ram, 3 * GIB - 3, &v, 4), -ERANGE);
	assert_int_equal(ram_read(&ram, 3 * GIB, &v, 4), -ERANGE);
	assert_int_equal(ram_read(&ram, UINT64_MAX - 1, &v, 4), -ERANGE);
	ram_destroy(&ram);
}

static void host_addresses(void **state)
{
	struct ram ram, none = { 0 };
	uint64_t at, base;

	(void)state;
	make(&ram, 16 * MIB, RAM_ANON);
	base = (uintptr_t)ram.base;
	assert_true(ram_from_hva(&ram, base, &at) && at == 0);
	assert_true(ram_from_hva(&ram, base + 16 * MIB - 1, &at));
	assert_int_equal(at, 16 * MIB - 1);
	assert_false(ram_from_hva(&ram, base - 1, &at));
	assert_false(ram_from_hva(&ram, base + 16 * MIB, &at));
	assert_false(ram_from_hva(&none, 0, &at));
	ram_destroy(&ram);
}

static void sizes_have_limits(void **state)
{
	static const uint64_t bad[] = {
		0, MIB, 16 * MIB - 1, 16 * MIB + PAGE, (16ull << 40) + MIB,
		UINT64_MAX,
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = { 0 };
		struct ram ram;

		assert_refused(ram_create(&ram, bad[i], RAM_ANON, &err),
			       EINVAL, err, "16 MiB to 16 TiB");
		ram_destroy(&ram);
	}
}

static void backings_have_names(void **state)
{
	enum ram_backing b;

	(void)state;
	for (int i = 0; i < RAM_BACKINGS; i++) {
		const char *name = ram_backing_name((enum ram_backing)i);

		assert_int_equal(ram_backing_find(name, &b), 0);
		assert_int_equal(b, i);
	}
	assert_null(ram_backing_name(RAM_BACKINGS));
	assert_int_equal(ram_backing_find("paper", &b), -ENOENT);
}

/* As "ferry poison --method simulate" does it, on pages never touched */
static void poison(struct ram *ram, uint64_t offset, size_t pages)
{
	struct error err = { 0 };
	int fd = uffd_open(true, &err), mode = UFFD_MISSING;
	size_t len = pages * PAGE, done;

	if (fd < 0)
		fail_msg("%s", err.text);
	if (ram->backing == RAM_MEMFD)
		mode |= UFFD_MINOR;
	if (uffd_register(fd, ram->base + offset, len, mode, &err))
		fail_msg("%s", err.text);
	assert_int_equal(uffd_poison(fd, ram->base + offset, len, &done), 0);
	assert_int_equal(done, len);
	assert_int_equal(uffd_unregister(fd, ram->base + offset, len), 0);
	close(fd);
}

/* Pages 0 to 39 written, page 40 lost, 41 to 79 written */
static void with_poison(struct ram *ram, enum ram_backing backing)
{
	uint8_t page[PAGE];

	make(ram, 16 * MIB, backing);
	for (unsigned i = 0; i < 80; i++) {
		memset(page, (int)i + 1, sizeof(page));
		if (i != 40)
			assert_int_equal(ram_write(ram, i * PAGE, page, PAGE),
					 0);
	}
	poison(ram, 40 * PAGE, 1);
}

static void check_read_round_poison(enum ram_backing backing)
{
	uint8_t *buf = malloc(80 * PAGE);
	struct ram ram;
	size_t done;

	assert_non_null(buf);
	with_poison(&ram, backing);
	assert_int_equal(ram_copy_out(&ram, 0, buf, 80 * PAGE, &done),
			 -EHWPOISON);
	assert_int_equal(done, 40 * PAGE);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(buf[i * PAGE + i], i + 1);

	/* From within a page, and from the page after it */
	assert_int_equal(ram_copy_out(&ram, 39 * PAGE + 5, buf, 2 * PAGE,
				      &done), -EHWPOISON);
	assert_int_equal(done, PAGE - 5);
	assert_int_equal(ram_copy_out(&ram, 40 * PAGE + 7, buf, 1, &done),
			 -EHWPOISON);
	assert_int_equal(done, 0);
	assert_int_equal(ram_copy_out(&ram, 41 * PAGE, buf, 39 * PAGE,
				      &done), 0);
	assert_int_equal(done, 39 * PAGE);
	assert_int_equal(buf[38 * PAGE], 80);

	assert_int_equal(ram_read(&ram, 40 * PAGE - 1, buf, 1), 0);
	assert_int_equal(ram_read(&ram, 40 * PAGE - 1, buf, 2), -EHWPOISON);
	assert_int_equal(ram_read(&ram, 41 * PAGE, buf, 1), 0);
	ram_destroy(&ram);
	free(buf);
}

static void reads_stop_at_poison(void **state)
{
	(void)state;
	check_read_round_poison(RAM_ANON);
	check_read_round_poison(RAM_MEMFD);
}

/* As in Ferry itself, where a plain copy is tried first */
static void reads_stop_at_poison_with_a_handler(void **state)
{
	struct error err = { 0 };

	assert_true(sigbus_install(&err) >= 0);
	reads_stop_at_poison(state);
}

static void writes_stop_at_poison(void **state)
{
	(void)state;
	for (int b = 0; b <= RAM_MEMFD; b++) {
		uint64_t v = 7;
		struct ram ram;

		with_poison(&ram, (enum ram_backing)b);
		assert_int_equal(ram_write(&ram, 40 * PAGE, &v, 8), -EHWPOISON);
		assert_int_equal(ram_write(&ram, 41 * PAGE - 4, &v, 8),
				 -EHWPOISON);
		assert_int_equal(ram_write(&ram, 41 * PAGE, &v, 8), 0);
		assert_int_equal(ram_read(&ram, 40 * PAGE, &v, 8), -EHWPOISON);
		ram_destroy(&ram);
	}
}

static void copies_stay_inside(void **state)
{
	struct ram ram;
	uint8_t byte;
	size_t done;

	(void)state;
	make(&ram, 16 * MIB, RAM_ANON);
	assert_int_equal(ram_copy_out(&ram, 16 * MIB - 1, &byte, 1, &done),
			 0);
	assert_int_equal(ram_copy_out(&ram, 16 * MIB, &byte, 1, &done),
			 -ERANGE);
	assert_int_equal(done, 0);
	assert_int_equal(ram_copy_out(&ram, 1, &byte, 16 * MIB, &done),
			 -ERANGE);
	assert_int_equal(ram_copy_out(&ram, UINT64_MAX, &byte, 1, &done),
			 -ERANGE);
	assert_int_equal(ram_copy_out(&ram, 1, &byte, SIZE_MAX, &done),
			 -ERANGE);
	ram_destroy(&ram);
}

/* Which pages ram_holes() says are holes */
struct holes {
	bool page[PAGES];
	uint64_t end;		/* of the last extent */
	unsigned calls, stop_after;
};

static int note(void *ctx, uint64_t offset, uint64_t len)
{
	struct holes *h = ctx;

	assert_true(len && offset % PAGE == 0 && len % PAGE == 0);
	assert_true(offset >= h->end);
	h->end = offset + len;
	for (uint64_t i = offset / PAGE; i < h->end / PAGE; i++)
		h->page[i] = true;
	return ++h->calls == h->stop_after ? 42 : 0;
}

static void check_holes(enum ram_backing backing)
{
	static const unsigned used[] = { 3, 4, 5, 100, 2047, 4095 };
	struct holes h = { 0 };
	bool want[PAGES];
	struct ram ram;

	make(&ram, 16 * MIB, backing);
	memset(want, true, sizeof(want));
	for (unsigned i = 0; i < ARRAY_SIZE(used); i++) {
		assert_int_equal(ram_write(&ram, used[i] * PAGE, "x", 1), 0);
		want[used[i]] = false;
	}
	assert_int_equal(ram_holes(&ram, 0, ram.size, note, &h), 0);
	/* A file may be filled in larger pieces, never in smaller ones */
	for (unsigned i = 0; i < PAGES; i++)
		if (!want[i])
			assert_false(h.page[i]);
	if (backing == RAM_ANON)
		assert_memory_equal(h.page, want, sizeof(want));
	assert_true(h.calls >= 3);

	/* A part of it, and a caller that has had enough */
	h = (struct holes){ 0 };
	assert_int_equal(ram_holes(&ram, 4 * PAGE, 101 * PAGE, note, &h), 0);
	assert_true(h.page[6] && h.page[99]);
	assert_false(h.page[3] || h.page[4] || h.page[100] || h.page[101]);
	h = (struct holes){ .stop_after = 1 };
	assert_int_equal(ram_holes(&ram, 0, ram.size, note, &h), 42);
	assert_int_equal(h.calls, 1);
	ram_destroy(&ram);
}

static void holes_are_what_nobody_wrote(void **state)
{
	(void)state;
	check_holes(RAM_ANON);
	check_holes(RAM_MEMFD);
}

static void empty_ram_is_one_hole(void **state)
{
	(void)state;
	for (int b = 0; b <= RAM_MEMFD; b++) {
		struct holes h = { 0 };
		struct ram ram;

		make(&ram, 16 * MIB, (enum ram_backing)b);
		assert_int_equal(ram_holes(&ram, 0, ram.size, note, &h), 0);
		assert_int_equal(h.calls, 1);
		assert_int_equal(h.end, 16 * MIB);
		h = (struct holes){ 0 };
		assert_int_equal(ram_holes(&ram, PAGE, PAGE, note, &h), 0);
		assert_int_equal(h.calls, 0);
		ram_destroy(&ram);
	}
}

/* Pages of this process that are in memory, the shared zero page excluded */
static size_t resident_pages(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	size_t size, resident = 0;

	if (f && fscanf(f, "%zu %zu", &size, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident;
}

/* Some hypervisors' kernels allocate a page of zeroes for each read instead */
static bool kernel_maps_zero_page(void)
{
	const size_t n = PAGES;
	uint8_t *at = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const size_t before = resident_pages();
	size_t grown;

	assert_true(at != MAP_FAILED);
	for (size_t i = 0; i < n; i++)
		(void)*(volatile uint8_t *)(at + i * PAGE);
	grown = resident_pages() - before;
	munmap(at, n * PAGE);
	return grown < n / 2;
}

/* A page that only read as zeroes has the shared zero page behind it */
static void reading_fills_no_hole(void **state)
{
	struct holes h = { 0 };
	struct ram ram;

	(void)state;
	if (!kernel_maps_zero_page())
		skip_because("this kernel has no shared zero page: a read allocates");
	make(&ram, 16 * MIB, RAM_ANON);
	assert_int_equal(*(volatile uint8_t *)(ram.base + 7 * PAGE), 0);
	assert_int_equal(ram_holes(&ram, 0, ram.size, note, &h), 0);
	assert_true(h.page[7]);
	ram_destroy(&ram);
}

static void anonymous_poison_is_no_hole(void **state)
{
	struct holes h = { 0 };
	struct ram ram;

	(void)state;
	make(&ram, 16 * MIB, RAM_ANON);
	poison(&ram, 9 * PAGE, 2);
	assert_int_equal(ram_holes(&ram, 0, ram.size, note, &h), 0);
	assert_false(h.page[9] || h.page[10]);
	assert_true(h.page[8] && h.page[11]);
	ram_destroy(&ram);
}

/* The descriptors that it needs are open: a call costs one ioctl */
static void no_call_opens_a_file(void **state)
{
	struct rlimit none = { 0 }, before;
	struct holes h = { 0 };
	struct ram ram;
	int rc;

	(void)state;
	make(&ram, 16 * MIB, RAM_ANON);
	assert_int_equal(ram_write(&ram, 5 * PAGE, "x", 1), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	rc = ram_holes(&ram, 0, ram.size, note, &h);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(rc, 0);
	assert_int_equal(h.calls, 2);
	ram_destroy(&ram);
}

/* Holes found earlier, some of which were written since */
static void check_holes_left(enum ram_backing backing, uint64_t seed)
{
	struct holes h = { 0 }, each = { 0 };
	struct ram_extent hole[2048];
	struct ram ram;
	size_t n = 0;

	make(&ram, 16 * MIB, backing);
	for (uint64_t page = dice(&seed) % 8; page < PAGES;
	     page += 1 + dice(&seed) % (dice(&seed) % 9 ? 6 : 300)) {
		uint64_t len = 1 + dice(&seed) % 4;

		if (page + len > PAGES)
			break;
		hole[n++] = (struct ram_extent){ page * PAGE, len * PAGE };
		page += len;
	}
	for (unsigned i = 0; i < 1500; i++)
		assert_int_equal(ram_write(&ram, dice(&seed) % PAGES * PAGE,
					   "x", 1), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(ram_holes(&ram, hole[i].offset,
					   hole[i].offset + hole[i].len, note,
					   &each), 0);
	assert_int_equal(ram_holes_left(&ram, hole, n, note, &h), 0);
	assert_memory_equal(h.page, each.page, sizeof(h.page));
	assert_int_equal(h.calls, each.calls);

	h = (struct holes){ .stop_after = 3 };
	assert_int_equal(ram_holes_left(&ram, hole, n, note, &h), 42);
	assert_int_equal(h.calls, 3);
	h = (struct holes){ 0 };
	assert_int_equal(ram_holes_left(&ram, hole, 0, note, &h), 0);
	assert_int_equal(h.calls, 0);
	ram_destroy(&ram);
}

static void holes_left_are_what_each_call_finds(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 9; seed++) {
		check_holes_left(RAM_ANON, seed);
		check_holes_left(RAM_MEMFD, seed);
	}
}

/* Below what the kernel can read, but nothing says that memory failed */
static void a_read_that_fails_is_no_proof(void **state)
{
	uint8_t buf[16];
	struct ram ram;
	size_t done;

	(void)state;
	make(&ram, 16 * MIB, RAM_MEMFD);
	assert_int_equal(ftruncate(ram.memfd, 8 * MIB), 0);
	assert_int_equal(ram_probe(&ram, 8 * MIB - 1), 0);
	assert_int_equal(ram_probe(&ram, 8 * MIB), -EFAULT);
	assert_int_equal(ram_read(&ram, 8 * MIB, buf, 8), -EFAULT);
	assert_int_equal(ram_write(&ram, 8 * MIB, buf, 8), -EFAULT);
	assert_int_equal(ram_copy_out(&ram, 8 * MIB - 8, buf, 16, &done),
			 -EFAULT);
	assert_int_equal(done, 8);
	ram_destroy(&ram);
}

static void *restore_later(void *arg)
{
	struct ram *ram = arg;

	usleep(30000);
	return ftruncate(ram->memfd, (off_t)ram->size) ? arg : NULL;
}

/* As a lack of memory passes */
static void a_read_that_fails_is_repeated(void **state)
{
	pthread_t thread;
	struct ram ram;
	uint8_t byte = 1;
	void *failed;

	(void)state;
	make(&ram, 16 * MIB, RAM_MEMFD);
	assert_int_equal(ftruncate(ram.memfd, 8 * MIB), 0);
	assert_int_equal(pthread_create(&thread, NULL, restore_later, &ram),
			 0);
	assert_int_equal(ram_read(&ram, 12 * MIB, &byte, 1), 0);
	assert_int_equal(byte, 0);
	pthread_join(thread, &failed);
	assert_null(failed);
	ram_destroy(&ram);
}

static void poison_is_proved(void **state)
{
	(void)state;
	for (int b = 0; b <= RAM_MEMFD; b++) {
		struct ram ram;

		make(&ram, 16 * MIB, (enum ram_backing)b);
		poison(&ram, 9 * PAGE, 1);
		assert_int_equal(ram_probe(&ram, 9 * PAGE + 7), -EHWPOISON);
		assert_int_equal(ram_probe(&ram, 8 * PAGE), 0);
		assert_int_equal(ram_wall(&ram, 20 * PAGE, PAGE), 0);
		assert_int_equal(ram_probe(&ram, 20 * PAGE), -EHWPOISON);
		assert_int_equal(ram_read(&ram, 20 * PAGE, &b, 1),
				 -EHWPOISON);
		ram_destroy(&ram);
	}
}

#define POOL	"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

/* Have more or fewer huge pages. Return: how many there were, or -1 */
static long pool(long more)
{
	FILE *f = fopen(POOL, "r+");
	long n = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &n) == 1) {
		rewind(f);
		fprintf(f, "%ld", n + more);
	}
	fclose(f);
	return n;
}

/* The file that huge pages come from has a hole there, which reads as zeroes */
static void a_walled_huge_page_is_not_read(void **state)
{
	struct error err = { 0 };
	struct ram ram;
	long had;
	char c;

	(void)state;
	had = pool(8);
	if (had >= 0)
		ram_create(&ram, 16 * MIB, RAM_HUGETLB, &err);
	/* What is in use goes with its user */
	if (had >= 0)
		pool(-8);
	if (had < 0 || err.code)
		skip_because("needs root and huge pages: %s", err.text);
	assert_int_equal(ram_write(&ram, 5 * MIB, "x", 1), 0);
	assert_int_equal(ram_wall(&ram, 2 * MIB, RAM_HUGE), 0);
	assert_int_equal(ram_read(&ram, 3 * MIB, &c, 1), -EHWPOISON);
	assert_int_equal(ram_read(&ram, 5 * MIB, &c, 1), 0);
	assert_int_equal(c, 'x');
	ram_destroy(&ram);
}

static bool is_marked(const uint64_t *bits, uint64_t page)
{
	return bits[page / 64] >> page % 64 & 1;
}

/* What this process writes is known afterwards, once */
static void writes_are_marked(void **state)
{
	uint64_t bits[PAGES / 64 + 1] = { 0 };
	struct error err = { 0 };
	struct ram ram;

	(void)state;
	assert_int_equal(ram_create(&ram, 16 * MIB, RAM_ANON, &err), 0);
	assert_int_equal(ram_write(&ram, 0, "x", 1), 0);
	ram_dirty_take(&ram, bits);	/* before it has begun: nothing */
	assert_int_equal(ram_dirty_begin(&ram), 0);
	assert_int_equal(ram_write(&ram, 5 * PAGE - 1, "xy", 2), 0);
	assert_int_equal(ram_write(&ram, 700 * PAGE, "x", 1), 0);
	ram_dirty_take(&ram, bits);
	for (uint64_t i = 0; i < PAGES; i++)
		assert_int_equal(is_marked(bits, i),
				 i == 4 || i == 5 || i == 700);
	memset(bits, 0, sizeof(bits));
	ram_dirty_take(&ram, bits);
	assert_false(is_marked(bits, 4));
	/* A reset changes all */
	assert_int_equal(ram_renew(&ram, &err), 0);
	ram_dirty_take(&ram, bits);
	for (uint64_t i = 0; i < PAGES; i++)
		assert_true(is_marked(bits, i));
	ram_destroy(&ram);
}

static void check_drop(enum ram_backing backing)
{
	struct error err = { 0 };
	struct ram ram;
	char c = 1;

	if (ram_create(&ram, 16 * MIB, backing, &err))
		skip_because("%s", err.text);
	assert_int_equal(ram_write(&ram, 2 * MIB, "abc", 3), 0);
	assert_int_equal(ram_write(&ram, 4 * MIB, "abc", 3), 0);
	assert_int_equal(ram_drop(&ram, 2 * MIB, ram.unit, &err), 0);
	assert_int_equal(ram_read(&ram, 2 * MIB, &c, 1), 0);
	assert_int_equal(c, 0);
	assert_int_equal(ram_read(&ram, 4 * MIB, &c, 1), 0);
	assert_int_equal(c, 'a');
	ram_destroy(&ram);
}

static void dropped_pages_are_fresh(void **state)
{
	(void)state;
	check_drop(RAM_ANON);
	check_drop(RAM_MEMFD);
}

static void dropped_huge_pages_are_fresh(void **state)
{
	(void)state;
	check_drop(RAM_HUGETLB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_below_the_hole),
		cmocka_unit_test(layout_round_the_hole),
		cmocka_unit_test(exactly_up_to_the_hole),
		cmocka_unit_test(bytes_on_both_sides_of_the_hole),
		cmocka_unit_test(host_addresses),
		cmocka_unit_test(sizes_have_limits),
		cmocka_unit_test(backings_have_names),
		cmocka_unit_test(reads_stop_at_poison),
		cmocka_unit_test(writes_stop_at_poison),
		cmocka_unit_test(copies_stay_inside),
		cmocka_unit_test(holes_are_what_nobody_wrote),
		cmocka_unit_test(empty_ram_is_one_hole),
		cmocka_unit_test(reading_fills_no_hole),
		cmocka_unit_test(no_call_opens_a_file),
		cmocka_unit_test(holes_left_are_what_each_call_finds),
		cmocka_unit_test(a_read_that_fails_is_no_proof),
		cmocka_unit_test(a_read_that_fails_is_repeated),
		cmocka_unit_test(poison_is_proved),
		cmocka_unit_test(writes_are_marked),
		cmocka_unit_test(dropped_pages_are_fresh),
		cmocka_unit_test(dropped_huge_pages_are_fresh),
		cmocka_unit_test(a_walled_huge_page_is_not_read),
		cmocka_unit_test(anonymous_poison_is_no_hole),
		/* Last: behind it the handler is gone, but thought to be there */
		cmocka_unit_test(reads_stop_at_poison_with_a_handler),
	};

	return cmocka_run_group_tests_name("ram", tests, NULL, NULL);
}
