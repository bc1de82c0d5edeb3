// SPDX-License-Identifier: MIT
/* x86_slot_cost.c - Memory of the host that KVM takes for a memslot */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "vmm/base/page.h"
#include "vmm/base/units.h"
#include "x86_slot_cost.h"

#define TDP_MMU		"/sys/module/kvm/parameters/tdp_mmu"
#define BYTES_A_PAGE	10

uint64_t slot_cost(uint64_t size)
{
	return size / GUEST_PAGE_SIZE * BYTES_A_PAGE;
}

int slot_cost_check(uint64_t size, uint64_t available, struct error *err)
{
	uint64_t need = slot_cost(size);

	if (need <= available)
		return 0;
	return error_set(err, ENOMEM,
		"%.1f GiB of RAM need %.1f GiB of this host's memory for tables of KVM, which has no TDP MMU here, and %.1f GiB are available: use less --memory",
		(double)size / GIB, (double)need / GIB,
		(double)available / GIB);
}

/* Without the file KVM is older than the TDP MMU, or not loaded */
static bool has_tdp_mmu(void)
{
	FILE *f = fopen(TDP_MMU, "re");
	int c = f ? fgetc(f) : EOF;

	if (f)
		fclose(f);
	return c != 'N';
}

/* Return: bytes; UINT64_MAX if /proc does not say */
static uint64_t available_memory(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	uint64_t kib, result = UINT64_MAX;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
			result = kib * KIB;
	if (f)
		fclose(f);
	return result;
}

int slot_cost_check_host(uint64_t size, struct error *err)
{
	return has_tdp_mmu() ? 0
			     : slot_cost_check(size, available_memory(), err);
}
