// SPDX-License-Identifier: MIT
/* x86_description.c - x86: the processor in a machine's description */

#include <errno.h>
#include <string.h>

#include <libfdt.h>

#include "description_walk.h"

#define CPUID_CELLS	7	/* leaf, subleaf, flags, eax, ebx, ecx, edx */
#define CELL		4	/* bytes */

static int put_cpuid(void *fdt, const struct kvm_cpuid_table *t)
{
	uint32_t cells[KVM_CPUID_MAX * CPUID_CELLS], *c = cells;

	for (uint32_t i = 0; i < t->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &t->entry[i];
		const uint32_t v[CPUID_CELLS] = {
			e->function, e->index, e->flags,
			e->eax, e->ebx, e->ecx, e->edx,
		};

		for (unsigned j = 0; j < CPUID_CELLS; j++)
			*c++ = cpu_to_fdt32(v[j]);
	}
	return fdt_property(fdt, "ferry,cpuid", cells,
			    (int)((c - cells) * CELL));
}

int arch_description_put(void *fdt, const struct arch_config *arch)
{
	TRY(fdt_property_string(fdt, "ferry,cpuid-vendor",
				vendor_id(arch->vendor)));
	TRY(fdt_property_string(fdt, "ferry,host-cpuid-vendor",
				arch->host_id));
	TRY(fdt_property_u32(fdt, "ferry,tsc-khz", arch->tsc_khz));
	TRY(fdt_property_u64(fdt, "ferry,arch-capabilities",
			     arch->arch_capabilities));
	TRY(fdt_property_u64(fdt, "ferry,perf-capabilities",
			     arch->perf_capabilities));
	return put_cpuid(fdt, &arch->cpuid);
}

static int parse_cpuid(struct walk *w, struct kvm_cpuid_table *t)
{
	int len;
	const fdt32_t *c = walk_get(w, "ferry,cpuid", &len);

	if (!c)
		return -ENOTSUP;
	if (!len || len % (CELL * CPUID_CELLS) ||
	    len / (CELL * CPUID_CELLS) > KVM_CPUID_MAX)
		return walk_refuse(w, "ferry,cpuid", "it is not a list of leaves");

	t->nent = (uint32_t)len / (CELL * CPUID_CELLS);
	for (uint32_t i = 0; i < t->nent; i++, c += CPUID_CELLS)
		t->entry[i] = (struct kvm_cpuid_entry2){
			.function = fdt32_to_cpu(c[0]),
			.index = fdt32_to_cpu(c[1]),
			.flags = fdt32_to_cpu(c[2]),
			.eax = fdt32_to_cpu(c[3]), .ebx = fdt32_to_cpu(c[4]),
			.ecx = fdt32_to_cpu(c[5]), .edx = fdt32_to_cpu(c[6]),
		};
	return 0;
}

/* Messages show it unchanged, so it must be printable */
static int parse_host_id(struct walk *w, char id[CPU_VENDOR_ID + 1])
{
	const char *s = walk_get_string(w, "ferry,host-cpuid-vendor");

	if (!s)
		return -ENOTSUP;
	if (strlen(s) != CPU_VENDOR_ID)
		return walk_refuse(w, "ferry,host-cpuid-vendor",
				   "it has not 12 characters");
	for (unsigned i = 0; i < CPU_VENDOR_ID; i++)
		if (s[i] < ' ' || s[i] > '~')
			return walk_refuse(w, "ferry,host-cpuid-vendor",
					   "it is not printable");
	strcpy(id, s);
	return 0;
}

static int parse_u64(struct walk *w, const char *prop, uint64_t *v)
{
	int len;
	const fdt64_t *p = walk_get(w, prop, &len);	/* aligned to 4 only */

	if (!p)
		return -ENOTSUP;
	if (len != 8)
		return walk_refuse(w, prop, "it is not two cells");
	*v = fdt64_ld(p);
	return 0;
}

int arch_description_parse(struct walk *w, struct arch_config *arch)
{
	const char *s;
	int rc;

	s = walk_get_string(w, "ferry,cpuid-vendor");
	if (!s)
		return -ENOTSUP;
	if (!vendor_find(s, &arch->vendor))
		return walk_refuse(w, "ferry,cpuid-vendor",
			      "the machine checks of that vendor are unknown");
	rc = parse_host_id(w, arch->host_id);
	if (rc)
		return rc;
	rc = walk_get_cell(w, "ferry,tsc-khz", &arch->tsc_khz);
	if (!rc)
		rc = parse_u64(w, "ferry,arch-capabilities",
			       &arch->arch_capabilities);
	if (!rc)
		rc = parse_u64(w, "ferry,perf-capabilities",
			       &arch->perf_capabilities);
	return rc ? rc : parse_cpuid(w, &arch->cpuid);
}
