// SPDX-License-Identifier: MIT
/* x86_boot.c - x86: boot tables, and the choice between PVH and bzImage */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acpi.h"
#include "arch_boot.h"
#include "vmm/base/page.h"
#include "vmm/machine/machine.h"
#include "x86_boot.h"

#define E820_RAM	1
#define E820_RESERVED	2

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
	struct ram *ram = machine_ram(m);
	uint64_t end = ram->region[0].size;
	int rc;

	if (!im)
		return 0;
	if (end - 1 > top)
		end = page_down(top + 1);
	if (!im->size)
		return image_bad(im, err, "it is empty");
	if (kernel_end > end || im->size > end - kernel_end ||
	    page_down(end - im->size) < kernel_end)
		return error_set(err, EFBIG,
			"initrd %s: its %zu bytes do not fit in RAM above the kernel, from 0x%llx to 0x%llx (give the guest more --memory)",
			im->path, im->size, (unsigned long long)kernel_end,
			(unsigned long long)end);
	rd->gpa = page_down(end - im->size);
	rd->size = im->size;
	rc = ram_write(ram, rd->gpa, im->data, im->size);
	return rc ? error_set(err, -rc, "cannot write the initrd into RAM: %s",
			      strerrordesc_np(-rc)) : 0;
}

static int write_tables(struct machine *m, struct error *err)
{
	const struct machine_config *cfg = machine_config(m);
	struct ram *ram = machine_ram(m);
	uint8_t *acpi = calloc(1, ACPI_MAX);
	int rc = -ENOMEM;

	if (acpi) {
		acpi_build(acpi, cfg->cpus);
		rc = ram_write(ram, ACPI_GPA, acpi, ACPI_MAX);
	}
	if (!rc)
		rc = ram_write(ram, BOOT_CMDLINE_GPA, cfg->bootargs,
			       strlen(cfg->bootargs) + 1);
	free(acpi);
	return rc ? error_set(err, -rc, "cannot write boot data: %s",
			      strerrordesc_np(-rc)) : 0;
}

int arch_boot_start(struct machine *m, const struct image *kernel,
		    const struct image *initrd, struct error *err)
{
	int rc = write_tables(m, err);

	if (rc)
		return rc;
	if (boot_is_elf(kernel))
		return boot_pvh(m, kernel, initrd, err);
	if (boot_is_linux(kernel))
		return boot_linux(m, kernel, initrd, err);
	return image_bad(kernel, err,
			 "neither an ELF file nor a Linux bzImage");
}
