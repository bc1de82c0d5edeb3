/* SPDX-License-Identifier: MIT */
/* tls_private.h - What tls.c, tls_explain.c and channel_tls.c share */
#ifndef FERRY_TLS_PRIVATE_H
#define FERRY_TLS_PRIVATE_H

#include <gnutls/gnutls.h>
#include <stdatomic.h>

#include "tls.h"

#define TLS_DATE	32
#define TLS_REASON	280

/**
 * struct tls - Credentials
 * @users:	how many use it
 * @side:	of this process
 * @psk:	a pre-shared key, not certificates
 * @keys:	@psk: the key or keys
 * @certificates: !@psk: this side's certificate, and whom it trusts
 */
struct tls {
	_Atomic unsigned users;
	enum tls_side side;
	bool psk;
	union {
		gnutls_psk_server_credentials_t server;
		gnutls_psk_client_credentials_t client;
	} keys;
	gnutls_certificate_credentials_t certificates;
};

#define TLS_RECORD	16384	/* bytes in one record, at most */

/** tls_date() - A time as "2026-11-27 14:16 UTC", in @text (TLS_DATE bytes) */
void tls_date(time_t t, char *text);

/**
 * tls_explain() - Why a handshake, or a call after it, has failed
 * @t:		credentials
 * @session:	the session
 * @rc:		GnuTLS's error code
 * @host:	whom the certificate should be for; NULL on a destination
 * @text:	filled in: TLS_REASON bytes
 */
void tls_explain(const struct tls *t, gnutls_session_t session, int rc,
		 const char *host, char *text);

/** tls_explain_alert() - The same for an alert that the peer has sent */
void tls_explain_alert(const struct tls *t, int alert, char *text);

/** tls_alert() - Tell the peer why: the alert that fits to a failure */
void tls_alert(gnutls_session_t session, int rc);

#endif /* FERRY_TLS_PRIVATE_H */
