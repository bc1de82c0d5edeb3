/* SPDX-License-Identifier: MIT */
/*
 * tls.h - Certificates and keys for tls: connections
 *
 * The files have the names that QEMU and libvirt use (docs/tls.md): X.509 if
 * the directory has ca-cert.pem, else a pre-shared key if it has keys.psk. Both
 * sides always prove who they are. The files are read when a listener opens,
 * and on a source for each link.
 */
#ifndef FERRY_TLS_H
#define FERRY_TLS_H

#include <limits.h>
#include <stdbool.h>

#include "vmm/base/error.h"

#define TLS_HOSTNAME	256

/**
 * struct tls_config - Where the files are, and what is demanded
 * @dir:	absolute path of their directory; "" for tls_default_dir()'s
 * @hostname:	name that the destination's certificate must have; "" for the
 *		host of the URI
 * @required:	only tls: and unix: are accepted
 */
struct tls_config {
	char dir[PATH_MAX];
	char hostname[TLS_HOSTNAME];
	bool required;
};

enum tls_side { TLS_SOURCE, TLS_DESTINATION };

/* Credentials of one side, and a counter of their users */
struct tls;

/**
 * tls_default_dir() - The directory of the files, if no other one is given
 * @dir:	$XDG_CONFIG_HOME/ferry/pki if that is there, else /etc/pki/ferry
 * @n:		its size, bytes
 */
void tls_default_dir(char *dir, size_t n);

/**
 * tls_load() - Read the files, and check this side's certificate
 * @cfg:	where they are
 * @side:	which of them
 * @err:	the cause of a failure, with the file
 *
 * Return: credentials with one user, or NULL
 */
struct tls *tls_load(const struct tls_config *cfg, enum tls_side side,
		     struct error *err);

/** tls_ref() - One more user */
struct tls *tls_ref(struct tls *t);

/** tls_unref() - One user less; the last one frees it. NULL is fine */
void tls_unref(struct tls *t);

#endif /* FERRY_TLS_H */
