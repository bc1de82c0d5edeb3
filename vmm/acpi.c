// SPDX-License-Identifier: MIT
/*
 * acpi.c - The tables in which a stock kernel finds its machine
 *
 * Written member by member at the offsets that the specification gives, all
 * little-endian. Each table has its checksum filled in when it is complete.
 */

#include <stddef.h>
#include <string.h>

#include "acpi.h"

#define HEADER		36	/* bytes in front of every table's own */
#define RSDP_SIZE	36
#define FADT_SIZE	276	/* revision 6 */
#define RSDP_AT		0x000
#define XSDT_AT		0x040
#define DSDT_AT		0x080
#define FADT_AT		0x100
#define MADT_AT		0x240

#define LAPIC_BASE	0xfee00000u
#define IOAPIC_BASE	0xfec00000u
#define MADT_PCAT	1u	/* there are two 8259, too */
#define LAPIC_ENABLED	1u
#define FLAGS_LEVEL_HIGH 0x0du	/* MPS INTI: active high, level triggered */

/* FADT feature flags */
#define FADT_WBINVD	(1u << 0)
#define FADT_NO_PWR	(1u << 4)	/* no fixed power button */
#define FADT_NO_SLP	(1u << 5)
#define FADT_RESET	(1u << 10)

struct table {
	uint8_t *base;
	size_t len;
};

static void put(uint8_t *to, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(v >> 8 * i);
}

static void add(struct table *t, uint64_t v, unsigned bytes)
{
	put(t->base + t->len, v, bytes);
	t->len += bytes;
}

static uint8_t sum_to_zero(const uint8_t *data, size_t n)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += data[i];
	return (uint8_t)-sum;
}

static struct table begin(uint8_t *to, const char *signature,
			  uint8_t revision)
{
	memcpy(to, signature, 4);
	to[8] = revision;
	memcpy(to + 10, "FERRY FERRYVMM", 14);
	put(to + 24, 1, 4);
	memcpy(to + 28, "FRRY", 4);
	put(to + 32, 1, 4);
	return (struct table){ .base = to, .len = HEADER };
}

static void end(const struct table *t)
{
	put(t->base + 4, t->len, 4);
	t->base[9] = sum_to_zero(t->base, t->len);
}

/* Generic address: system I/O, @bytes wide */
static void put_port(uint8_t *to, unsigned port, unsigned bytes)
{
	to[0] = 1;
	to[1] = (uint8_t)(8 * bytes);
	to[3] = (uint8_t)bytes;
	put(to + 4, port, 8);
}

static void build_rsdp(uint8_t *to)
{
	memcpy(to, "RSD PTR ", 8);
	memcpy(to + 9, "FERRY ", 6);
	to[15] = 2;
	put(to + 20, RSDP_SIZE, 4);
	put(to + 24, ACPI_GPA + XSDT_AT, 8);
	to[8] = sum_to_zero(to, 20);
	to[32] = sum_to_zero(to, RSDP_SIZE);
}

static void build_xsdt(uint8_t *to)
{
	struct table t = begin(to, "XSDT", 1);

	add(&t, ACPI_GPA + FADT_AT, 8);
	add(&t, ACPI_GPA + MADT_AT, 8);
	end(&t);
}

/* Name (\_S5, Package () { SLP_TYPa, SLP_TYPb, 0, 0 }) */
static void build_dsdt(uint8_t *to)
{
	static const uint8_t s5[] = {
		0x08, '_', 'S', '5', '_', 0x12, 0x08, 0x04,
		0x0a, POWER_SLEEP_OFF, 0x0a, POWER_SLEEP_OFF, 0x00, 0x00,
	};
	struct table t = begin(to, "DSDT", 2);

	memcpy(to + t.len, s5, sizeof(s5));
	t.len += sizeof(s5);
	end(&t);
}

/* SMI_CMD is 0: the machine is in ACPI mode from the start */
static void build_fadt(uint8_t *to)
{
	struct table t = begin(to, "FACP", 6);

	put(to + 40, ACPI_GPA + DSDT_AT, 4);
	put(to + 46, POWER_IRQ, 2);
	put(to + 56, POWER_PORT + POWER_EVENT, 4);
	put(to + 64, POWER_PORT + POWER_CONTROL, 4);
	to[88] = 4;			/* PM1_EVT_LEN */
	to[89] = 2;			/* PM1_CNT_LEN */
	put(to + 96, 0xfff, 2);		/* no C2 */
	put(to + 98, 0xfff, 2);		/* no C3 */
	put(to + 112, FADT_WBINVD | FADT_NO_PWR | FADT_NO_SLP | FADT_RESET,
	    4);
	put_port(to + 116, POWER_PORT + POWER_RESET, 1);
	to[128] = POWER_RESET_VALUE;
	put(to + 140, ACPI_GPA + DSDT_AT, 8);
	put_port(to + 148, POWER_PORT + POWER_EVENT, 4);
	put_port(to + 172, POWER_PORT + POWER_CONTROL, 2);
	t.len = FADT_SIZE;
	end(&t);
}

static void add_lapic(struct table *t, unsigned index)
{
	add(t, 0, 1);
	add(t, 8, 1);
	add(t, index, 1);		/* processor UID */
	add(t, index, 1);		/* APIC ID */
	add(t, LAPIC_ENABLED, 4);
}

static void add_ioapic(struct table *t)
{
	add(t, 1, 1);
	add(t, 12, 1);
	add(t, 0, 2);			/* ID, reserved */
	add(t, IOAPIC_BASE, 4);
	add(t, 0, 4);			/* its first GSI */
}

static void add_override(struct table *t, unsigned irq, unsigned gsi,
			 unsigned flags)
{
	add(t, 2, 1);
	add(t, 10, 1);
	add(t, 0, 1);			/* ISA */
	add(t, irq, 1);
	add(t, gsi, 4);
	add(t, flags, 2);
}

static void build_madt(uint8_t *to, unsigned cpus)
{
	struct table t = begin(to, "APIC", 5);

	add(&t, LAPIC_BASE, 4);
	add(&t, MADT_PCAT, 4);
	for (unsigned i = 0; i < cpus; i++)
		add_lapic(&t, i);
	add_ioapic(&t);
	add_override(&t, 0, 2, 0);	/* KVM wires the PIT to pin 2 */
	add_override(&t, POWER_IRQ, POWER_IRQ, FLAGS_LEVEL_HIGH);
	add(&t, 0x04 | 6 << 8 | 0xff << 16, 3);	/* LINT1 of all is NMI */
	add(&t, 0, 2);
	add(&t, 1, 1);
	end(&t);
}

void acpi_build(uint8_t *to, unsigned cpus)
{
	build_rsdp(to + RSDP_AT);
	build_xsdt(to + XSDT_AT);
	build_dsdt(to + DSDT_AT);
	build_fadt(to + FADT_AT);
	build_madt(to + MADT_AT, cpus);
}
