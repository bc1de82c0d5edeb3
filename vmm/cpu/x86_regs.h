/* SPDX-License-Identifier: MIT */
/*
 * x86_regs.h - Bits of x86 registers, and numbers of MSRs (pure)
 *
 * Those of machine checks are in x86_mce.h. Sources: Intel SDM vol. 3, "Control
 * Registers"; AMD APM vol. 2; Documentation/virt/kvm/x86/msr.rst of the kernel.
 */
#ifndef FERRY_X86_REGS_H
#define FERRY_X86_REGS_H

#define CR0_PE		(1ull << 0)
#define CR0_ET		(1ull << 4)
#define CR0_PG		(1ull << 31)
#define CR4_PAE		(1ull << 5)
#define CR4_MCE		(1ull << 6)
#define CR4_LA57	(1ull << 12)
#define EFER_LME	(1ull << 8)
#define EFER_LMA	(1ull << 10)
#define RFLAGS_FIXED	(1ull << 1)	/* always one */
#define RFLAGS_IF	(1ull << 9)

#define MSR_TSC				0x10
#define MSR_ARCH_CAPABILITIES		0x10a
#define MSR_PERF_CAPABILITIES		0x345
#define MSR_HV_TIME			0x40000020	/* HV_X64_MSR_TIME_REF_COUNT */
#define MSR_KVM_SYSTEM_TIME		0x4b564d01
#define MSR_KERNEL_GS_BASE		0xc0000102

#endif /* FERRY_X86_REGS_H */
