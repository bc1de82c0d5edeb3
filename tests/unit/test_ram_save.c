// SPDX-License-Identifier: MIT
/*
 * test_ram_save.c - RAM into a file, with losses that the list does not have
 *
 * Pages are poisoned behind the machine's back, as failing memory does it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/base/page.h"
#include "vmm/dump/dump_core.h"
#include "vmm/dump/ram_save.h"
#include "vmm/machine/machine_private.h"
#include "vmm/memory/uffd.h"

#define PAGE	GUEST_PAGE_SIZE

struct setup {
	struct machine m;
	struct outfile file;
	struct ram_save save;
	_Atomic bool stop;
	_Atomic uint64_t completed;
	unsigned failures;
	int uffd;
	char dir[40], path[60];
};

static void on_failure(void *ctx, const struct memory_failure *f)
{
	struct setup *t = ctx;

	assert_int_equal(f->action, MF_NOTED);
	t->failures++;
}

static void begin(struct setup *t, enum ram_backing backing)
{
	struct error err = { 0 };

	memset(t, 0, sizeof(*t));
	t->m.observer = (struct machine_observer){ .ctx = t,
						   .failure = on_failure };
	poison_init(&t->m.poison);
	assert_int_equal(ram_create(&t->m.ram, 16 * MIB, backing, &err), 0);
	strcpy(t->dir, "/tmp/ferry-test.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof(t->path), "%s/f", t->dir);
	assert_int_equal(outfile_open(&t->file, t->path, &err), 0);
	t->uffd = uffd_open(true, &err);
	if (t->uffd < 0)
		fail_msg("%s", err.text);
	t->save = (struct ram_save){
		.m = &t->m, .file = &t->file, .to = 16 * MIB,
		.stop = &t->stop, .completed = &t->completed,
	};
}

static void end(struct setup *t)
{
	ram_save_fini(&t->save);
	outfile_drop(&t->file);
	unlink(t->path);
	assert_int_equal(rmdir(t->dir), 0);	/* nothing else is in it */
	close(t->uffd);
	ram_destroy(&t->m.ram);
	poison_fini(&t->m.poison);
}

/* Without an entry in the machine's list */
static void lose(struct setup *t, uint64_t offset)
{
	struct error err = { 0 };
	size_t done;

	/* Failing memory was memory once: a memfd's page stays in the file */
	assert_int_equal(ram_write(&t->m.ram, offset, &offset, 8), 0);
	assert_int_equal(madvise(t->m.ram.base + offset, PAGE, MADV_DONTNEED),
			 0);
	assert_int_equal(uffd_register(t->uffd, t->m.ram.base + offset, PAGE,
				       UFFD_MISSING, &err), 0);
	assert_int_equal(uffd_poison(t->uffd, t->m.ram.base + offset, PAGE,
				     &done), 0);
	assert_int_equal(uffd_unregister(t->uffd, t->m.ram.base + offset,
					 PAGE), 0);
}

static void fill(struct setup *t, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i += 8)
		assert_int_equal(ram_write(&t->m.ram, i, &i, 8), 0);
}

static int save(struct setup *t, struct error *err)
{
	int rc = ram_save_lost(&t->save, err);

	return rc ? rc : ram_save(&t->save, err);
}

static void the_unknown_is_met(void **state)
{
	static const uint64_t lost[] = { 3, 4, 5, 64, 200, 2047 };
	struct poison known = { .gpa = 100 * PAGE, .size = 2 * PAGE };
	enum ram_backing *backing = *state;
	struct error err = { 0 };
	uint64_t word = 0;
	struct setup t;

	begin(&t, *backing);
	for (size_t i = 0; i < ARRAY_SIZE(lost); i++)
		lose(&t, lost[i] * PAGE);
	fill(&t, PAGE, 3 * PAGE);
	fill(&t, 63 * PAGE, 64 * PAGE);
	fill(&t, 6 * PAGE, 8 * PAGE);
	assert_int_equal(poison_add(&t.m.poison, &known), 1);
	assert_int_equal(save(&t, &err), 0);

	/* 3 to 5 are one stretch; the known one is not read at all */
	assert_int_equal(t.save.lost_n, 5);
	assert_int_equal(t.save.lost[0].offset, 3 * PAGE);
	assert_int_equal(t.save.lost[0].len, 3 * PAGE);
	assert_int_equal(t.save.lost[1].offset, 64 * PAGE);
	assert_int_equal(t.save.lost[2].offset, 100 * PAGE);
	assert_int_equal(t.save.lost[2].len, 2 * PAGE);
	assert_int_equal(t.save.lost[4].offset, 2047 * PAGE);
	assert_int_equal(t.failures, ARRAY_SIZE(lost));
	assert_true(poison_find(&t.m.poison, 2047 * PAGE, NULL));
	assert_int_equal(t.completed, 16 * MIB);
	assert_int_equal(pread(t.file.fd, &word, 8, 3 * PAGE - 8), 8);
	assert_int_equal(word, 3 * PAGE - 8);
	assert_int_equal(pread(t.file.fd, &word, 8, 6 * PAGE), 8);
	assert_int_equal(word, 6 * PAGE);
	end(&t);
}

static void strict_names_it(void **state)
{
	enum ram_backing *backing = *state;
	struct error err = { 0 };
	struct setup t;

	begin(&t, *backing);
	lose(&t, 9 * PAGE);
	fill(&t, 0, PAGE);
	t.save.strict = true;
	t.save.from = 5;
	t.save.to = 11 * PAGE;
	assert_int_equal(save(&t, &err), -EHWPOISON);
	assert_non_null(strstr(err.text, "0x9000"));
	assert_int_equal(t.failures, 1);

	/* From now on it is known, and refused before anything is written */
	error_clear(&err);
	assert_int_equal(save(&t, &err), -EHWPOISON);
	assert_non_null(strstr(err.text, "0x9000"));
	assert_int_equal(t.failures, 1);
	end(&t);
}

/* To read what was never written would give it memory */
static void the_never_written_stays_so(void **state)
{
	enum ram_backing *backing = *state;
	struct error err = { 0 };
	struct setup t;
	struct stat st;
	FILE *f;
	long pages, before;

	begin(&t, *backing);
	fill(&t, 8 * MIB, 8 * MIB + PAGE);
	f = fopen("/proc/self/statm", "r");
	assert_int_equal(fscanf(f, "%*d %ld", &before), 1);
	fclose(f);
	assert_int_equal(save(&t, &err), 0);
	f = fopen("/proc/self/statm", "r");
	assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	assert_true(pages - before < 1024);
	assert_int_equal(fstat(t.file.fd, &st), 0);
	assert_true(st.st_blocks * 512 <= 512 << 10);
	assert_int_equal(t.completed, 16 * MIB);
	end(&t);
}

static void told_to_stop_it_stops(void **state)
{
	enum ram_backing *backing = *state;
	struct error err = { 0 };
	struct setup t;

	begin(&t, *backing);
	fill(&t, 0, PAGE);
	t.stop = true;
	assert_int_equal(save(&t, &err), -ECANCELED);
	end(&t);
}

/* More is lost than there was room to say: it is written once more */
static void a_dump_begins_again(void **state)
{
	enum { LOST = 1500 };
	enum ram_backing *backing = *state;
	struct error err = { 0 };
	uint64_t word = 0;
	struct setup t;
	Elf64_Ehdr e;
	Elf64_Phdr p;

	begin(&t, *backing);
	fill(&t, PAGE, 2 * PAGE);
	for (uint64_t i = 0; i < LOST; i++)
		lose(&t, 2 * i * PAGE);
	assert_int_equal(dump_core(&t.save, &err), 0);
	assert_int_equal(t.save.lost_n, LOST);
	assert_int_equal(t.failures, LOST);
	assert_int_equal(t.completed, 16 * MIB);
	assert_int_equal(pread(t.file.fd, &e, sizeof(e), 0), sizeof(e));
	assert_int_equal(e.e_phnum, 1 + LOST);
	/* The second header: page 1, between the first two that are lost */
	assert_int_equal(pread(t.file.fd, &p, sizeof(p),
			       (off_t)(e.e_phoff + sizeof(p))), sizeof(p));
	assert_int_equal(p.p_paddr, PAGE);
	assert_int_equal(p.p_filesz, PAGE);
	assert_true(p.p_offset >= e.e_phoff + e.e_phnum * sizeof(p));
	assert_int_equal(pread(t.file.fd, &word, 8, (off_t)p.p_offset + 8), 8);
	assert_int_equal(word, PAGE + 8);
	end(&t);
}

static enum ram_backing anon = RAM_ANON, memfd = RAM_MEMFD;

#define BOTH(f)								\
	cmocka_unit_test_prestate(f, &anon),				\
	cmocka_unit_test_prestate(f, &memfd)

/* Read just before a reset, reported after it: the page is whole by then */
static void what_a_reset_made_whole_is_not_lost(void **state)
{
	struct error err = { 0 };
	struct setup t;

	(void)state;
	begin(&t, RAM_ANON);
	lose(&t, 5 * PAGE);
	machine_lost(&t.m, 5 * PAGE, PAGE);
	assert_true(poison_find(&t.m.poison, 5 * PAGE, NULL));
	assert_int_equal(t.failures, 1);
	poison_clear(&t.m.poison);
	assert_int_equal(ram_renew(&t.m.ram, &err), 0);
	machine_lost(&t.m, 5 * PAGE, PAGE);
	assert_false(poison_find(&t.m.poison, 5 * PAGE, NULL));
	assert_int_equal(t.failures, 1);
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(the_unknown_is_met),
		BOTH(strict_names_it),
		BOTH(the_never_written_stays_so),
		BOTH(told_to_stop_it_stops),
		cmocka_unit_test(what_a_reset_made_whole_is_not_lost),
		BOTH(a_dump_begins_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
