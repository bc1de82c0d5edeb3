/* SPDX-License-Identifier: MIT */
/*
 * limits.h - What a machine and a migration may have at most
 *
 * The command line, the machine, its description and the migration check the
 * same numbers, and none of these directories includes the others.
 */
#ifndef FERRY_LIMITS_H
#define FERRY_LIMITS_H

#include "units.h"

#define MACHINE_CPUS_MAX	64
#define RAM_SIZE_MIN		(16 * MIB)
#define RAM_SIZE_MAX		(16 * TIB)
#define CONNECTIONS_MAX		8	/* connections that push pages */
#define DOWNTIME_LIMIT_MAX	2000000	/* ms, as in QEMU */

#endif /* FERRY_LIMITS_H */
