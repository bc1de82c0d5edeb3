// SPDX-License-Identifier: MIT
/*
 * pvh.S - From the VMM's 32-bit entry to C in 64-bit mode, on every vCPU
 *
 * Theory of operation: a VMM that knows PVH (Ferry, QEMU's -kernel) reads the
 * ELF note, enters at pvh_start in 32-bit protected mode without paging, and
 * passes the address of struct hvm_start_info in ebx. The other vCPUs start in
 * ap.S and join at long_mode; from there on only their APIC ids differ. This is
 * the one place that names both ends of the start-up path: cpu_start() of ring
 * 0, and user_main() of ring 3, which cpu_start() gets as an argument.
 *
 * The assembler generates the page tables of the low 4 GiB, since ring 0 may be
 * emulated at a microsecond an instruction: 2 MiB pages, one to one, accessible
 * to ring 3 (both rings are one program, so there is nothing to protect),
 * accessed and dirty bits set. The last GiB, with the devices, is uncached.
 */
#include "layout.h"

#define XEN_ELFNOTE_PHYS32_ENTRY	18

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.quad pvh_start

	.section .tables, "aw"
	.balign 4096
boot_pml4:
	.quad low_pdpt + 0x67
	.quad window_pdpt + 0x67
	.fill 510, 8, 0
low_pdpt:
	.quad low_pd + 0x67, low_pd + 0x1067, low_pd + 0x2067, low_pd + 0x3067
	.fill 508, 8, 0
	.globl window_pdpt
window_pdpt:
	.fill 512, 8, 0
low_pd:
	.set pa, 0
	.rept 1536
	.quad pa + 0xe7
	.set pa, pa + 0x200000
	.endr
	.rept 512
	.quad pa + 0xff
	.set pa, pa + 0x200000
	.endr

	.data
	.balign 16
	.globl gdt
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	// SEL_KCODE, 64 bits
	.quad 0x00cf93000000ffff	// SEL_KDATA
	.quad 0x00cff3000000ffff	// SEL_UDATA
	.quad 0x00affb000000ffff	// SEL_UCODE, 64 bits
	.quad 0x00cf9b000000ffff	// SEL_CODE32
	.fill CPUS_MAX * 2, 8, 0	// one TSS for each vCPU
gdt_end:
	.globl gdt_pointer
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt

	.text
	.code32
	.globl pvh_start
pvh_start:
	cld
	movl %ebx, start_info_gpa
	lgdt gdt_pointer

	.globl long_mode
long_mode:
	movl $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
	movl %eax, %cr4
	movl $boot_pml4, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl $CR0_RUN, %eax
	movl %eax, %cr0
	ljmp $SEL_KCODE, $long_start

	.code64
long_start:
	movl $SEL_KDATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $LAPIC_BASE, %eax
	movl LAPIC_ID(%rax), %edi
	shrl $24, %edi
	movl %edi, %eax
	shll $CPU_BLOCK_SHIFT, %eax
	leaq cpu_blocks + KSTACK_TOP(%rax), %rsp
	movl $user_main, %esi
	xorl %ebp, %ebp
	call cpu_start
	ud2

	.section .note.GNU-stack, "", @progbits
