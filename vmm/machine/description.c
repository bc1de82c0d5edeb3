// SPDX-License-Identifier: MIT
/* description.c - A machine as a flattened device tree */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libfdt.h>

#include "description.h"
#include "machine_config.h"
#include "vmm/base/bytes.h"
#include "vmm/boot/acpi.h"
#include "vmm/devices/device.h"
#include "vmm/devices/pvpanic.h"
#include "vmm/devices/serial.h"

#define COMPATIBLE	"ferry,machine-v1"
#define CPUID_CELLS	7	/* leaf, subleaf, flags, eax, ebx, ecx, edx */
#define FDT_HEAD	sizeof(struct fdt_header)
/* The version that libfdt writes. libfdt 1.6.1 follows a null pointer when it
 * checks some trees of older versions
 */
#define FDT_WRITTEN	17

/* Returns from the caller at the first libfdt call that fails */
#define TRY(call) do { int rc_ = (call); if (rc_ < 0) return rc_; } while (0)

static int put_reg(void *fdt, uint64_t start, uint64_t size)
{
	uint64_t reg[] = { cpu_to_fdt64(start), cpu_to_fdt64(size) };

	return fdt_property(fdt, "reg", reg, sizeof(reg));
}

static int put_chosen(void *fdt, const struct machine_config *cfg)
{
	TRY(fdt_begin_node(fdt, "chosen"));
	TRY(fdt_property_string(fdt, "bootargs", cfg->bootargs));
	TRY(fdt_property_string(fdt, "stdout-path", "/serial@3f8"));
	return fdt_end_node(fdt);
}

static int put_memory(void *fdt, const struct machine_config *cfg)
{
	struct ram_region region[RAM_REGIONS];
	unsigned n = ram_layout(cfg->memory, region);
	uint64_t reg[2 * RAM_REGIONS];

	for (unsigned i = 0; i < n; i++) {
		reg[2 * i] = cpu_to_fdt64(region[i].gpa);
		reg[2 * i + 1] = cpu_to_fdt64(region[i].size);
	}

	TRY(fdt_begin_node(fdt, "memory@0"));
	TRY(fdt_property_string(fdt, "device_type", "memory"));
	TRY(fdt_property(fdt, "reg", reg, (int)(2 * n * sizeof(*reg))));
	TRY(fdt_property_string(fdt, "ferry,backing",
				ram_backing_name(cfg->backing)));
	return fdt_end_node(fdt);
}

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
			    (int)((c - cells) * 4));
}

static int put_cpus(void *fdt, const struct machine_config *cfg)
{
	char name[16];

	TRY(fdt_begin_node(fdt, "cpus"));
	TRY(fdt_property_u32(fdt, "#address-cells", 1));
	TRY(fdt_property_u32(fdt, "#size-cells", 0));
	TRY(fdt_property_string(fdt, "ferry,cpuid-vendor",
				vendor_id(cfg->arch.vendor)));
	TRY(fdt_property_string(fdt, "ferry,host-cpuid-vendor",
				cfg->arch.host_id));
	TRY(fdt_property_u32(fdt, "ferry,tsc-khz", cfg->arch.tsc_khz));
	TRY(put_cpuid(fdt, &cfg->arch.cpuid));
	for (unsigned i = 0; i < cfg->cpus; i++) {
		snprintf(name, sizeof(name), "cpu@%x", i);
		TRY(fdt_begin_node(fdt, name));
		TRY(fdt_property_string(fdt, "device_type", "cpu"));
		TRY(fdt_property_u32(fdt, "reg", i));
		TRY(fdt_end_node(fdt));
	}
	return fdt_end_node(fdt);
}

/* Devices at I/O ports; every machine has those in the kernel */
static const struct {
	const char *path, *compatible;
	uint16_t port, ports, irq;
} devices[] = {
	{ "/serial@3f8", "ns16550a", SERIAL_PORT, 8, SERIAL_IRQ },
	{ "/debug-exit@f4", "ferry,debug-exit", DEBUG_EXIT_PORT, 4, 0 },
	{ "/power@600", "ferry,acpi-power", POWER_PORT, POWER_PORTS, 0 },
	{ "/pvpanic@505", "qemu,pvpanic-isa", PVPANIC_PORT, 1, 0 },
	{ "/keyboard@64", "ferry,keyboard-reset", KEYBOARD_PORT, 1, 0 },
};

static int put_devices(void *fdt)
{
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
		TRY(fdt_begin_node(fdt, devices[i].path + 1));
		TRY(fdt_property_string(fdt, "compatible",
					devices[i].compatible));
		TRY(put_reg(fdt, devices[i].port, devices[i].ports));
		if (devices[i].irq)
			TRY(fdt_property_u32(fdt, "interrupts",
					     devices[i].irq));
		TRY(fdt_end_node(fdt));
	}
	return 0;
}

static int put_tree(void *fdt, const struct machine_config *cfg)
{
	TRY(fdt_create(fdt, DESCRIPTION_MAX));
	TRY(fdt_finish_reservemap(fdt));
	TRY(fdt_begin_node(fdt, ""));
	TRY(fdt_property_string(fdt, "compatible", COMPATIBLE));
	TRY(fdt_property_string(fdt, "model", "Ferry virtual machine"));
	TRY(fdt_property_u32(fdt, "#address-cells", 2));
	TRY(fdt_property_u32(fdt, "#size-cells", 2));
	TRY(put_chosen(fdt, cfg));
	TRY(put_memory(fdt, cfg));
	TRY(put_cpus(fdt, cfg));
	TRY(put_devices(fdt));
	TRY(fdt_end_node(fdt));
	return fdt_finish(fdt);
}

int description_build(const struct machine_config *cfg, void **fdt,
		      size_t *size, struct error *err)
{
	int rc;

	*fdt = calloc(1, DESCRIPTION_MAX);
	if (!*fdt)
		return error_set(err, ENOMEM, "out of memory for the FDT");
	rc = put_tree(*fdt, cfg);
	if (!rc) {
		*size = fdt_totalsize(*fdt);
		return 0;
	}
	free(*fdt);
	*fdt = NULL;
	return error_set(err, E2BIG, "machine description: %s",
			 fdt_strerror(rc));
}

/* The position of the parser, for its messages */
struct walk {
	const void *fdt;
	struct error *err;
	const char *path;
	int node;
};

static int walk_refuse(struct walk *w, const char *prop, const char *why)
{
	return error_set(w->err, ENOTSUP, "machine description: %s%s%s: %s",
			 w->path, prop ? ", property " : "",
			 prop ? prop : "", why);
}

static int walk_enter(struct walk *w, const char *path)
{
	w->path = path;
	w->node = fdt_path_offset(w->fdt, path);
	return w->node < 0 ? walk_refuse(w, NULL, "the node is missing") : 0;
}

static const void *walk_get(struct walk *w, const char *prop, int *len)
{
	const void *p = fdt_getprop(w->fdt, w->node, prop, len);

	if (!p)
		walk_refuse(w, prop, "it is missing");
	return p;
}

static const char *walk_get_string(struct walk *w, const char *prop)
{
	int len;
	const char *s = walk_get(w, prop, &len);

	if (!s)
		return NULL;
	if (len > 0 && strnlen(s, (size_t)len) == (size_t)len - 1)
		return s;
	walk_refuse(w, prop, "it is not one string");
	return NULL;
}

static int walk_expect_string(struct walk *w, const char *prop,
			      const char *want)
{
	const char *s = walk_get_string(w, prop);

	if (s && strcmp(s, want))
		return walk_refuse(w, prop, "this version can't build that");
	return s ? 0 : -ENOTSUP;
}

static int walk_expect_reg(struct walk *w, uint64_t start, uint64_t size)
{
	uint64_t want[] = { cpu_to_fdt64(start), cpu_to_fdt64(size) };
	int len;
	const void *p = walk_get(w, "reg", &len);

	if (!p)
		return -ENOTSUP;
	if (len != sizeof(want) || memcmp(p, want, sizeof(want)))
		return walk_refuse(w, "reg", "this version has it elsewhere");
	return 0;
}

static int walk_get_cell(struct walk *w, const char *prop, uint32_t *v)
{
	int len;
	const fdt32_t *p = walk_get(w, prop, &len);

	if (!p)
		return -ENOTSUP;
	if (len != 4)
		return walk_refuse(w, prop, "it is not one cell");
	*v = fdt32_to_cpu(*p);
	return 0;
}

static int parse_root(struct walk *w)
{
	int rc = walk_enter(w, "/");

	return rc ? rc : walk_expect_string(w, "compatible", COMPATIBLE);
}

static int parse_chosen(struct walk *w, struct machine_config *cfg)
{
	const char *s;
	int rc = walk_enter(w, "/chosen");

	if (rc)
		return rc;
	s = walk_get_string(w, "bootargs");
	if (!s)
		return -ENOTSUP;
	if (strlen(s) >= sizeof(cfg->bootargs))
		return walk_refuse(w, "bootargs", "it is too long");
	strcpy(cfg->bootargs, s);
	return 0;
}

/* Only the layout of ram_layout(): low RAM from 0, the rest from 4 GiB */
static int parse_memory_reg(struct walk *w, struct machine_config *cfg)
{
	int len;
	const fdt64_t *p = walk_get(w, "reg", &len);	/* aligned to 4 only */
	uint64_t low, high = 0;

	if (!p)
		return -ENOTSUP;
	if (len != 16 && len != 32)
		return walk_refuse(w, "reg", "one or two regions are possible");
	low = fdt64_ld(p + 1);
	if (len == 32)
		high = fdt64_ld(p + 3);
	if (fdt64_ld(p) || low > RAM_LOW_MAX || high > RAM_SIZE_MAX - low ||
	    (len == 32 && (fdt64_ld(p + 2) != RAM_HIGH_GPA || !high ||
			   low != RAM_LOW_MAX)))
		return walk_refuse(w, "reg",
			"RAM must be 0 to 3 GiB at most, the rest from 4 GiB");
	cfg->memory = low + high;
	if (cfg->memory < RAM_SIZE_MIN || cfg->memory % MIB)
		return walk_refuse(w, "reg",
			"RAM must be 16 MiB to 16 TiB, in whole MiB");
	return 0;
}

static int parse_memory(struct walk *w, struct machine_config *cfg)
{
	const char *s;
	int rc = walk_enter(w, "/memory@0");

	if (!rc)
		rc = parse_memory_reg(w, cfg);
	if (rc)
		return rc;
	s = walk_get_string(w, "ferry,backing");
	if (!s)
		return -ENOTSUP;
	if (ram_backing_find(s, &cfg->backing))
		return walk_refuse(w, "ferry,backing",
			      "this version knows no such kind of RAM");
	return 0;
}

static int parse_cpuid(struct walk *w, struct kvm_cpuid_table *t)
{
	int len;
	const fdt32_t *c = walk_get(w, "ferry,cpuid", &len);

	if (!c)
		return -ENOTSUP;
	if (!len || len % (4 * CPUID_CELLS) ||
	    len / (4 * CPUID_CELLS) > KVM_CPUID_MAX)
		return walk_refuse(w, "ferry,cpuid", "it is not a list of leaves");

	t->nent = (uint32_t)len / (4 * CPUID_CELLS);
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

static int count_cpus(struct walk *w, unsigned *cpus)
{
	const void *fdt = w->fdt;
	int node;

	*cpus = 0;
	fdt_for_each_subnode(node, fdt, w->node) {
		int len;
		const fdt32_t *reg = fdt_getprop(fdt, node, "reg", &len);

		if (!reg || len != 4 || fdt32_to_cpu(*reg) != *cpus)
			return walk_refuse(w, "reg",
				"vCPUs must be numbered from 0 without gaps");
		if (++*cpus > MACHINE_CPUS_MAX)
			return walk_refuse(w, NULL, "more than 64 vCPUs");
	}
	return *cpus ? 0 : walk_refuse(w, NULL, "there is no vCPU");
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

static int parse_cpus(struct walk *w, struct machine_config *cfg)
{
	const char *s;
	int rc = walk_enter(w, "/cpus");

	if (rc)
		return rc;
	s = walk_get_string(w, "ferry,cpuid-vendor");
	if (!s)
		return -ENOTSUP;
	if (!vendor_find(s, &cfg->arch.vendor))
		return walk_refuse(w, "ferry,cpuid-vendor",
			      "the machine checks of that vendor are unknown");
	rc = parse_host_id(w, cfg->arch.host_id);
	if (rc)
		return rc;
	rc = walk_get_cell(w, "ferry,tsc-khz", &cfg->arch.tsc_khz);
	if (!rc)
		rc = parse_cpuid(w, &cfg->arch.cpuid);
	return rc ? rc : count_cpus(w, &cfg->cpus);
}

static int parse_devices(struct walk *w)
{
	int rc = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(devices) && !rc; i++) {
		rc = walk_enter(w, devices[i].path);
		if (!rc)
			rc = walk_expect_string(w, "compatible",
					   devices[i].compatible);
		if (!rc)
			rc = walk_expect_reg(w, devices[i].port,
					     devices[i].ports);
	}
	return rc;
}

static bool is_known_node(const char *name)
{
	static const char *const others[] = { "chosen", "memory@0", "cpus" };
	bool found = false;

	for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
		found |= !strcmp(name, others[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
		found |= !strcmp(name, devices[i].path + 1);
	return found;
}

/* A node that this version can't build is refused by name, not ignored */
static int check_nodes(struct walk *w)
{
	const void *fdt = w->fdt;
	int node, rc = walk_enter(w, "/");

	if (rc)
		return rc;
	fdt_for_each_subnode(node, fdt, w->node) {
		const char *name = fdt_get_name(fdt, node, NULL);

		if (!name || !is_known_node(name))
			return error_set(w->err, ENOTSUP,
				"machine description: /%.60s: this version can't build it",
				name ? name : "?");
	}
	return 0;
}

int description_parse(const void *fdt, size_t size,
		      struct machine_config *cfg, struct error *err)
{
	struct walk w = { .fdt = fdt, .err = err };
	int rc;

	memset(cfg, 0, sizeof(*cfg));
	if (size < FDT_HEAD || size > DESCRIPTION_MAX ||
	    fdt_check_header(fdt) || fdt_version(fdt) != FDT_WRITTEN ||
	    fdt_check_full(fdt, size))
		return error_set(err, EBADMSG,
			"machine description: not a flattened device tree");
	rc = parse_root(&w);
	if (!rc)
		rc = check_nodes(&w);
	if (!rc)
		rc = parse_chosen(&w, cfg);
	if (!rc)
		rc = parse_memory(&w, cfg);
	if (!rc)
		rc = parse_cpus(&w, cfg);
	return rc ? rc : parse_devices(&w);
}
