// SPDX-License-Identifier: MIT
/*
 * boot.c - Ring 0: one vCPU from long mode to ring 3
 *
 * All TSSes are in one array, followed by one I/O permission bitmap of zeroes
 * that they share: each TSS holds its distance. So the bitmap takes 8 KiB for
 * 64 vCPUs instead of 512. Ring 3 needs it for the serial and debug-exit ports:
 * some machines ignore IOPL, which ring 3 has as well.
 */
#include <stddef.h>

#include "area.h"
#include "boot.h"
#include "call.h"
#include "mce.h"
#include "ports.h"
#include "trap.h"

#define CPUID_VENDOR_HYGON_EBX	0x6f677948	/* "Hygo" */
#define CPUID_VENDOR_AMD_EBX	0x68747541	/* "Auth" */
#define IDT_GATE		0x8e00		/* present, interrupt gate */
#define PIC_MASTER		0x21
#define PIC_SLAVE		0xa1
#define TSS_DESCRIPTOR		0x89		/* present, available */
#define TSS_SPACING		112

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iomap;
	uint64_t pad;
} __attribute__((packed));

_Static_assert(sizeof(struct tss) == TSS_SPACING, "TSS spacing");
_Static_assert(offsetof(struct tss, iomap) == 102, "TSS layout");
_Static_assert(offsetof(struct cpu, resume) == CPU_RESUME, "CPU_RESUME");
_Static_assert(sizeof(struct cpu) <= KSTACK_BOTTOM, "struct cpu too large");

struct gate {
	uint16_t offset0, selector, flags, offset1;
	uint32_t offset2, zero;
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

union cpu_block cpu_blocks[CPUS_MAX]
	__attribute__((aligned(CPU_BLOCK)));
uint32_t start_info_gpa;
bool vendor_amd;

static struct {
	struct tss tss[CPUS_MAX];
	uint8_t iomap[8192];
	uint8_t iomap_end;
} tasks __attribute__((aligned(64))) = { .iomap_end = 0xff };

static struct gate idt[256] __attribute__((aligned(16)));

static void gate_set(unsigned int vector, const char *entry)
{
	uint64_t at = (uint64_t)entry;

	idt[vector] = (struct gate){
		.offset0 = at, .selector = SEL_KCODE, .flags = IDT_GATE,
		.offset1 = at >> 16, .offset2 = at >> 32,
	};
}

static void idt_init(void)
{
	unsigned int i;

	for (i = 0; i < 32; i++)
		gate_set(i, trap_entries + 16 * i);
	gate_set(VECTOR_UD, undefined_entry);
	gate_set(VECTOR_TIMER, timer_entry);
	gate_set(VECTOR_SPURIOUS, spurious_entry);
}

static void vendor_init(void)
{
	uint32_t r[4];

	cpuid(0, r);
	vendor_amd = r[1] == CPUID_VENDOR_AMD_EBX ||
		     r[1] == CPUID_VENDOR_HYGON_EBX;
}

/* Firmware may leave the timer's interrupts on in the two 8259s */
static void pic_mask(void)
{
	port_out8(PIC_MASTER, 0xff);
	port_out8(PIC_SLAVE, 0xff);
}

static void tss_init(uint32_t index, uint64_t stack)
{
	struct tss *t = &tasks.tss[index];
	uint64_t base = (uint64_t)t;
	uint64_t distance = (uint64_t)tasks.iomap - base;
	uint64_t limit = distance + sizeof(tasks.iomap);
	uint64_t *d = gdt + (SEL_TSS >> 3) + 2 * index;

	t->rsp[0] = stack;
	t->iomap = distance;
	d[0] = (limit & 0xffff) | (base & 0xffffff) << 16 |
	       (uint64_t)TSS_DESCRIPTOR << 40 | (limit >> 16 & 0xf) << 48 |
	       (base >> 24 & 0xff) << 56;
	d[1] = base >> 32;
	asm volatile("ltr %w0" : : "r" (SEL_TSS + 16 * index));
}

void cpu_start(uint32_t index, void (*entry)(struct cpu *))
{
	static const struct table_pointer idt_pointer = {
		sizeof(idt) - 1, (uint64_t)idt
	};
	union cpu_block *b = &cpu_blocks[index];

	if (!index) {
		pic_mask();
		idt_init();
		vendor_init();
	}
	asm volatile("lidt %0" : : "m" (idt_pointer));
	tss_init(index, (uint64_t)b->space + KSTACK_TOP);
	b->cpu.index = index;
	b->cpu.visit_gpa = b->cpu.stray_gpa = NO_GPA;
	mce_enable(&b->cpu);
	enter_user(entry, b->space + CPU_BLOCK - 8, &b->cpu);
}
