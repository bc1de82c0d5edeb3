// SPDX-License-Identifier: MIT
/* boot.c - Load a guest that starts by PVH */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot.h"
#include "machine.h"
#include "vcpu.h"

#define IMAGE_MAX		(512 * MIB)
#define NOTE_PHYS32_ENTRY	18

#define START_INFO_GPA		0x90000
#define MODULES_GPA		0x90100
#define MEMMAP_GPA		0x90200
#define CMDLINE_GPA		0x91000
#define FDT_GPA			0x92000
#define LOW_END			0x9fc00	/* where firmware would keep its data */
#define START_INFO_MAGIC	0x336ec578

#define E820_RAM		1
#define E820_RESERVED		2

/* start_info.h, version 1 */
struct start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_gpa, cmdline_gpa, rsdp_gpa, memmap_gpa;
	uint32_t memmap_entries, reserved;
};

struct start_module {
	uint64_t gpa, size, cmdline_gpa, reserved;
};

struct start_memmap {
	uint64_t gpa, size;
	uint32_t type, reserved;
};

_Static_assert(sizeof(struct start_info) == 56, "as Xen has it");
_Static_assert(FDT_GPA + (40u << 10) <= LOW_END, "the FDT fits");

struct image {
	const char *path;
	uint8_t *data;
	size_t size;
};

static int bad(const struct image *im, struct error *err, const char *why)
{
	return error_set(err, ENOEXEC, "kernel %s: %s", im->path, why);
}

static int read_all(int fd, struct image *im)
{
	for (size_t done = 0; done < im->size; ) {
		ssize_t n = read(fd, im->data + done, im->size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int read_image(struct image *im, struct error *err)
{
	struct stat st;
	int fd, rc;

	/* A FIFO must be refused, not waited for */
	fd = open(im->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st)) {
		rc = error_set(err, errno, "cannot open kernel %s: %s",
			       im->path, strerrordesc_np(errno));
	} else if (!S_ISREG(st.st_mode) || st.st_size > (off_t)IMAGE_MAX) {
		rc = bad(im, err, "not a regular file of at most 512 MiB");
	} else {
		im->size = (size_t)st.st_size;
		im->data = malloc(im->size + 1);
		rc = im->data ? read_all(fd, im) : -ENOMEM;
		if (rc)
			error_set(err, -rc, "cannot read kernel %s: %s",
				  im->path, strerrordesc_np(-rc));
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Bytes of the image, or NULL if they aren't all there */
static const void *part(const struct image *im, uint64_t at, uint64_t n)
{
	return at <= im->size && n <= im->size - at ? im->data + at : NULL;
}

static int check_header(const struct image *im, struct error *err)
{
	const Elf64_Ehdr *h = part(im, 0, sizeof(*h));

	if (!h || memcmp(h->e_ident, ELFMAG, SELFMAG))
		return bad(im, err, "not an ELF file");
	if (h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_machine != EM_X86_64)
		return bad(im, err, "not for x86-64");
	if (h->e_phentsize != sizeof(Elf64_Phdr) ||
	    !part(im, h->e_phoff, h->e_phnum * sizeof(Elf64_Phdr)))
		return bad(im, err, "its program headers are cut off");
	return 0;
}

static int load_segment(struct machine *m, const struct image *im,
			const Elf64_Phdr *p, struct error *err)
{
	const void *data = part(im, p->p_offset, p->p_filesz);
	uint64_t offset;
	int rc;

	if (!data || p->p_filesz > p->p_memsz)
		return bad(im, err, "a segment is cut off");
	if (p->p_paddr < MIB ||
	    !ram_offset(&m->ram, p->p_paddr, p->p_memsz, &offset))
		return error_set(err, EFBIG,
			"kernel %s: its segment of %llu bytes at 0x%llx is not in RAM above 1 MiB (give the guest more --memory)",
			im->path, (unsigned long long)p->p_memsz,
			(unsigned long long)p->p_paddr);
	/* The rest of it (bss) is RAM that was never written: zeroes */
	rc = ram_write(&m->ram, p->p_paddr, data, p->p_filesz);
	return rc ? error_set(err, -rc, "cannot write the kernel into RAM: %s",
			      strerrordesc_np(-rc)) : 0;
}

static uint64_t align4(uint64_t n)
{
	return (n + 3) & ~3ull;
}

/* A file may put its notes anywhere: they are copied out before use */
static bool find_entry(const struct image *im, const Elf64_Phdr *p,
		       uint32_t *entry)
{
	uint64_t at = p->p_offset, end = at + p->p_filesz;
	const void *note;
	Elf64_Nhdr n;

	while (end > at && end - at > sizeof(n) &&
	       (note = part(im, at, sizeof(n)))) {
		const void *name = part(im, at + sizeof(n), 4), *value;
		uint64_t desc;

		memcpy(&n, note, sizeof(n));
		desc = at + sizeof(n) + align4(n.n_namesz);
		value = part(im, desc, 4);
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
		      uint32_t *entry, struct error *err)
{
	const Elf64_Ehdr *h = (const void *)im->data;
	bool found = false;
	int rc;

	rc = check_header(im, err);
	for (unsigned i = 0; !rc && i < h->e_phnum; i++) {
		Elf64_Phdr p;

		memcpy(&p, im->data + h->e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_LOAD && p.p_memsz)
			rc = load_segment(m, im, &p, err);
		else if (p.p_type == PT_NOTE && !found)
			found = find_entry(im, &p, entry);
	}
	if (!rc && !found)
		rc = bad(im, err,
			"it has no PVH entry (ELF note Xen, type 18), so it can't be started directly");
	return rc;
}

static unsigned fill_memmap(const struct ram *ram, struct start_memmap *map)
{
	unsigned n = 0;

	map[n++] = (struct start_memmap){ 0, LOW_END, E820_RAM, 0 };
	map[n++] = (struct start_memmap){ LOW_END, MIB - LOW_END,
					  E820_RESERVED, 0 };
	map[n++] = (struct start_memmap){ MIB, ram->region[0].size - MIB,
					  E820_RAM, 0 };
	if (ram->regions > 1)
		map[n++] = (struct start_memmap){ ram->region[1].gpa,
						  ram->region[1].size,
						  E820_RAM, 0 };
	return n;
}

static int write_info(struct machine *m, struct error *err)
{
	struct start_memmap map[4];
	struct start_module fdt = { .gpa = FDT_GPA, .size = m->fdt_size };
	struct start_info info = {
		.magic = START_INFO_MAGIC, .version = 1, .modules = 1,
		.module_gpa = MODULES_GPA, .cmdline_gpa = CMDLINE_GPA,
		.memmap_gpa = MEMMAP_GPA,
	};
	const char *args = m->cfg.bootargs;
	int rc;

	info.memmap_entries = fill_memmap(&m->ram, map);
	rc = ram_write(&m->ram, START_INFO_GPA, &info, sizeof(info));
	if (!rc)
		rc = ram_write(&m->ram, MODULES_GPA, &fdt, sizeof(fdt));
	if (!rc)
		rc = ram_write(&m->ram, MEMMAP_GPA, map, sizeof(map));
	if (!rc)
		rc = ram_write(&m->ram, CMDLINE_GPA, args, strlen(args) + 1);
	if (!rc)
		rc = ram_write(&m->ram, FDT_GPA, m->fdt, m->fdt_size);
	return rc ? error_set(err, -rc, "cannot write boot data: %s",
			      strerrordesc_np(-rc)) : 0;
}

int boot_load(struct machine *m, const char *path, struct error *err)
{
	struct image im = { .path = path };
	uint32_t entry = 0;
	int rc;

	rc = read_image(&im, err);
	if (!rc)
		rc = load_image(m, &im, &entry, err);
	if (!rc)
		rc = write_info(m, err);
	if (!rc)
		rc = vcpu_boot(&m->vcpu[0], entry, START_INFO_GPA, err);
	free(im.data);
	return rc;
}
