/* SPDX-License-Identifier: MIT */
/*
 * layout.h - Numbers that C and assembly share: addresses, selectors, bits
 *
 * Memory, by guest physical address:
 *
 *	0x8000		start-up code of the application processors
 *	1 - 3 MiB	image, bss, and a block of CPU_BLOCK bytes per vCPU
 *	3 - 4 MiB	pool of fresh pages (window.c)
 *	4 MiB - end	data area, followed by the rest of the pool
 *
 * A vCPU's block holds struct cpu, its ring 0 stack and its ring 3 stack. The
 * block is aligned to its size: ring 0 finds struct cpu by masking its stack
 * pointer.
 */
#ifndef GUEST_LAYOUT_H
#define GUEST_LAYOUT_H

#define PAGE_SHIFT		12
#define PAGE_SIZE		4096

#define CPUS_MAX		64
#define CPU_BLOCK_SHIFT		14
#define CPU_BLOCK		(1 << CPU_BLOCK_SHIFT)
#define KSTACK_BOTTOM		5120
#define KSTACK_TOP		8192

#define AP_TRAMPOLINE		0x8000
#define POOL_GPA		0x300000
#define AREA_GPA		0x400000
#define WINDOW_VA		0x8000000000

#define SEL_KCODE		0x08
#define SEL_KDATA		0x10
#define SEL_UDATA		0x1b
#define SEL_UCODE		0x23
#define SEL_CODE32		0x28
#define SEL_TSS			0x30

#define VECTOR_UD		6
#define VECTOR_MC		18
#define VECTOR_TIMER		0x40
#define VECTOR_SPURIOUS		0xff

/* SDM vol. 3, "System Architecture Overview" */
#define CR0_RUN			0x80010033	/* PG WP NE ET MP PE */
#define CR4_PAE			0x20
#define CR4_MCE			0x40
#define CR4_OSFXSR		0x200
#define CR4_OSXMMEXCPT		0x400
#define MSR_EFER		0xc0000080
#define EFER_LME		0x100

/* SDM vol. 3, "Advanced Programmable Interrupt Controller" */
#define LAPIC_BASE		0xfee00000
#define LAPIC_ID		0x20
#define LAPIC_EOI		0xb0
#define LAPIC_TIMER_COUNT	0x380

/* Offset of struct cpu.resume, asserted in boot.c */
#define CPU_RESUME		0

#endif
