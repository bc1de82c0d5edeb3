/* SPDX-License-Identifier: MIT */
/*
 * dump.h - Write guest memory into a file
 */
#ifndef FERRY_DUMP_H
#define FERRY_DUMP_H

#include "ram_save.h"

enum dump_kind {
	DUMP_BYTES,	/* the bytes alone; lost memory is an error */
	DUMP_CORE,	/* an ELF core file, without lost memory */
};

/**
 * dump_write() - Write the file, and keep it if all went well
 * @s:		what to save: all zero except @m, @file, @from, @to, @stop and
 *		@completed. @file is open, and is closed on return. The caller
 *		frees @s with ram_save_fini()
 * @kind:	the format; DUMP_CORE holds the machine meanwhile
 * @err:	the reason on failure
 *
 * Return: 0, -errno
 */
int dump_write(struct ram_save *s, enum dump_kind kind, struct error *err);

#endif /* FERRY_DUMP_H */
