/* SPDX-License-Identifier: MIT */
/*
 * description.h - A machine as a flattened device tree
 *
 * One tree has three readers: the guest finds its vCPUs and boot arguments in
 * it, a destination builds its machine from it, and a person can read it with
 * dtc. Format: Devicetree Specification 0.4; Ferry's own properties begin with
 * "ferry,".
 */
#ifndef FERRY_DESCRIPTION_H
#define FERRY_DESCRIPTION_H

#include <stddef.h>

#include "vmm/base/error.h"

struct machine_config;

#define DESCRIPTION_MAX		(40u << 10)

/**
 * description_build() - Flatten a configuration
 * @cfg:	the machine
 * @fdt:	set to the tree, to be freed
 * @size:	its bytes, at most DESCRIPTION_MAX
 * @err:	the reason on failure
 *
 * Return: 0, -errno
 */
int description_build(const struct machine_config *cfg, void **fdt,
		      size_t *size, struct error *err);

/**
 * description_parse() - Read the configuration from a tree that a peer sent
 * @fdt:	the tree; not trusted
 * @size:	its bytes
 * @cfg:	filled in
 * @err:	the reason on failure; names the node and the property
 *
 * Return: 0, -EBADMSG (not a tree), -ENOTSUP (a machine that this version
 *	   can't build)
 */
int description_parse(const void *fdt, size_t size,
		      struct machine_config *cfg, struct error *err);

#endif /* FERRY_DESCRIPTION_H */
