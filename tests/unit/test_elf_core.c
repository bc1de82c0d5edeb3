// SPDX-License-Identifier: MIT
/* test_elf_core.c - The headers of a dump, with few and with very many parts */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <elf.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include <cmocka.h>

#include "vmm/dump/arch_core.h"
#include "vmm/dump/elf_core.h"
#include "vmm/dump/x86_core.h"

static void check_file(size_t n, bool many)
{
	struct core_load *load = calloc(n, sizeof(*load));
	struct writer notes = { 0 }, w = { 0 };
	const Elf64_Ehdr *e;
	const Elf64_Phdr *p;

	assert_non_null(load);
	for (size_t i = 0; i < n; i++)
		load[i] = (struct core_load){ i << 13, 4096, i << 12 };
	put_bytes(&notes, "notes", 5);
	core_put_file(&w, load, n, &notes);
	assert_false(w.failed);

	e = (const void *)w.data;
	p = (const void *)(w.data + e->e_phoff);
	assert_memory_equal(e->e_ident, ELFMAG, SELFMAG);
	assert_int_equal(e->e_type, ET_CORE);
	assert_int_equal(e->e_phentsize, sizeof(*p));
	if (many) {
		const Elf64_Shdr *s = (const void *)(w.data + e->e_shoff);

		assert_int_equal(e->e_phnum, PN_XNUM);
		assert_int_equal(e->e_shnum, 1);
		assert_int_equal(s->sh_info, n + 1);
		assert_int_equal(s->sh_type, SHT_NULL);
		assert_int_equal(e->e_shentsize, sizeof(*s));
	} else {
		assert_int_equal(e->e_phnum, n + 1);
		assert_int_equal(e->e_shoff, 0);
	}
	assert_int_equal(p[0].p_type, PT_NOTE);
	assert_int_equal(p[0].p_filesz, 5);
	assert_memory_equal(w.data + p[0].p_offset, "notes", 5);
	assert_int_equal(p[0].p_offset + 5, w.len);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(p[1 + i].p_type, PT_LOAD);
		assert_int_equal(p[1 + i].p_paddr, i << 13);
		assert_int_equal(p[1 + i].p_vaddr, i << 13);
		assert_int_equal(p[1 + i].p_offset, i << 12);
		assert_int_equal(p[1 + i].p_filesz, 4096);
		assert_int_equal(p[1 + i].p_memsz, 4096);
	}
	assert_true(w.len <= core_room(n, 0, arch_core_size(1)));
	writer_free(&w);
	writer_free(&notes);
	free(load);
}

static void few_parts(void **state)
{
	(void)state;
	check_file(1, false);
	check_file(PN_XNUM - 2, false);
}

static void more_than_the_header_counts(void **state)
{
	(void)state;
	check_file(PN_XNUM - 1, true);
	check_file(100000, true);
}

/* The libc's own struct elf_prstatus says where gdb looks for what */
static void registers_are_where_linux_has_them(void **state)
{
	struct x86_registers c[2] = {
		{ .regs = { .rip = 1, .rsp = 2, .rax = 3, .r15 = 4,
			    .rflags = 5 } },
		{ .regs = { .rip = 11 } },
	};
	struct writer w = { 0 };
	const Elf64_Nhdr *n;
	struct elf_prstatus s;
	struct user_regs_struct r;

	(void)state;
	c[0].sregs.cs.selector = 6;
	c[0].sregs.fs.base = 7;
	c[0].sregs.gs.selector = 8;
	x86_core_put(&w, c, 2);
	n = (const void *)w.data;
	assert_int_equal(n->n_type, NT_PRSTATUS);
	assert_int_equal(n->n_descsz, sizeof(s));
	assert_memory_equal(n + 1, "CORE", 5);
	memcpy(&s, w.data + sizeof(*n) + 8, sizeof(s));
	assert_int_equal(s.pr_pid, 1);
	memcpy(&r, s.pr_reg, sizeof(r));
	assert_int_equal(r.rip, 1);
	assert_int_equal(r.rsp, 2);
	assert_int_equal(r.rax, 3);
	assert_int_equal(r.r15, 4);
	assert_int_equal(r.eflags, 5);
	assert_int_equal(r.cs, 6);
	assert_int_equal(r.fs_base, 7);
	assert_int_equal(r.gs, 8);

	n = (const void *)(w.data + 2 * (sizeof(*n) + 8 + sizeof(s)));
	assert_memory_equal(n + 1, "QEMU", 5);
	assert_int_equal(n->n_descsz, 440);
	assert_int_equal(w.len, 2 * (2 * (sizeof(*n) + 8) + sizeof(s) + 440));
	writer_free(&w);
}

static void lost_memory_has_a_note(void **state)
{
	const struct core_load lost[] = { { 0x1000, 4096, 0 },
					  { 0x100000000, 8192, 0 } };
	const uint64_t want[] = { 0x1000, 4096, 0x100000000, 8192 };
	struct writer w = { 0 };
	const Elf64_Nhdr *n;

	(void)state;
	core_put_lost(&w, lost, 0);
	assert_int_equal(w.len, 0);
	core_put_lost(&w, lost, 2);
	n = (const void *)w.data;
	assert_memory_equal(n + 1, "FERRY\0\0", 8);
	assert_int_equal(n->n_type, NT_FERRY_LOST);
	assert_int_equal(n->n_descsz, sizeof(want));
	assert_memory_equal(w.data + sizeof(*n) + 8, want, sizeof(want));
	writer_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_parts),
		cmocka_unit_test(more_than_the_header_counts),
		cmocka_unit_test(registers_are_where_linux_has_them),
		cmocka_unit_test(lost_memory_has_a_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
