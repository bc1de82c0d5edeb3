/* SPDX-License-Identifier: MIT */
/*
 * control_args.h - Does a command's "arguments" object fit?
 *
 * Pure. The form of the specification is in control.h.
 */
#ifndef FERRY_CONTROL_ARGS_H
#define FERRY_CONTROL_ARGS_H

#include <jansson.h>

#include "vmm/base/error.h"

/**
 * control_args_check() - Check arguments against what a command takes
 * @spec:	e.g. "uri:s ?detach:b"; NULL or "" for none
 * @args:	an object
 * @err:	names the argument that is unknown, missing or of the wrong type
 *
 * Return: 0, -EINVAL
 */
int control_args_check(const char *spec, json_t *args, struct error *err);

#endif /* FERRY_CONTROL_ARGS_H */
