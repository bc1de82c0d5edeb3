// SPDX-License-Identifier: MIT
/* test_memmap.c - The memory map that a kernel gets has all RAM, and no more */

#include "unit.h"

#include "vmm/base/units.h"
#include "vmm/boot/x86_boot.h"
#include "vmm/memory/ram.h"

/* Is an address in an entry for RAM? */
static bool is_ram(const struct boot_memmap *map, unsigned n, uint64_t gpa)
{
	for (unsigned i = 0; i < n; i++)
		if (map[i].type == 1 && gpa >= map[i].gpa &&
		    gpa - map[i].gpa < map[i].size)
			return true;
	return false;
}

static uint64_t bytes_of_ram(const struct boot_memmap *map, unsigned n)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		bytes += map[i].type == 1 ? map[i].size : 0;
		/* They ascend, and do not overlap */
		if (i)
			assert_true(map[i].gpa >= map[i - 1].gpa +
						  map[i - 1].size);
	}
	return bytes;
}

static void check(uint64_t size)
{
	struct boot_memmap map[BOOT_MEMMAP_MAX];
	struct error err = { 0 };
	struct ram ram;
	unsigned n;

	/* Never written, so it takes no memory */
	assert_int_equal(ram_create(&ram, size, RAM_ANON, &err), 0);
	n = boot_memmap(&ram, map);
	assert_in_range(n, 3, BOOT_MEMMAP_MAX);
	assert_true(is_ram(map, n, 0));
	assert_true(is_ram(map, n, MIB));
	/* What a PC has between them: the tables are there */
	assert_false(is_ram(map, n, BOOT_LOW_END));
	assert_false(is_ram(map, n, MIB - 1));
	assert_int_equal(bytes_of_ram(map, n), size - (MIB - BOOT_LOW_END));
	for (unsigned i = 0; i < ram.regions; i++) {
		uint64_t end = ram.region[i].gpa + ram.region[i].size;

		assert_true(is_ram(map, n, end - 1));
		assert_false(is_ram(map, n, end));
	}
	ram_destroy(&ram);
}

static void all_ram_is_in_it(void **state)
{
	static const uint64_t size[] = {
		16 * MIB, RAM_LOW_MAX, RAM_LOW_MAX + MIB, 8 * GIB,
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(size) / sizeof(size[0]); i++)
		check(size[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_ram_is_in_it),
	};

	return cmocka_run_group_tests_name("memmap", tests, NULL, NULL);
}
