// SPDX-License-Identifier: MIT
/* x86_mce.c - Register values of a machine check */

#include <string.h>

#include "x86_mce.h"

#define ERROR_WITH_ADDR \
	(MCI_STATUS_VAL | MCI_STATUS_EN | MCI_STATUS_MISCV | MCI_STATUS_ADDRV)

#define MCACOD_DATA_LOAD	0x134
#define MCACOD_SCRUB		0x0c0

static const struct {
	const char *name, *id;
	uint64_t status[MCE_KINDS], mcg_status[MCE_KINDS];
} vendors[VENDORS] = {
	[VENDOR_AMD] = {
		.name = "amd", .id = "AuthenticAMD",
		.status = {
			[MCE_REQUIRED] = ERROR_WITH_ADDR | MCI_STATUS_UC |
					 MCI_STATUS_POISON,
			[MCE_OPTIONAL] = ERROR_WITH_ADDR |
					 MCI_STATUS_DEFERRED |
					 MCI_STATUS_POISON,
		},
		.mcg_status = {
			[MCE_REQUIRED] = MCG_STATUS_RIPV | MCG_STATUS_EIPV |
					 MCG_STATUS_MCIP,
		},
	},
	[VENDOR_INTEL] = {
		.name = "intel", .id = "GenuineIntel",
		.status = {
			[MCE_REQUIRED] = ERROR_WITH_ADDR | MCI_STATUS_UC |
					 MCI_STATUS_S | MCI_STATUS_AR |
					 MCACOD_DATA_LOAD,
			[MCE_OPTIONAL] = ERROR_WITH_ADDR | MCI_STATUS_UC |
					 MCI_STATUS_S | MCACOD_SCRUB,
			[MCE_BROADCAST] = MCI_STATUS_VAL | MCI_STATUS_UC,
		},
		.mcg_status = {
			[MCE_REQUIRED] = MCG_STATUS_RIPV | MCG_STATUS_EIPV |
					 MCG_STATUS_MCIP,
			[MCE_OPTIONAL] = MCG_STATUS_RIPV | MCG_STATUS_MCIP,
			[MCE_BROADCAST] = MCG_STATUS_RIPV | MCG_STATUS_MCIP,
		},
	},
};

const char *vendor_name(enum cpu_vendor v)
{
	return v < VENDORS ? vendors[v].name : NULL;
}

const char *vendor_id(enum cpu_vendor v)
{
	return v < VENDORS ? vendors[v].id : NULL;
}

bool vendor_find(const char *id, enum cpu_vendor *v)
{
	for (unsigned i = 0; i < VENDORS; i++) {
		if (strncmp(id, vendors[i].id, CPU_VENDOR_ID))
			continue;
		*v = (enum cpu_vendor)i;
		return true;
	}
	return false;
}

struct mce_record mce_encode(enum cpu_vendor vendor, enum mce_kind kind,
			     uint64_t gpa, unsigned lsb)
{
	struct mce_record r = {
		.bank = MCE_BANK,
		.status = vendors[vendor].status[kind],
		.mcg_status = vendors[vendor].mcg_status[kind],
		.addr = gpa,
		.misc = MCI_MISC_PHYSICAL | lsb,
	};

	if (kind == MCE_BROADCAST) {
		r.bank = MCE_BANK_BROADCAST;
		r.addr = r.misc = 0;
	}
	return r;
}

bool mce_interrupts(const struct mce_record *r)
{
	return r->status & MCI_STATUS_UC;
}
