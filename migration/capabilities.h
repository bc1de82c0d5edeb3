/* SPDX-License-Identifier: MIT */
/*
 * capabilities.h - QEMU's migration capabilities, and two of Ferry's own
 *
 * Ferry's own can be changed. QEMU's have a fixed value here: setting one to the
 * value that it has succeeds, so that QEMU's clients work.
 */
#ifndef FERRY_CAPABILITIES_H
#define FERRY_CAPABILITIES_H

#include <stdbool.h>

#include <jansson.h>

#include "vmm/base/error.h"

/* On, unless a destination that can't take poison will do: see check_lost() */
#define CAPABILITY_POISON	"ferry-poison"
/* A source opens a new link by itself, unless the peer violated the protocol */
#define CAPABILITY_AUTOMATIC	"ferry-recover-automatically"

/**
 * capabilities_check() - Can capabilities be set as a client asks?
 * @list:	array of {"capability", "state"}
 * @err:	which can't, and why
 *
 * Return: 0, -EINVAL, -ENOTSUP
 */
int capabilities_check(json_t *list, struct error *err);

/**
 * capabilities_get() - The state that a list wants for a capability
 * @list:	checked
 * @name:	the capability
 * @on:		set to the state, the last one if it is there twice
 *
 * Return: true if it is in the list
 */
bool capabilities_get(json_t *list, const char *name, bool *on);

/** capabilities_json() - All of them, for query-migrate-capabilities */
json_t *capabilities_json(bool poison, bool automatic);

#endif /* FERRY_CAPABILITIES_H */
