// SPDX-License-Identifier: MIT
/*
 * fuzz_source.c - A whole source, and a destination that says anything
 *
 * The input is a script (script.h). Whatever it does, the source ends when it
 * is asked to and leaves nothing; after COMMIT was sent its guest never runs
 * here again, unless the operator decides so, and after a failure or a cancel
 * it does.
 */

#include <string.h>

#include "fuzz.h"
#include "migration/session/source.h"
#include "script.h"
#include "session_env.h"
#include "tests/fake/fake_ram.h"

#define PAGES	64	/* that are not zeroes */

static void run_vcpu(void *ctx, struct machine *m, unsigned vcpu)
{
	struct session_fuzz *f = ctx;

	session_fuzz_touch(f, m, vcpu, 37 * f->turns++, true);
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

static struct machine *new_machine(void)
{
	struct machine_observer none = { 0 };
	struct machine_config cfg;
	struct machine *m;

	fake_host.step = run_vcpu;
	fake_host.hot = hot;
	fake_config(&cfg, SESSION_RAM, 1, RAM_ANON);
	m = machine_new(&cfg, &none, NULL);
	CHECK(m);
	fill_ram(m);
	CHECK(!fake_machine_poison(m, 11 * WIRE_PAGE, true, NULL));
	CHECK(!machine_run(m, WHY_UNPAUSED, NULL));
	return m;
}

static bool may_run(const void *session)
{
	const struct source *s = session;

	return source_may_run(session_phase(&s->se));
}

static void operate(void *ctx, enum script_command command, size_t page)
{
	struct session_fuzz *f = ctx;
	struct source *s = f->session;
	const struct uri uri = s->uri;

	switch (command) {
	case SCRIPT_CANCEL:
		source_cancel(s, NULL);
		break;
	case SCRIPT_PAUSE:
		source_pause(s, NULL);
		break;
	case SCRIPT_RECONNECT:
		source_resume(s, &uri, NULL, NULL, NULL);
		break;
	case SCRIPT_RUN_HERE:
		f->ran_here |= !source_resolve(s, true, NULL);
		break;
	case SCRIPT_GIVE_UP:
		f->gave_up |= !source_resolve(s, false, NULL);
		break;
	default:
		session_fuzz_lose(f, page, command == SCRIPT_POISON);
	}
}

static void check_guest(struct session_fuzz *f, const struct script *peer,
			struct machine *m)
{
	enum progress_status s = progress_get(&f->progress);
	const bool commit = script_heard(peer, WIRE_MSG_COMMIT);

	if ((commit || s == PROGRESS_COMPLETED) && !f->ran_here)
		CHECK(f->opened == 1 && !fake_machine_is_open(m));
	if ((s == PROGRESS_FAILED && !f->gave_up) || s == PROGRESS_CANCELLED)
		CHECK(fake_machine_is_open(m));
	/* COMMIT may be lost with its link: then RESUME asks for REPORT */
	if (s == PROGRESS_COMPLETED)
		CHECK(commit || script_heard(peer, WIRE_MSG_RESUME));
}

static void run_source(struct session_fuzz *f, const uint8_t *data, size_t size)
{
	struct error err = { 0 };
	struct script peer;
	struct source *s;

	script_init(&peer, true);
	peer.operate = operate;
	peer.ctx = f;
	f->m = new_machine();
	s = source_new(f->m, &peer.uri, &f->env, &f->limits, &f->progress,
		       &err);
	CHECK(s);
	f->session = s;
	f->may_run = may_run;
	s->connections = 1 + size % 3;
	CHECK(!source_start(s, &err));
	script_play(&peer, data, size);
	session_fuzz_settle(f);
	source_free(s);
	f->may_run = NULL;
	check_guest(f, &peer, f->m);
	machine_free(f->m);
	script_fini(&peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	session_fuzz_run(SIDE_SOURCE, run_source, data, size);
	return 0;
}

/* ---- Seeds ---- */

static void say_welcome(struct writer *w, unsigned connection,
			enum wire_role role, unsigned pushes)
{
	struct wire_msg m = { .type = WIRE_MSG_WELCOME, .length = WIRE_HELLO };
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = role, .page_size = WIRE_PAGE,
		.features = WIRE_POISON, .push = (uint16_t)pushes,
		.epoch = connection < SCRIPT_AGAIN ? 1 : 2,
	};
	uint8_t out[WIRE_HELLO];

	/* As session_env.c has getrandom() make them */
	memset(h.id, 'f', WIRE_ID);
	memset(h.secret, 'f', WIRE_SECRET);
	wire_put_hello(out, &h);
	script_await(w, connection, WIRE_MSG_HELLO);
	script_message(w, connection, &m, out);
}

static void say_complete(struct writer *w, unsigned connection)
{
	struct wire_msg m = { .type = WIRE_MSG_COMPLETE };
	struct writer out = { 0 };

	put_u32(&out, 1);
	/* Of all vCPUs, the one, and those without a name; then buckets */
	for (unsigned k = 0; k < 3 * 5 + 1 + LATENCY_BUCKETS; k++)
		put_u64(&out, 1000 * k);
	m.length = (uint32_t)out.len;
	script_message(w, connection, &m, out.data);
	writer_free(&out);
}

static void say_setup(struct writer *w)
{
	const struct wire_msg ready = { .type = WIRE_MSG_READY,
					.length = WIRE_READY };
	uint8_t unit[WIRE_READY];

	say_welcome(w, SCRIPT_MAIN, WIRE_MAIN, 1);
	script_await(w, SCRIPT_MAIN, WIRE_MSG_DESCRIPTION);
	script_empty(w, SCRIPT_MAIN, WIRE_MSG_BUILT);
	say_welcome(w, SCRIPT_DEMAND, WIRE_DEMAND, 0);
	say_welcome(w, SCRIPT_PUSH, WIRE_PUSH, 0);
	script_await(w, SCRIPT_MAIN, WIRE_MSG_ZERO_LIST);
	wire_put_ready(unit, WIRE_PAGE);
	script_message(w, SCRIPT_MAIN, &ready, unit);
}

/* The link is lost: a second one, for which REPORT has these flags */
static void say_again(struct writer *w, unsigned flags)
{
	struct wire_msg m = { .type = WIRE_MSG_REPORT,
			      .length = WIRE_REPORT_HEAD + WIRE_REPORT_RUN };
	const struct wire_run run = { .offset = 4 * WIRE_PAGE, .pages = 40,
				      .kind = WIRE_RUN_PRESENT };
	const struct wire_report head = { .flags = flags, .n = 1 };
	uint8_t out[WIRE_REPORT_HEAD + WIRE_REPORT_RUN];

	for (unsigned i = 0; i < SCRIPT_AGAIN; i++)
		script_close(w, i);
	script_pass(w, 1);
	script_operate(w, SCRIPT_RECONNECT, 0);
	say_welcome(w, SCRIPT_AGAIN, WIRE_MAIN, 1);
	script_await(w, SCRIPT_AGAIN, WIRE_MSG_RESUME);
	wire_put_report(out, &head);
	wire_put_run(out + WIRE_REPORT_HEAD, &run);
	script_message(w, SCRIPT_AGAIN, &m, out);
	say_welcome(w, SCRIPT_AGAIN + SCRIPT_DEMAND, WIRE_DEMAND, 0);
	say_welcome(w, SCRIPT_AGAIN + SCRIPT_PUSH, WIRE_PUSH, 0);
	if (flags & WIRE_REPORT_COMMITTED)
		return;
	script_await(w, SCRIPT_AGAIN, WIRE_MSG_COMMIT);
	script_empty(w, SCRIPT_AGAIN, WIRE_MSG_RUNNING);
}

static void say_pages(struct writer *w, unsigned link)
{
	const struct wire_msg run = {
		.type = WIRE_MSG_REQUEST, .a = 25 * WIRE_PAGE, .b = 1,
		.before = 20, .after = 511,
	};

	script_header(w, link + SCRIPT_DEMAND, WIRE_MSG_REQUEST, 40, 4);
	script_message(w, link + SCRIPT_DEMAND, &run, NULL);
	script_header(w, link + SCRIPT_DEMAND, WIRE_MSG_REQUEST, 11, 1);
	script_await(w, link + SCRIPT_DEMAND, WIRE_MSG_POISON);
	script_operate(w, SCRIPT_LOSE, 20);
	script_operate(w, SCRIPT_POISON, 30);
	script_ack(w, link + SCRIPT_PUSH);
	script_ack(w, link + SCRIPT_PUSH);
	script_await(w, link + SCRIPT_PUSH, WIRE_MSG_DONE);
	script_await(w, link, WIRE_MSG_DONE);
}

/* Before COMMIT: one thing that can go wrong. Return: false: it is over */
static bool say_prepared(struct writer *w, unsigned i)
{
	const struct wire_msg refuse = { .type = WIRE_MSG_REFUSE, .length = 4 };

	script_header(w, SCRIPT_DEMAND, WIRE_MSG_REQUEST, 12, 1);
	script_await(w, SCRIPT_MAIN, WIRE_MSG_PREPARE);
	if (i == 1)
		script_message(w, SCRIPT_MAIN, &refuse, "nope");
	if (i == 2)
		script_close(w, SCRIPT_DEMAND);
	if (i == 5)
		script_operate(w, SCRIPT_CANCEL, 0);
	if (i == 6)
		script_pass(w, 13);
	if (i == 1 || i == 5 || i == 6)
		return false;
	script_empty(w, SCRIPT_MAIN, WIRE_MSG_PREPARED);
	script_await(w, SCRIPT_MAIN, WIRE_MSG_COMMIT);
	return true;
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	const unsigned link = i == 7 || i == 8 ? SCRIPT_AGAIN : SCRIPT_MAIN;
	struct writer w = { 0 };

	if (i > 9)
		return 0;
	say_setup(&w);
	if (!say_prepared(&w, i))
		return script_put(&w, to);
	if (i == 3)
		script_close(&w, SCRIPT_PUSH);
	if (i == 7)
		say_again(&w, WIRE_REPORT_END);
	if (i == 9) {
		script_close(&w, SCRIPT_MAIN);
		script_pass(&w, 1);
		script_operate(&w, SCRIPT_RUN_HERE, 0);
		return script_put(&w, to);
	}
	if (link == SCRIPT_MAIN || i == 8)
		script_empty(&w, SCRIPT_MAIN, WIRE_MSG_RUNNING);
	if (i == 8) {
		script_await(&w, SCRIPT_PUSH, WIRE_MSG_PAGES);
		script_operate(&w, SCRIPT_PAUSE, 0);
		say_again(&w, WIRE_REPORT_END | WIRE_REPORT_COMMITTED);
	}
	say_pages(&w, link);
	if (i != 4)
		say_complete(&w, link);
	return script_put(&w, to);
}
