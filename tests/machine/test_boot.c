// SPDX-License-Identifier: MIT
/*
 * test_boot.c - A bad image is refused with what is wrong with it
 *
 * A small good image is made in memory; each case spoils one thing.
 */

#include <elf.h>
#include <unistd.h>

#include "rig.h"
#include "vmm/boot/boot.h"
#include "vmm/machine/vcpu.h"

#define ENTRY 0x100040

/* ELF header, two program headers, a note, 64 bytes of code */
struct file {
	Elf64_Ehdr h;
	Elf64_Phdr load, note;
	struct {
		Elf64_Nhdr n;
		char name[4];
		uint32_t entry;
	} pvh;
	uint8_t code[64];
};

static struct file good(void)
{
	struct file im = {
		.h = {
			.e_ident = ELFMAG, .e_type = ET_EXEC,
			.e_machine = EM_X86_64, .e_version = 1,
			.e_phoff = offsetof(struct file, load),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
		},
		.load = {
			.p_type = PT_LOAD, .p_vaddr = 0x100000,
			.p_paddr = 0x100000, .p_filesz = 64,
			.p_offset = offsetof(struct file, code),
			.p_memsz = 0x1000,
		},
		.note = {
			.p_type = PT_NOTE, .p_filesz = 20,
			.p_offset = offsetof(struct file, pvh),
		},
		.pvh = { { 4, 4, 18 }, "Xen", ENTRY },
	};

	im.h.e_ident[EI_CLASS] = ELFCLASS64;
	im.h.e_ident[EI_DATA] = ELFDATA2LSB;
	memset(im.code, 0xc3, sizeof(im.code));
	return im;
}

static int setup(void **state)
{
	struct rig *r = rig_new(16, 1, RAM_ANON, "host", "some arguments");

	rig_build(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static int load(struct rig *r, const void *data, size_t n, struct error *err)
{
	char path[] = "/tmp/ferry-test-boot-XXXXXX";
	int fd = mkstemp(path), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, n), n);
	close(fd);
	*err = (struct error){ 0 };
	rc = boot_load(r->m, path, NULL, err);
	unlink(path);
	return rc;
}

static void refuse(struct rig *r, const struct file *im, int code,
		   const char *words)
{
	struct error err;

	assert_int_equal(load(r, im, sizeof(*im), &err), -code);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, words) || strncmp(err.text, "kernel /", 8))
		fail_msg("'%s' does not say '%s'", err.text, words);
}

static void get(struct rig *r, uint64_t gpa, void *to, size_t n)
{
	assert_int_equal(ram_read(&r->m->ram, gpa, to, n), 0);
}

/* What a PVH guest is promised: Xen's start_info.h, version 1 */
static void a_good_one_starts_as_promised(void **state)
{
	struct { uint32_t magic, version, flags, modules; uint64_t gpa[4]; }
		info;
	struct file im = good();
	struct rig *r = *state;
	struct kvm_regs regs;
	struct kvm_sregs s;
	struct error err;
	uint8_t code[65];
	char args[15];
	uint64_t module;
	uint32_t magic;

	if (load(r, &im, sizeof(im), &err))
		fail_msg("%s", err.text);
	get(r, 0x100000, code, 65);
	assert_memory_equal(code, im.code, 64);
	assert_int_equal(code[64], 0);
	assert_true(KVM_CALL(r->m->vcpu[0].fd, KVM_GET_REGS, &regs, &err) >=
		    0);
	assert_true(KVM_CALL(r->m->vcpu[0].fd, KVM_GET_SREGS, &s, &err) >= 0);
	assert_true(regs.rip == ENTRY && regs.rflags == 2);
	assert_int_equal(s.cr0 & 0x80000001, 1);	/* protected, unpaged */
	assert_true(s.cs.db && !s.cs.l && !s.cs.base && !s.efer);

	get(r, regs.rbx, &info, sizeof(info));
	assert_int_equal(info.magic, 0x336ec578);
	assert_int_equal(info.version, 1);
	assert_int_equal(info.modules, 1);
	get(r, info.gpa[1], args, 15);
	assert_string_equal(args, "some arguments");
	get(r, info.gpa[0], &module, 8);
	get(r, module, &magic, 4);
	assert_int_equal(magic, 0xedfe0dd0);		/* the device tree */
}

static void no_such_file(void **state)
{
	struct rig *r = *state;
	struct error err = { 0 };

	assert_int_equal(boot_load(r->m, "/nonexistent", NULL, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent: No such file"));
	err = (struct error){ 0 };
	assert_int_equal(boot_load(r->m, "/tmp", NULL, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "regular file"));
	err = (struct error){ 0 };
	assert_int_equal(boot_load(r->m, "/dev/zero", NULL, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "regular file"));
}

static void not_an_elf_file(void **state)
{
	struct file im = good();
	struct error err;

	assert_int_equal(load(*state, "", 0, &err), -ENOEXEC);
	assert_int_equal(load(*state, "#!/bin/sh\n", 10, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "neither an ELF file nor"));
	im.h.e_ident[1] = 'F';
	refuse(*state, &im, ENOEXEC, "neither an ELF file nor");
}

static void for_another_machine(void **state)
{
	struct file im = good();

	im.h.e_machine = EM_AARCH64;
	refuse(*state, &im, ENOEXEC, "not for x86-64");
	im = good();
	im.h.e_ident[EI_CLASS] = ELFCLASS32;
	refuse(*state, &im, ENOEXEC, "not for x86-64");
}

static void headers_outside_the_file(void **state)
{
	static const uint64_t offsets[] = {
		sizeof(struct file), sizeof(struct file) - 56, UINT64_MAX,
		UINT64_MAX - 56, 1ull << 63,
	};
	struct file im;

	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
		im = good();
		im.h.e_phoff = offsets[i];
		refuse(*state, &im, ENOEXEC, "program headers");
	}
	im = good();
	im.h.e_phnum = 0xffff;
	refuse(*state, &im, ENOEXEC, "program headers");
	im = good();
	im.h.e_phentsize = 32;
	refuse(*state, &im, ENOEXEC, "program headers");
}

static void segments_outside_the_file(void **state)
{
	struct file im = good();

	im.load.p_filesz = sizeof(im) - im.load.p_offset + 1;
	refuse(*state, &im, ENOEXEC, "segment is cut off");
	im = good();
	im.load.p_offset = UINT64_MAX;
	refuse(*state, &im, ENOEXEC, "segment is cut off");
	im = good();
	im.load.p_offset = UINT64_MAX - 63;
	refuse(*state, &im, ENOEXEC, "segment is cut off");
	im = good();
	im.load.p_memsz = 63;
	refuse(*state, &im, ENOEXEC, "segment is cut off");
}

static void segments_outside_ram(void **state)
{
	static const struct {
		uint64_t gpa, size;
	} bad[] = {
		{ 0, 0x1000 },
		{ 0x90000, 0x1000 },		/* the boot data is there */
		{ 0xfffff, 0x1000 },
		{ 16 * MIB, 0x1000 },
		{ 16 * MIB - 0x800, 0x1000 },
		{ 0x100000, 16 * MIB },
		{ 0x100000, UINT64_MAX },
		{ UINT64_MAX - 0xfff, 0x1000 },
		{ 4 * GIB, 0x1000 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct file im = good();

		im.load.p_paddr = bad[i].gpa;
		im.load.p_memsz = bad[i].size;
		refuse(*state, &im, EFBIG, "--memory");
	}
}

static void no_pvh_entry(void **state)
{
	struct file im = good();

	im.h.e_phnum = 1;
	refuse(*state, &im, ENOEXEC, "no PVH entry");
	im = good();
	im.pvh.n.n_type = 1;
	refuse(*state, &im, ENOEXEC, "no PVH entry");
	im = good();
	im.pvh.name[0] = 'Y';
	refuse(*state, &im, ENOEXEC, "no PVH entry");
	im = good();
	im.pvh.n.n_descsz = 2;
	refuse(*state, &im, ENOEXEC, "no PVH entry");
}

static void notes_that_lie(void **state)
{
	struct file im = good();

	im.pvh.n.n_namesz = UINT32_MAX;
	refuse(*state, &im, ENOEXEC, "no PVH entry");
	im = good();
	im.note.p_filesz = UINT64_MAX;
	refuse(*state, &im, ENOEXEC, "no PVH entry");
	im = good();
	im.note.p_offset = UINT64_MAX - 10;
	refuse(*state, &im, ENOEXEC, "no PVH entry");
	im = good();
	im.note.p_filesz = sizeof(Elf64_Nhdr);
	refuse(*state, &im, ENOEXEC, "no PVH entry");
}

/* Each cut of guest.elf is refused, until it is whole enough to start */
static void the_guest_cut_off(void **state)
{
	static uint8_t data[4 << 20];
	FILE *f = fopen(rig_guest(), "rb");
	struct error err;
	size_t n, cut;
	int rc = -1;

	assert_non_null(f);
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	assert_true(n > 4096);
	for (cut = 0; rc && cut < n; cut += 1 + cut / 16) {
		rc = load(*state, data, cut, &err);
		if (rc)
			assert_int_equal(err.code, ENOEXEC);
	}
	assert_true(cut > 4096);
	assert_int_equal(load(*state, data, n, &err), 0);
}

/* A Linux kernel with nothing but its header: offsets of boot protocol 2.12 */
static void a_linux_kernel_cut_off(void **state)
{
	enum { SETUP_SECTORS = 0x1f1, MAGIC = 0x202, VERSION = 0x206,
	       XLOADFLAGS = 0x236, CMDLINE_MAX = 0x238, SECTOR = 512 };
	uint8_t image[4 * SECTOR] = { 0 };
	struct error err;

	memcpy(image + MAGIC, "HdrS", 4);
	image[SETUP_SECTORS] = 3;
	image[VERSION + 1] = 2;
	image[VERSION] = 0xf;
	image[XLOADFLAGS] = 1;
	image[CMDLINE_MAX] = 200;
	for (size_t n = sizeof(image) - SECTOR; n <= sizeof(image); n++) {
		assert_int_equal(load(*state, image, n, &err), -ENOEXEC);
		if (!strstr(err.text, "cut off"))
			fail_msg("%zu bytes: %s", n, err.text);
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(a_good_one_starts_as_promised),
		CASE(no_such_file),
		CASE(not_an_elf_file),
		CASE(for_another_machine),
		CASE(headers_outside_the_file),
		CASE(segments_outside_the_file),
		CASE(segments_outside_ram),
		CASE(no_pvh_entry),
		CASE(notes_that_lie),
		CASE(the_guest_cut_off),
		CASE(a_linux_kernel_cut_off),
	};

	(void)argc;
	rig_check_kvm(argv[0]);
	return cmocka_run_group_tests_name("boot", tests, NULL, NULL);
}
