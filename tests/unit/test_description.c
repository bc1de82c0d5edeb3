// SPDX-License-Identifier: MIT
/*
 * test_description.c - A machine survives its description, and what can't be
 * built is refused by the name of the node and the property
 */

#include <libfdt.h>

#include "unit.h"

#include "vmm/machine/description.h"
#include "vmm/machine/machine.h"

static void fill(struct machine_config *cfg)
{
	*cfg = (struct machine_config){
		.memory = 64 * MIB, .cpus = 4, .backing = RAM_MEMFD,
		.bootargs = "work=verify seed=7",
		.arch = { .vendor = VENDOR_INTEL, .tsc_khz = 2500000,
			  .host_id = "GenuineIntel",
			  .arch_capabilities = 0x400000000c000069,
			  .perf_capabilities = 0x2000000000000005 },
	};
	device_list_default(&cfg->devices);
	device_list_add(&cfg->devices,
			&(struct device_config){ .ops = &debug_exit_ops });
	cfg->arch.cpuid.nent = 3;
	for (unsigned i = 0; i < 3; i++)
		cfg->arch.cpuid.entry[i] = (struct kvm_cpuid_entry2){
			.function = 0x80000000 + i, .index = i, .flags = 1,
			.eax = 0xa0 + i, .ebx = 0xb0 + i, .ecx = 0xc0 + i,
			.edx = 0xd0000000 + i,
		};
}

/* One description to play with, in a buffer of its own with room to edit */
struct tree {
	struct machine_config in, out;
	uint8_t fdt[2 * DESCRIPTION_MAX] __attribute__((aligned(8)));
	struct error err;
};

static void build(struct tree *t)
{
	size_t size;
	void *fdt;

	assert_int_equal(description_build(&t->in, &fdt, &size, &t->err), 0);
	assert_true(size <= DESCRIPTION_MAX);
	assert_int_equal(fdt_open_into(fdt, t->fdt, sizeof(t->fdt)), 0);
	free(fdt);
}

static int parse(struct tree *t)
{
	t->err = (struct error){ 0 };
	assert_int_equal(fdt_pack(t->fdt), 0);
	return description_parse(t->fdt, fdt_totalsize(t->fdt), &t->out,
				 &t->err);
}

static int setup(void **state)
{
	struct tree *t = aligned_alloc(8, sizeof(*t));

	*state = t;
	if (!t)
		return -1;
	memset(t, 0, sizeof(*t));
	fill(&t->in);
	build(t);
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void check_equal(struct tree *t)
{
	const struct machine_config *a = &t->in, *b = &t->out;

	if (parse(t))
		fail_msg("%s", t->err.text);
	assert_true(a->memory == b->memory);
	assert_int_equal(a->cpus, b->cpus);
	assert_int_equal(a->backing, b->backing);
	assert_int_equal(a->arch.vendor, b->arch.vendor);
	assert_int_equal(a->arch.tsc_khz, b->arch.tsc_khz);
	assert_true(a->arch.arch_capabilities == b->arch.arch_capabilities);
	assert_true(a->arch.perf_capabilities == b->arch.perf_capabilities);
	assert_string_equal(a->bootargs, b->bootargs);
	assert_string_equal(a->arch.host_id, b->arch.host_id);
	assert_int_equal(a->devices.n, b->devices.n);
	for (unsigned i = 0; i < a->devices.n; i++) {
		assert_ptr_equal(a->devices.entry[i].ops,
				 b->devices.entry[i].ops);
		assert_int_equal(a->devices.entry[i].instance,
				 b->devices.entry[i].instance);
	}
	assert_int_equal(a->arch.cpuid.nent, b->arch.cpuid.nent);
	assert_memory_equal(a->arch.cpuid.entry, b->arch.cpuid.entry,
			    a->arch.cpuid.nent * sizeof(a->arch.cpuid.entry[0]));
}

static void what_was_built_is_parsed(void **state)
{
	static const uint64_t sizes[] = {
		16 * MIB, 3 * GIB - MIB, 3 * GIB, 3 * GIB + MIB, 16ull << 40,
	};
	static const unsigned cpus[] = { 1, 2, 63, 64 };
	struct tree *t = *state;

	check_equal(t);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		t->in.memory = sizes[i];
		t->in.cpus = cpus[i % 4];
		t->in.backing = i & 1 ? RAM_ANON : RAM_MEMFD;
		t->in.arch.vendor = i & 1 ? VENDOR_AMD : VENDOR_INTEL;
		strcat(t->in.bootargs, " x=1");	/* moves what is behind */
		build(t);
		check_equal(t);
	}
}

static void the_largest_machine_fits(void **state)
{
	struct tree *t = *state;

	t->in.cpus = MACHINE_CPUS_MAX;
	memset(t->in.bootargs, 'x', MACHINE_BOOTARGS_MAX - 1);
	t->in.arch.cpuid.nent = KVM_CPUID_MAX;
	for (unsigned i = 0; i < KVM_CPUID_MAX; i++)
		t->in.arch.cpuid.entry[i].function = i;
	build(t);
	check_equal(t);
}

static void refuse(struct tree *t, int code, const char *node,
		   const char *prop)
{
	assert_refused(parse(t), code, t->err, node);
	assert_non_null(strstr(t->err.text, prop));
}

static void set(struct tree *t, const char *path, const char *prop,
		const void *value, int len)
{
	int node = fdt_path_offset(t->fdt, path);

	assert_true(node >= 0);
	assert_int_equal(fdt_open_into(t->fdt, t->fdt, sizeof(t->fdt)), 0);
	assert_int_equal(fdt_setprop(t->fdt, node, prop, value, len), 0);
}

/* Each property that matters: missing, empty, too long, of another kind */
static const struct {
	const char *path, *prop;
} needed[] = {
	{ "/", "compatible" },
	{ "/chosen", "bootargs" },
	{ "/memory@0", "reg" },
	{ "/memory@0", "ferry,backing" },
	{ "/cpus", "ferry,cpuid-vendor" },
	{ "/cpus", "ferry,host-cpuid-vendor" },
	{ "/cpus", "ferry,tsc-khz" },
	{ "/cpus", "ferry,arch-capabilities" },
	{ "/cpus", "ferry,perf-capabilities" },
	{ "/cpus", "ferry,cpuid" },
	{ "/cpus/cpu@0", "reg" },
	{ "/cpus/cpu@3", "reg" },
	{ "/serial@3f8", "compatible" },
	{ "/serial@3f8", "reg" },
	{ "/debug-exit@f4", "compatible" },
	{ "/debug-exit@f4", "reg" },
	{ "/power@600", "compatible" },
	{ "/power@600", "reg" },
	{ "/pvpanic@505", "compatible" },
	{ "/pvpanic@505", "reg" },
	{ "/keyboard@64", "compatible" },
	{ "/keyboard@64", "reg" },
};

/* The error names /cpus for a vCPU below it */
static const char *named(const char *path)
{
	return strncmp(path, "/cpus", 5) ? path : "/cpus";
}

static void each_property_is_needed(void **state)
{
	struct tree *t = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
		int node;

		build(t);
		node = fdt_path_offset(t->fdt, needed[i].path);
		assert_int_equal(fdt_delprop(t->fdt, node, needed[i].prop),
				 0);
		refuse(t, ENOTSUP, named(needed[i].path), needed[i].prop);
	}
}

static void each_property_has_its_form(void **state)
{
	static const uint8_t junk[4096 + 1] = "\xff\xff\xff";
	static const int lengths[] = { 1, 3, 5, 17, 4097 };
	struct tree *t = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
		for (unsigned k = 0; k < ARRAY_SIZE(lengths); k++) {
			build(t);
			set(t, needed[i].path, needed[i].prop, junk,
			    lengths[k]);
			refuse(t, ENOTSUP, named(needed[i].path),
			       needed[i].prop);
		}
		build(t);
		set(t, needed[i].path, needed[i].prop, "", 0);
		refuse(t, ENOTSUP, named(needed[i].path), needed[i].prop);
	}
}

static void each_node_is_needed(void **state)
{
	static const char *const nodes[] = {
		"/chosen", "/memory@0", "/cpus", "/serial@3f8",
		"/power@600", "/pvpanic@505", "/keyboard@64",
	};
	struct tree *t = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++) {
		build(t);
		assert_int_equal(fdt_del_node(t->fdt,
				fdt_path_offset(t->fdt, nodes[i])), 0);
		refuse(t, ENOTSUP, nodes[i], "missing");
	}
}

static void unknown_devices_are_named(void **state)
{
	struct tree *t = *state;

	assert_true(fdt_add_subnode(t->fdt, 0, "virtio@d0000000") > 0);
	refuse(t, ENOTSUP, "/virtio@d0000000", "can't build");
}

/* The bus would refuse the second one, but not name the description */
static void a_device_is_there_once(void **state)
{
	struct tree *t = *state;
	struct device_list *l = &t->in.devices;

	l->entry[l->n] = l->entry[l->n - 1];
	l->n++;
	build(t);
	refuse(t, ENOTSUP, "/debug-exit@f4", "twice");
}

static void values_it_cannot_build(void **state)
{
	static const struct {
		const char *path, *prop, *value;
	} bad[] = {
		{ "/", "compatible", "ferry,machine-v2" },
		{ "/memory@0", "ferry,backing", "swap" },
		{ "/cpus", "ferry,cpuid-vendor", "CentaurHauls" },
		{ "/cpus", "ferry,host-cpuid-vendor", "GenuineIntel!" },
		{ "/cpus", "ferry,host-cpuid-vendor", "\033[31mRed    " },
		{ "/serial@3f8", "compatible", "arm,pl011" },
		{ "/debug-exit@f4", "compatible", "syscon-poweroff" },
	};
	struct tree *t = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		build(t);
		set(t, bad[i].path, bad[i].prop, bad[i].value,
		    (int)strlen(bad[i].value) + 1);
		refuse(t, ENOTSUP, bad[i].path, bad[i].prop);
	}
}

/* As long as the right one, but another address, or another size */
static void devices_are_where_they_always_are(void **state)
{
	static const uint64_t place[][2] = { { 0x2f8, 8 }, { 0x3f8, 16 } };
	struct tree *t = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(place); i++) {
		const uint64_t reg[2] = { cpu_to_fdt64(place[i][0]),
					  cpu_to_fdt64(place[i][1]) };

		build(t);
		set(t, "/serial@3f8", "reg", reg, sizeof(reg));
		refuse(t, ENOTSUP, "/serial@3f8", "reg");
	}
}

static void memory_it_cannot_lay_out(void **state)
{
	static const struct {
		unsigned n;
		uint64_t reg[6];
	} bad[] = {
		{ 2, { 0, 0 } },
		{ 2, { 0, 15 * MIB } },
		{ 2, { 0, 64 * MIB + 4096 } },
		{ 2, { MIB, 64 * MIB } },
		{ 2, { 0, 3 * GIB + MIB } },
		{ 2, { 0, UINT64_MAX } },
		{ 4, { 0, 64 * MIB, 4 * GIB, 64 * MIB } },
		{ 4, { 0, 3 * GIB, 4 * GIB, 0 } },
		{ 4, { 0, 3 * GIB, 5 * GIB, MIB } },
		{ 4, { 0, 3 * GIB, 4 * GIB, 4096 } },
		{ 4, { 0, 3 * GIB, 4 * GIB, 16ull << 40 } },
		{ 4, { 0, 3 * GIB, 4 * GIB, UINT64_MAX } },
		{ 6, { 0, 3 * GIB, 4 * GIB, GIB, 8 * GIB, GIB } },
	};
	struct tree *t = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t be[6];

		for (unsigned k = 0; k < 6; k++)
			be[k] = cpu_to_fdt64(bad[i].reg[k]);
		build(t);
		set(t, "/memory@0", "reg", be, (int)bad[i].n * 8);
		refuse(t, ENOTSUP, "/memory@0", "reg");
	}
}

static void vcpus_are_numbered(void **state)
{
	struct tree *t = *state;
	uint32_t seven = cpu_to_fdt32(7);
	int cpus;

	set(t, "/cpus/cpu@2", "reg", &seven, 4);
	refuse(t, ENOTSUP, "/cpus", "reg");

	t->in.cpus = MACHINE_CPUS_MAX;
	build(t);
	cpus = fdt_path_offset(t->fdt, "/cpus");
	cpus = fdt_add_subnode(t->fdt, cpus, "cpu@40");
	assert_true(cpus > 0);
	assert_int_equal(fdt_setprop_u32(t->fdt, cpus, "reg", 64), 0);
	assert_true(parse(t) < 0);

	t->in.cpus = 1;
	build(t);
	assert_int_equal(fdt_del_node(t->fdt,
			fdt_path_offset(t->fdt, "/cpus/cpu@0")), 0);
	refuse(t, ENOTSUP, "/cpus", "no vCPU");
}

static void bootargs_have_a_limit(void **state)
{
	char args[MACHINE_BOOTARGS_MAX + 1];
	struct tree *t = *state;

	memset(args, 'x', sizeof(args));
	args[MACHINE_BOOTARGS_MAX - 1] = 0;
	set(t, "/chosen", "bootargs", args, MACHINE_BOOTARGS_MAX);
	assert_int_equal(parse(t), 0);
	args[MACHINE_BOOTARGS_MAX - 1] = 'x';
	args[MACHINE_BOOTARGS_MAX] = 0;
	build(t);
	set(t, "/chosen", "bootargs", args, sizeof(args));
	refuse(t, ENOTSUP, "/chosen", "bootargs");
	build(t);
	set(t, "/chosen", "bootargs", "a\0b", 4);	/* two strings */
	refuse(t, ENOTSUP, "/chosen", "bootargs");
}

/* A copy that ends where the tree does, so that a sanitizer sees overruns */
static int parse_copy(struct tree *t, const void *from, size_t size)
{
	void *copy = aligned_alloc(8, (size + 8) & ~7ul);
	int rc;

	assert_non_null(copy);
	memcpy(copy, from, size);
	t->err = (struct error){ 0 };
	rc = description_parse(copy, size, &t->out, &t->err);
	free(copy);
	return rc;
}

static void truncated_trees_are_refused(void **state)
{
	struct tree *t = *state;
	size_t size;

	assert_int_equal(fdt_pack(t->fdt), 0);
	size = fdt_totalsize(t->fdt);
	assert_int_equal(parse_copy(t, t->fdt, size), 0);
	for (size_t n = 0; n < size; n++)
		assert_refused(parse_copy(t, t->fdt, n), EBADMSG, t->err,
			       "not a flattened device tree");
	assert_int_equal(parse_copy(t, t->fdt, sizeof(t->fdt)), -EBADMSG);
}

/* libfdt takes the length for a negative number, and would check the same
 * property for ever
 */
static void a_property_of_4_gib_is_refused(void **state)
{
	static const uint32_t lengths[] = { 0x7fffffff, 0x80000000, 0xfffffff0,
					    0xfffffff4, 0xfffffff8, 0xffffffff };
	struct tree *t = *state;
	struct fdt_property *p;
	int len;

	assert_int_equal(fdt_pack(t->fdt), 0);
	p = fdt_get_property_w(t->fdt, 0, "compatible", &len);
	assert_non_null(p);
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		p->len = cpu_to_fdt32(lengths[i]);
		assert_refused(parse_copy(t, t->fdt, fdt_totalsize(t->fdt)),
			       EBADMSG, t->err,
			       "not a flattened device tree");
	}
}

/* The header may name any byte as the first one of the structure block */
static void a_block_at_an_odd_address(void **state)
{
	struct tree *t = *state;
	struct fdt_header *h = (void *)t->fdt;

	assert_int_equal(fdt_pack(t->fdt), 0);
	for (unsigned i = 1; i < 4; i++) {
		h->off_dt_struct = cpu_to_fdt32(fdt_off_dt_struct(t->fdt) + 1);
		h->size_dt_struct = cpu_to_fdt32(fdt_size_dt_struct(t->fdt) - 1);
		assert_refused(parse_copy(t, t->fdt, fdt_totalsize(t->fdt)),
			       EBADMSG, t->err,
			       "not a flattened device tree");
	}
}

/* Any change is either harmless or refused with a text; never a crash */
static void damaged_trees_are_survived(void **state)
{
	struct tree *t = *state;
	unsigned refused = 0;
	uint64_t seed = 11;
	size_t size;
	uint8_t *bad;

	assert_int_equal(fdt_pack(t->fdt), 0);
	size = fdt_totalsize(t->fdt);
	bad = malloc(size);
	assert_non_null(bad);
	for (int i = 0; i < 20000; i++) {
		memcpy(bad, t->fdt, size);
		for (unsigned k = 1 + dice(&seed) % 3; k; k--)
			bad[dice(&seed) % size] = (uint8_t)dice(&seed);
		if (!parse_copy(t, bad, size))
			continue;
		refused++;
		assert_true(t->err.code == EBADMSG || t->err.code == ENOTSUP);
		assert_non_null(strstr(t->err.text, "machine description: "));
	}
	assert_true(refused > 1000);
	free(bad);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_was_built_is_parsed),
		CASE(the_largest_machine_fits),
		CASE(each_property_is_needed),
		CASE(each_property_has_its_form),
		CASE(each_node_is_needed),
		CASE(unknown_devices_are_named),
		CASE(a_device_is_there_once),
		CASE(values_it_cannot_build),
		CASE(devices_are_where_they_always_are),
		CASE(memory_it_cannot_lay_out),
		CASE(vcpus_are_numbered),
		CASE(bootargs_have_a_limit),
		CASE(truncated_trees_are_refused),
		CASE(a_property_of_4_gib_is_refused),
		CASE(a_block_at_an_odd_address),
		CASE(damaged_trees_are_survived),
	};

	return cmocka_run_group_tests_name("description", tests, NULL, NULL);
}
