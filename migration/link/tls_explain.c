// SPDX-License-Identifier: MIT
/* tls_explain.c - What is wrong with a certificate or a TLS peer, in words */

#include <stdio.h>
#include <string.h>

#include <gnutls/x509.h>

#include "tls_private.h"

#define NAME	80

/* The second one: a CA of the same name, and another key */
#define UNKNOWN_ISSUER	(GNUTLS_CERT_SIGNER_NOT_FOUND | \
			 GNUTLS_CERT_SIGNATURE_FAILURE)

/* The peer's own certificate. Return: false if it sent none */
static bool peer_certificate(gnutls_session_t session, gnutls_x509_crt_t *crt)
{
	unsigned n = 0;
	const gnutls_datum_t *list = gnutls_certificate_get_peers(session, &n);

	if (!list || !n || gnutls_x509_crt_init(crt))
		return false;
	if (!gnutls_x509_crt_import(*crt, list, GNUTLS_X509_FMT_DER))
		return true;
	gnutls_x509_crt_deinit(*crt);
	return false;
}

/* What a peer sent is shown to a person: one line of printable ASCII */
static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

/* The first DNS name of a certificate, or its subject */
static void certificate_name(gnutls_x509_crt_t crt, char *name)
{
	size_t n;
	int type = 0;

	for (unsigned i = 0; type >= 0 && type != GNUTLS_SAN_DNSNAME; i++) {
		/* The zero at the end is no part of it */
		n = NAME - 1;
		memset(name, 0, NAME);
		type = gnutls_x509_crt_get_subject_alt_name(crt, i, name, &n,
							    NULL);
		if (!type)
			type = GNUTLS_SAN_OTHERNAME;
	}
	n = NAME - 1;
	if (type < 0 && gnutls_x509_crt_get_dn(crt, name, &n) < 0)
		strcpy(name, "?");
	make_printable(name);
}

static void certificate_issuer(gnutls_x509_crt_t crt, char *name)
{
	size_t n = NAME - 1;

	memset(name, 0, NAME);
	if (gnutls_x509_crt_get_issuer_dn(crt, name, &n) < 0)
		strcpy(name, "?");
	make_printable(name);
}

/* @who: "destination" or "source". The first of several faults is enough */
static void explain_status(unsigned status, gnutls_x509_crt_t crt,
			   const char *who, const char *host, char *text)
{
	char name[NAME], date[TLS_DATE];

	if (status & GNUTLS_CERT_EXPIRED) {
		tls_date(gnutls_x509_crt_get_expiration_time(crt), date);
		snprintf(text, TLS_REASON, "the %s's certificate expired on %s",
			 who, date);
	} else if (status & GNUTLS_CERT_NOT_ACTIVATED) {
		tls_date(gnutls_x509_crt_get_activation_time(crt), date);
		snprintf(text, TLS_REASON,
			 "the %s's certificate is not valid before %s: are the clocks right?",
			 who, date);
	} else if (status & GNUTLS_CERT_REVOKED) {
		snprintf(text, TLS_REASON,
			 "the %s's certificate was revoked (ca-crl.pem)", who);
	} else if (status & UNKNOWN_ISSUER) {
		certificate_issuer(crt, name);
		snprintf(text, TLS_REASON,
			 "the %s's certificate is not signed by a CA of ca-cert.pem here; its issuer is '%s'",
			 who, name);
	} else if (status & GNUTLS_CERT_UNEXPECTED_OWNER) {
		certificate_name(crt, name);
		snprintf(text, TLS_REASON,
			 "the %s's certificate is for '%s', not for '%.80s'; use that name in the URI, or tls-hostname",
			 who, name, host ? host : "?");
	} else if (status & GNUTLS_CERT_PURPOSE_MISMATCH) {
		snprintf(text, TLS_REASON,
			 "the %s's certificate is not for that use (extended key usage)",
			 who);
	} else if (status & GNUTLS_CERT_INSECURE_ALGORITHM) {
		snprintf(text, TLS_REASON,
			 "the %s's certificate has a signature that is too weak",
			 who);
	} else {
		snprintf(text, TLS_REASON,
			 "the %s's certificate is not valid (status 0x%x)", who,
			 status);
	}
}

/* Which alert an invalid certificate is answered with (RFC 8446, 6.2) */
static gnutls_alert_description_t alert_of(unsigned status)
{
	if (status & GNUTLS_CERT_EXPIRED)
		return GNUTLS_A_CERTIFICATE_EXPIRED;
	if (status & GNUTLS_CERT_REVOKED)
		return GNUTLS_A_CERTIFICATE_REVOKED;
	if (status & UNKNOWN_ISSUER)
		return GNUTLS_A_UNKNOWN_CA;
	return GNUTLS_A_BAD_CERTIFICATE;
}

void tls_alert(gnutls_session_t session, int rc)
{
	if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
		gnutls_alert_send(session, GNUTLS_AL_FATAL, alert_of(
			gnutls_session_get_verify_cert_status(session)));
	else
		gnutls_alert_send_appropriate(session, rc);
}

void tls_explain_alert(const struct tls *t, int alert, char *text)
{
	const char *who = t->side == TLS_SOURCE ? "destination" : "source";
	const char *name = gnutls_alert_get_name(
			(gnutls_alert_description_t)alert);

	snprintf(text, TLS_REASON, "the %s refused this host's %s: %s%s", who,
		 t->psk ? "key (keys.psk)" : "certificate or TLS",
		 name ? name : "?",
		 alert == GNUTLS_A_HANDSHAKE_FAILURE ||
		 alert == GNUTLS_A_INSUFFICIENT_SECURITY
			? "; does one side use a key, the other a certificate?"
			: "");
}

void tls_explain(const struct tls *t, gnutls_session_t session, int rc,
		 const char *host, char *text)
{
	const char *who = t->side == TLS_SOURCE ? "destination" : "source";
	gnutls_x509_crt_t crt;

	if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
	    peer_certificate(session, &crt)) {
		explain_status(gnutls_session_get_verify_cert_status(session),
			       crt, who, host, text);
		gnutls_x509_crt_deinit(crt);
	} else if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED) {
		tls_explain_alert(t, (int)gnutls_alert_get(session), text);
	} else if (rc == GNUTLS_E_NO_CERTIFICATE_FOUND ||
		   rc == GNUTLS_E_CERTIFICATE_REQUIRED) {
		snprintf(text, TLS_REASON, "the %s has sent no certificate",
			 who);
	} else if (t->psk) {
		snprintf(text, TLS_REASON,
			 "TLS: %s; do both sides have the same name and key in keys.psk?",
			 gnutls_strerror(rc));
	} else {
		snprintf(text, TLS_REASON, "TLS: %s", gnutls_strerror(rc));
	}
}
