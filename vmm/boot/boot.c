// SPDX-License-Identifier: MIT
/* boot.c - Load a kernel, its initrd and its tables, and pick how it starts */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acpi.h"
#include "boot.h"
#include "boot_parts.h"
#include "vmm/machine/machine.h"

#define E820_RAM	1
#define E820_RESERVED	2
#define PAGE		0x1000ull

unsigned boot_memmap(const struct ram *ram, struct boot_memmap *map)
{
	unsigned n = 0;

	map[n++] = (struct boot_memmap){ 0, BOOT_LOW_END, E820_RAM, 0 };
	map[n++] = (struct boot_memmap){ BOOT_LOW_END, MIB - BOOT_LOW_END,
					 E820_RESERVED, 0 };
	map[n++] = (struct boot_memmap){ MIB, ram->region[0].size - MIB,
					 E820_RAM, 0 };
	if (ram->regions > 1)
		map[n++] = (struct boot_memmap){ ram->region[1].gpa,
						 ram->region[1].size,
						 E820_RAM, 0 };
	return n;
}

int boot_place_initrd(struct machine *m, const struct image *im,
		      uint64_t kernel_end, uint64_t top,
		      struct boot_initrd *rd, struct error *err)
{
	uint64_t end = m->ram.region[0].size;
	int rc;

	if (!im)
		return 0;
	if (end - 1 > top)
		end = (top + 1) & ~(PAGE - 1);
	if (!im->size)
		return image_bad(im, err, "it is empty");
	if (kernel_end > end || im->size > end - kernel_end ||
	    ((end - im->size) & ~(PAGE - 1)) < kernel_end)
		return error_set(err, EFBIG,
			"initrd %s: its %zu bytes do not fit in RAM above the kernel, from 0x%llx to 0x%llx (give the guest more --memory)",
			im->path, im->size, (unsigned long long)kernel_end,
			(unsigned long long)end);
	rd->gpa = (end - im->size) & ~(PAGE - 1);
	rd->size = im->size;
	rc = ram_write(&m->ram, rd->gpa, im->data, im->size);
	return rc ? error_set(err, -rc, "cannot write the initrd into RAM: %s",
			      strerrordesc_np(-rc)) : 0;
}

static int write_tables(struct machine *m, struct error *err)
{
	const char *args = m->cfg.bootargs;
	uint8_t *acpi = calloc(1, ACPI_MAX);
	int rc = -ENOMEM;

	if (acpi) {
		acpi_build(acpi, m->cfg.cpus);
		rc = ram_write(&m->ram, ACPI_GPA, acpi, ACPI_MAX);
	}
	if (!rc)
		rc = ram_write(&m->ram, BOOT_CMDLINE_GPA, args,
			       strlen(args) + 1);
	free(acpi);
	return rc ? error_set(err, -rc, "cannot write boot data: %s",
			      strerrordesc_np(-rc)) : 0;
}

static int load(struct machine *m, const struct image *im,
		const struct image *initrd, struct error *err)
{
	if (boot_is_elf(im))
		return boot_pvh(m, im, initrd, err);
	if (boot_is_linux(im))
		return boot_linux(m, im, initrd, err);
	return image_bad(im, err, "neither an ELF file nor a Linux bzImage");
}

bool boot_can_start(const struct machine *m)
{
	return m->boot.kernel.data;
}

int boot_start(struct machine *m, struct error *err)
{
	const struct boot_images *b = &m->boot;
	int rc;

	if (!boot_can_start(m))
		return error_set(err, ENODATA,
			"there is no kernel to start the guest from");
	rc = write_tables(m, err);
	return rc ? rc : load(m, &b->kernel, b->initrd.data ? &b->initrd
							    : NULL, err);
}

int boot_load(struct machine *m, const char *kernel, const char *initrd,
	      struct error *err)
{
	struct boot_images *b = &m->boot;
	int rc;

	image_free(&b->kernel);
	image_free(&b->initrd);
	b->kernel = (struct image){ .what = "kernel", .path = kernel };
	b->initrd = (struct image){ .what = "initrd", .path = initrd };
	rc = image_read(&b->kernel, err);
	if (!rc && initrd)
		rc = image_read(&b->initrd, err);
	return rc ? rc : boot_start(m, err);
}
