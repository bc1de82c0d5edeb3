// SPDX-License-Identifier: MIT
/*
 * acpi.c - The ACPI tables
 *
 * Written member by member at the offsets of the specification, little-endian.
 * The checksum of a table is filled in when the table is complete.
 */

#include <stddef.h>
#include <string.h>

#include "acpi.h"
#include "vmm/devices/layout.h"

#define HEADER		36	/* bytes common to all tables, at their start */
#define RSDP_SIZE	36
#define FADT_SIZE	276	/* revision 6 */
#define RSDP_AT		0x000
#define XSDT_AT		0x040
#define FADT_AT		0x100
#define MADT_AT		0x240
#define DSDT_AT		0x500

#define MADT_PCAT	1u	/* there are also two 8259 */
#define LAPIC_ENABLED	1u
#define FLAGS_LEVEL_HIGH 0x0du	/* MPS INTI: active high, level triggered */

/* FADT feature flags */
#define FADT_WBINVD	(1u << 0)
#define FADT_NO_SLP	(1u << 5)
#define FADT_RESET	(1u << 10)

struct table {
	uint8_t *base;
	size_t len;
};

static void put_le(uint8_t *to, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(v >> 8 * i);
}

static void table_add(struct table *t, uint64_t v, unsigned bytes)
{
	put_le(t->base + t->len, v, bytes);
	t->len += bytes;
}

static uint8_t sum_to_zero(const uint8_t *data, size_t n)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += data[i];
	return (uint8_t)-sum;
}

static struct table table_begin(uint8_t *to, const char *signature,
			  uint8_t revision)
{
	memcpy(to, signature, 4);
	to[8] = revision;
	memcpy(to + 10, "FERRY FERRYVMM", 14);
	put_le(to + 24, 1, 4);
	memcpy(to + 28, "FRRY", 4);
	put_le(to + 32, 1, 4);
	return (struct table){ .base = to, .len = HEADER };
}

static void table_end(const struct table *t)
{
	put_le(t->base + 4, t->len, 4);
	t->base[9] = sum_to_zero(t->base, t->len);
}

/* Generic address: system I/O, @bytes wide */
static void put_port(uint8_t *to, unsigned port, unsigned bytes)
{
	to[0] = 1;
	to[1] = (uint8_t)(8 * bytes);
	to[3] = (uint8_t)bytes;
	put_le(to + 4, port, 8);
}

static void build_rsdp(uint8_t *to)
{
	memcpy(to, "RSD PTR ", 8);
	memcpy(to + 9, "FERRY ", 6);
	to[15] = 2;
	put_le(to + 20, RSDP_SIZE, 4);
	put_le(to + 24, ACPI_GPA + XSDT_AT, 8);
	to[8] = sum_to_zero(to, 20);
	to[32] = sum_to_zero(to, RSDP_SIZE);
}

static void build_xsdt(uint8_t *to)
{
	struct table t = table_begin(to, "XSDT", 1);

	table_add(&t, ACPI_GPA + FADT_AT, 8);
	table_add(&t, ACPI_GPA + MADT_AT, 8);
	table_end(&t);
}

/* AML (ACPI 6.5, chapter 20): names have four characters */
#define AML_ZERO	0x00
#define AML_NAME	0x08
#define AML_BYTE	0x0a
#define AML_WORD	0x0b
#define AML_STRING	0x0d
#define AML_SCOPE	0x10
#define AML_BUFFER	0x11
#define AML_PACKAGE	0x12
#define AML_METHOD	0x14
#define AML_ARG0	0x68
#define AML_STORE	0x70
#define AML_RETURN	0xa4
#define AML_REGION	0x805b
#define AML_FIELD	0x815b
#define AML_DEVICE	0x825b
#define AML_SYSTEM_IO	1
#define AML_BYTE_ACCESS	1

static void add_text(struct table *t, const char *text)
{
	while (*text)
		table_add(t, (uint8_t)*text++, 1);
}

static void add_name(struct table *t, const char *name)
{
	table_add(t, AML_NAME, 1);
	add_text(t, name);
}

/* A package starts with its length: reserve two bytes for it */
static size_t open_part(struct table *t, unsigned opcode, unsigned bytes)
{
	table_add(t, opcode, bytes);
	t->len += 2;
	return t->len - 2;
}

/* 20.2.4, PkgLength: one byte follows, low nibble first; counts itself */
static void close_part(struct table *t, size_t at)
{
	size_t n = t->len - at;

	t->base[at] = (uint8_t)(1 << 6 | (n & 0xf));
	t->base[at + 1] = (uint8_t)(n >> 4);
}

/* Name (\_S5, Package () { SLP_TYPa, SLP_TYPb, 0, 0 }) */
static void add_s5(struct table *t)
{
	size_t package;

	add_name(t, "_S5_");
	package = open_part(t, AML_PACKAGE, 1);
	table_add(t, 4, 1);
	table_add(t, AML_BYTE | POWER_SLEEP_OFF << 8, 2);
	table_add(t, AML_BYTE | POWER_SLEEP_OFF << 8, 2);
	table_add(t, AML_ZERO, 1);
	table_add(t, AML_ZERO, 1);
	close_part(t, package);
}

/* One I/O port, 16 bits decoded (6.4.2.5), and the end tag (6.4.2.9) */
static void add_port(struct table *t, unsigned port)
{
	size_t buffer;

	add_name(t, "_CRS");
	buffer = open_part(t, AML_BUFFER, 1);
	table_add(t, AML_BYTE | 10 << 8, 2);
	table_add(t, 0x0147, 2);
	table_add(t, port, 2);
	table_add(t, port, 2);
	table_add(t, 0x0101, 2);		/* alignment, length */
	table_add(t, 0x0079, 2);
	close_part(t, buffer);
}

/* Field (NAME, ByteAcc, NoLock, Preserve) { PEPT, 8 } over the port */
static void add_register(struct table *t, unsigned port)
{
	size_t field;

	table_add(t, AML_REGION, 2);
	add_text(t, "PEOR");
	table_add(t, AML_SYSTEM_IO, 1);
	table_add(t, AML_WORD, 1);
	table_add(t, port, 2);
	table_add(t, AML_BYTE | 1 << 8, 2);
	field = open_part(t, AML_FIELD, 2);
	add_text(t, "PEOR");
	table_add(t, AML_BYTE_ACCESS, 1);
	add_text(t, "PEPT");
	table_add(t, 8, 1);
	close_part(t, field);
}

static void add_methods(struct table *t)
{
	size_t method = open_part(t, AML_METHOD, 1);

	add_text(t, "RDPT");
	table_add(t, 0, 1);			/* arguments */
	table_add(t, AML_RETURN, 1);
	add_text(t, "PEPT");
	close_part(t, method);
	method = open_part(t, AML_METHOD, 1);
	add_text(t, "WRPT");
	table_add(t, 1, 1);
	table_add(t, AML_STORE | AML_ARG0 << 8, 2);
	add_text(t, "PEPT");
	close_part(t, method);
}

/* As in QEMU's docs/specs/pvpanic.rst; Linux uses _CRS only */
static void add_pvpanic(struct table *t)
{
	size_t scope = open_part(t, AML_SCOPE, 1), device;

	add_text(t, "\\_SB_");
	device = open_part(t, AML_DEVICE, 2);
	add_text(t, "PEVT");
	add_name(t, "_HID");
	table_add(t, AML_STRING, 1);
	add_text(t, "QEMU0001");
	table_add(t, 0, 1);
	add_port(t, PVPANIC_PORT);
	add_register(t, PVPANIC_PORT);
	add_name(t, "_STA");
	table_add(t, AML_BYTE | 0x0f << 8, 2);	/* present, enabled */
	add_methods(t);
	close_part(t, device);
	close_part(t, scope);
}

static void build_dsdt(uint8_t *to)
{
	struct table t = table_begin(to, "DSDT", 2);

	add_s5(&t);
	add_pvpanic(&t);
	table_end(&t);
}

/* SMI_CMD is 0: the machine is in ACPI mode from the start */
static void build_fadt(uint8_t *to)
{
	struct table t = table_begin(to, "FACP", 6);

	put_le(to + 40, ACPI_GPA + DSDT_AT, 4);
	put_le(to + 46, POWER_IRQ, 2);
	put_le(to + 56, POWER_PORT + POWER_EVENT, 4);
	put_le(to + 64, POWER_PORT + POWER_CONTROL, 4);
	to[88] = 4;			/* PM1_EVT_LEN */
	to[89] = 2;			/* PM1_CNT_LEN */
	put_le(to + 96, 0xfff, 2);		/* no C2 */
	put_le(to + 98, 0xfff, 2);		/* no C3 */
	/* The flag for "no fixed power button" is clear: there is one */
	put_le(to + 112, FADT_WBINVD | FADT_NO_SLP | FADT_RESET, 4);
	put_port(to + 116, POWER_PORT + POWER_RESET, 1);
	to[128] = POWER_RESET_VALUE;
	put_le(to + 140, ACPI_GPA + DSDT_AT, 8);
	put_port(to + 148, POWER_PORT + POWER_EVENT, 4);
	put_port(to + 172, POWER_PORT + POWER_CONTROL, 2);
	t.len = FADT_SIZE;
	table_end(&t);
}

static void add_lapic(struct table *t, unsigned index)
{
	table_add(t, 0, 1);
	table_add(t, 8, 1);
	table_add(t, index, 1);		/* processor UID */
	table_add(t, index, 1);		/* APIC ID */
	table_add(t, LAPIC_ENABLED, 4);
}

static void add_ioapic(struct table *t)
{
	table_add(t, 1, 1);
	table_add(t, 12, 1);
	table_add(t, 0, 2);			/* ID, reserved */
	table_add(t, IOAPIC_BASE, 4);
	table_add(t, 0, 4);			/* its first GSI */
}

static void add_override(struct table *t, unsigned irq, unsigned gsi,
			 unsigned flags)
{
	table_add(t, 2, 1);
	table_add(t, 10, 1);
	table_add(t, 0, 1);			/* ISA */
	table_add(t, irq, 1);
	table_add(t, gsi, 4);
	table_add(t, flags, 2);
}

static void build_madt(uint8_t *to, unsigned cpus)
{
	struct table t = table_begin(to, "APIC", 5);

	table_add(&t, LAPIC_BASE, 4);
	table_add(&t, MADT_PCAT, 4);
	for (unsigned i = 0; i < cpus; i++)
		add_lapic(&t, i);
	add_ioapic(&t);
	add_override(&t, PIT_IRQ, PIT_GSI, 0);
	add_override(&t, POWER_IRQ, POWER_IRQ, FLAGS_LEVEL_HIGH);
	table_add(&t, 0x04 | 6 << 8 | 0xff << 16, 3);	/* LINT1: NMI */
	table_add(&t, 0, 2);
	table_add(&t, 1, 1);
	table_end(&t);
}

void acpi_build(uint8_t *to, unsigned cpus)
{
	build_rsdp(to + RSDP_AT);
	build_xsdt(to + XSDT_AT);
	build_dsdt(to + DSDT_AT);
	build_fadt(to + FADT_AT);
	build_madt(to + MADT_AT, cpus);
}
