// SPDX-License-Identifier: MIT
/*
 * fuzz_source.c - A whole source, and a destination that says anything
 *
 * The input is a script (script.h). Whatever it does, the source ends when it
 * is asked to and leaves nothing; after COMMIT was sent its guest never runs
 * here again, and after a failure or a cancel it does.
 */

#include <string.h>

#include "fuzz.h"
#include "migration/session/source.h"
#include "script.h"
#include "session_env.h"
#include "tests/fake/fake_ram.h"

#define MAIN	0
#define DEMAND	1
#define PUSH	2
#define PAGES	64	/* that are not zeroes */

static void run_vcpu(void *ctx, struct machine *m, unsigned vcpu)
{
	struct session_fuzz *f = ctx;

	session_fuzz_touch(m, vcpu, 37 * f->turns++, true);
}

static size_t hot(void *ctx, struct machine *m, uint64_t *gpa, size_t max)
{
	(void)ctx;
	(void)m;
	for (size_t i = 0; i < 3 && i < max; i++)
		gpa[i] = i * 5 * WIRE_PAGE;
	return max < 3 ? max : 3;
}

static void fill_page(void *ctx, uint8_t *page)
{
	memset(page, *(const uint8_t *)ctx, WIRE_PAGE);
}

static void fill_ram(struct machine *m)
{
	for (size_t i = 0; i < PAGES; i++) {
		uint8_t value = (uint8_t)(i % 7);
		struct fake_access a = { .page = i, .write = true,
					 .fn = fill_page, .ctx = &value };

		CHECK(!fake_ram_access(machine_ram(m), &a));
	}
}

static int lose(void *ctx, struct machine *m, uint64_t offset)
{
	(void)ctx;
	fake_ram_lose(machine_ram(m), offset / WIRE_PAGE);
	return 0;
}

static struct machine *new_machine(void)
{
	struct machine_observer none = { 0 };
	struct machine_config cfg;
	struct machine *m;

	fake_host.step = run_vcpu;
	fake_host.hot = hot;
	fake_host.lose = lose;
	fake_config(&cfg, SESSION_RAM, 1, RAM_ANON);
	m = machine_new(&cfg, &none, NULL);
	CHECK(m);
	fill_ram(m);
	CHECK(!fake_machine_poison(m, 11 * WIRE_PAGE, true, NULL));
	CHECK(!machine_run(m, WHY_UNPAUSED, NULL));
	return m;
}

static void check_guest(struct session_fuzz *f, const struct script *peer,
			struct machine *m)
{
	enum progress_status s = progress_get(&f->progress);

	if (script_heard(peer, WIRE_MSG_COMMIT))
		CHECK(f->opened == 1 && !fake_machine_is_open(m));
	if (s == PROGRESS_FAILED || s == PROGRESS_CANCELLED)
		CHECK(fake_machine_is_open(m));
	if (s == PROGRESS_COMPLETED)
		CHECK(script_heard(peer, WIRE_MSG_COMMIT));
}

static void run_source(struct session_fuzz *f, const uint8_t *data, size_t size)
{
	struct error err = { 0 };
	struct script peer;
	struct machine *m;
	struct source *s;

	script_init(&peer, true);
	m = new_machine();
	s = source_new(m, &peer.uri, &f->env, &f->limits, &f->progress, &err);
	CHECK(s);
	s->connections = 1 + size % 3;
	CHECK(!source_start(s, &err));
	script_play(&peer, data, size);
	session_fuzz_settle(f);
	source_free(s);
	check_guest(f, &peer, m);
	machine_free(m);
	script_fini(&peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	session_fuzz_run(SIDE_SOURCE, run_source, data, size);
	return 0;
}

/* ---- Seeds ---- */

static void say_nothing(struct writer *w, enum wire_type type)
{
	struct wire_msg m = { .type = type };

	script_message(w, MAIN, &m, NULL);
}

static void say_welcome(struct writer *w, unsigned connection,
			enum wire_role role, unsigned pushes)
{
	struct wire_msg m = { .type = WIRE_MSG_WELCOME, .length = WIRE_HELLO };
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = role, .page_size = WIRE_PAGE,
		.features = WIRE_POISON, .push = (uint16_t)pushes, .epoch = 1,
	};
	uint8_t out[WIRE_HELLO];

	/* As session_env.c has getrandom() make them */
	memset(h.id, 'f', WIRE_ID);
	memset(h.secret, 'f', WIRE_SECRET);
	wire_put_hello(out, &h);
	script_await(w, connection, WIRE_MSG_HELLO);
	script_message(w, connection, &m, out);
}

static void say_complete(struct writer *w)
{
	struct wire_msg m = { .type = WIRE_MSG_COMPLETE };
	struct writer out = { 0 };

	put_u32(&out, 1);
	for (unsigned k = 0; k < 3 * 5; k++)
		put_u64(&out, 1000 * k);
	m.length = (uint32_t)out.len;
	script_message(w, MAIN, &m, out.data);
	writer_free(&out);
}

static void say_setup(struct writer *w)
{
	say_welcome(w, MAIN, WIRE_MAIN, 1);
	script_await(w, MAIN, WIRE_MSG_DESCRIPTION);
	say_nothing(w, WIRE_MSG_BUILT);
	say_welcome(w, DEMAND, WIRE_DEMAND, 0);
	say_welcome(w, PUSH, WIRE_PUSH, 0);
	script_await(w, MAIN, WIRE_MSG_ZERO_LIST);
	say_nothing(w, WIRE_MSG_READY);
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	struct writer w = { 0 };

	if (i > 4)
		return 0;
	say_setup(&w);
	script_header(&w, DEMAND, WIRE_MSG_REQUEST, 12, 1);
	script_await(&w, MAIN, WIRE_MSG_PREPARE);
	if (i == 1) {
		struct wire_msg m = { .type = WIRE_MSG_REFUSE, .length = 4 };

		script_message(&w, MAIN, &m, "nope");
		return script_put(&w, to);
	}
	if (i == 2)
		script_close(&w, DEMAND);
	say_nothing(&w, WIRE_MSG_PREPARED);
	script_await(&w, MAIN, WIRE_MSG_COMMIT);
	if (i == 3)
		script_close(&w, PUSH);
	say_nothing(&w, WIRE_MSG_RUNNING);
	script_header(&w, DEMAND, WIRE_MSG_REQUEST, 40, 4);
	script_header(&w, DEMAND, WIRE_MSG_REQUEST, 11, 1);
	script_await(&w, DEMAND, WIRE_MSG_POISON);
	script_ack(&w, PUSH);
	script_ack(&w, PUSH);
	script_await(&w, PUSH, WIRE_MSG_DONE);
	script_await(&w, MAIN, WIRE_MSG_DONE);
	if (i != 4)
		say_complete(&w);
	return script_put(&w, to);
}
