// SPDX-License-Identifier: MIT
/*
 * traps.S - Entries into ring 0, and returns from it
 *
 * No handler runs on an IST stack, the machine check included: between clearing
 * MCG_STATUS.MCIP and IRETQ a second machine check may arrive, and on an IST
 * stack it would overwrite the frame of the first. On the ordinary stack it
 * nests. Ring 0 has no entry with an undefined stack (no SYSCALL), so it needs
 * no IST.
 *
 * Ring 3 calls ring 0 by UD2 at one address, call_ring0, because a KVM without
 * hardware virtualization (kvm_pvm) delivers exceptions but refuses INT n. UD2
 * at any other address is a fatal exception.
 *
 * Ring 0 may be emulated at a microsecond an instruction (pvh.S). Therefore the
 * timer's handler has only a few instructions, and call_ring0 saves no
 * registers: for ring 3 it is a C call, so the compiler saves the caller-saved
 * ones.
 */
#include "layout.h"

	.text
	.code64

	/* 32 entries of 16 bytes: idt_init() computes their addresses */
	.balign 16
	.globl trap_entries
trap_entries:
	.set vector, 0
	.rept 32
	.balign 16
	/* The CPU pushes an error code for 8, 10-14, 17, 21, 29, 30 */
	.if ((0x60227d00 >> vector) & 1) == 0
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

trap_common:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, %rdi
	call trap_entry
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

	.globl timer_entry
timer_entry:
	pushq %rax
	movl $(LAPIC_BASE + LAPIC_EOI), %eax
	movl $0, (%rax)
	popq %rax
	.globl spurious_entry
spurious_entry:
	iretq

	.globl undefined_entry
undefined_entry:
	cmpq $call_ring0, (%rsp)
	jne trap_entries + 16 * VECTOR_UD
	addq $2, (%rsp)			// past the UD2
	subq $8, %rsp
	call call_entry
	addq $8, %rsp
	iretq

	/* call_ring0: arguments as in C */
	.globl call_ring0
call_ring0:
	ud2
	ret

/*
 * enter_user: rdi function, rsi stack, rdx struct cpu. IOPL 3 in addition to
 * the TSS's bitmap: QEMU's TCG, with KVM in it, ignores the bitmap of a TSS
 * that was restored as busy, as it is in a guest that has migrated.
 */
	.globl enter_user
enter_user:
	pushq $SEL_UDATA
	pushq %rsi
	pushq $0x3202			// IF, IOPL 3
	pushq $SEL_UCODE
	pushq %rdi
	movq %rdx, %rdi
	iretq

	/* context_save: rdi struct context */
	.globl context_save
context_save:
	movq %rbx, (%rdi)
	movq %rbp, 8(%rdi)
	movq %r12, 16(%rdi)
	movq %r13, 24(%rdi)
	movq %r14, 32(%rdi)
	movq %r15, 40(%rdi)
	leaq 8(%rsp), %rax
	movq %rax, 48(%rdi)
	movq (%rsp), %rax
	movq %rax, 56(%rdi)
	ret

	/* context_resume: rdi struct cpu */
	.globl context_resume
context_resume:
	addq $CPU_RESUME, %rdi
	movq (%rdi), %rbx
	movq 8(%rdi), %rbp
	movq 16(%rdi), %r12
	movq 24(%rdi), %r13
	movq 32(%rdi), %r14
	movq 40(%rdi), %r15
	movq 48(%rdi), %rsp
	jmp *56(%rdi)

	.section .note.GNU-stack, "", @progbits
