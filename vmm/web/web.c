// SPDX-License-Identifier: MIT
/* web.c - `ferry web`: start, end */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include <event2/event.h>

#include "vmm/base/log.h"
#include "vmm/base/loop.h"
#include "vmm/base/units.h"
#include "web.h"
#include "web_action.h"
#include "web_demo.h"
#include "web_http.h"
#include "web_private.h"
#include "web_stream.h"

/*
 * What limits the connections: libevent 2.1's server has no limit of its own,
 * and closes idle ones after some time
 */
#define FILES_MAX	192

static const int end_signals[] = { SIGINT, SIGTERM, SIGHUP };

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
	struct web *w = ctx;

	(void)sig;
	(void)what;
	loop_stop(w->loop, EXIT_SUCCESS);
}

static int check_address(struct web *w, struct error *err)
{
	char text[URI_TEXT];
	int rc;

	snprintf(text, sizeof(text), "tcp:%s", w->config->listen);
	rc = uri_parse(text, &w->at, NULL);
	if (rc || !*w->at.host)
		return error_set(err, EINVAL, "--listen %.200s: write "
				 "HOST:PORT, e.g. 127.0.0.1:8080",
				 w->config->listen);
	if (web_guard_loopback(w->at.host))
		return 0;
	if (!w->config->allow_remote)
		return error_set(err, EPERM, "--listen %.200s is not a loopback "
			"address: whoever can reach it and has the token, which travels unencrypted, controls the machines; `ssh -L` is safer. --allow-remote permits it",
			w->config->listen);
	log_line("warning: this page can be reached from other hosts, without encryption; whoever sees its token can %s the machines",
		 w->config->read_only ? "watch" : "control");
	return 0;
}

static int make_token(struct web *w, struct error *err)
{
	unsigned char bytes[WEB_TOKEN / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return error_set(err, EIO, "cannot get random bytes: %m");
	for (unsigned i = 0; i < sizeof(bytes); i++)
		snprintf(w->token + 2 * i, 3, "%02x", bytes[i]);
	w->rules = (struct web_rules){
		.token = w->token, .name = w->at.host,
		.fixed = w->config->read_only || w->config->replay,
	};
	return 0;
}

static void limit_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	if (limit.rlim_cur > FILES_MAX)
		limit.rlim_cur = FILES_MAX;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void print_address(const struct web *w)
{
	const bool six = strchr(w->at.host, ':');

	printf("http://%s%s%s:%s/#token=%s\n", six ? "[" : "", w->at.host,
	       six ? "]" : "", w->at.port, w->token);
	fflush(stdout);
}

static int read_replay(struct web *w, struct error *err)
{
	const char *path = w->config->replay;
	FILE *in = fopen(path, "re");
	char *text = malloc(RECORDING_MAX + 1);
	size_t n = in && text ? fread(text, 1, RECORDING_MAX + 1, in) : 0;

	if (!text)
		error_set(err, ENOMEM, "out of memory for %s", path);
	else if (!in || ferror(in))
		error_set(err, errno ? errno : EIO, "cannot read %s: %m", path);
	else if (n > RECORDING_MAX)
		error_set(err, EFBIG, "%s is longer than a recording may be "
			  "(8 MiB)", path);
	else if (web_recording_read(&w->recording, text, n, err))
		error_prefix(err, "%s", path);
	if (in)
		fclose(in);
	free(text);
	return err->code ? -err->code : 0;
}

static int start_demo(struct web *w, struct error *err)
{
	json_t *body = json_pack("{s:s}", "action", "demo");
	struct web_action a;
	int rc = web_action_parse(body, &a, err);

	json_decref(body);
	return rc ? rc : web_demo_start(w, &a, err);
}

static int web_open(struct web *w, struct error *err)
{
	int rc = check_address(w, err);

	if (!rc)
		rc = make_token(w, err);
	if (rc)
		return rc;
	if (w->config->replay)
		rc = read_replay(w, err);
	if (rc)
		return rc;
	limit_files();
	w->loop = loop_new(err);
	if (!w->loop)
		return -err->code;
	rc = web_http_open(w, err);
	if (!rc && w->config->demo)
		rc = start_demo(w, err);
	if (!rc)
		rc = web_machines_open(w, err);
	return rc;
}

/* Followers first: their last reports and answers use the server */
static void web_close(struct web *w)
{
	if (w->loop && w->machines.list.tqh_last)
		web_machines_close(w);
	if (w->loop)
		loop_drain(w->loop);
	web_demo_end(w);
	web_stream_close(w);
	web_http_close(w);
	web_recording_clear(&w->recording);
	loop_free(w->loop);
}

int web_main(const struct web_config *config)
{
	struct event *ends[ARRAY_SIZE(end_signals)] = { NULL };
	struct web w = { .config = config };
	struct error err = { 0 };
	int rc = web_open(&w, &err);

	for (unsigned i = 0; !rc && i < ARRAY_SIZE(ends); i++) {
		ends[i] = evsignal_new(loop_base(w.loop), end_signals[i],
				       on_signal, &w);
		if (!ends[i] || event_add(ends[i], NULL))
			rc = error_set(&err, ENOMEM, "out of memory");
	}
	if (!rc) {
		print_address(&w);
		rc = loop_run(w.loop);
	}
	if (err.code)
		log_line("%s", err.text);
	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
		if (ends[i])
			event_free(ends[i]);
	web_close(&w);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
