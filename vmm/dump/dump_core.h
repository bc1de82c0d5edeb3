/* SPDX-License-Identifier: MIT */
/*
 * dump_core.h - A frozen machine into an ELF core file
 */
#ifndef FERRY_DUMP_CORE_H
#define FERRY_DUMP_CORE_H

#include "ram_save.h"

/**
 * dump_core() - Write the file
 * @s:		what to save, zeroed but for @m, @file, @from, @to, @stop and
 *		@completed; @lost says afterwards what is not in it. The caller frees
 *		that with ram_save_fini()
 * @err:	why not
 *
 * The machine is frozen. See elf_core.h for the format.
 *
 * Return: 0, -errno
 */
int dump_core(struct ram_save *s, struct error *err);

#endif /* FERRY_DUMP_CORE_H */
