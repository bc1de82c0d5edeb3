// SPDX-License-Identifier: MIT
/*
 * ring0.S - A guest that touches lost memory in ring 0
 *
 * guest.elf does its work in ring 3, and ends when ring 0 touches lost memory.
 * This guest runs in 32-bit protected mode without paging, on one vCPU, so that
 * where KVM emulates ring 0 the emulator touches the poison. The first letter
 * of the command line is the mode:
 *
 *	r	enable machine checks; read the word at LOST
 *	s	the same by LODSL, which changes ESI, too
 *	d	the same into DS: a null selector if zeroes were read
 *	o	the same by OUTSL to the port that ends the machine
 *	x	the same by OUTSL, the last bytes of LOST and the first of the
 *		next page
 *	m	the same by MOVSL, to another word of the lost page
 *	w	the same, but write the word
 *	n	read it with machine checks switched off
 *	c	read MCG_CAP
 *	p	enable machine checks; read MCG_CAP again and again
 *	t	a triple fault: an exception for which there is no gate
 *
 * Before the access the guest stores its registers at BEFORE, with the address
 * of the instruction as EIP. The machine-check handler stores the registers that
 * it finds at AFTER, in the same order: EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI,
 * EIP, DS. It stores MCG_STATUS, and STATUS, ADDR and MISC of bank 9, at RESULT
 * and ends the machine with 42. It does not return. An access that succeeds
 * stores the value at RESULT and ends the machine with 1, as MCG_CAP's does.
 */
#define LOST	0x400000
#define RESULT	0x600000
#define BEFORE	0x600100
#define AFTER	0x600200

#define CODE	8
#define DATA	16

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18			// XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.long _start

	.text
	.code32
	.globl _start
_start:
	mov	$stack_top, %esp
	mov	24(%ebx), %esi		// hvm_start_info.cmdline_paddr
	movzbl	(%esi), %edi
	mov	$machine_check, %eax
	mov	%ax, gate_mc
	shr	$16, %eax
	mov	%ax, gate_mc + 6
	lgdt	gdt_ptr
	lidt	idt_ptr
	ljmp	$CODE, $1f
1:	mov	$DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss

	cmp	$'t', %edi
	je	fault
	cmp	$'c', %edi
	je	cap
	cmp	$'n', %edi
	je	touch
	mov	$-1, %eax		// MCG_CTL, MC9_CTL: report all
	mov	$-1, %edx
	mov	$0x17b, %ecx
	wrmsr
	mov	$0x400 + 4 * 9, %ecx
	wrmsr
	mov	%cr4, %eax
	or	$0x40, %eax		// CR4.MCE
	mov	%eax, %cr4

	cmp	$'p', %edi
	je	poll
touch:	cmp	$'w', %edi
	je	write
	mov	$0x22222222, %ecx
	mov	$0x33333333, %edx
	mov	$0x44444444, %ebx
	mov	$0x55555555, %ebp
	mov	$LOST, %esi
	mov	$read, %eax
	cmp	$'s', %edi
	jne	1f
	mov	$read_string, %eax
1:	cmp	$'d', %edi
	jne	1f
	mov	$read_segment, %eax
1:	cmp	$'o', %edi
	jne	1f
	mov	$write_port, %eax
	mov	$0xf4, %edx
1:	cmp	$'x', %edi
	jne	1f
	mov	$LOST + 0xffe, %esi
	mov	$write_port, %eax
	mov	$0xf4, %edx
1:	cmp	$'m', %edi
	jne	1f
	mov	$move_string, %eax
	mov	$LOST + 0x800, %edi
1:	mov	%eax, BEFORE + 32	// EIP
	mov	%ecx, BEFORE + 4
	mov	%edx, BEFORE + 8
	mov	%ebx, BEFORE + 12
	mov	%esp, BEFORE + 16
	mov	%ebp, BEFORE + 20
	mov	%esi, BEFORE + 24
	mov	%edi, BEFORE + 28
	movl	$DATA, BEFORE + 36
	movl	$0x11111111, BEFORE
	mov	$0x11111111, %eax
	cld
	jmp	*BEFORE + 32
read:	mov	LOST, %eax
	jmp	survived
read_string:
	lodsl
	jmp	survived
read_segment:
	mov	LOST, %ds
	jmp	survived
write_port:
	outsl
	jmp	survived
move_string:
	movsl
	jmp	survived
write:	movl	$0x55aa55aa, LOST
survived:
	mov	%eax, RESULT
	mov	$1, %eax
	jmp	end

cap:	mov	$0x179, %ecx		// MCG_CAP
	rdmsr
	jmp	survived

poll:	mov	$0x179, %ecx
	rdmsr
	jmp	poll

fault:	lidt	no_idt
	mov	$-1, %eax		// bits that CR4 doesn't have
	mov	%eax, %cr4

machine_check:
	mov	%eax, %ss:AFTER
	mov	%ds, %eax
	movzwl	%ax, %eax
	mov	%eax, %ss:AFTER + 36
	mov	$DATA, %eax		// DS may be null
	mov	%eax, %ds
	mov	%ecx, AFTER + 4
	mov	%edx, AFTER + 8
	mov	%ebx, AFTER + 12
	lea	12(%esp), %eax		// EIP, CS, EFLAGS were pushed
	mov	%eax, AFTER + 16
	mov	%ebp, AFTER + 20
	mov	%esi, AFTER + 24
	mov	%edi, AFTER + 28
	mov	(%esp), %eax
	mov	%eax, AFTER + 32
	mov	$0x17a, %ecx		// MCG_STATUS
	rdmsr
	mov	%eax, RESULT
	mov	%edx, RESULT + 4
	mov	$0x401 + 4 * 9, %ecx	// MC9_STATUS, ADDR, MISC
	mov	$RESULT + 8, %edi
next:	rdmsr
	mov	%eax, (%edi)
	mov	%edx, 4(%edi)
	add	$8, %edi
	inc	%ecx
	cmp	$0x404 + 4 * 9, %ecx
	jne	next
	mov	$42, %eax
end:	mov	$0xf4, %edx
	outl	%eax, %dx
	jmp	end

	.data
	.balign 8
gdt:	.quad 0
	.quad 0x00cf9b000000ffff	// CODE
	.quad 0x00cf93000000ffff	// DATA
gdt_ptr:
	.word . - gdt - 1
	.long gdt
	.balign 8
idt:	.fill 18, 8, 0
gate_mc:
	.word 0, CODE, 0x8e00, 0	// 18: interrupt gate, filled in above
idt_end:
	.balign 4
idt_ptr:
	.word idt_end - idt - 1
	.long idt
no_idt:
	.word 0
	.long 0

	.bss
	.balign 16
	.skip 4096
stack_top:
