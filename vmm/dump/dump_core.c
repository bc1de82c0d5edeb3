// SPDX-License-Identifier: MIT
/*
 * dump_core.c - A frozen machine into an ELF core file
 *
 * The headers come first in the file, and say what is lost, which is only
 * known for sure when all was read. So room is left for them, for some more
 * lost pages than are known; if that is not enough it is done again, knowing
 * those.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "dump_core.h"
#include "elf_core.h"
#include "vmm/machine/vcpu.h"

#define SPARE			1024	/* stretches nobody knew to be lost */
#define MSR_KERNEL_GS_BASE	0xc0000102

static int put_cpus(struct machine *m, struct writer *w, struct error *err)
{
	struct core_cpu *c = calloc(m->cfg.cpus, sizeof(*c));
	int rc = c ? 0 : error_set(err, ENOMEM, "out of memory");

	for (unsigned i = 0; i < m->cfg.cpus && !rc; i++) {
		int fd = m->vcpu[i].fd;

		rc = KVM_CALL(fd, KVM_GET_REGS, &c[i].regs, err);
		if (!rc)
			rc = KVM_CALL(fd, KVM_GET_SREGS, &c[i].sregs, err);
		if (kvm_get_msr(fd, MSR_KERNEL_GS_BASE, &c[i].kernel_gs))
			c[i].kernel_gs = 0;
	}
	if (!rc)
		core_put_cpus(w, c, m->cfg.cpus);
	free(c);
	return rc;
}

/* Add a stretch by offsets. Return: stretches so far */
static size_t add_load(const struct ram_save *s, struct core_load *load,
		       size_t n, uint64_t from, uint64_t to)
{
	if (from >= to)
		return n;
	load[n] = (struct core_load){
		.gpa = ram_gpa(&s->m->ram, from), .size = to - from,
		.file = s->base + (from - s->from),
	};
	return n + 1;
}

/* What is left of a region without what is lost of it */
static size_t cut_region(const struct ram_save *s, uint64_t from, uint64_t to,
			 struct core_load *load, size_t n)
{
	for (size_t i = 0; i < s->lost_n && from < to; i++) {
		const struct ram_extent *l = &s->lost[i];

		if (l->offset + l->len <= from || l->offset >= to)
			continue;
		n = add_load(s, load, n, from, l->offset);
		from = l->offset + l->len;
	}
	return add_load(s, load, n, from, to);
}

static size_t list_loads(const struct ram_save *s, struct core_load *load)
{
	size_t n = 0;

	for (unsigned i = 0; i < s->m->ram.regions; i++) {
		const struct ram_region *r = &s->m->ram.region[i];
		uint64_t from = r->offset, to = r->offset + r->size;

		from = from > s->from ? from : s->from;
		to = to < s->to ? to : s->to;
		n = cut_region(s, from, to, load, n);
	}
	return n;
}

static void put_lost(const struct ram_save *s, struct core_load *list,
		     struct writer *notes)
{
	for (size_t i = 0; i < s->lost_n; i++) {
		list[i].gpa = ram_gpa(&s->m->ram, s->lost[i].offset);
		list[i].size = s->lost[i].len;
	}
	core_put_lost(notes, list, s->lost_n);
}

static int put_headers(const struct ram_save *s, struct writer *w,
		       struct error *err)
{
	size_t max = s->lost_n + s->m->ram.regions;
	struct core_load *list = calloc(max, sizeof(*list));
	struct writer notes = { 0 };
	int rc = list ? put_cpus(s->m, &notes, err)
		      : error_set(err, ENOMEM, "out of memory");

	if (!rc) {
		put_lost(s, list, &notes);
		core_put_file(w, list, list_loads(s, list), &notes);
		if (w->failed)
			rc = error_set(err, ENOMEM, "out of memory");
	}
	writer_free(&notes);
	free(list);
	return rc;
}

/* Return: 0, -EAGAIN (more was lost than there is room to say), -errno */
static int try_once(struct ram_save *s, struct error *err)
{
	struct writer w = { 0 };
	size_t loads;
	int rc = ram_save_lost(s, err);

	loads = s->lost_n + s->m->ram.regions + SPARE;
	s->base = core_room(loads, s->lost_n + SPARE, s->m->cfg.cpus);
	if (!rc)
		rc = outfile_size(s->file, s->base + (s->to - s->from), err);
	if (!rc)
		rc = ram_save(s, err);
	if (!rc)
		rc = put_headers(s, &w, err);
	if (!rc && w.len > s->base)
		rc = -EAGAIN;
	if (!rc)
		rc = outfile_write(s->file, w.data, w.len, 0, err);
	writer_free(&w);
	return rc;
}

int dump_core(struct ram_save *s, struct error *err)
{
	int rc = try_once(s, err);

	/* Each time it knows over SPARE more, of which there is an end */
	while (rc == -EAGAIN && !err->code) {
		rc = outfile_size(s->file, 0, err);
		if (!rc)
			rc = try_once(s, err);
	}
	return rc;
}
