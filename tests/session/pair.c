// SPDX-License-Identifier: MIT
/* pair.c - Both sides of a session in one process, with a relay between them */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pair.h"

#define LOOK_US		100

static void adopt(void *ctx, struct machine *m)
{
	struct pair *p = ctx;

	p->gone = m;
}

static void set_side(void *ctx, const char *side)
{
	(void)ctx;
	(void)side;
}

void pair_ignore(void *ctx, enum progress_status status)
{
	(void)ctx;
	(void)status;
}

struct uri pair_uri(const char *path)
{
	struct uri u = { .kind = URI_UNIX };

	strcpy(u.path, path);
	return u;
}

static void make_home(struct pair *p, enum ram_backing backing)
{
	static const struct machine_observer quiet;
	struct machine_config cfg;
	struct error err = { 0 };

	fake_config(&cfg, RAM_BYTES, CPUS, backing);
	p->home = machine_new(&cfg, &quiet, &err);
	if (!p->home)
		fail_msg("%s", err.text);
}

struct pair *pair_new_backing(enum ram_backing backing, progress_fn *on_near,
			      progress_fn *on_far)
{
	struct pair *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->dir, "/tmp/session-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->near, sizeof(p->near), "%s/near", p->dir);
	snprintf(p->far, sizeof(p->far), "%s/far", p->dir);
	snprintf(p->other, sizeof(p->other), "%s/other", p->dir);
	session_limits_init(&p->limits);
	p->limits.downtime_ms = p->limits.hello_ms = LONG_MS;
	progress_init(&p->near_progress, on_near, p);
	progress_init(&p->far_progress, on_far, p);
	make_home(p, backing);
	return p;
}

struct pair *pair_new(progress_fn *on_near, progress_fn *on_far)
{
	return pair_new_backing(RAM_ANON, on_near, on_far);
}

static void new_target(struct pair *p, int backing)
{
	struct uri u = pair_uri(p->far);
	struct error err = { 0 };

	p->there = (struct session_env){ .ctx = p, .backing = backing,
					 .adopt = adopt,
					 .set_side = set_side };
	p->t = target_new(&u, &p->there, &p->limits, &p->far_progress, &err);
	if (!p->t)
		fail_msg("%s", err.text);
}

void pair_new_source(struct pair *p)
{
	struct uri u = pair_uri(p->near);
	struct error err = { 0 };

	source_free(p->s);
	p->here = (struct session_env){ .ctx = p, .backing = -1,
					.adopt = adopt, .set_side = set_side };
	p->s = source_new(p->home, &u, &p->here, &p->limits,
			  &p->near_progress, &err);
	if (!p->s)
		fail_msg("%s", err.text);
	p->s->connections = 2;
}

void pair_connect(struct pair *p, int backing)
{
	new_target(p, backing);
	p->r = relay_new(p->near, p->far);
	pair_new_source(p);
}

void pair_free(struct pair *p)
{
	source_free(p->s);
	target_free(p->t);
	relay_free(p->r);
	machine_free(p->home);
	unlink(p->near);
	unlink(p->far);
	unlink(p->other);
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
}

void pair_start(struct pair *p)
{
	struct error err = { 0 };

	if (source_start(p->s, &err))
		fail_msg("%s", err.text);
}

void pair_stuck(struct pair *p, const char *what)
{
	fail_msg("%s: source %s (%s: %s), destination %s (%s: %s)", what,
		 source_phase_name(session_phase(&p->s->se)),
		 p->near_progress.stage, progress_why(&p->near_progress).text,
		 target_phase_name(session_phase(&p->t->se)),
		 p->far_progress.stage, progress_why(&p->far_progress).text);
}

/* A turn of a wait that began some turns ago */
static void look_again(struct pair *p, unsigned turn, const char *what)
{
	if (turn > LONG_MS * 1000 / LOOK_US)
		pair_stuck(p, what);
	usleep(LOOK_US);
}

void pair_await(struct pair *p, struct progress *side,
		enum progress_status status, const char *what)
{
	for (unsigned i = 0; progress_get(side) != status; i++)
		look_again(p, i, what);
}

void pair_await_phase(struct pair *p, struct session *side, unsigned phase,
		      const char *what)
{
	for (unsigned i = 0; session_phase(side) != phase; i++)
		look_again(p, i, what);
}

void pair_await_cut(struct pair *p, const char *what)
{
	for (unsigned i = 0; !relay_done(p->r); i++)
		look_again(p, i, what);
}
