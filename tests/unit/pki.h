/* SPDX-License-Identifier: MIT */
/* pki.h - Certificates and keys for tests, made on the spot */
#ifndef FERRY_TESTS_PKI_H
#define FERRY_TESTS_PKI_H

#include <stdbool.h>

#define PKI_DAY		86400

/**
 * struct pki - A directory as tls_load() wants it
 * @dir:	its path
 */
struct pki {
	char dir[64];
};

/**
 * struct pki_cert - A certificate to be made
 * @file:	"server" or "client": FILE-cert.pem and FILE-key.pem
 * @name:	DNS name, or NULL
 * @ip:		IPv4 address in its names, or NULL
 * @from, @to:	seconds from now: when it is valid; both 0: from yesterday on,
 *		for 30 days
 * @purpose:	its extended key usage is that of the other side
 * @revoked:	ca-crl.pem lists it
 */
struct pki_cert {
	const char *file, *name, *ip;
	long from, to;
	bool purpose, revoked;
};

/** pki_new() - A new directory with a CA of its own, and a good certificate for
 * 127.0.0.1 and "ferry.example" on both sides
 */
struct pki *pki_new(void);

/** pki_issue() - Make a certificate, signed by the CA; it replaces the file */
void pki_issue(struct pki *p, const struct pki_cert *c);

/** pki_write() - Write a file of the directory; NULL removes it */
void pki_write(struct pki *p, const char *file, const char *text);

/** pki_free() - Remove the directory */
void pki_free(struct pki *p);

#endif /* FERRY_TESTS_PKI_H */
