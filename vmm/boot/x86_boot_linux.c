// SPDX-License-Identifier: MIT
/*
 * x86_boot_linux.c - x86: load a Linux bzImage and start it in long mode
 *
 * A bzImage is some sectors of real-mode code, which are not run, and a kernel
 * that unpacks itself. The first sector has the setup header, which says how
 * the kernel must be loaded; it is copied into the zero page and completed
 * there. Offsets are those of boot.rst and zero-page.rst.
 */

#include <errno.h>
#include <string.h>

#include "acpi.h"
#include "vmm/base/page.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/x86_start.h"
#include "x86_boot.h"

#define GDT_GPA		0x6000
#define ZERO_PAGE_GPA	0x7000
#define PAGE_TABLES_GPA	0x9000	/* PML4, PDPT, four page directories */
#define PAGE		((unsigned)GUEST_PAGE_SIZE)
#define SECTOR		512u

/* In the file and in the zero page alike */
#define HDR_SETUP_SECTS	0x1f1
#define HDR_END		0x201	/* the header ends so many bytes after 0x202 */
#define HDR_MAGIC	0x202
#define HDR_VERSION	0x206
#define HDR_LOADER	0x210
#define HDR_LOADFLAGS	0x211
#define HDR_INITRD	0x218
#define HDR_INITRD_SIZE	0x21c
#define HDR_CMDLINE	0x228
#define HDR_INITRD_MAX	0x22c
#define HDR_XLOADFLAGS	0x236
#define HDR_CMDLINE_MAX	0x238
#define HDR_PREF_ADDR	0x258
#define HDR_INIT_SIZE	0x260
#define HDR_ALL		0x264
/* In the zero page only */
#define ZP_RSDP		0x070
#define ZP_E820_N	0x1e8
#define ZP_E820		0x2d0
#define ZP_E820_SIZE	20

#define VERSION_64	0x020c	/* the first with a 64-bit entry */
#define XLF_KERNEL_64	1u
#define LOADER_UNKNOWN	0xff
#define LOADED_HIGH	1u
#define ENTRY_64	0x200

#define PTE_TABLE	0x3ull	/* present, writable */
#define PTE_LARGE	0x83ull	/* and 2 MiB at once */
#define MAPPED_GIB	4u

static uint64_t header_field(const struct image *im, unsigned at,
			     unsigned bytes)
{
	uint64_t v = 0;

	memcpy(&v, im->data + at, bytes);
	return v;
}

bool boot_is_linux(const struct image *im)
{
	return im->size > HDR_ALL && !memcmp(im->data + HDR_MAGIC, "HdrS", 4);
}

static int check_header(struct machine *m, const struct image *im,
			struct error *err)
{
	if (header_field(im, HDR_VERSION, 2) < VERSION_64 ||
	    !(header_field(im, HDR_XLOADFLAGS, 2) & XLF_KERNEL_64))
		return image_bad(im, err,
			"it has no 64-bit entry (boot protocol 2.12, XLF_KERNEL_64)");
	if (strlen(machine_config(m)->bootargs) >
	    header_field(im, HDR_CMDLINE_MAX, 4))
		return image_bad(im, err,
			"--append is longer than this kernel takes");
	return 0;
}

static int load_kernel(struct machine *m, const struct image *im,
		       uint64_t *end, struct error *err)
{
	uint64_t sectors = header_field(im, HDR_SETUP_SECTS, 1), at, n, offset;
	uint64_t gpa = header_field(im, HDR_PREF_ADDR, 8);
	uint64_t room = header_field(im, HDR_INIT_SIZE, 4);

	at = ((sectors ? sectors : 4) + 1) * SECTOR;	/* 0 stands for 4 */
	if (at >= im->size)
		return image_bad(im, err, "it is cut off");
	n = im->size - at;
	if (room < n)
		room = n;
	if (gpa < MIB || !ram_offset(machine_ram(m), gpa, room, &offset))
		return error_set(err, EFBIG,
			"kernel %s: it needs %llu bytes at 0x%llx, which is not RAM above 1 MiB (give the guest more --memory)",
			im->path, (unsigned long long)room,
			(unsigned long long)gpa);
	*end = gpa + room;
	return ram_write(machine_ram(m), gpa, im->data + at, n);
}

static void put_memmap(struct machine *m, uint8_t *zp)
{
	struct boot_memmap map[BOOT_MEMMAP_MAX];
	unsigned n = boot_memmap(machine_ram(m), map);

	zp[ZP_E820_N] = (uint8_t)n;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *e = zp + ZP_E820 + i * ZP_E820_SIZE;

		memcpy(e, &map[i].gpa, 8);
		memcpy(e + 8, &map[i].size, 8);
		memcpy(e + 16, &map[i].type, 4);
	}
}

static void put32(uint8_t *zp, unsigned at, uint64_t v)
{
	uint32_t low = (uint32_t)v;

	memcpy(zp + at, &low, sizeof(low));
}

static int write_zero_page(struct machine *m, const struct image *im,
			   const struct boot_initrd *rd)
{
	uint8_t zp[PAGE] = { 0 };
	size_t n = HDR_MAGIC + im->data[HDR_END] - HDR_SETUP_SECTS;

	if (n > HDR_ALL - HDR_SETUP_SECTS)
		n = HDR_ALL - HDR_SETUP_SECTS;
	memcpy(zp + HDR_SETUP_SECTS, im->data + HDR_SETUP_SECTS, n);
	zp[HDR_LOADER] = LOADER_UNKNOWN;
	zp[HDR_LOADFLAGS] |= LOADED_HIGH;
	put32(zp, HDR_CMDLINE, BOOT_CMDLINE_GPA);
	put32(zp, HDR_INITRD, rd->gpa);
	put32(zp, HDR_INITRD_SIZE, rd->size);
	put32(zp, ZP_RSDP, ACPI_GPA);
	put_memmap(m, zp);
	return ram_write(machine_ram(m), ZERO_PAGE_GPA, zp, sizeof(zp));
}

/* Identity map of the first 4 GiB, and the flat GDT that boot.rst asks for */
static int write_tables(struct machine *m)
{
	static const uint64_t gdt[] = {
		0, 0,
		0x00af9b000000ffff,	/* 0x10: code, 64 bit */
		0x00cf93000000ffff,	/* 0x18: data */
	};
	uint64_t table[PAGE / 8] = { PAGE_TABLES_GPA + PAGE + PTE_TABLE };
	int rc = ram_write(machine_ram(m), GDT_GPA, gdt, sizeof(gdt));

	if (!rc)
		rc = ram_write(machine_ram(m), PAGE_TABLES_GPA, table, PAGE);
	for (unsigned i = 0; i < MAPPED_GIB; i++)
		table[i] = PAGE_TABLES_GPA + (2 + i) * PAGE + PTE_TABLE;
	if (!rc)
		rc = ram_write(machine_ram(m), PAGE_TABLES_GPA + PAGE, table,
			       PAGE);
	for (unsigned i = 0; i < MAPPED_GIB && !rc; i++) {
		for (unsigned j = 0; j < PAGE / 8; j++)
			table[j] = i * GIB + j * 2 * MIB + PTE_LARGE;
		rc = ram_write(machine_ram(m), PAGE_TABLES_GPA + (2 + i) * PAGE,
			       table, PAGE);
	}
	return rc;
}

int boot_linux(struct machine *m, const struct image *im,
	       const struct image *initrd, struct error *err)
{
	const struct x86_long_start start = {
		.entry = header_field(im, HDR_PREF_ADDR, 8) + ENTRY_64,
		.info = ZERO_PAGE_GPA, .page_table = PAGE_TABLES_GPA,
		.gdt = GDT_GPA,
	};
	struct boot_initrd rd = { 0 };
	uint64_t top = header_field(im, HDR_INITRD_MAX, 4), end = 0;
	int rc = check_header(m, im, err);

	if (!rc)
		rc = load_kernel(m, im, &end, err);
	if (!rc)
		rc = boot_place_initrd(m, initrd, end, top < BOOT_INITRD_TOP ?
				       top : BOOT_INITRD_TOP, &rd, err);
	if (!rc)
		rc = write_zero_page(m, im, &rd);
	if (!rc)
		rc = write_tables(m);
	if (rc)
		return error_set(err, -rc, "cannot write boot data: %s",
				 strerrordesc_np(-rc));
	return x86_start_long(m, &start, err);
}
