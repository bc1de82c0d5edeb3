// SPDX-License-Identifier: MIT
/*
 * bench-limits: a vCPU that touches pages and takes the time of each
 *
 * The guest is a loop of a dozen instructions in long mode. It runs at CPL 3:
 * there is no kernel under it, the state is set from outside, because some
 * KVM backends emulate ring 0 and would hide what is measured. It needs no
 * system call and no I/O port, and gets no interrupt; a store to an address
 * without memory ends it (KVM_EXIT_MMIO).
 *
 * With an interrupt controller in the kernel and interrupts on, as every real
 * machine has them, KVM has a kernel worker fetch a missing page while the
 * vCPU halts (asynchronous page faults, arch/x86/kvm/mmu/mmu.c:
 * kvm_can_do_async_pf()): one more sleeper to wake. Without them the vCPU's
 * own thread waits.
 *
 * Guest physical memory, mapped one to one by 2 MiB pages:
 *
 *   0         1 MiB: page tables, GDT, code, list of addresses, results
 *   256 MiB   the range that is touched, another memory slot
 *   1008 MiB  nothing: where the store goes
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bench-limits.h"

#define LOW_SIZE	MIB
#define GPA_PML4	0x1000UL
#define GPA_PDPT	0x2000UL
#define GPA_PD		0x3000UL
#define GPA_GDT		0x4000UL
#define GPA_CODE	0x10000UL
#define GPA_LIST	0x20000UL
#define GPA_RESULTS	0x80000UL
#define GPA_REGION	(256 * MIB)
#define GPA_DONE	(1008 * MIB)
#define MAX_PAGES	((GPA_RESULTS - GPA_LIST) / sizeof(uint64_t))

/* Page table bits (SDM vol. 3, 4.5; APM vol. 2, 5.3): the same for both */
#define PTE_P		(1UL << 0)
#define PTE_RW		(1UL << 1)
#define PTE_US		(1UL << 2)
#define PTE_A		(1UL << 5)
#define PTE_D		(1UL << 6)
#define PTE_PS		(1UL << 7)
#define PTE_TABLE	(PTE_P | PTE_RW | PTE_US | PTE_A)
#define PTE_PAGE	(PTE_TABLE | PTE_D | PTE_PS)

#define CR0_PE_MP_ET_NE_WP_PG	0x80010033UL
#define CR4_PAE_OSFXSR		0x220UL
#define EFER_SCE_LME_LMA_NX	0xd01UL
#define RFLAGS_1		0x2UL
#define RFLAGS_IF		0x202UL
#define USER_CS			0x33
#define USER_DS			0x2b

/**
 * struct vcpu - The machine, its one vCPU, and the clock
 * @kvm:	/dev/kvm
 * @vm:		VM
 * @fd:		vCPU
 * @run:	Its shared page
 * @run_size:	Bytes of that
 * @low:	Guest memory at 0
 * @pages:	Pages to touch
 * @irqs:	It has an interrupt controller, and interrupts are on
 */
struct vcpu {
	int kvm, vm, fd;
	struct kvm_run *run;
	size_t run_size;
	char *low;
	size_t pages;
	bool irqs;
};

/*
 * The guest's program: rsi list of addresses, rdi results (TSC ticks), rcx
 * how many, r10 where to store when done. LFENCE keeps RDTSC and load in
 * order on both vendors' CPUs.
 */
extern const char guest_code[], guest_code_end[];

__asm__(".pushsection .rodata\n"
	"guest_code:\n"
	"1:	mov	(%rsi), %rbx\n"
	"	lfence\n"
	"	rdtsc\n"
	"	lfence\n"
	"	shl	$32, %rdx\n"
	"	lea	(%rax,%rdx), %r8\n"
	"	mov	(%rbx), %r9\n"
	"	lfence\n"
	"	rdtsc\n"
	"	shl	$32, %rdx\n"
	"	add	%rdx, %rax\n"
	"	sub	%r8, %rax\n"
	"	mov	%rax, (%rdi)\n"
	"	add	$8, %rsi\n"
	"	add	$8, %rdi\n"
	"	dec	%rcx\n"
	"	jnz	1b\n"
	"	mov	%rax, (%r10)\n"
	"2:	jmp	2b\n"
	"guest_code_end:\n"
	".popsection\n");

static void fill_low(struct vcpu *v, const uint32_t *order)
{
	uint64_t *list = (uint64_t *)(v->low + GPA_LIST);
	uint64_t *pd = (uint64_t *)(v->low + GPA_PD);
	uint64_t *gdt = (uint64_t *)(v->low + GPA_GDT);
	size_t i;

	*(uint64_t *)(v->low + GPA_PML4) = GPA_PDPT | PTE_TABLE;
	*(uint64_t *)(v->low + GPA_PDPT) = GPA_PD | PTE_TABLE;
	for (i = 0; i < 512; i++)
		pd[i] = i * 2 * MIB | PTE_PAGE;
	gdt[USER_DS / 8] = 0x00cff3000000ffff;	/* data, DPL 3 */
	gdt[USER_CS / 8] = 0x00affb000000ffff;	/* 64-bit code, DPL 3 */
	memcpy(v->low + GPA_CODE, guest_code, guest_code_end - guest_code);
	for (i = 0; i < v->pages; i++)
		list[i] = GPA_REGION + order[i] * PAGE;
}

static int add_slot(struct vcpu *v, int slot, uint64_t gpa, void *mem,
		    size_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)mem,
	};

	return ioctl(v->vm, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

static struct kvm_segment user_segment(int selector, int type, bool code)
{
	return (struct kvm_segment){
		.selector = selector,
		.type = type,
		.limit = 0xffffffff,
		.present = 1, .dpl = 3, .s = 1, .g = 1,
		.l = code, .db = !code,
	};
}

static int set_state(struct vcpu *v)
{
	struct kvm_regs regs = {
		.rip = GPA_CODE,
		.rsi = GPA_LIST,
		.rdi = GPA_RESULTS,
		.rcx = v->pages,
		.r10 = GPA_DONE,
		.rflags = v->irqs ? RFLAGS_IF : RFLAGS_1,
	};
	struct kvm_sregs s;

	if (ioctl(v->fd, KVM_GET_SREGS, &s))
		return -errno;
	s.cr0 = CR0_PE_MP_ET_NE_WP_PG;
	s.cr3 = GPA_PML4;
	s.cr4 = CR4_PAE_OSFXSR;
	s.efer = EFER_SCE_LME_LMA_NX;
	s.gdt = (struct kvm_dtable){ .base = GPA_GDT, .limit = 0xff };
	s.cs = user_segment(USER_CS, 0xb, true);
	s.ds = s.es = s.fs = s.gs = s.ss = user_segment(USER_DS, 0x3, false);
	if (ioctl(v->fd, KVM_SET_SREGS, &s) ||
	    ioctl(v->fd, KVM_SET_REGS, &regs))
		return -errno;
	return 0;
}

/* The guest's CPUID is the host's, or long mode could not be had */
static int set_cpuid(struct vcpu *v)
{
	struct kvm_cpuid2 *cpuid;
	int nent = 256, rc = 0;

	cpuid = calloc(1, sizeof(*cpuid) + nent * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = nent;
	if (ioctl(v->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) ||
	    ioctl(v->fd, KVM_SET_CPUID2, cpuid))
		rc = -errno;
	free(cpuid);
	return rc;
}

static int make_vm(struct vcpu *v)
{
	v->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (v->kvm < 0)
		return -errno;
	v->vm = ioctl(v->kvm, KVM_CREATE_VM, 0);
	if (v->vm < 0)
		return -errno;
	/* Needed on some Intel CPUs, out of the way on all others */
	ioctl(v->vm, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	if (v->irqs && ioctl(v->vm, KVM_CREATE_IRQCHIP))
		return -errno;
	v->fd = ioctl(v->vm, KVM_CREATE_VCPU, 0);
	if (v->fd < 0)
		return -errno;
	v->run_size = ioctl(v->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	v->run = mmap(NULL, v->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return -errno;
	}
	return set_cpuid(v);
}

/**
 * vcpu_open() - Make a vCPU ready to touch a range
 * @out:	Where it goes; nothing on failure
 * @region:	The range, which may have no pages yet
 * @pages:	Its pages
 * @order:	Page numbers in the order of touching
 * @irqs:	With an interrupt controller in the kernel, and interrupts on
 *
 * Return: 0, -EINVAL when there are too many pages, or the -errno of
 * /dev/kvm: -ENOENT and -EACCES say that there is no KVM to be had
 */
int vcpu_open(struct vcpu **out, void *region, size_t pages,
	      const uint32_t *order, bool irqs)
{
	struct vcpu *v;
	int rc;

	if (pages > MAX_PAGES)
		return -EINVAL;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->kvm = v->vm = v->fd = -1;
	v->pages = pages;
	v->irqs = irqs;
	v->low = map_filled(LOW_SIZE);
	fill_low(v, order);
	rc = make_vm(v);
	if (!rc)
		rc = add_slot(v, 0, 0, v->low, LOW_SIZE);
	if (!rc)
		rc = add_slot(v, 1, GPA_REGION, region, pages * PAGE);
	if (!rc)
		rc = set_state(v);
	if (rc)
		vcpu_close(v);
	else
		*out = v;
	return rc;
}

/* Ticks of the TSC in a microsecond, against the monotonic clock */
static double tsc_per_us(void)
{
	static double rate;
	uint64_t t0, c0;

	if (rate)
		return rate;
	t0 = now_ns();
	c0 = __rdtsc();
	usleep(50000);
	rate = (__rdtsc() - c0) * 1000.0 / (now_ns() - t0);
	return rate;
}

/**
 * vcpu_touch() - Run the guest in the calling thread until all is touched
 * @v:		vCPU from vcpu_open(), not yet run
 * @us:		Filled with the time of each touch, microseconds
 */
void vcpu_touch(struct vcpu *v, double *us)
{
	const uint64_t *ticks = (uint64_t *)(v->low + GPA_RESULTS);
	double rate = tsc_per_us(), sum = 0, wall;
	uint64_t t0 = now_ns();
	size_t i;

	while (ioctl(v->fd, KVM_RUN, 0) < 0)
		if (errno != EINTR)
			die("KVM_RUN: %s", strerror(errno));
	wall = (now_ns() - t0) / 1000.0;
	if (v->run->exit_reason != KVM_EXIT_MMIO ||
	    v->run->mmio.phys_addr != GPA_DONE)
		die("the guest stopped where it should not: KVM exit %u",
		    v->run->exit_reason);
	for (i = 0; i < v->pages; i++) {
		us[i] = ticks[i] / rate;
		sum += us[i];
	}
	/* A guest clock that runs at another rate would show up here */
	if (sum > wall * 1.01 || sum < wall / 2)
		fprintf(stderr, "bench-limits: the guest's TSC says %.0f us, the clock %.0f: one of them is wrong, or this thread did not run\n",
			sum, wall);
}

/**
 * vcpu_close() - Take the machine down
 * @v:		vCPU from vcpu_open()
 */
void vcpu_close(struct vcpu *v)
{
	if (v->run)
		munmap(v->run, v->run_size);
	if (v->fd >= 0)
		close(v->fd);
	if (v->vm >= 0)
		close(v->vm);
	if (v->kvm >= 0)
		close(v->kvm);
	munmap(v->low, LOW_SIZE);
	free(v);
}
