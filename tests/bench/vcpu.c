// SPDX-License-Identifier: MIT
/*
 * vcpu.c - A vCPU that reads pages and measures each access
 *
 * The guest is a loop of a dozen instructions in long mode at CPL 3. There is
 * no kernel under it; its state is set from outside, because some KVM backends
 * emulate ring 0, which would hide what is measured. It needs no system call
 * and no I/O port; a store to an address without memory ends it
 * (KVM_EXIT_MMIO).
 *
 * With an in-kernel interrupt controller and interrupts on, as in every real
 * machine, KVM lets a kernel worker fetch a missing page while the vCPU halts
 * (asynchronous page faults, arch/x86/kvm/mmu/mmu.c: kvm_can_do_async_pf()):
 * one more thread to wake. Without them the vCPU's own thread waits.
 *
 * Guest physical memory, mapped one to one by 2 MiB pages:
 *
 *   0         1 MiB: page tables, GDT, code, list of addresses, results
 *   256 MiB   the range that is read, another memory slot
 *   1008 MiB  no memory: the store's address
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include "limits.h"

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

/* Page table bits (SDM vol. 3, 4.5; APM vol. 2, 5.3) */
#define PTE_TABLE	0x27UL		/* P RW US A */
#define PTE_LARGE	0xe7UL		/* and D, PS */

#define CR0_BITS	0x80010033UL	/* PG WP NE ET MP PE */
#define CR4_BITS	0x220UL		/* OSFXSR PAE */
#define EFER_BITS	0xd01UL		/* NX LMA LME SCE */
#define RFLAGS_1	0x2UL
#define RFLAGS_IF	0x200UL
#define USER_CS		0x33
#define USER_DS		0x2b

/**
 * struct vcpu - The machine and its vCPU
 * @kvm:	/dev/kvm
 * @vm:		VM
 * @fd:		vCPU
 * @run:	its shared page
 * @low:	guest memory at 0
 * @pages:	pages to read
 */
struct vcpu {
	int kvm, vm, fd;
	struct kvm_run *run;
	char *low;
	size_t pages;
};

/*
 * The guest's program: rsi list of addresses, rdi results (TSC ticks), rcx
 * their number, r10 address of the final store. LFENCE orders RDTSC and the
 * load on CPUs of both vendors.
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

static void low_fill(struct vcpu *v, const uint32_t *order)
{
	uint64_t *list = (uint64_t *)(v->low + GPA_LIST);
	uint64_t *pd = (uint64_t *)(v->low + GPA_PD);
	uint64_t *gdt = (uint64_t *)(v->low + GPA_GDT);

	*(uint64_t *)(v->low + GPA_PML4) = GPA_PDPT | PTE_TABLE;
	*(uint64_t *)(v->low + GPA_PDPT) = GPA_PD | PTE_TABLE;
	for (size_t i = 0; i < 512; i++)
		pd[i] = i * 2 * MIB | PTE_LARGE;
	gdt[USER_DS / 8] = 0x00cff3000000ffff;	/* data, DPL 3 */
	gdt[USER_CS / 8] = 0x00affb000000ffff;	/* 64-bit code, DPL 3 */
	memcpy(v->low + GPA_CODE, guest_code,
	       (uintptr_t)guest_code_end - (uintptr_t)guest_code);
	for (size_t i = 0; i < v->pages; i++)
		list[i] = GPA_REGION + order[i] * PAGE;
}

/* An ioctl() that must succeed once KVM has created a VM */
static int kvm_ioctl(int fd, const char *name, unsigned long request, void *arg)
{
	int rc = ioctl(fd, request, arg);

	if (rc < 0)
		err(1, "%s", name);
	return rc;
}

#define KVM_CALL(fd, request, arg) \
	kvm_ioctl(fd, #request, request, (void *)(uintptr_t)(arg))

static void slot_set(struct vcpu *v, int slot, uint64_t gpa, void *mem,
		     size_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)mem,
	};

	KVM_CALL(v->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void state_set(struct vcpu *v, bool irqs)
{
	struct kvm_segment data = {
		.selector = USER_DS, .type = 0x3, .limit = 0xffffffff,
		.present = 1, .dpl = 3, .s = 1, .g = 1, .db = 1,
	};
	struct kvm_regs regs = {
		.rip = GPA_CODE, .rsi = GPA_LIST, .rdi = GPA_RESULTS,
		.rcx = v->pages, .r10 = GPA_DONE,
		.rflags = RFLAGS_1 | (irqs ? RFLAGS_IF : 0),
	};
	struct kvm_sregs s;

	KVM_CALL(v->fd, KVM_GET_SREGS, &s);
	s.cr0 = CR0_BITS;
	s.cr3 = GPA_PML4;
	s.cr4 = CR4_BITS;
	s.efer = EFER_BITS;
	s.gdt = (struct kvm_dtable){ .base = GPA_GDT, .limit = 0xff };
	s.ds = s.es = s.fs = s.gs = s.ss = s.cs = data;
	s.cs.selector = USER_CS;
	s.cs.type = 0xb;
	s.cs.l = 1;
	s.cs.db = 0;
	KVM_CALL(v->fd, KVM_SET_SREGS, &s);
	KVM_CALL(v->fd, KVM_SET_REGS, &regs);
}

/* Long mode needs CPUID: pass the host's */
static void cpuid_set(struct vcpu *v)
{
	enum { ENTRIES = 256 };
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) +
					  ENTRIES * sizeof(cpuid->entries[0]));

	if (!cpuid)
		err(1, "calloc");
	cpuid->nent = ENTRIES;
	KVM_CALL(v->kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	KVM_CALL(v->fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

struct vcpu *vcpu_open(void *region, size_t pages, const uint32_t *order,
		       bool irqs)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	struct vcpu *v = calloc(1, sizeof(*v));

	if (!v || pages > MAX_PAGES)
		errx(1, "no vCPU for %zu pages", pages);
	if (vm < 0)
		err(UNAVAILABLE, "/dev/kvm");
	*v = (struct vcpu){ kvm, vm, .low = mem_map(LOW_SIZE), .pages = pages };
	low_fill(v, order);
	/* Some Intel CPUs need it; it is harmless on all others */
	KVM_CALL(vm, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	if (irqs)
		KVM_CALL(vm, KVM_CREATE_IRQCHIP, 0);
	v->fd = KVM_CALL(vm, KVM_CREATE_VCPU, 0);
	v->run = mmap(NULL, KVM_CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
		      PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED)
		err(1, "mmap of the vCPU");
	cpuid_set(v);
	slot_set(v, 0, 0, v->low, LOW_SIZE);
	slot_set(v, 1, GPA_REGION, region, pages * PAGE);
	state_set(v, irqs);
	return v;
}

/* Ticks of the TSC in a microsecond, against the monotonic clock */
static double tsc_per_us(void)
{
	static double rate;
	uint64_t t0 = now_ns(), c0 = __rdtsc();

	if (!rate) {
		usleep(50000);
		rate = (__rdtsc() - c0) * 1000.0 / (now_ns() - t0);
	}
	return rate;
}

void vcpu_touch(struct vcpu *v, double *us)
{
	const uint64_t *ticks = (uint64_t *)(v->low + GPA_RESULTS);
	double rate = tsc_per_us(), sum = 0, wall;
	uint64_t t0 = now_ns();

	while (ioctl(v->fd, KVM_RUN, 0) < 0)
		if (errno != EINTR)
			err(1, "KVM_RUN");
	wall = (now_ns() - t0) / 1000.0;
	if (v->run->exit_reason != KVM_EXIT_MMIO ||
	    v->run->mmio.phys_addr != GPA_DONE)
		errx(1, "unexpected KVM exit %u", v->run->exit_reason);
	for (size_t i = 0; i < v->pages; i++) {
		us[i] = ticks[i] / rate;
		sum += us[i];
	}
	/* A guest clock that runs at another rate would show up here */
	if (sum > wall * 1.01 || sum < wall / 2)
		warnx("%.0f us by the guest's TSC, %.0f by the clock: one of them is wrong, or this thread did not run",
		      sum, wall);
}
