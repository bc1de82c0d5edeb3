/* SPDX-License-Identifier: MIT */
/*
 * channels.h - Where a guest migrates to or from, in QEMU's two forms
 *
 * Pure.
 */
#ifndef FERRY_CHANNELS_H
#define FERRY_CHANNELS_H

#include <jansson.h>

#include "vmm/base/uri.h"

/* Arguments of commands that name an address, for struct control_command */
#define CHANNELS_ARGS "?uri:s ?channels:o"

/**
 * channels_uri() - The address in the arguments of a command
 * @args:	with "uri", or with "channels": one, "main", at a socket of type
 *		inet or unix, as QEMU's schema has it
 * @u:		receives the address
 * @err:	what is wrong with @args
 *
 * Return: 0, -EINVAL, -ENOTSUP (a kind of channel that QEMU has)
 */
int channels_uri(json_t *args, struct uri *u, struct error *err);

#endif /* FERRY_CHANNELS_H */
