// SPDX-License-Identifier: MIT
/* pki.c - Certificates and keys for tests, made on the spot */

#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "pki.h"
#include "unit.h"

/* The CA's key stays in memory */
struct whole_pki {
	struct pki p;
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t cert;
	unsigned serial;
};

#define OK(call) assert_int_equal((call), 0)

static gnutls_x509_privkey_t make_key(void)
{
	gnutls_x509_privkey_t key;

	OK(gnutls_x509_privkey_init(&key));
	OK(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
		GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
	return key;
}

static gnutls_x509_crt_t make_cert(struct whole_pki *w,
				   gnutls_x509_privkey_t key, const char *dn,
				   time_t from, time_t to)
{
	unsigned char serial[4] = { 1, 2, 3, (unsigned char)++w->serial };
	gnutls_x509_crt_t c;

	OK(gnutls_x509_crt_init(&c));
	OK(gnutls_x509_crt_set_version(c, 3));
	OK(gnutls_x509_crt_set_serial(c, serial, sizeof(serial)));
	OK(gnutls_x509_crt_set_dn(c, dn, NULL));
	OK(gnutls_x509_crt_set_activation_time(c, from));
	OK(gnutls_x509_crt_set_expiration_time(c, to));
	OK(gnutls_x509_crt_set_key(c, key));
	return c;
}

void pki_write(struct pki *p, const char *file, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", p->dir, file);
	if (!text) {
		unlink(path);
		return;
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static void write_pem(struct pki *p, const char *name, const char *what,
		      gnutls_datum_t *pem)
{
	char file[64];

	snprintf(file, sizeof(file), "%s-%s.pem", name, what);
	pki_write(p, file, (const char *)pem->data);
	gnutls_free(pem->data);
}

static void write_cert(struct pki *p, const char *name, gnutls_x509_crt_t cert,
		       gnutls_x509_privkey_t key)
{
	gnutls_datum_t pem;

	OK(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &pem));
	write_pem(p, name, "cert", &pem);
	if (!key)
		return;
	OK(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem));
	write_pem(p, name, "key", &pem);
}

static void write_crl(struct whole_pki *w, gnutls_x509_crt_t cert)
{
	time_t now = time(NULL);
	gnutls_x509_crl_t crl;
	gnutls_datum_t pem;

	OK(gnutls_x509_crl_init(&crl));
	OK(gnutls_x509_crl_set_version(crl, 2));
	OK(gnutls_x509_crl_set_this_update(crl, now - PKI_DAY));
	OK(gnutls_x509_crl_set_next_update(crl, now + PKI_DAY));
	OK(gnutls_x509_crl_set_crt(crl, cert, now - 3600));
	OK(gnutls_x509_crl_set_number(crl, "\1", 1));
	OK(gnutls_x509_crl_sign2(crl, w->cert, w->key, GNUTLS_DIG_SHA256, 0));
	OK(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &pem));
	write_pem(&w->p, "ca", "crl", &pem);
	gnutls_x509_crl_deinit(crl);
}

void pki_issue(struct pki *p, const struct pki_cert *want)
{
	struct whole_pki *w = (struct whole_pki *)p;
	bool server = !strcmp(want->file, "server") != want->purpose;
	time_t now = time(NULL);
	gnutls_x509_privkey_t key = make_key();
	gnutls_x509_crt_t c = make_cert(w, key, want->name ? "CN=named"
							   : "CN=unnamed",
		now + (want->from || want->to ? want->from : -PKI_DAY),
		now + (want->from || want->to ? want->to : 30 * PKI_DAY));
	struct in_addr ip;

	if (want->name)
		OK(gnutls_x509_crt_set_subject_alt_name(c, GNUTLS_SAN_DNSNAME,
			want->name, (unsigned)strlen(want->name),
			GNUTLS_FSAN_APPEND));
	if (want->ip) {
		assert_int_equal(inet_pton(AF_INET, want->ip, &ip), 1);
		OK(gnutls_x509_crt_set_subject_alt_name(c,
			GNUTLS_SAN_IPADDRESS, &ip, sizeof(ip),
			GNUTLS_FSAN_APPEND));
	}
	OK(gnutls_x509_crt_set_key_purpose_oid(c, server
		? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT, 0));
	OK(gnutls_x509_crt_set_key_usage(c, GNUTLS_KEY_DIGITAL_SIGNATURE));
	OK(gnutls_x509_crt_sign2(c, w->cert, w->key, GNUTLS_DIG_SHA256, 0));
	write_cert(p, want->file, c, key);
	if (want->revoked)
		write_crl(w, c);
	gnutls_x509_crt_deinit(c);
	gnutls_x509_privkey_deinit(key);
}

struct pki *pki_new(void)
{
	struct whole_pki *w = calloc(1, sizeof(*w));
	time_t now = time(NULL);

	assert_non_null(w);
	strcpy(w->p.dir, "/tmp/ferry-pki.XXXXXX");
	assert_non_null(mkdtemp(w->p.dir));
	w->key = make_key();
	w->cert = make_cert(w, w->key, "CN=A CA for tests", now - 2 * PKI_DAY,
			    now + 100 * PKI_DAY);
	OK(gnutls_x509_crt_set_basic_constraints(w->cert, 1, -1));
	OK(gnutls_x509_crt_set_key_usage(w->cert, GNUTLS_KEY_KEY_CERT_SIGN |
					 GNUTLS_KEY_CRL_SIGN));
	OK(gnutls_x509_crt_sign2(w->cert, w->cert, w->key, GNUTLS_DIG_SHA256,
				 0));
	write_cert(&w->p, "ca", w->cert, NULL);
	pki_issue(&w->p, &(struct pki_cert){ .file = "server",
		.name = "ferry.example", .ip = "127.0.0.1" });
	pki_issue(&w->p, &(struct pki_cert){ .file = "client",
		.name = "source.example" });
	return &w->p;
}

void pki_free(struct pki *p)
{
	static const char *const files[] = {
		"ca-cert.pem", "ca-crl.pem", "server-cert.pem",
		"server-key.pem", "client-cert.pem", "client-key.pem",
		"keys.psk",
	};
	struct whole_pki *w = (struct whole_pki *)p;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		pki_write(p, files[i], NULL);
	OK(rmdir(p->dir));
	gnutls_x509_crt_deinit(w->cert);
	gnutls_x509_privkey_deinit(w->key);
	free(w);
}
