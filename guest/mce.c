// SPDX-License-Identifier: MIT
/*
 * mce.c - Ring 0: machine checks
 *
 * Theory of operation: the handler reads the banks, clears them, and queues
 * their contents for ring 3 of the same vCPU, which prints and acts (visit.c).
 * Where the vCPU resumes depends on the page that failed:
 *
 * - the page that ring 3 is visiting (struct cpu, visit_gpa): the access can't
 *   complete, so ring 3's registers are void. The vCPU resumes in
 *   context_resume(), at the top of its work loop, which retires the page and
 *   repeats the visit;
 * - none that this vCPU consumed (action optional, broadcast): it resumes where
 *   it was interrupted, and ring 3 finds the record at its next step;
 * - any other: the guest prints the reason and ends.
 *
 * MCIP is cleared last: a machine check while it is set shuts the machine
 * down.
 *
 * Formats: SDM vol. 3, "Machine-Check Architecture"; APM vol. 2, same title.
 */
#include "area.h"
#include "board.h"
#include "call.h"
#include "console.h"
#include "mce.h"

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

/* Only the vCPU that console_seize() returns to uses it */
static struct line last_line;

static uint32_t mce_features(void)
{
	uint32_t r[4];

	cpuid(1, r);
	return r[3];
}

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
fatal_mce(struct cpu *c, const char *why, uint64_t status, uint64_t addr)
{
	console_seize();
	line_begin(&last_line, "fatal mce=");
	line_text(&last_line, why);
	line_hex(&last_line, "status", status);
	line_hex(&last_line, "addr", addr);
	line_dec(&last_line, "vcpu", c->index);
	console_print(&last_line);
	board_exit(EXIT_MCE);
}

static enum mc_kind mc_classify(uint64_t status)
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

static void mce_read_bank(struct cpu *c, uint32_t bank, uint64_t status,
			  uint64_t mcg_status)
{
	struct mc_record *r = &c->mc.record[c->mc.head % MC_QUEUE];

	if (c->mc.head - c->mc.tail == MC_QUEUE)
		fatal_mce(c, "queue-full", status, NO_GPA);
	r->bank = bank;
	r->status = status;
	r->mcg_status = mcg_status;
	r->addr = status & STATUS_ADDRV ? rdmsr(MSR_MC_ADDR(bank)) : NO_GPA;
	r->misc = status & STATUS_MISCV ? rdmsr(MSR_MC_MISC(bank)) : 0;
	r->kind = mc_classify(status);
	wrmsr(MSR_MC_STATUS(bank), 0);
	if (status & STATUS_PCC)
		fatal_mce(c, "context-corrupt", status, r->addr);
	c->mc.head++;
}

static void mce_read_banks(struct cpu *c, uint64_t mcg_status)
{
	uint32_t bank;

	for (bank = 0; bank < c->banks; bank++) {
		uint64_t status = rdmsr(MSR_MC_STATUS(bank));

		if (status & STATUS_VALID)
			mce_read_bank(c, bank, status, mcg_status);
	}
}

/* Did the visit consume the poison? Ends the guest if other code did */
static bool visit_consumed(struct cpu *c, const struct trap_frame *f,
			   const struct mc_record *r)
{
	uint64_t page = r->addr & ~(uint64_t)(PAGE_SIZE - 1);

	if (r->kind != MC_ACTION_REQUIRED)
		return false;
	if ((f->cs & 3) == 0)
		fatal_mce(c, "hit-ring-0", r->status, r->addr);
	if (r->addr == NO_GPA)
		fatal_mce(c, "no-address", r->status, r->addr);
	if (!area_page(r->addr, NULL))
		fatal_mce(c, "address-outside-data-area", r->status, r->addr);
	if (page == c->visit_gpa)
		return true;
	if (page == c->stray_gpa)
		fatal_mce(c, "address-not-in-use", r->status, r->addr);
	c->stray_gpa = page;
	return false;
}

/*
 * A machine check that interrupts it must not read the same bank twice:
 * mce_handle() then leaves the banks alone and requests another pass.
 */
void mce_poll(struct cpu *c)
{
	do {
		__atomic_store_n(&c->rescan, false, __ATOMIC_SEQ_CST);
		__atomic_store_n(&c->scanning, true, __ATOMIC_SEQ_CST);
		mce_read_banks(c, 0);
		__atomic_store_n(&c->scanning, false, __ATOMIC_SEQ_CST);
	} while (__atomic_load_n(&c->rescan, __ATOMIC_SEQ_CST));
}

void mce_handle(struct cpu *c, struct trap_frame *f)
{
	uint64_t mcg_status = rdmsr(MSR_MCG_STATUS);
	uint32_t i = c->mc.head;
	bool hit = false;

	if (c->scanning)
		c->rescan = true;
	else
		mce_read_banks(c, mcg_status);
	if (!(mcg_status & MCG_STATUS_RIPV))
		fatal_mce(c, "no-return-address", mcg_status, NO_GPA);
	for (; i != c->mc.head; i++)
		hit |= visit_consumed(c, f, &c->mc.record[i % MC_QUEUE]);
	if (hit) {
		f->rip = (uint64_t)context_resume;
		f->rdi = (uint64_t)c;
	}
	wrmsr(MSR_MCG_STATUS, 0);
}
