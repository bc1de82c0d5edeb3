/* SPDX-License-Identifier: MIT */
/*
 * x86_mce.h - Register values of a machine check (pure)
 *
 * The values that a processor of the guest's vendor has after a memory error.
 * A guest decodes them by its CPUID's vendor: Linux takes another vendor's
 * format for an error that it cannot recover from.
 *
 * Sources: Intel SDM vol. 3, chapter "Machine-Check Architecture" (recoverable
 * errors: S, AR, MCACOD 0x134 data load, 0xC0 memory scrubbing); AMD APM
 * vol. 2, "Machine Check Architecture" (Deferred, Poison).
 */
#ifndef FERRY_X86_MCE_H
#define FERRY_X86_MCE_H

#include <stdbool.h>
#include <stdint.h>

#define CPU_VENDOR_ID	12	/* characters of CPUID's vendor string */

enum cpu_vendor { VENDOR_AMD, VENDOR_INTEL, VENDORS };

enum mce_kind {
	MCE_REQUIRED,	/* a vCPU consumed it: action required */
	MCE_OPTIONAL,	/* the host found it before a vCPU consumed it */
	MCE_BROADCAST,	/* another vCPU's: Intel informs all vCPUs */
	MCE_KINDS
};

#define MC_VECTOR		18		/* #MC */

#define MCG_STATUS_RIPV		(1ull << 0)
#define MCG_STATUS_EIPV		(1ull << 1)
#define MCG_STATUS_MCIP		(1ull << 2)
#define MCG_CAP_BANKS		0xffu		/* number of banks */
#define MCG_CTL_P		(1ull << 8)
#define MCG_SER_P		(1ull << 24)
#define MCG_LMCE_P		(1ull << 27)

#define MCI_STATUS_VAL		(1ull << 63)
#define MCI_STATUS_OVER		(1ull << 62)
#define MCI_STATUS_UC		(1ull << 61)
#define MCI_STATUS_EN		(1ull << 60)
#define MCI_STATUS_MISCV	(1ull << 59)
#define MCI_STATUS_ADDRV	(1ull << 58)
#define MCI_STATUS_PCC		(1ull << 57)
#define MCI_STATUS_S		(1ull << 56)	/* Intel */
#define MCI_STATUS_AR		(1ull << 55)	/* Intel */
#define MCI_STATUS_DEFERRED	(1ull << 44)	/* AMD */
#define MCI_STATUS_POISON	(1ull << 43)	/* AMD */

/* MISC: physical address (mode 2 in bits 8:6); bits 5:0: lowest valid bit */
#define MCI_MISC_PHYSICAL	(2ull << 6)

#define MSR_MCG_CAP		0x179
#define MSR_MCG_STATUS		0x17a
#define MSR_MCG_CTL		0x17b
#define MCE_BANK_MSRS		4		/* CTL, STATUS, ADDR, MISC */
#define MSR_MC_CTL(bank)	(0x400u + MCE_BANK_MSRS * (bank))
#define MSR_MC_STATUS(bank)	(0x401u + MCE_BANK_MSRS * (bank))

#define MCE_BANKS		10	/* of a vCPU */
#define MCE_BANK		9	/* for memory errors: arbitrary */
#define MCE_BANK_BROADCAST	1

/**
 * struct mce_record - One bank's registers and the global status with them
 */
struct mce_record {
	uint8_t bank;
	uint64_t status, addr, misc, mcg_status;
};

/** vendor_name() - "amd", "intel" */
const char *vendor_name(enum cpu_vendor v);

/**
 * vendor_find() - The vendor with a CPUID vendor string
 * @id:		CPU_VENDOR_ID characters of CPUID leaf 0, e.g. "AuthenticAMD"
 * @v:		filled in
 *
 * Return: true if it is a vendor in enum cpu_vendor
 */
bool vendor_find(const char *id, enum cpu_vendor *v);

/** vendor_id() - The vendor string of CPUID leaf 0 */
const char *vendor_id(enum cpu_vendor v);

/**
 * mce_encode() - The record of a memory error
 * @vendor:	the one that the guest's CPUID names
 * @kind:	how it was found; MCE_BROADCAST exists for Intel only
 * @gpa:	guest-physical address of the page
 * @lsb:	log2 of the bytes that are lost, GUEST_PAGE_SHIFT for a page
 *
 * Return: the record
 */
struct mce_record mce_encode(enum cpu_vendor vendor, enum mce_kind kind,
			     uint64_t gpa, unsigned lsb);

/**
 * mce_interrupts() - Does this record raise a #MC exception?
 *
 * AMD's deferred errors are only logged in the bank.
 */
bool mce_interrupts(const struct mce_record *r);

#endif /* FERRY_X86_MCE_H */
