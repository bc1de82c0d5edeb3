// SPDX-License-Identifier: MIT
/*
 * mce.c - Ring 0: machine checks
 *
 * Theory of operation: the handler takes what the banks hold, clears them, and
 * queues it for ring 3 of the same vCPU, which prints and acts (retire.c). How
 * the vCPU goes on depends on what was hit:
 *
 * - the page that ring 3 is visiting (struct cpu, visit_gpa): its registers
 *   are no use any more, since the access can't be completed; it goes on in
 *   context_resume(), that is, at the top of its work loop, which retires the
 *   page, makes it again, and makes the visit again;
 * - nothing that this vCPU consumed (action optional, broadcast): it resumes
 *   where it was, and ring 3 finds the record at its next step;
 * - anything else: the guest ends, and says why.
 *
 * MCIP is cleared last: a machine check while it is set would shut the
 * machine down.
 *
 * Formats: SDM vol. 3, "Machine-Check Architecture"; APM vol. 2, same title.
 */
#include "guest.h"

#define MSR_MCG_CAP		0x179
#define MSR_MCG_STATUS		0x17a
#define MSR_MCG_CTL		0x17b
#define MSR_MC_CTL(bank)	(0x400 + 4 * (bank))
#define MSR_MC_STATUS(bank)	(0x401 + 4 * (bank))
#define MSR_MC_ADDR(bank)	(0x402 + 4 * (bank))
#define MSR_MC_MISC(bank)	(0x403 + 4 * (bank))

#define MCG_CAP_COUNT		0xff
#define MCG_CAP_CTL		(1 << 8)
#define MCG_STATUS_RIPV		1

#define STATUS_VALID		(1ULL << 63)
#define STATUS_UC		(1ULL << 61)
#define STATUS_MISCV		(1ULL << 59)
#define STATUS_ADDRV		(1ULL << 58)
#define STATUS_PCC		(1ULL << 57)
#define STATUS_S		(1ULL << 56)	/* Intel: signalled */
#define STATUS_AR		(1ULL << 55)	/* Intel: action required */
#define STATUS_DEFERRED		(1ULL << 44)	/* AMD */
#define STATUS_POISON		(1ULL << 43)	/* AMD */
#define STATUS_BROADCAST	0xa000000000000000ULL

#define CPUID_MCE		(1 << 7)
#define CPUID_MCA		(1 << 14)

static struct line last_line;

static uint32_t mce_features(void)
{
	uint32_t a = 1, b, c, d;

	asm volatile("cpuid" : "+a" (a), "=b" (b), "=c" (c), "=d" (d));
	return d;
}

/**
 * mce_enable() - Let this vCPU take machine checks, in every bank
 * @c:		vCPU; its number of banks is set
 *
 * Where MCG_CTL or a bank's CTL is not all ones, KVM drops the event; where
 * CR4.MCE is clear, it shuts the machine down.
 */
void mce_enable(struct cpu *c)
{
	uint32_t features = mce_features(), bank;
	uint64_t cr4, cap;

	if (features & CPUID_MCA) {
		cap = rdmsr(MSR_MCG_CAP);
		c->banks = cap & MCG_CAP_COUNT;
		if (cap & MCG_CAP_CTL)
			wrmsr(MSR_MCG_CTL, ~0ULL);
	}
	for (bank = 0; bank < c->banks; bank++) {
		wrmsr(MSR_MC_CTL(bank), ~0ULL);
		wrmsr(MSR_MC_STATUS(bank), 0);
	}
	if (!(features & CPUID_MCE))
		return;
	asm volatile("mov %%cr4, %0" : "=r" (cr4));
	asm volatile("mov %0, %%cr4" : : "r" (cr4 | CR4_MCE));
}

static void __attribute__((noreturn))
fatal(struct cpu *c, const char *why, uint64_t status, uint64_t addr)
{
	console_seize();
	line_begin(&last_line, "fatal mce=");
	line_text(&last_line, why);
	line_hex(&last_line, "status", status);
	line_hex(&last_line, "addr", addr);
	line_dec(&last_line, "vcpu", c->index);
	line_end(&last_line);
	debug_exit(EXIT_MCE);
}

static enum mc_kind classify(uint64_t status)
{
	if (status == STATUS_BROADCAST)
		return MC_BROADCAST;
	if (vendor_amd && (status & STATUS_DEFERRED))
		return MC_DEFERRED;
	if (!(status & STATUS_UC))
		return MC_CORRECTED;
	if (vendor_amd)
		return status & STATUS_POISON ? MC_ACTION_REQUIRED :
						MC_ACTION_OPTIONAL;
	return (status & STATUS_S) && (status & STATUS_AR) ?
	       MC_ACTION_REQUIRED : MC_ACTION_OPTIONAL;
}

static void take_bank(struct cpu *c, uint32_t bank, uint64_t status,
		      uint64_t mcg_status)
{
	struct mc_record *r = &c->mc.record[c->mc.head % MC_QUEUE];

	if (c->mc.head - c->mc.tail == MC_QUEUE)
		fatal(c, "queue-full", status, NO_GPA);
	r->bank = bank;
	r->status = status;
	r->mcg_status = mcg_status;
	r->addr = status & STATUS_ADDRV ? rdmsr(MSR_MC_ADDR(bank)) : NO_GPA;
	r->misc = status & STATUS_MISCV ? rdmsr(MSR_MC_MISC(bank)) : 0;
	r->kind = classify(status);
	wrmsr(MSR_MC_STATUS(bank), 0);
	if (status & STATUS_PCC)
		fatal(c, "context-corrupt", status, r->addr);
	c->mc.head++;
}

static void mce_scan(struct cpu *c, uint64_t mcg_status)
{
	uint32_t bank;

	for (bank = 0; bank < c->banks; bank++) {
		uint64_t status = rdmsr(MSR_MC_STATUS(bank));

		if (status & STATUS_VALID)
			take_bank(c, bank, status, mcg_status);
	}
}

/* Did this vCPU consume what the record says? If so, can it go on? */
static bool consumed(struct cpu *c, const struct trap_frame *f,
		     const struct mc_record *r)
{
	uint64_t page = r->addr & ~(uint64_t)(PAGE_SIZE - 1);

	if (r->kind != MC_ACTION_REQUIRED)
		return false;
	if ((f->cs & 3) == 0)
		fatal(c, "hit-ring-0", r->status, r->addr);
	if (r->addr == NO_GPA)
		fatal(c, "no-address", r->status, r->addr);
	if (!area_holds(r->addr))
		fatal(c, "address-outside-data-area", r->status, r->addr);
	if (page == c->visit_gpa)
		return true;
	if (page == c->stray_gpa)
		fatal(c, "address-not-in-use", r->status, r->addr);
	c->stray_gpa = page;
	return false;
}

/**
 * mce_poll() - Queue what was found without a machine check (AMD: deferred)
 * @c:		this vCPU
 *
 * A machine check in the midst of it must not take the same bank twice: it
 * leaves the banks alone and asks for another look.
 */
void mce_poll(struct cpu *c)
{
	do {
		__atomic_store_n(&c->rescan, false, __ATOMIC_SEQ_CST);
		__atomic_store_n(&c->scanning, true, __ATOMIC_SEQ_CST);
		mce_scan(c, 0);
		__atomic_store_n(&c->scanning, false, __ATOMIC_SEQ_CST);
	} while (__atomic_load_n(&c->rescan, __ATOMIC_SEQ_CST));
}

/**
 * mce_handle() - A machine check was signalled
 * @c:		this vCPU
 * @f:		what it interrupted
 */
void mce_handle(struct cpu *c, struct trap_frame *f)
{
	uint64_t mcg_status = rdmsr(MSR_MCG_STATUS);
	uint32_t i = c->mc.head;
	bool hit = false;

	if (c->scanning)
		c->rescan = true;
	else
		mce_scan(c, mcg_status);
	if (!(mcg_status & MCG_STATUS_RIPV))
		fatal(c, "no-return-address", mcg_status, NO_GPA);
	for (; i != c->mc.head; i++)
		hit |= consumed(c, f, &c->mc.record[i % MC_QUEUE]);
	if (hit) {
		f->rip = (uint64_t)context_resume;
		f->rdi = (uint64_t)c;
	}
	wrmsr(MSR_MCG_STATUS, 0);
}
