// SPDX-License-Identifier: MIT
/*
 * fuzz_description.c - Whatever a peer sends as a machine
 *
 * What is accepted must be a machine within all limits, and the same machine
 * again after it was described and read once more.
 */

#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "vmm/machine/description.h"
#include "vmm/machine/machine.h"

static void check_limits(const struct machine_config *c)
{
	CHECK(c->memory >= RAM_SIZE_MIN && c->memory <= RAM_SIZE_MAX);
	CHECK(c->memory % MIB == 0);
	CHECK(c->cpus >= 1 && c->cpus <= MACHINE_CPUS_MAX);
	CHECK(c->backing < RAM_BACKINGS && c->arch.vendor < VENDORS);
	CHECK(memchr(c->bootargs, 0, sizeof(c->bootargs)));
	CHECK(c->arch.cpuid.nent >= 1 && c->arch.cpuid.nent <= KVM_CPUID_MAX);
}

static void check_again(const struct machine_config *c)
{
	static struct machine_config again;
	struct error err = { 0 };
	size_t size;
	void *fdt;

	CHECK(!description_build(c, &fdt, &size, &err));
	CHECK(size <= DESCRIPTION_MAX);
	CHECK(!description_parse(fdt, size, &again, &err));
	CHECK(!memcmp(c, &again, sizeof(again)));
	free(fdt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct machine_config cfg;
	struct error err = { 0 };
	/* As malloc() aligns what the receiver puts it into */
	uint8_t *copy = malloc(size ? size : 1);
	int rc;

	CHECK(copy);
	memcpy(copy, data, size);
	rc = description_parse(copy, size, &cfg, &err);
	free(copy);
	CHECK(!rc || ((rc == -EBADMSG || rc == -ENOTSUP) && err.text[0]));
	if (!rc) {
		check_limits(&cfg);
		check_again(&cfg);
	}
	return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	static struct machine_config cfg;
	struct error err = { 0 };
	size_t size;
	void *fdt;

	if (i > 3)
		return 0;
	cfg = (struct machine_config){
		.memory = i & 1 ? 4 * GIB : 64 * MIB, .cpus = 1 + 3 * i,
		.backing = i & 1 ? RAM_MEMFD : RAM_ANON,
		.arch.vendor = i & 2 ? VENDOR_AMD : VENDOR_INTEL,
		.arch.tsc_khz = 2500000,
	};
	/* By four bytes longer each time: what is behind it moves */
	snprintf(cfg.bootargs, sizeof(cfg.bootargs), "seed=%0*u", 4 * i + 1,
		 i);
	cfg.arch.cpuid.nent = 2 + i;
	for (unsigned k = 0; k < cfg.arch.cpuid.nent; k++)
		cfg.arch.cpuid.entry[k].function = k;
	CHECK(!description_build(&cfg, &fdt, &size, &err));
	memcpy(to, fdt, size);
	free(fdt);
	return size;
}
