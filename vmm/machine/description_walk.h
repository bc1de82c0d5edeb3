/* SPDX-License-Identifier: MIT */
/*
 * description_walk.h - Read and write a machine's description (private)
 *
 * Shared by description.c and the architecture's part of it. Functions that
 * read set an error that names the node and the property.
 */
#ifndef FERRY_DESCRIPTION_WALK_H
#define FERRY_DESCRIPTION_WALK_H

#include <stdint.h>

#include "machine_config.h"

/* Returns from the caller at the first libfdt call that fails */
#define TRY(call) do { int rc_ = (call); if (rc_ < 0) return rc_; } while (0)

/**
 * struct walk - The position of the parser in a tree
 * @fdt:	the tree
 * @err:	set by the functions below
 * @path:	of the node, for messages
 * @node:	offset of the node
 * @device:	buffer for @path
 */
struct walk {
	const void *fdt;
	struct error *err;
	const char *path;
	int node;
	char device[DEVICE_NODE_MAX + 1];
};

/** walk_refuse() - Set the error. @prop: or NULL. Return: -ENOTSUP */
int walk_refuse(struct walk *w, const char *prop, const char *why);

/** walk_enter() - Move to the node at an absolute path. Return: 0, -ENOTSUP */
int walk_enter(struct walk *w, const char *path);

/** walk_get() - A property and its length in bytes; NULL if it is missing */
const void *walk_get(struct walk *w, const char *prop, int *len);

/** walk_get_string() - A property that is one string; NULL if it is not */
const char *walk_get_string(struct walk *w, const char *prop);

/** walk_expect_string() - Compare such a property. Return: 0, -ENOTSUP */
int walk_expect_string(struct walk *w, const char *prop, const char *want);

/** walk_get_cell() - Read a property of 32 bits. Return: 0, -ENOTSUP */
int walk_get_cell(struct walk *w, const char *prop, uint32_t *v);

/**
 * arch_description_put() - Write the processor into the node /cpus
 * @fdt:	being written
 * @arch:	the processor
 *
 * The architecture implements it.
 *
 * Return: 0, or libfdt's negative error
 */
int arch_description_put(void *fdt, const struct arch_config *arch);

/**
 * arch_description_parse() - Read the processor from the node /cpus
 * @w:		in that node
 * @arch:	filled in
 *
 * The architecture implements it.
 *
 * Return: 0, -ENOTSUP
 */
int arch_description_parse(struct walk *w, struct arch_config *arch);

#endif /* FERRY_DESCRIPTION_WALK_H */
