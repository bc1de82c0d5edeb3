/* SPDX-License-Identifier: MIT */
/*
 * machine_config.h - What a machine is built from
 *
 * The machine's description (description.h) holds the same values. The part
 * that depends on the architecture is struct arch_config; each architecture
 * defines it in its own header.
 */
#ifndef FERRY_MACHINE_CONFIG_H
#define FERRY_MACHINE_CONFIG_H

#include <stdint.h>

#include "vmm/base/error.h"
#include "vmm/base/limits.h"
#include "vmm/devices/device_list.h"
#include "vmm/memory/ram.h"
#include "x86_config.h"

#define MACHINE_BOOTARGS_MAX	2048

/**
 * struct machine_config - Everything that a machine is built from
 * @memory:	bytes of RAM
 * @cpus:	number of vCPUs
 * @backing:	kind of RAM
 * @bootargs:	the guest's command line
 * @arch:	the processor that the guest sees
 * @devices:	its devices, in the order in which their state is saved
 */
struct machine_config {
	uint64_t memory;
	unsigned cpus;
	enum ram_backing backing;
	char bootargs[MACHINE_BOOTARGS_MAX];
	struct arch_config arch;
	struct device_list devices;
};

/**
 * machine_config_host() - Fill in the processor from what this host offers
 * @cfg:	memory and cpus are set; arch is filled in
 * @model:	"host" for everything that KVM supports, or "baseline"
 * @vendor:	"host", "amd" or "intel"
 * @err:	the reason on failure
 *
 * The architecture implements it.
 *
 * Return: 0, -ENOTSUP (err names what the host lacks), -errno
 */
int machine_config_host(struct machine_config *cfg, const char *model,
			const char *vendor, struct error *err);

/**
 * machine_config_check() - Test whether this host can run a described guest
 * @cfg:	from description_parse()
 * @err:	what this host lacks
 *
 * Compares the processor in @cfg with the one that KVM offers here. The
 * architecture implements it.
 *
 * Return: 0, -ENOTSUP, -errno
 */
int machine_config_check(const struct machine_config *cfg, struct error *err);

#endif /* FERRY_MACHINE_CONFIG_H */
