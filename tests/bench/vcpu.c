// SPDX-License-Identifier: MIT
/*
 * vcpu.c - A vCPU that reads pages and measures each access
 *
 * The guest of tests/kernel (kguest.h), in ring 3 of long mode, with a program
 * of a dozen instructions in another memory slot. Ring 3, because some KVM
 * backends emulate ring 0, which would hide what is measured.
 *
 * With an in-kernel interrupt controller and interrupts on, as in every real
 * machine, KVM lets a kernel worker fetch a missing page while the vCPU halts
 * (asynchronous page faults, arch/x86/kvm/mmu/mmu.c: kvm_can_do_async_pf()):
 * one more thread to wake. Without them the vCPU's own thread waits.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <x86intrin.h>

#include "limits.h"
#include "tests/kernel/kguest.h"

#define SLOT_GPA	0x20000000UL	/* between GUEST_RAM and GUEST_MMIO */
#define SLOT_SIZE	0x100000UL
#define SLOT_LIST	0x20000UL	/* the code is at 0 */
#define SLOT_RESULTS	0x80000UL
#define MAX_PAGES	((SLOT_RESULTS - SLOT_LIST) / sizeof(uint64_t))
#define RFLAGS_1	0x2UL
#define RFLAGS_IF	0x200UL

static struct guest guest;
static char *slot;

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

/* What kguest.c and kuffd.c need of ktest.c: errors end this program, too */
void ktest_end(int verdict, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vwarnx(fmt, args);
	va_end(args);
	exit(verdict == KTEST_SKIP ? UNAVAILABLE : 1);
}

/* There is no SIGBUS here, and nothing that must not happen */
bool last_sigbus(siginfo_t *si)
{
	(void)si;
	return false;
}

void ktest_rest(void)
{
}

void vcpu_create(void *region, size_t pages, const uint32_t *order, bool irqs)
{
	struct mapping m = { .addr = region, .len = pages * PAGE };
	struct kvm_userspace_memory_region r = {
		.slot = 2, .guest_phys_addr = SLOT_GPA,
		.memory_size = SLOT_SIZE,
	};
	struct kvm_regs regs = {
		.rip = SLOT_GPA, .rsi = SLOT_GPA + SLOT_LIST,
		.rdi = SLOT_GPA + SLOT_RESULTS, .rcx = pages,
		.r10 = GUEST_MMIO, .rflags = RFLAGS_1 | (irqs ? RFLAGS_IF : 0),
	};

	if (pages > MAX_PAGES)
		errx(1, "no vCPU for %zu pages", pages);
	guest_create(&guest, &m, irqs ? GUEST_IRQCHIP : 0);
	slot = mem_map(SLOT_SIZE);
	r.userspace_addr = (uintptr_t)slot;
	memcpy(slot, guest_code,
	       (uintptr_t)guest_code_end - (uintptr_t)guest_code);
	for (size_t i = 0; i < pages; i++)
		((uint64_t *)(slot + SLOT_LIST))[i] =
			GUEST_RAM + order[i] * PAGE;
	if (ioctl(guest.vm, KVM_SET_USER_MEMORY_REGION, &r) ||
	    ioctl(guest.vcpu, KVM_SET_REGS, &regs))
		err(1, "KVM");
}

/* Ticks of the TSC in a microsecond, against the monotonic clock */
static double tsc_per_us(void)
{
	uint64_t t0 = now_ns(), c0 = __rdtsc();

	usleep(50000);
	return (__rdtsc() - c0) * 1000.0 / (now_ns() - t0);
}

void vcpu_touch(double *us, size_t pages)
{
	const uint64_t *ticks = (uint64_t *)(slot + SLOT_RESULTS);
	double rate = tsc_per_us(), sum = 0, wall;
	uint64_t t0 = now_ns();
	struct guest_exit e;

	do {
		e = guest_run(&guest);
	} while (e.err == -EINTR);
	wall = (now_ns() - t0) / 1000.0;
	if (!guest_done(&e))
		errx(1, "unexpected KVM exit %u (%s)", e.reason,
		     strerror(-e.err));
	for (size_t i = 0; i < pages; i++) {
		us[i] = ticks[i] / rate;
		sum += us[i];
	}
	/* A guest clock that runs at another rate would show up here */
	if (sum > wall * 1.01 || sum < wall / 2)
		warnx("%.0f us by the guest's TSC, %.0f by the clock: one of them is wrong, or this thread did not run",
		      sum, wall);
}
