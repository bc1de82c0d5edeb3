// SPDX-License-Identifier: MIT
/*
 * ap.S - Start of an application processor, up to long_mode
 *
 * The boot vCPU copies this code to AP_TRAMPOLINE. The start-up IPI enters it
 * in real mode with CS at that address and IP 0, so all addresses are relative
 * to CS.
 */
#include "layout.h"

	.section .rodata
	.code16
	.globl ap_trampoline
ap_trampoline:
	cli
	cld
	lgdtl %cs:(ap_gdt_pointer - ap_trampoline)
	movl $0x11, %eax		// PE, ET
	movl %eax, %cr0
	ljmpl $SEL_CODE32, $ap_start32
	.balign 4
ap_gdt_pointer:
	.word (CPUS_MAX * 2 + 6) * 8 - 1
	.long gdt
ap_end:
	.balign 4
	.globl ap_trampoline_size
ap_trampoline_size:
	.long ap_end - ap_trampoline

	.text
	.code32
ap_start32:
	movl $SEL_KDATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	jmp long_mode

	.section .note.GNU-stack, "", @progbits
