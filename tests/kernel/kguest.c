// SPDX-License-Identifier: MIT
/*
 * kguest.c - A KVM guest of a few bytes (see kguest.h)
 */
#include <fcntl.h>
#include <stdlib.h>

#include "kguest.h"

#define LOW_SIZE	0x10000UL
#define LOW_PML4	0x1000UL
#define LOW_PDPT	0x2000UL
#define LOW_PD		0x3000UL
#define LOW_CODE	0x4000UL
#define LOW_GDT		0x5000UL
#define LOW_TSS		0x6000UL
#define LOW_STACK	0x8000UL

/* Page table bits (SDM vol. 3, 4.5): present, writable, user; 2 MiB page */
#define PT_LINK		0x7UL
#define PT_LARGE	0x87UL

#define CR0_BITS	0x80010033UL	/* PG WP NE ET MP PE */
#define CR4_BITS	0x620UL		/* OSXMMEXCPT OSFXSR PAE */
#define EFER_BITS	0x501UL		/* LMA LME SCE */

#define CODE_STEP	16UL

/* mov (%rdi),%al | mov %al,(%rdi) | movsb; then mov %al,GUEST_MMIO in RDX */
static const unsigned char code[][4] = {
	[OP_READ]	= { 0x8a, 0x07, 0x88, 0x02 },
	[OP_WRITE]	= { 0x88, 0x07, 0x88, 0x02 },
	[OP_MOVE]	= { 0xa4, 0x90, 0x88, 0x02 },
};

static void low_fill(unsigned char *low)
{
	uint64_t *pml4 = (uint64_t *)(low + LOW_PML4);
	uint64_t *pdpt = (uint64_t *)(low + LOW_PDPT);
	uint64_t *pd = (uint64_t *)(low + LOW_PD);
	uint64_t *gdt = (uint64_t *)(low + LOW_GDT);
	const uint64_t rsp0 = LOW_STACK;

	pml4[0] = LOW_PDPT | PT_LINK;
	pdpt[0] = LOW_PD | PT_LINK;
	for (uint64_t i = 0; i < 512; i++)
		pd[i] = i << 21 | PT_LARGE;
	/* No instruction loads these, but KVM may check the cached registers */
	gdt[1] = 0x00af9b000000ffff;	/* 0x08 code, ring 0 */
	gdt[2] = 0x00cf93000000ffff;	/* 0x10 data, ring 0 */
	gdt[3] = 0x00cff3000000ffff;	/* 0x1b data, ring 3 */
	gdt[4] = 0x00affb000000ffff;	/* 0x23 code, ring 3 */
	gdt[5] = 0x00008b0000000067 | LOW_TSS << 16;	/* 0x28 busy TSS */
	memcpy(low + LOW_TSS + 4, &rsp0, sizeof(rsp0));
	for (size_t op = 0; op < ARRAY_SIZE(code); op++)
		memcpy(low + LOW_CODE + op * CODE_STEP, code[op],
		       sizeof(code[op]));
}

static void segments_set(struct kvm_sregs *s, unsigned dpl)
{
	struct kvm_segment cs = {
		.limit = 0xffffffff, .selector = dpl ? 0x23 : 0x08,
		.type = 11, .present = 1, .dpl = (__u8)dpl, .s = 1, .l = 1,
		.g = 1,
	};
	struct kvm_segment ds = {
		.limit = 0xffffffff, .selector = dpl ? 0x1b : 0x10,
		.type = 3, .present = 1, .dpl = (__u8)dpl, .s = 1, .db = 1,
		.g = 1,
	};

	s->cs = cs;
	s->ds = s->es = s->fs = s->gs = s->ss = ds;
	s->tr = (struct kvm_segment){
		.base = LOW_TSS, .limit = 0x67, .selector = 0x28, .type = 11,
		.present = 1,
	};
	s->gdt = (struct kvm_dtable){ .base = LOW_GDT, .limit = 0x2f };
	s->cr0 = CR0_BITS;
	s->cr3 = LOW_PML4;
	s->cr4 = CR4_BITS;
	s->efer = EFER_BITS;
}

static void slot_set(struct guest *g, uint32_t slot, uint64_t gpa, void *hva,
		     size_t len)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = len,
		.userspace_addr = (uintptr_t)hva,
	};

	CHECK(!ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &r),
	      "KVM_SET_USER_MEMORY_REGION: %m");
}

static void cpuid_set(struct guest *g)
{
	enum { MAX = 256 };
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) +
				      MAX * sizeof(c->entries[0]));

	CHECK(c, "out of memory");
	c->nent = MAX;
	CHECK(!ioctl(g->kvm, KVM_GET_SUPPORTED_CPUID, c),
	      "KVM_GET_SUPPORTED_CPUID: %m");
	CHECK(!ioctl(g->vcpu, KVM_SET_CPUID2, c), "KVM_SET_CPUID2: %m");
	free(c);
}

static void hlt_exits_off(struct guest *g)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_DISABLE_EXITS,
		.args = { KVM_X86_DISABLE_EXITS_HLT },
	};

	if (ioctl(g->vm, KVM_ENABLE_CAP, &cap))
		SKIP("KVM cannot leave HLT to the guest: "
		     "KVM_CAP_X86_DISABLE_EXITS: %m");
}

static void vcpu_create(struct guest *g, unsigned ring)
{
	struct kvm_sregs s;
	int size;

	g->vcpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
	CHECK(g->vcpu >= 0, "KVM_CREATE_VCPU: %m");
	size = ioctl(g->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	CHECK(size > 0, "KVM_GET_VCPU_MMAP_SIZE: %m");
	g->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      g->vcpu, 0);
	CHECK(g->run != MAP_FAILED, "mmap of the vCPU: %m");
	cpuid_set(g);
	CHECK(!ioctl(g->vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS: %m");
	segments_set(&s, ring);
	CHECK(!ioctl(g->vcpu, KVM_SET_SREGS, &s), "KVM_SET_SREGS: %m");
}

/**
 * guest_create() - Make the VM, or skip the case if there is no KVM
 * @g:		filled in
 * @m:		the memory at GUEST_RAM
 * @flags:	GUEST_...
 */
void guest_create(struct guest *g, struct mapping *m, unsigned flags)
{
	g->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (g->kvm < 0)
		SKIP("/dev/kvm: %m: load kvm-intel or kvm-amd, and run as root "
		     "or as a member of group kvm");
	g->vm = ioctl(g->kvm, KVM_CREATE_VM, 0);
	CHECK(g->vm >= 0, "KVM_CREATE_VM: %m");
	if (flags & GUEST_IRQCHIP)
		CHECK(!ioctl(g->vm, KVM_CREATE_IRQCHIP), "KVM_CREATE_IRQCHIP: "
		      "%m");
	if (flags & GUEST_NO_HLT)
		hlt_exits_off(g);
	g->low = mmap(NULL, LOW_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(g->low != MAP_FAILED, "mmap: %m");
	low_fill(g->low);
	slot_set(g, 0, 0, g->low, LOW_SIZE);
	slot_set(g, 1, GUEST_RAM, m->addr, m->len);
	vcpu_create(g, flags & GUEST_RING0 ? 0 : 3);
}

/**
 * guest_set() - Make the vCPU's next instruction @op
 * @g:		guest
 * @op:		the instruction
 * @rdi:	its operand
 * @rsi:	the source of OP_MOVE
 */
void guest_set(struct guest *g, enum guest_op op, uint64_t rdi, uint64_t rsi)
{
	struct kvm_regs r = {
		.rip = LOW_CODE + op * CODE_STEP, .rdi = rdi, .rsi = rsi,
		.rdx = GUEST_MMIO, .rax = 0x5a, .rsp = LOW_STACK,
		.rflags = 0x202,
	};

	CHECK(!ioctl(g->vcpu, KVM_SET_REGS, &r), "KVM_SET_REGS: %m");
}

/**
 * guest_run() - KVM_RUN, once
 * @g:		guest
 *
 * Return: how it ended
 */
struct guest_exit guest_run(struct guest *g)
{
	struct guest_exit e = { 0 };

	last_sigbus(&e.si);
	e.err = ioctl(g->vcpu, KVM_RUN, 0) ? -errno : 0;
	e.sigbus = last_sigbus(&e.si);
	e.reason = g->run->exit_reason;
	if (!e.err && e.reason == KVM_EXIT_MMIO) {
		e.mmio = g->run->mmio.phys_addr;
		e.write = g->run->mmio.is_write;
		e.value = g->run->mmio.data[0];
	}
	return e;
}

/**
 * guest_access() - Let the vCPU read or write one byte, and exit
 * @g:		guest
 * @op:		OP_READ or OP_WRITE
 * @gpa:	where
 *
 * Return: how KVM_RUN ended
 */
struct guest_exit guest_access(struct guest *g, enum guest_op op, uint64_t gpa)
{
	struct guest_exit e;

	guest_set(g, op, gpa, 0);
	e = guest_run(g);
	if (guest_done(&e)) {
		/* Complete the exit, so that registers can be set again */
		g->run->immediate_exit = 1;
		guest_run(g);
		g->run->immediate_exit = 0;
	}
	return e;
}

/**
 * guest_done() - Did the guest complete its instruction, and exit?
 * @e:		how KVM_RUN ended; @e->value is the guest's AL
 */
bool guest_done(const struct guest_exit *e)
{
	return !e->err && e->reason == KVM_EXIT_MMIO && e->mmio == GUEST_MMIO &&
	       e->write;
}

/* One entry for KVM_GET_MSRS or KVM_SET_MSRS, in a buffer of MSR_SIZE */
#define MSR_SIZE (sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry))

static struct kvm_msrs *one_msr(void *buf, uint32_t index, uint64_t value)
{
	struct kvm_msrs *m = memset(buf, 0, MSR_SIZE);

	m->nmsrs = 1;
	m->entries[0].index = index;
	m->entries[0].data = value;
	return m;
}

/**
 * guest_msr() - Read one MSR
 * @g:		guest
 * @index:	its number
 *
 * Return: the value; failure ends the case
 */
uint64_t guest_msr(struct guest *g, uint32_t index)
{
	_Alignas(8) char buf[MSR_SIZE];
	struct kvm_msrs *m = one_msr(buf, index, 0);

	CHECK(ioctl(g->vcpu, KVM_GET_MSRS, m) == 1,
	      "KVM_GET_MSRS: MSR 0x%x cannot be read", index);
	return m->entries[0].data;
}

/**
 * guest_set_msr() - Write one MSR
 * @g:		guest
 * @index:	its number
 * @value:	the value
 *
 * Return: 0, -EINVAL if KVM refused it
 */
int guest_set_msr(struct guest *g, uint32_t index, uint64_t value)
{
	_Alignas(8) char buf[MSR_SIZE];
	struct kvm_msrs *m = one_msr(buf, index, value);

	return ioctl(g->vcpu, KVM_SET_MSRS, m) == 1 ? 0 : -EINVAL;
}

/**
 * guest_mce_cap() - The machine check features that KVM supports
 * @g:		guest
 *
 * Return: bits for MCG_CAP; skips the case if there are none
 */
uint64_t guest_mce_cap(struct guest *g)
{
	uint64_t cap = 0;

	if (ioctl(g->kvm, KVM_X86_GET_MCE_CAP_SUPPORTED, &cap))
		SKIP("KVM_X86_GET_MCE_CAP_SUPPORTED: %m");
	return cap;
}

/**
 * guest_mce_create() - Make a guest with MCE_BANK + 1 machine check banks
 * @g:		filled in
 * @m:		the memory at GUEST_RAM
 * @flags:	GUEST_...
 * @cr4_mce:	the guest has set CR4.MCE
 */
void guest_mce_create(struct guest *g, struct mapping *m, unsigned flags,
		      bool cr4_mce)
{
	struct kvm_sregs s;
	uint64_t cap;

	guest_create(g, m, flags);
	cap = (guest_mce_cap(g) & (MCG_CTL_P | MCG_SER_P)) | (MCE_BANK + 1);
	CHECK(!ioctl(g->vcpu, KVM_X86_SETUP_MCE, &cap),
	      "KVM_X86_SETUP_MCE 0x%llx: %m", (unsigned long long)cap);
	CHECK(!ioctl(g->vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS: %m");
	s.cr4 |= cr4_mce ? CR4_MCE : 0;
	CHECK(!ioctl(g->vcpu, KVM_SET_SREGS, &s), "KVM_SET_SREGS: %m");
	guest_set(g, OP_READ, GUEST_RAM, 0);
}

/**
 * guest_mce() - KVM_X86_SET_MCE in bank MCE_BANK, for address GUEST_RAM
 * @g:		guest
 * @status:	MCi_STATUS
 *
 * Return: 0 or -errno
 */
int guest_mce(struct guest *g, uint64_t status)
{
	struct kvm_x86_mce e = {
		.status = status, .addr = GUEST_RAM, .misc = 0x8c,
		.mcg_status = MCG_IN_PROGRESS, .bank = MCE_BANK,
	};

	return ioctl(g->vcpu, KVM_X86_SET_MCE, &e) ? -errno : 0;
}
