// SPDX-License-Identifier: MIT
/* x86_boot_pvh.c - x86: load an ELF file that has Xen's PVH note */

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "acpi.h"
#include "vmm/machine/description.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/x86_start.h"
#include "x86_boot.h"

#define NOTE_PHYS32_ENTRY	18

#define START_INFO_GPA		0x90000
#define MODULES_GPA		0x90100
#define MEMMAP_GPA		0x90200
#define FDT_GPA			0x92000
#define START_INFO_MAGIC	0x336ec578

/* start_info.h, version 1 */
struct start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_gpa, cmdline_gpa, rsdp_gpa, memmap_gpa;
	uint32_t memmap_entries, reserved;
};

struct start_module {
	uint64_t gpa, size, cmdline_gpa, reserved;
};

_Static_assert(sizeof(struct start_info) == 56, "as Xen has it");
_Static_assert(FDT_GPA + DESCRIPTION_MAX <= BOOT_LOW_END, "the FDT fits");

bool boot_is_elf(const struct image *im)
{
	const void *magic = image_part(im, 0, SELFMAG);

	return magic && !memcmp(magic, ELFMAG, SELFMAG);
}

static int check_header(const struct image *im, struct error *err)
{
	const Elf64_Ehdr *h = image_part(im, 0, sizeof(*h));

	if (!h || memcmp(h->e_ident, ELFMAG, SELFMAG))
		return image_bad(im, err, "not an ELF file");
	if (h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_machine != EM_X86_64)
		return image_bad(im, err, "not for x86-64");
	if (h->e_phentsize != sizeof(Elf64_Phdr) ||
	    !image_part(im, h->e_phoff, h->e_phnum * sizeof(Elf64_Phdr)))
		return image_bad(im, err, "its program headers are cut off");
	return 0;
}

static int load_segment(struct machine *m, const struct image *im,
			const Elf64_Phdr *p, uint64_t *end,
			struct error *err)
{
	const void *data = image_part(im, p->p_offset, p->p_filesz);
	uint64_t offset;
	int rc;

	if (!data || p->p_filesz > p->p_memsz)
		return image_bad(im, err, "a segment is cut off");
	if (p->p_paddr < MIB ||
	    !ram_offset(machine_ram(m), p->p_paddr, p->p_memsz, &offset))
		return error_set(err, EFBIG,
			"kernel %s: its segment of %llu bytes at 0x%llx is not in RAM above 1 MiB (give the guest more --memory)",
			im->path, (unsigned long long)p->p_memsz,
			(unsigned long long)p->p_paddr);
	if (p->p_paddr < RAM_LOW_MAX && p->p_paddr + p->p_memsz > *end)
		*end = p->p_paddr + p->p_memsz;
	/* The rest (bss) is RAM that was never written: zeroes */
	rc = ram_write(machine_ram(m), p->p_paddr, data, p->p_filesz);
	return rc ? error_set(err, -rc, "cannot write the kernel into RAM: %s",
			      strerrordesc_np(-rc)) : 0;
}

static uint64_t align4(uint64_t n)
{
	return (n + 3) & ~3ull;
}

/* Notes may be at any offset: copy them before use */
static bool find_entry(const struct image *im, const Elf64_Phdr *p,
		       uint32_t *entry)
{
	uint64_t at = p->p_offset, end = at + p->p_filesz;
	const void *note;
	Elf64_Nhdr n;

	while (end > at && end - at > sizeof(n) &&
	       (note = image_part(im, at, sizeof(n)))) {
		const void *name = image_part(im, at + sizeof(n), 4), *value;
		uint64_t desc;

		memcpy(&n, note, sizeof(n));
		desc = at + sizeof(n) + align4(n.n_namesz);
		value = image_part(im, desc, 4);
		if (n.n_type == NOTE_PHYS32_ENTRY && n.n_namesz == 4 &&
		    n.n_descsz >= 4 && name && value &&
		    !memcmp(name, "Xen", 4)) {
			memcpy(entry, value, 4);
			return true;
		}
		at = desc + align4(n.n_descsz);
	}
	return false;
}

static int load_image(struct machine *m, const struct image *im,
		      uint32_t *entry, uint64_t *end, struct error *err)
{
	const Elf64_Ehdr *h = (const void *)im->data;
	bool found = false;
	int rc;

	rc = check_header(im, err);
	for (unsigned i = 0; !rc && i < h->e_phnum; i++) {
		Elf64_Phdr p;

		memcpy(&p, im->data + h->e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_LOAD && p.p_memsz)
			rc = load_segment(m, im, &p, end, err);
		else if (p.p_type == PT_NOTE && !found)
			found = find_entry(im, &p, entry);
	}
	if (!rc && !found)
		rc = image_bad(im, err,
			"it has no PVH entry (ELF note Xen, type 18), so it can't be started directly");
	return rc;
}

/* Linux takes the first module as its initrd; the FDT has a magic number */
static int write_info(struct machine *m, const struct boot_initrd *rd,
		      struct error *err)
{
	struct boot_memmap map[BOOT_MEMMAP_MAX];
	struct ram *ram = machine_ram(m);
	struct start_module module[2];
	struct start_info info = {
		.magic = START_INFO_MAGIC, .version = 1,
		.module_gpa = MODULES_GPA, .cmdline_gpa = BOOT_CMDLINE_GPA,
		.rsdp_gpa = ACPI_GPA, .memmap_gpa = MEMMAP_GPA,
	};
	size_t fdt_size;
	const void *fdt = machine_description(m, &fdt_size);
	int rc;

	if (rd->size)
		module[info.modules++] = (struct start_module){
			.gpa = rd->gpa, .size = rd->size };
	module[info.modules++] = (struct start_module){
		.gpa = FDT_GPA, .size = fdt_size };
	info.memmap_entries = boot_memmap(ram, map);
	rc = ram_write(ram, START_INFO_GPA, &info, sizeof(info));
	if (!rc)
		rc = ram_write(ram, MODULES_GPA, module, sizeof(module));
	if (!rc)
		rc = ram_write(ram, MEMMAP_GPA, map, sizeof(map));
	if (!rc)
		rc = ram_write(ram, FDT_GPA, fdt, fdt_size);
	return rc ? error_set(err, -rc, "cannot write boot data: %s",
			      strerrordesc_np(-rc)) : 0;
}

int boot_pvh(struct machine *m, const struct image *im,
	     const struct image *initrd, struct error *err)
{
	struct boot_initrd rd = { 0 };
	uint64_t end = MIB;
	uint32_t entry = 0;
	int rc;

	rc = load_image(m, im, &entry, &end, err);
	if (!rc)
		rc = boot_place_initrd(m, initrd, end, BOOT_INITRD_TOP,
				       &rd, err);
	if (!rc)
		rc = write_info(m, &rd, err);
	return rc ? rc : x86_start_pvh(m, entry, START_INFO_GPA, err);
}
