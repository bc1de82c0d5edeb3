/* SPDX-License-Identifier: MIT */
/* migration.h - Interface of migration/ to main.c */
#ifndef FERRY_MIGRATION_H
#define FERRY_MIGRATION_H

#include "vmm/base/error.h"

struct host;
struct migration;

/**
 * migration_new() - Add the control commands that move a host's machine
 * @h:		the host, whose control is open
 * @err:	why not
 *
 * Return: it, or NULL
 */
struct migration *migration_new(struct host *h, struct error *err);

/**
 * migration_set_tls() - Set what the command line says about TLS
 * @mig:	the migrations of this process
 * @dir:	directory of certificates and keys; NULL for the default
 * @required:	only tls: and unix: are accepted
 * @err:	the cause of a failure
 *
 * Return: 0, -ENOENT, -ENAMETOOLONG, -errno
 */
int migration_set_tls(struct migration *mig, const char *dir, bool required,
		      struct error *err);

/**
 * migration_receive() - Wait for a guest
 * @mig:	the migration of a host without a machine
 * @uri:	where to listen
 * @err:	why not
 *
 * Return: 0, -EINVAL (no URI), -EBUSY (there is a machine, or it waits
 *	   already), -errno
 */
int migration_receive(struct migration *mig, const char *uri,
		      struct error *err);

/**
 * migration_free() - End what is under way, and free a machine that arrived
 * @mig:	it, or NULL
 *
 * The host must not show its machine any more.
 */
void migration_free(struct migration *mig);

#endif /* FERRY_MIGRATION_H */
