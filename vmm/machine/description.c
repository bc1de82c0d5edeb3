// SPDX-License-Identifier: MIT
/* description.c - A machine as a flattened device tree */

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libfdt.h>

#include "description.h"
#include "description_walk.h"
#include "machine_config.h"
#include "vmm/base/units.h"

#define COMPATIBLE	"ferry,machine-v1"
#define FDT_HEAD	sizeof(struct fdt_header)
/* The version that libfdt writes. libfdt 1.6.1 follows a null pointer when it
 * checks some trees of older versions
 */
#define FDT_WRITTEN	17

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

static int put_cpus(void *fdt, const struct machine_config *cfg)
{
	char name[16];

	TRY(fdt_begin_node(fdt, "cpus"));
	TRY(fdt_property_u32(fdt, "#address-cells", 1));
	TRY(fdt_property_u32(fdt, "#size-cells", 0));
	TRY(arch_description_put(fdt, &cfg->arch));
	for (unsigned i = 0; i < cfg->cpus; i++) {
		snprintf(name, sizeof(name), "cpu@%x", i);
		TRY(fdt_begin_node(fdt, name));
		TRY(fdt_property_string(fdt, "device_type", "cpu"));
		TRY(fdt_property_u32(fdt, "reg", i));
		TRY(fdt_end_node(fdt));
	}
	return fdt_end_node(fdt);
}

/* The ranges in order: an address and a size each, of ports or bytes */
static int put_device(void *fdt, const struct device_config *c)
{
	const struct device_place *place = &c->ops->place[c->instance];
	uint64_t reg[2 * DEVICE_RANGES];
	char name[DEVICE_NODE_MAX];
	int n = 0;

	for (unsigned i = 0; i < DEVICE_RANGES; i++) {
		if (!place->range[i].size)
			continue;
		reg[n++] = cpu_to_fdt64(place->range[i].base);
		reg[n++] = cpu_to_fdt64(place->range[i].size);
	}
	device_node_name(c, name);
	TRY(fdt_begin_node(fdt, name));
	TRY(fdt_property_string(fdt, "compatible", c->ops->compatible));
	TRY(fdt_property(fdt, "reg", reg, n * (int)sizeof(reg[0])));
	if (place->irq)
		TRY(fdt_property_u32(fdt, "interrupts", place->irq));
	return fdt_end_node(fdt);
}

/* Those without a node are in every machine */
static int put_devices(void *fdt, const struct device_list *l)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->entry[i].ops->compatible)
			TRY(put_device(fdt, &l->entry[i]));
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
	TRY(put_devices(fdt, &cfg->devices));
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

static int walk_expect_reg(struct walk *w, const struct device_place *place)
{
	uint64_t want[2 * DEVICE_RANGES];
	int len, n = 0;
	const void *p = walk_get(w, "reg", &len);

	if (!p)
		return -ENOTSUP;
	for (unsigned i = 0; i < DEVICE_RANGES; i++) {
		if (!place->range[i].size)
			continue;
		want[n++] = cpu_to_fdt64(place->range[i].base);
		want[n++] = cpu_to_fdt64(place->range[i].size);
	}
	if (len != n * (int)sizeof(want[0]) || memcmp(p, want, (size_t)len))
		return walk_refuse(w, "reg", "this version has it elsewhere");
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

static int parse_cpus(struct walk *w, struct machine_config *cfg)
{
	int rc = walk_enter(w, "/cpus");

	if (!rc)
		rc = arch_description_parse(w, &cfg->arch);
	return rc ? rc : count_cpus(w, &cfg->cpus);
}

static void name_device(struct walk *w, const char *name)
{
	snprintf(w->device, sizeof(w->device), "/%s", name);
	w->path = w->device;
}

static int parse_device(struct walk *w, const char *name,
			struct device_list *l)
{
	struct device_config c;
	int rc;

	if (!device_find_node(name, &c))
		return error_set(w->err, ENOTSUP,
			"machine description: /%.60s: this version can't build it",
			name);
	name_device(w, name);
	rc = walk_expect_string(w, "compatible", c.ops->compatible);
	if (!rc)
		rc = walk_expect_reg(w, &c.ops->place[c.instance]);
	if (!rc && device_list_add(l, &c))
		rc = walk_refuse(w, NULL, "it is there twice");
	return rc;
}

static bool is_device(const char *name)
{
	static const char *const others[] = { "chosen", "memory@0", "cpus" };

	for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
		if (!strcmp(name, others[i]))
			return false;
	return true;
}

/* A machine has all default devices */
static int check_devices(struct walk *w, const struct device_list *l)
{
	struct device_list needed;
	char name[DEVICE_NODE_MAX];

	device_list_default(&needed);
	for (unsigned i = 0; i < needed.n; i++) {
		if (device_list_has(l, &needed.entry[i]))
			continue;
		device_node_name(&needed.entry[i], name);
		name_device(w, name);
		return walk_refuse(w, NULL, "the node is missing");
	}
	return 0;
}

/* Also refuses by name every node that this version does not know */
static int parse_devices(struct walk *w, struct device_list *l)
{
	const void *fdt = w->fdt;
	int node, rc = walk_enter(w, "/");

	device_list_init(l);
	if (rc)
		return rc;
	fdt_for_each_subnode(node, fdt, 0) {
		const char *name = fdt_get_name(fdt, node, NULL);

		if (name && !is_device(name))
			continue;
		w->node = node;
		rc = parse_device(w, name ? name : "?", l);
		if (rc)
			return rc;
	}
	return check_devices(w, l);
}

/* The block of a hostile tree need not be aligned */
static uint32_t cell(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	       (uint32_t)at[2] << 8 | at[3];
}

/* Bytes from one tag of the structure block to the next, if it says so itself */
static size_t tag_size(const uint8_t *at, size_t left)
{
	switch (cell(at)) {
	case FDT_BEGIN_NODE:
		return FDT_TAGSIZE +
		       strnlen((const char *)at + FDT_TAGSIZE,
			       left - FDT_TAGSIZE) + 1;
	case FDT_PROP:
		return left < sizeof(struct fdt_property)
			? sizeof(struct fdt_property)
			: sizeof(struct fdt_property) +
			  cell(at + offsetof(struct fdt_property, len));
	default:
		return FDT_TAGSIZE;
	}
}

/*
 * Does each node and property end inside the structure block? libfdt 1.6.1 adds
 * a property's length to a signed offset: with one of nearly 2^32 it goes
 * backwards, and fdt_check_full() never returns. @fdt's header is checked.
 */
static bool tags_advance(const void *fdt)
{
	const uint8_t *at = (const uint8_t *)fdt + fdt_off_dt_struct(fdt);
	size_t left = fdt_size_dt_struct(fdt);

	while (left >= FDT_TAGSIZE && cell(at) != FDT_END) {
		size_t n = (tag_size(at, left) + FDT_TAGSIZE - 1) &
			   ~(size_t)(FDT_TAGSIZE - 1);

		if (n > left)
			return false;
		at += n;
		left -= n;
	}
	return left >= FDT_TAGSIZE;
}

int description_parse(const void *fdt, size_t size,
		      struct machine_config *cfg, struct error *err)
{
	struct walk w = { .fdt = fdt, .err = err };
	int rc;

	memset(cfg, 0, sizeof(*cfg));
	if (size < FDT_HEAD || size > DESCRIPTION_MAX ||
	    fdt_check_header(fdt) || fdt_version(fdt) != FDT_WRITTEN ||
	    fdt_totalsize(fdt) > size || !tags_advance(fdt) ||
	    fdt_check_full(fdt, size))
		return error_set(err, EBADMSG,
			"machine description: not a flattened device tree");
	rc = parse_root(&w);
	if (!rc)
		rc = parse_devices(&w, &cfg->devices);
	if (!rc)
		rc = parse_chosen(&w, cfg);
	if (!rc)
		rc = parse_memory(&w, cfg);
	if (!rc)
		rc = parse_cpus(&w, cfg);
	return rc;
}
