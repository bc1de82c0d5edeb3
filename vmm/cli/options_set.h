/* SPDX-License-Identifier: MIT */
/*
 * options_set.h - What each option's value means
 */
#ifndef FERRY_OPTIONS_SET_H
#define FERRY_OPTIONS_SET_H

#include "options_table.h"

/**
 * options_set() - Understand and store one option
 * @o:		the options; @cmd is set
 * @def:	which
 * @text:	its value, or NULL if it takes none
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL, -ERANGE, -EOPNOTSUPP
 */
int options_set(struct options *o, const struct option_def *def,
		const char *text, struct error *err);

/**
 * options_set_name() - Store a machine's name
 * @o:		the options
 * @name:	what the user typed
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL
 */
int options_set_name(struct options *o, const char *name, struct error *err);

#endif /* FERRY_OPTIONS_SET_H */
