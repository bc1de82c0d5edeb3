// SPDX-License-Identifier: MIT
/* test_acpi.c - The tables that a stock kernel looks for */

#include "unit.h"

#include "vmm/boot/acpi.h"
#include "vmm/devices/layout.h"

static uint8_t tables[ACPI_MAX];

static uint64_t get(const uint8_t *at, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)at[i] << 8 * i;
	return v;
}

static uint8_t sum(const uint8_t *at, size_t n)
{
	uint8_t s = 0;

	for (size_t i = 0; i < n; i++)
		s += at[i];
	return s;
}

/* The table at a guest-physical address, checked as a kernel would */
static const uint8_t *table(uint64_t gpa, const char *signature)
{
	const uint8_t *t = tables + (gpa - ACPI_GPA);

	assert_in_range(gpa, ACPI_GPA, ACPI_GPA + ACPI_MAX - 36);
	assert_memory_equal(t, signature, 4);
	assert_in_range(get(t + 4, 4), 36, ACPI_MAX - (gpa - ACPI_GPA));
	assert_int_equal(sum(t, get(t + 4, 4)), 0);
	return t;
}

static const uint8_t *listed(unsigned i, const char *signature)
{
	const uint8_t *xsdt = table(get(tables + 24, 8), "XSDT");

	assert_in_range(36 + 8 * i, 36, get(xsdt + 4, 4) - 8);
	return table(get(xsdt + 36 + 8 * i, 8), signature);
}

static void build(unsigned cpus)
{
	memset(tables, 0, sizeof(tables));
	acpi_build(tables, cpus);
}

static void the_root_is_found(void **state)
{
	(void)state;
	build(1);
	assert_memory_equal(tables, "RSD PTR ", 8);
	assert_int_equal(sum(tables, 20), 0);
	assert_int_equal(sum(tables, 36), 0);
	/* Within what a kernel searches, on a boundary of 16 bytes */
	assert_in_range(ACPI_GPA, 0xe0000, 0xfffff);
	assert_int_equal(ACPI_GPA % 16, 0);
}

/* Each once, with the APIC ID that vcpu.c gives it; nothing overlaps behind */
static void every_vcpu_is_listed(void **state)
{
	static const unsigned counts[] = { 1, 2, 64 };

	(void)state;
	for (unsigned c = 0; c < 3; c++) {
		unsigned cpus = 0, ioapics = 0;
		const uint8_t *madt, *e;

		build(counts[c]);
		madt = listed(1, "APIC");
		for (e = madt + 44; e < madt + get(madt + 4, 4); e += e[1]) {
			assert_int_not_equal(e[1], 0);
			if (e[0] == 0) {
				assert_int_equal(e[3], cpus++);
				assert_int_equal(get(e + 4, 4), 1);
			}
			ioapics += e[0] == 1;
		}
		assert_ptr_equal(e, madt + get(madt + 4, 4));
		assert_int_equal(cpus, counts[c]);
		assert_int_equal(ioapics, 1);
	}
}

static void the_timer_is_on_pin_2(void **state)
{
	const uint8_t *madt, *e;
	unsigned found = 0;

	(void)state;
	build(1);
	madt = listed(1, "APIC");
	for (e = madt + 44; e < madt + get(madt + 4, 4); e += e[1])
		found += e[0] == 2 && e[3] == 0 && get(e + 4, 4) == 2;
	assert_int_equal(found, 1);
}

/* The ports that power.c answers at, and the value it knows for S5 */
static void it_can_be_turned_off(void **state)
{
	const uint8_t *fadt, *dsdt;

	(void)state;
	build(1);
	fadt = listed(0, "FACP");
	assert_int_equal(get(fadt + 64, 4), POWER_PORT + POWER_CONTROL);
	assert_int_equal(get(fadt + 176, 8), POWER_PORT + POWER_CONTROL);
	assert_int_equal(get(fadt + 120, 8), POWER_PORT + POWER_RESET);
	assert_int_equal(fadt[128], POWER_RESET_VALUE);
	assert_true(get(fadt + 112, 4) & 1u << 10);
	assert_false(get(fadt + 112, 4) & 1u << 4);	/* a power button */
	assert_int_equal(get(fadt + 56, 4), POWER_PORT + POWER_EVENT);
	assert_int_equal(get(fadt + 46, 2), POWER_IRQ);
	assert_int_equal(get(fadt + 48, 4), 0);
	dsdt = table(get(fadt + 140, 8), "DSDT");
	assert_int_equal(get(fadt + 40, 4), get(fadt + 140, 8));
	assert_memory_equal(dsdt + 36, "\x08_S5_\x12\x49\x00\x04\x0a\x05", 11);
}

/* Bytes that a part at @at claims behind its opcode (PkgLength of two bytes) */
static size_t claims(const uint8_t *at)
{
	assert_int_equal(at[0] >> 4, 4);
	return (at[0] & 0xf) | (size_t)at[1] << 4;
}

/* The device by which a stock kernel finds pvpanic.c, and nothing behind it */
static void panics_have_a_port(void **state)
{
	static const char head[] = "\x5b\x82", hid[] = "\x08_HID\x0dQEMU0001",
			  crs[] = "\x08_CRS";
	const uint8_t *dsdt, *scope, *device, *at;
	size_t size;

	(void)state;
	build(1);
	dsdt = table(get(listed(0, "FACP") + 140, 8), "DSDT");
	size = get(dsdt + 4, 4);
	scope = dsdt + 36 + 6 + claims(dsdt + 36 + 6);
	assert_int_equal(scope[0], 0x10);
	assert_memory_equal(scope + 3, "\\_SB_", 5);
	assert_ptr_equal(scope + 1 + claims(scope + 1), dsdt + size);
	device = scope + 8;
	assert_memory_equal(device, head, 2);
	assert_memory_equal(device + 4, "PEVT", 4);
	assert_ptr_equal(device + 2 + claims(device + 2), dsdt + size);
	assert_memory_equal(device + 8, hid, sizeof(hid));
	at = device + 8 + sizeof(hid);
	assert_memory_equal(at, crs, 5);
	assert_int_equal(at[5], 0x11);
	assert_int_equal(claims(at + 6), 2 + 2 + 10);
	assert_int_equal(at[10], 0x47);
	assert_int_equal(get(at + 12, 2), PVPANIC_PORT);
	assert_int_equal(get(at + 14, 2), PVPANIC_PORT);
	assert_int_equal(at[17], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_root_is_found),
		cmocka_unit_test(every_vcpu_is_listed),
		cmocka_unit_test(the_timer_is_on_pin_2),
		cmocka_unit_test(it_can_be_turned_off),
		cmocka_unit_test(panics_have_a_port),
	};

	return cmocka_run_group_tests_name("acpi", tests, NULL, NULL);
}
