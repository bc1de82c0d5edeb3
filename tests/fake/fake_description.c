// SPDX-License-Identifier: MIT
/*
 * fake_description.c - A description of 24 bytes, for fake machines
 *
 * In place of the flattened device tree: what a fake machine is built from. Any
 * size of RAM is allowed, in whole pages, up to FAKE_MEMORY_MAX.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_machine.h"
#include "vmm/machine/description.h"

#define TAG	0x4d454b4146ull	/* "FAKEM" */

void fake_config(struct machine_config *cfg, uint64_t memory, unsigned cpus,
		 enum ram_backing backing)
{
	memset(cfg, 0, sizeof(*cfg));
	cfg->memory = memory;
	cfg->cpus = cpus;
	cfg->backing = backing;
}

int description_build(const struct machine_config *cfg, void **fdt,
		      size_t *size, struct error *err)
{
	struct writer w = { 0 };

	put_u64(&w, TAG);
	put_u64(&w, cfg->memory);
	put_u32(&w, cfg->cpus);
	put_u32(&w, cfg->backing);
	if (w.failed) {
		writer_free(&w);
		return error_set(err, ENOMEM, "out of memory");
	}
	*fdt = w.data;
	*size = w.len;
	return 0;
}

int description_parse(const void *fdt, size_t size,
		      struct machine_config *cfg, struct error *err)
{
	struct reader r = { .data = fdt, .len = size };

	if (get_u64(&r) != TAG)
		return error_set(err, EBADMSG, "description: wrong tag");
	cfg->memory = get_u64(&r);
	cfg->cpus = get_u32(&r);
	cfg->backing = (enum ram_backing)get_u32(&r);
	if (!reader_done(&r) || !cfg->cpus || cfg->cpus > FAKE_VCPUS_MAX ||
	    cfg->memory > (fake_host.memory_max ?: FAKE_MEMORY_MAX) ||
	    cfg->backing >= RAM_BACKINGS)
		return error_set(err, EBADMSG, "description: wrong contents");
	return 0;
}

int machine_config_check(const struct machine_config *cfg, struct error *err)
{
	(void)cfg;
	(void)err;
	return 0;
}
