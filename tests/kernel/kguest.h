/* SPDX-License-Identifier: MIT
 *
 * kguest.h - A KVM guest of a few bytes, for the tests/kernel programs
 *
 * Theory of operation
 *
 * One vCPU in long mode. No boot code runs: page tables, segments and registers
 * are set from outside. It runs in ring 3 by default, because a nested KVM may
 * emulate ring 0, and an emulated access is not an access of the vCPU. The
 * guest executes one of a few instructions with the operands in RDI and RSI.
 * To exit, it then stores AL at GUEST_MMIO, an address without memory: that is
 * the only exit from ring 3 that needs no I/O permission.
 *
 *	guest physical = guest linear
 *	0x00000000	64 KiB of its own: tables, code
 *	GUEST_RAM	the mapping under test
 *	GUEST_MMIO	nothing
 */
#ifndef FERRY_TESTS_KERNEL_KGUEST_H
#define FERRY_TESTS_KERNEL_KGUEST_H

#include <linux/kvm.h>

#include "ktest.h"

#define GUEST_RAM	0x200000UL
#define GUEST_MMIO	0x30000000UL

/** struct guest - One VM with one vCPU
 * @kvm:	/dev/kvm
 * @vm:		the VM
 * @vcpu:	the vCPU
 * @run:	its shared page
 * @low:	host address of guest address 0
 */
struct guest {
	int kvm;
	int vm;
	int vcpu;
	struct kvm_run *run;
	unsigned char *low;
};

/** enum guest_op - What the guest can do; each is followed by the way out
 * @OP_READ:	AL = byte at RDI
 * @OP_WRITE:	byte at RDI = AL
 * @OP_MOVE:	byte at RDI = byte at RSI (one instruction, MOVSB)
 */
enum guest_op { OP_READ, OP_WRITE, OP_MOVE };

/** struct guest_exit - How one KVM_RUN ended
 * @err:	0 or -errno
 * @reason:	KVM_EXIT_..., where @err is 0
 * @mmio:	address, where @reason is KVM_EXIT_MMIO
 * @write:	that exit is a write
 * @value:	first byte of its data
 * @sigbus:	this thread got a SIGBUS meanwhile
 * @si:		that signal
 */
struct guest_exit {
	int err;
	uint32_t reason;
	uint64_t mmio;
	bool write;
	unsigned char value;
	bool sigbus;
	siginfo_t si;
};

#define GUEST_IRQCHIP	1U	/* in-kernel interrupt controllers */
#define GUEST_RING0	2U	/* start in ring 0 */
#define GUEST_NO_HLT	4U	/* HLT does not leave the guest; else skip */

/* Machine check architecture: SDM vol. 3, chapter 16; APM vol. 2, chapter 9 */
#define MCG_CTL_P	(1ULL << 8)		/* MCG_CAP */
#define MCG_SER_P	(1ULL << 24)
#define MCG_IN_PROGRESS	7ULL			/* MCG_STATUS: MCIP EIPV RIPV */
#define CR4_MCE		0x40ULL
#define MSR_MCG_STATUS	0x17a
#define MSR_MCG_CTL	0x17b
#define MCE_BANK	9U
#define MSR_CTL		(0x400 + 4 * MCE_BANK)
#define MSR_STATUS	(0x401 + 4 * MCE_BANK)
#define MSR_ADDR	(0x402 + 4 * MCE_BANK)
#define MSR_MISC	(0x403 + 4 * MCE_BANK)
#define AR_INTEL	0xbd80000000000134ULL	/* MCi_STATUS, UC, consumed */
#define AR_AMD		0xbc00080000000000ULL
#define AO_AMD		0x9c00180000000000ULL	/* deferred: UC clear */

void guest_create(struct guest *g, struct mapping *m, unsigned flags);
void guest_set(struct guest *g, enum guest_op op, uint64_t rdi, uint64_t rsi);
struct guest_exit guest_run(struct guest *g);
struct guest_exit guest_access(struct guest *g, enum guest_op op, uint64_t gpa);
bool guest_done(const struct guest_exit *e);
uint64_t guest_msr(struct guest *g, uint32_t index);
int guest_set_msr(struct guest *g, uint32_t index, uint64_t value);
uint64_t guest_mce_cap(struct guest *g);
void guest_mce_create(struct guest *g, struct mapping *m, unsigned flags,
		      bool cr4_mce);
int guest_mce(struct guest *g, uint64_t status);

#endif /* FERRY_TESTS_KERNEL_KGUEST_H */
