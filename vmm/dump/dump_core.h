/* SPDX-License-Identifier: MIT */
/*
 * dump_core.h - Write a frozen machine into an ELF core file
 */
#ifndef FERRY_DUMP_CORE_H
#define FERRY_DUMP_CORE_H

#include "ram_save.h"

/**
 * dump_core() - Write the file
 * @s:		what to save; all zero except @m, @file, @from, @to, @stop and
 *		@completed. On return @lost lists what the file does not have;
 *		the caller frees it with ram_save_fini()
 * @err:	the reason on failure
 *
 * The machine is frozen. The format is described in elf_core.h.
 *
 * Return: 0, -errno
 */
int dump_core(struct ram_save *s, struct error *err);

#endif /* FERRY_DUMP_CORE_H */
