// SPDX-License-Identifier: MIT
/*
 * test_cpuid.c - Processors: the baseline, how vCPUs are arranged, and what
 * of a guest's a host lacks
 */

#include "unit.h"

#include "vmm/base/bytes.h"
#include "vmm/cpu/x86_cpuid.h"
#include "vmm/memory/ram.h"

#define INDEXED	KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static struct kvm_cpuid_entry2 *get(struct kvm_cpuid_table *t, uint32_t leaf,
				    uint32_t index)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(t, leaf, index);

	if (!e)
		fail_msg("there is no leaf 0x%x.%u", leaf, index);
	return e;
}

/* A host as KVM describes one: everything that the words know, and an XSAVE area */
static struct kvm_cpuid_table host(void)
{
	static const struct kvm_cpuid_entry2 more[] = {
		{ .function = 0, .eax = 0x1f },
		{ .function = 0xb, .flags = INDEXED, .eax = 9, .ebx = 99 },
		{ .function = 0x1f, .flags = INDEXED, .eax = 9, .ebx = 99 },
		{ .function = 0xd, .index = 2, .flags = INDEXED, .eax = 256,
		  .ebx = 576 },
		{ .function = 0xd, .index = 9, .flags = INDEXED, .eax = 8,
		  .ebx = 2688 },
		{ .function = 4, .flags = INDEXED, .eax = 0xfc01c121 },
		{ .function = 4, .index = 1, .flags = INDEXED,
		  .eax = 0xfc01c163 },
		{ .function = 4, .index = 2, .flags = INDEXED },
		{ .function = 0x80000000, .eax = 0x80000021 },
		{ .function = 0x8000001d, .flags = INDEXED,
		  .eax = 0x4163 },
		{ .function = 0x8000001e, .eax = 77, .ebx = 0x177,
		  .ecx = 0x303 },
		{ .function = 0x80000026, .flags = INDEXED, .ebx = 5 },
	};
	struct kvm_cpuid_table t = { 0 };

	for (const struct cpuid_word *w = cpuid_words; w->leaf; w++) {
		struct kvm_cpuid_entry2 *e = cpuid_find(&t, w->leaf, w->index);
		struct kvm_cpuid_entry2 new = {
			.function = w->leaf, .index = w->index,
			.flags = w->leaf == 7 || w->leaf == 0xd ? INDEXED : 0,
		};

		if (!e) {
			assert_int_equal(cpuid_add(&t, &new), 0);
			e = get(&t, w->leaf, w->index);
		}
		*(w->reg == CPUID_EAX ? &e->eax : w->reg == CPUID_EBX ?
		  &e->ebx : w->reg == CPUID_ECX ? &e->ecx : &e->edx) = ~0u;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(more); i++)
		assert_int_equal(cpuid_add(&t, &more[i]), 0);
	get(&t, 0x80000008, 0)->eax = 57 << 8 | 52;
	return t;
}

static const char *lacks(struct kvm_cpuid_table *want,
			 struct kvm_cpuid_table *have)
{
	static char text[320];
	bool any;

	memset(text, '#', sizeof(text));
	any = cpuid_lacks(want, have, text, sizeof(text));
	assert_int_equal(any, text[0] != 0);
	return text;
}

static void a_host_has_what_it_has(void **state)
{
	struct kvm_cpuid_table t = host(), none = { 0 };

	(void)state;
	assert_string_equal(lacks(&t, &t), "");
	assert_string_equal(lacks(&none, &t), "");
	assert_string_equal(lacks(&none, &none), "");
}

static void what_is_lacking_is_named(void **state)
{
	struct kvm_cpuid_table want = host(), have = host();

	(void)state;
	get(&have, 7, 0)->ebx &= ~(1u << 5 | 1u << 8);
	assert_string_equal(lacks(&want, &have),
			    "CPUID 0x7 EBX: avx2 (bit 5), bmi2 (bit 8)");
	get(&have, 1, 0)->ecx &= ~(1u << 20);
	get(&have, 0xd, 1)->eax &= ~(1u << 3);
	get(&have, 7, 1)->ecx &= ~(1u << 31);
	assert_string_equal(lacks(&want, &have),
		"CPUID 0x1 ECX: sse4_2 (bit 20); "
		"CPUID 0x7 EBX: avx2 (bit 5), bmi2 (bit 8); "
		"CPUID 0x7.1 ECX: bit 31; "
		"CPUID 0xd.1 EAX: xsaves (bit 3)");
	/* The other way round nothing is lacking */
	assert_string_equal(lacks(&have, &want), "");
}

/* AMD's extended leaf has it too, and an Intel host has it in leaf 1 only */
static bool is_repeated(const struct cpuid_word *w, unsigned bit)
{
	return w->leaf == 0x80000001 && w->reg == CPUID_EDX &&
	       (bit <= 9 || (bit >= 12 && bit <= 17) || bit == 23 ||
		bit == 24);
}

/* Each bit of each word, alone: by its leaf, register and number */
static void each_bit_counts(void **state)
{
	static const char reg[] = "ABCD";
	struct kvm_cpuid_table want = host();

	(void)state;
	for (const struct cpuid_word *w = cpuid_words; w->leaf; w++) {
		for (unsigned bit = 0; bit < 32; bit++) {
			struct kvm_cpuid_table have = host();
			struct kvm_cpuid_entry2 *e = get(&have, w->leaf,
							 w->index);
			char text[64];

			*(&e->eax + w->reg) &= ~(1u << bit);
			if (is_repeated(w, bit)) {
				assert_string_equal(lacks(&want, &have), "");
				continue;
			}
			snprintf(text, sizeof(text), "CPUID 0x%x%s E%cX: ",
				 w->leaf, w->index == 1 ? ".1" :
				 w->index == 2 ? ".2" : "", reg[w->reg]);
			assert_non_null(strstr(lacks(&want, &have), text));
			snprintf(text, sizeof(text), "bit %u", bit);
			assert_non_null(strstr(lacks(&want, &have), text));
			assert_null(strchr(lacks(&want, &have), ';'));
		}
	}
}

static void what_is_too_much_is_counted(void **state)
{
	struct kvm_cpuid_table want = host(), have = { 0 };
	char text[320];
	unsigned more;

	(void)state;
	for (size_t size = 64; size <= sizeof(text); size++) {
		memset(text, '#', sizeof(text));
		assert_true(cpuid_lacks(&want, &have, text, size));
		assert_non_null(memchr(text, 0, size));
		assert_int_equal(sscanf(strstr(text, ", and "),
					", and %u more", &more), 1);
		assert_true(more > 500 && more < 999);
		if (size < sizeof(text))
			assert_int_equal(text[size], '#');
	}
}

static void addresses_have_widths(void **state)
{
	struct kvm_cpuid_table want = host(), have = host();

	(void)state;
	get(&have, 0x80000008, 0)->eax = 48 << 8 | 39;
	assert_string_equal(lacks(&want, &have),
		"CPUID 0x80000008 EAX: physical addresses of 52 bits, where this host has 39; "
		"CPUID 0x80000008 EAX: linear addresses of 57 bits, where this host has 48");
	assert_string_equal(lacks(&have, &want), "");
}

static void xsave_areas_must_agree(void **state)
{
	struct kvm_cpuid_table want = host(), have = host();

	(void)state;
	get(&have, 0xd, 9)->ebx = 2432;
	assert_string_equal(lacks(&want, &have),
		"CPUID 0xd.9: pkru has 8 bytes at 2688 in the XSAVE area, where this host has 8 at 2432");
	/* A component that the guest doesn't have may lie anywhere */
	get(&want, 0xd, 0)->eax &= ~(1u << 9);
	assert_string_equal(lacks(&want, &have), "");
	get(&want, 0xd, 2)->eax = 512;
	assert_non_null(strstr(lacks(&want, &have), "avx has 512 bytes"));
	/* Lacking altogether it is a feature, and named once */
	get(&have, 0xd, 0)->eax &= ~(1u << 2);
	assert_string_equal(lacks(&want, &have), "CPUID 0xd EAX: avx (bit 2)");
}

/* SDM vol. 2, leaf 0xA: a guest that counts events must find its counters */
static void performance_counters_must_be_there(void **state)
{
	struct kvm_cpuid_entry2 pmu = {
		.function = 0xa, .eax = 0x07300802, .ebx = 0x10,
		.edx = 0x603,
	};
	struct kvm_cpuid_table want = host(), have = host();

	(void)state;
	cpuid_add(&want, &pmu);
	assert_non_null(strstr(lacks(&want, &have),
		"CPUID 0xa: version 2, where this host has 0; "
		"CPUID 0xa: counters 8, where this host has 0"));
	pmu.eax = 0x06300602;
	pmu.ebx = 0x01;
	pmu.edx = 0x602;
	cpuid_add(&have, &pmu);
	assert_string_equal(lacks(&want, &have),
		"CPUID 0xa: counters 8, where this host has 6; "
		"CPUID 0xa: fixed counters 3, where this host has 2; "
		"CPUID 0xa EBX: events 0x41");
	assert_string_equal(lacks(&have, &want),
			    "CPUID 0xa EBX: events 0x10");
	get(&want, 0xa, 0)->eax = 0;	/* it uses none */
	assert_string_equal(lacks(&want, &have), "");
}

static void capabilities_in_msrs_must_be_there(void **state)
{
	(void)state;
	assert_int_equal(arch_capabilities_lack(0x69, 0x69), 0);
	assert_int_equal(arch_capabilities_lack(0x69, 0xfe9), 0);
	assert_int_equal(arch_capabilities_lack(0x69, 0x68), 1);
	/* RSBA, RRSBA: what the guest must know of */
	assert_int_equal(arch_capabilities_lack(0x69, 0x8006d), 0x80004);
	assert_int_equal(arch_capabilities_lack(0x8006d, 0x69), 0);
	assert_int_equal(perf_capabilities_lack(0, 0x2fff), 0);
	assert_int_equal(perf_capabilities_lack(0x2005, 0x2005), 0);
	assert_int_equal(perf_capabilities_lack(0x2005, 0x2006), 3);
	assert_int_equal(perf_capabilities_lack(0x2400, 0x0300), 0x2700);
}

/* Their state is not saved: docs/cpu.md */
static void what_is_not_saved_is_not_offered(void **state)
{
	struct kvm_cpuid_table t = host();

	(void)state;
	get(&t, 7, 0)->ecx |= 1u << 7;
	get(&t, 7, 0)->edx |= 1u << 20;
	get(&t, 0xd, 1)->ecx |= 3u << 11;
	cpuid_set_features(&t, true);
	assert_false(get(&t, 7, 0)->ecx & 1u << 7);
	assert_false(get(&t, 7, 0)->edx & 1u << 20);
	assert_false(get(&t, 0xd, 1)->ecx & 3u << 11);
	assert_false(get(&t, 0x80000001, 0)->ecx & 1u << 2);
}

static void the_baseline_is_x86_64_v2(void **state)
{
	/* The psABI's list: its part of leaf 1, LAHF; syscall, nx, lm */
	const uint32_t ecx = 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 |
			     1u << 20 | 1u << 23;
	const uint32_t edx = 1u << 0 | 1u << 8 | 1u << 15 | 1u << 23 |
			     1u << 24 | 1u << 25 | 1u << 26;
	const uint32_t ext = 1u << 11 | 1u << 20 | 1u << 29;

	(void)state;
	for (unsigned v = 0; v < VENDORS; v++) {
		struct kvm_cpuid_table t, all = host();

		cpuid_baseline(&t, v, 64 * MIB);
		assert_int_equal(get(&t, 1, 0)->ecx & ecx, ecx);
		assert_int_equal(get(&t, 1, 0)->edx & edx, edx);
		assert_int_equal(get(&t, 0x80000001, 0)->edx & ext, ext);
		assert_true(get(&t, 0x80000001, 0)->ecx & 1);
		assert_string_equal(lacks(&t, &all), "");
		/* Nothing in it has a size that a host decides */
		assert_null(cpuid_find(&t, 0xd, 0));
		assert_false(get(&t, 1, 0)->ecx & (1u << 26 | 1u << 28));
		assert_int_equal(get(&t, 7, 0)->ebx, 0);
		assert_int_equal(get(&t, 7, 0)->edx, 0);
		/* Linux can only survive a memory error on AMD with these */
		assert_int_equal(get(&t, 0x80000007, 0)->ebx,
				 v == VENDOR_AMD ? 3 : 0);
		assert_memory_equal(&get(&t, 0, 0)->ebx, vendor_id(v), 4);
		assert_memory_equal(&get(&t, 0x80000002, 0)->eax, "Ferr", 4);
	}
}

/* Changing it changes what guests may go to what hosts: on purpose only */
static void the_baseline_stays_as_it_is(void **state)
{
	struct kvm_cpuid_table t;

	(void)state;
	cpuid_baseline(&t, VENDOR_AMD, 64 * MIB);
	assert_int_equal(get(&t, 1, 0)->eax, 0x00800f12);
	assert_int_equal(get(&t, 1, 0)->ecx, 0x81b82201);
	assert_int_equal(get(&t, 1, 0)->edx, 0x078bfbfd);
	assert_int_equal(get(&t, 0x80000001, 0)->edx, 0x2193fbfd);
	assert_int_equal(get(&t, 0x40000001, 0)->eax, 0x0100000b);
	assert_int_equal(get(&t, 0x80000008, 0)->eax, 48 << 8 | 39);
	cpuid_baseline(&t, VENDOR_INTEL, ram_end(508 * GIB - MIB));
	assert_int_equal(get(&t, 1, 0)->eax, 0x000106a3);
	assert_int_equal(get(&t, 1, 0)->ecx, 0x81b82201);
	assert_int_equal(get(&t, 0x80000001, 0)->edx, 0x20100800);
	assert_int_equal(get(&t, 0x80000008, 0)->eax, 48 << 8 | 39);
	cpuid_baseline(&t, VENDOR_INTEL, ram_end(512 * GIB));
	assert_int_equal(get(&t, 0x80000008, 0)->eax, 48 << 8 | 46);
}

static void check_ids(struct kvm_cpuid_table *t, unsigned cpus, bool amd)
{
	for (unsigned i = 0; i < cpus; i++) {
		struct kvm_cpuid_table own = *t;

		cpuid_vcpu(&own, i);
		assert_int_equal(get(&own, 1, 0)->ebx >> 24, i);
		for (unsigned level = 0; level < 3; level++)
			assert_int_equal(get(&own, 0xb, level)->edx, i);
		if (!amd)
			continue;
		assert_int_equal(get(&own, 0x8000001e, 0)->eax, i);
		assert_int_equal(get(&own, 0x8000001e, 0)->ebx, i);
		assert_int_equal(get(&own, 0x8000001e, 0)->ecx, 0);
	}
}

static void vcpus_are_cores_of_one_package(void **state)
{
	static const struct {
		unsigned cpus, bits;
	} many[] = { { 1, 0 }, { 2, 1 }, { 3, 2 }, { 4, 2 }, { 5, 3 },
		     { 63, 6 }, { 64, 6 } };

	(void)state;
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(many); i++) {
		const unsigned cpus = many[i / 2].cpus, bits = many[i / 2].bits;
		const bool amd = i & 1, smp = cpus > 1;
		struct kvm_cpuid_table t = host();

		assert_int_equal(cpuid_topology(&t, amd ? VENDOR_AMD :
						VENDOR_INTEL, cpus), 0);
		assert_int_equal(get(&t, 1, 0)->ebx >> 16 & 0xff,
				 amd ? cpus : 1u << bits);
		assert_int_equal(get(&t, 1, 0)->edx >> 28 & 1, smp);
		assert_int_equal(get(&t, 0x80000001, 0)->ecx >> 1 & 1,
				 smp && amd);
		assert_int_equal(get(&t, 0x80000008, 0)->ecx,
				 amd ? (cpus - 1) | bits << 12 : 0);
		/* Threads: one. Cores: all. Then no more levels */
		assert_int_equal(get(&t, 0xb, 0)->eax, 0);
		assert_int_equal(get(&t, 0xb, 0)->ebx, 1);
		assert_int_equal(get(&t, 0xb, 0)->ecx, 0x100);
		assert_int_equal(get(&t, 0xb, 1)->eax, bits);
		assert_int_equal(get(&t, 0xb, 1)->ebx, cpus);
		assert_int_equal(get(&t, 0xb, 1)->ecx, 0x201);
		assert_int_equal(get(&t, 0xb, 2)->ebx, 0);
		assert_int_equal(get(&t, 0xb, 2)->ecx, 2);
		assert_null(cpuid_find(&t, 0x1f, 0));
		assert_null(cpuid_find(&t, 0x80000026, 0));
		/* L1 is each one's own, L3 everybody's */
		assert_int_equal(get(&t, 4, 0)->eax,
				 ((1u << bits) - 1) << 26 | 0x121);
		assert_int_equal(get(&t, 4, 1)->eax,
				 ((1u << bits) - 1) << 26 |
				 ((1u << bits) - 1) << 14 | 0x163);
		assert_int_equal(get(&t, 4, 2)->eax, 0);
		assert_int_equal(get(&t, 0x8000001d, 0)->eax,
				 ((1u << bits) - 1) << 14 | 0x163);
		assert_int_equal(!!cpuid_find(&t, 0x8000001e, 0), amd);
		assert_int_equal(get(&t, 0x80000001, 0)->ecx >> 22 & 1, amd);
		check_ids(&t, cpus, amd);
	}
}

/* Linux's arch/x86/kernel/kvm.c: KVM_HC_KICK_CPU, _SEND_IPI, _SCHED_YIELD,
 * _MAP_GPA_RANGE (bits 7, 11, 13; 16 and 17)
 */
static void no_hypercalls_where_they_would_be_invalid(void **state)
{
	struct kvm_cpuid_table t = host(), before = t, none = { 0 };
	const uint32_t calls = 1u << 7 | 1u << 11 | 1u << 13 | 3u << 16;
	uint32_t all = get(&t, 0x40000001, 0)->eax;

	(void)state;
	assert_int_equal(all & calls, calls);
	cpuid_no_hypercalls(&t);
	assert_int_equal(get(&t, 0x40000001, 0)->eax, all & ~calls);
	get(&t, 0x40000001, 0)->eax = all;
	assert_memory_equal(&t, &before, sizeof(t));
	cpuid_no_hypercalls(&none);
	assert_int_equal(none.nent, 0);
	cpuid_baseline(&t, VENDOR_INTEL, RAM_LOW_MAX);
	assert_int_equal(get(&t, 0x40000001, 0)->eax & calls, 0);
}

static void a_full_table_is_refused(void **state)
{
	struct kvm_cpuid_table t = host();

	(void)state;
	while (!cpuid_add(&t, &(struct kvm_cpuid_entry2){ .function = 0x2 }))
		;
	assert_int_equal(t.nent, KVM_CPUID_MAX);
	assert_int_equal(cpuid_topology(&t, VENDOR_AMD, 2), -ENOSPC);
	assert_true(t.nent <= KVM_CPUID_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_has_what_it_has),
		cmocka_unit_test(what_is_lacking_is_named),
		cmocka_unit_test(each_bit_counts),
		cmocka_unit_test(what_is_too_much_is_counted),
		cmocka_unit_test(addresses_have_widths),
		cmocka_unit_test(xsave_areas_must_agree),
		cmocka_unit_test(performance_counters_must_be_there),
		cmocka_unit_test(capabilities_in_msrs_must_be_there),
		cmocka_unit_test(what_is_not_saved_is_not_offered),
		cmocka_unit_test(the_baseline_is_x86_64_v2),
		cmocka_unit_test(the_baseline_stays_as_it_is),
		cmocka_unit_test(vcpus_are_cores_of_one_package),
		cmocka_unit_test(no_hypercalls_where_they_would_be_invalid),
		cmocka_unit_test(a_full_table_is_refused),
	};

	return cmocka_run_group_tests_name("cpuid", tests, NULL, NULL);
}
