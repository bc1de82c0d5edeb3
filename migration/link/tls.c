// SPDX-License-Identifier: MIT
/* tls.c - Certificates and keys for tls: connections */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/x509.h>

#include "tls_private.h"

#define SYSTEM_DIR	"/etc/pki/ferry"
#define LINE		512	/* of keys.psk */

/* A directory and the name of a file in it */
struct path {
	char text[PATH_MAX];
};

static const char *const own_cert[] = {
	[TLS_SOURCE] = "client-cert.pem", [TLS_DESTINATION] = "server-cert.pem",
};
static const char *const own_key[] = {
	[TLS_SOURCE] = "client-key.pem", [TLS_DESTINATION] = "server-key.pem",
};

void tls_default_dir(char *dir, size_t n)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int len = -1;

	if (xdg && *xdg == '/')
		len = snprintf(dir, n, "%s/ferry/pki", xdg);
	else if (home && *home == '/')
		len = snprintf(dir, n, "%s/.config/ferry/pki", home);
	if (len < 0 || (size_t)len >= n || access(dir, F_OK))
		snprintf(dir, n, "%s", SYSTEM_DIR);
}

void tls_date(time_t t, char *text)
{
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	if (!strftime(text, TLS_DATE, "%Y-%m-%d %H:%M UTC", &tm))
		strcpy(text, "?");
}

static int path_join(struct path *p, const char *dir, const char *name,
		     struct error *err)
{
	int n = snprintf(p->text, sizeof(p->text), "%s/%s", dir, name);

	return n >= 0 && (size_t)n < sizeof(p->text) ? 0
		: error_set(err, ENAMETOOLONG, "TLS: %.200s…: too long", dir);
}

/* Return: 0, or -errno with the file's name: GnuTLS does not say which one */
static int path_check(const struct path *p, struct error *err)
{
	int fd = open(p->text, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, errno, "TLS: cannot read %s: %s",
				 p->text, strerrordesc_np(errno));
	close(fd);
	return 0;
}

static int path_readable(struct path *p, const char *dir, const char *name,
			 struct error *err)
{
	int rc = path_join(p, dir, name, err);

	return rc ? rc : path_check(p, err);
}

static int path_wrong(const struct path *p, int rc, struct error *err)
{
	return error_set(err, EINVAL, "TLS: %s: %s", p->text,
			 gnutls_strerror(rc));
}

/* Said here, and not by the peer's refusal only */
static int check_dates(const struct tls *t, const struct path *cert,
		       struct error *err)
{
	gnutls_x509_crt_t *list = NULL;
	time_t now = time(NULL), from, to;
	char date[TLS_DATE];
	unsigned n = 0;
	int rc = gnutls_certificate_get_x509_crt(t->certificates, 0, &list, &n);

	if (rc < 0 || !n)
		return path_wrong(cert, rc, err);
	from = gnutls_x509_crt_get_activation_time(list[0]);
	to = gnutls_x509_crt_get_expiration_time(list[0]);
	for (unsigned i = 0; i < n; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	if (now > to) {
		tls_date(to, date);
		return error_set(err, EKEYEXPIRED, "TLS: %s expired on %s",
				 cert->text, date);
	}
	if (now >= from)
		return 0;
	tls_date(from, date);
	return error_set(err, EKEYREJECTED,
		"TLS: %s is not valid before %s: is this host's clock right?",
		cert->text, date);
}

static int load_trust(struct tls *t, const char *dir, const struct path *ca,
		      struct error *err)
{
	struct path crl = { "" };
	int n = gnutls_certificate_set_x509_trust_file(t->certificates,
			ca->text, GNUTLS_X509_FMT_PEM);

	if (n < 0)
		return path_wrong(ca, n, err);
	if (!n)
		return error_set(err, EINVAL, "TLS: %s: no certificate in it",
				 ca->text);
	if (path_join(&crl, dir, "ca-crl.pem", err))
		return -err->code;
	if (access(crl.text, F_OK))
		return 0;
	if (path_check(&crl, err))
		return -err->code;
	n = gnutls_certificate_set_x509_crl_file(t->certificates, crl.text,
						 GNUTLS_X509_FMT_PEM);
	return n < 0 ? path_wrong(&crl, n, err) : 0;
}

static int load_x509(struct tls *t, const char *dir, const struct path *ca,
		     struct error *err)
{
	struct path cert = { "" }, key = { "" };
	int rc = path_readable(&cert, dir, own_cert[t->side], err);

	if (!rc)
		rc = path_readable(&key, dir, own_key[t->side], err);
	if (rc)
		return rc;
	if (gnutls_certificate_allocate_credentials(&t->certificates))
		return error_set(err, ENOMEM, "TLS: out of memory");
	rc = load_trust(t, dir, ca, err);
	if (rc)
		return rc;
	rc = gnutls_certificate_set_x509_key_file2(t->certificates, cert.text,
			key.text, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		return error_set(err, EINVAL,
			"TLS: %s is not the key of %s", key.text, cert.text);
	/* Which of the two files it is, GnuTLS does not say */
	if (rc < 0)
		return error_set(err, EINVAL, "TLS: %s and %s: %s", cert.text,
				 own_key[t->side], gnutls_strerror(rc));
	return check_dates(t, &cert, err);
}

/* The first key of the file is the one that a source uses */
static int load_client_key(struct tls *t, const struct path *p,
			   struct error *err)
{
	FILE *f = fopen(p->text, "re");
	char line[LINE], *key;
	gnutls_datum_t hex;
	int rc;

	if (!f)
		return error_set(err, errno, "TLS: cannot read %s: %s",
				 p->text, strerrordesc_np(errno));
	key = fgets(line, sizeof(line), f) ? strchr(line, ':') : NULL;
	fclose(f);
	if (!key)
		return error_set(err, EINVAL,
			"TLS: %s: a line must be NAME:KEY, with the key in hexadecimal, as psktool(1) writes it",
			p->text);
	*key++ = '\0';
	key[strcspn(key, "\r\n")] = '\0';
	hex = (gnutls_datum_t){ .data = (unsigned char *)key,
				.size = (unsigned)strlen(key) };
	if (gnutls_psk_allocate_client_credentials(&t->keys.client))
		return error_set(err, ENOMEM, "TLS: out of memory");
	rc = gnutls_psk_set_client_credentials(t->keys.client, line, &hex,
					       GNUTLS_PSK_KEY_HEX);
	explicit_bzero(line, sizeof(line));
	return rc < 0 ? path_wrong(p, rc, err) : 0;
}

static int load_psk(struct tls *t, const struct path *p, struct error *err)
{
	int rc = path_check(p, err);

	if (rc)
		return rc;
	t->psk = true;
	if (t->side == TLS_SOURCE)
		return load_client_key(t, p, err);
	if (gnutls_psk_allocate_server_credentials(&t->keys.server))
		return error_set(err, ENOMEM, "TLS: out of memory");
	rc = gnutls_psk_set_server_credentials_file(t->keys.server, p->text);
	return rc < 0 ? path_wrong(p, rc, err) : 0;
}

static int load(struct tls *t, const char *dir, struct error *err)
{
	struct path ca = { "" }, psk = { "" };
	int rc = path_join(&ca, dir, "ca-cert.pem", err);

	if (!rc)
		rc = path_join(&psk, dir, "keys.psk", err);
	if (rc)
		return rc;
	if (!access(ca.text, F_OK))
		return path_check(&ca, err) ? -err->code
					    : load_x509(t, dir, &ca, err);
	if (!access(psk.text, F_OK))
		return load_psk(t, &psk, err);
	return error_set(err, ENOENT,
		"TLS: %s has neither ca-cert.pem, %s and %s nor keys.psk; --tls-dir names another directory (docs/tls.md)",
		dir, own_cert[t->side], own_key[t->side]);
}

struct tls *tls_load(const struct tls_config *cfg, enum tls_side side,
		     struct error *err)
{
	struct tls *t = calloc(1, sizeof(*t));
	char dir[PATH_MAX];

	if (!t) {
		error_set(err, ENOMEM, "TLS: out of memory");
		return NULL;
	}
	t->users = 1;
	t->side = side;
	if (cfg && cfg->dir[0])
		strcpy(dir, cfg->dir);
	else
		tls_default_dir(dir, sizeof(dir));
	if (!load(t, dir, err))
		return t;
	tls_unref(t);
	return NULL;
}

struct tls *tls_ref(struct tls *t)
{
	t->users++;
	return t;
}

void tls_unref(struct tls *t)
{
	if (!t || --t->users)
		return;
	if (t->certificates)
		gnutls_certificate_free_credentials(t->certificates);
	if (t->psk && t->side == TLS_SOURCE && t->keys.client)
		gnutls_psk_free_client_credentials(t->keys.client);
	if (t->psk && t->side == TLS_DESTINATION && t->keys.server)
		gnutls_psk_free_server_credentials(t->keys.server);
	free(t);
}
