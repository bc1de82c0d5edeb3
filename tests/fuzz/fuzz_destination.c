// SPDX-License-Identifier: MIT
/*
 * fuzz_destination.c - A whole destination, and a source that says anything
 *
 * The input is a script (script.h). Whatever it does, the destination ends
 * when it is asked to, leaves nothing, and its guest runs only with the state
 * that arrived. fake_uffd.c checks that no poison is overwritten.
 */

#include <string.h>

#include "fuzz.h"
#include "migration/session/target.h"
#include "script.h"
#include "session_env.h"
#include "vmm/machine/description.h"

#define ID	"0123456789abcdef"

static void run_vcpu(void *ctx, struct machine *m, unsigned vcpu)
{
	struct session_fuzz *f = ctx;
	const unsigned turn = ++f->turns;

	CHECK(fake_machine_is_loaded(m));
	session_fuzz_touch(f, m, vcpu, 37 * turn, turn & 1);
}

/* What loading the state touches: the page may not have arrived yet */
static int load(void *ctx, struct machine *m)
{
	session_fuzz_touch(ctx, m, 0, 1, true);
	return 0;
}

static bool may_run(const void *session)
{
	const struct target *t = session;

	return target_may_run(session_phase(&t->se));
}

static void operate(void *ctx, enum script_command command, size_t page)
{
	struct session_fuzz *f = ctx;
	struct target *t = f->session;
	const struct uri uri = t->uri;

	switch (command) {
	case SCRIPT_CANCEL:
	case SCRIPT_PAUSE:
		target_pause(t, NULL);
		break;
	case SCRIPT_RECONNECT:
		target_recover(t, &uri, NULL);
		break;
	case SCRIPT_RUN_HERE:
		target_resolve(t, true, NULL);
		break;
	case SCRIPT_GIVE_UP:
		f->gave_up |= !target_resolve(t, false, NULL);
		break;
	default:
		session_fuzz_lose(f, page, command == SCRIPT_POISON);
	}
}

static void run_target(struct session_fuzz *f, const uint8_t *data, size_t size)
{
	struct error err = { 0 };
	struct script peer;
	struct target *t;

	script_init(&peer, false);
	peer.operate = operate;
	peer.ctx = f;
	fake_host.step = run_vcpu;
	fake_host.load = load;
	t = target_new(&peer.uri, &f->env, &f->limits, &f->progress, &err);
	CHECK(t);
	f->session = t;
	f->may_run = may_run;
	script_play(&peer, data, size);
	session_fuzz_settle(f);
	/* target_free() first changes the phase to "ended", and then stops the
	 * vCPUs: what they do in between is no fault
	 */
	f->may_run = NULL;
	target_free(t);
	/* A guest that was given up makes room for another one */
	CHECK(f->opened <= 1 || f->gave_up);
	script_fini(&peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	session_fuzz_run(SIDE_TARGET, run_target, data, size);
	return 0;
}

/* ---- Seeds ---- */

static void say(struct writer *w, unsigned connection, enum wire_type type,
		struct writer *payload)
{
	struct wire_msg m = { .type = type, .length = (uint32_t)payload->len };

	CHECK(!payload->failed);
	script_message(w, connection, &m, payload->data);
	writer_free(payload);
	*payload = (struct writer){ 0 };
}

static void say_hello(struct writer *w, unsigned connection,
		      enum wire_role role, unsigned pushes, unsigned epoch)
{
	struct wire_msg m = { .type = WIRE_MSG_HELLO, .length = WIRE_HELLO };
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = role, .page_size = WIRE_PAGE,
		.features = WIRE_POISON, .push = (uint16_t)pushes,
		.epoch = epoch, .resume = epoch > 1 && role == WIRE_MAIN,
	};
	uint8_t out[WIRE_HELLO];

	memcpy(h.id, ID, WIRE_ID);
	memcpy(h.secret, ID, WIRE_SECRET);
	wire_put_hello(out, &h);
	script_message(w, connection, &m, out);
	script_await(w, connection, WIRE_MSG_WELCOME);
}

static void say_description(struct writer *w, enum ram_backing backing)
{
	struct machine_config cfg;
	struct writer out = { 0 };
	size_t size;
	void *fdt;

	fake_config(&cfg, SESSION_RAM, 2, backing);
	CHECK(!description_build(&cfg, &fdt, &size, NULL));
	put_bytes(&out, fdt, size);
	free(fdt);
	say(w, SCRIPT_MAIN, WIRE_MSG_DESCRIPTION, &out);
	script_await(w, SCRIPT_MAIN, WIRE_MSG_BUILT);
}

static void say_images(struct writer *w, const char *kernel)
{
	struct writer out = { 0 };

	put_u64(&out, strlen(kernel));
	put_u64(&out, 0);
	say(w, SCRIPT_MAIN, WIRE_MSG_BOOT, &out);
	put_bytes(&out, kernel, strlen(kernel));
	if (*kernel)
		say(w, SCRIPT_MAIN, WIRE_MSG_IMAGE, &out);
}

static void say_state(struct writer *w)
{
	struct machine_observer none = { 0 };
	struct machine_config cfg;
	struct writer out = { 0 };
	struct machine *m;

	fake_config(&cfg, SESSION_RAM, 1, RAM_ANON);
	fake_host.step = NULL;
	m = machine_new(&cfg, &none, NULL);
	CHECK(m);
	put_u8(&out, 1);
	CHECK(!machine_save(m, &out, NULL));
	machine_free(m);
	say(w, SCRIPT_MAIN, WIRE_MSG_STATE, &out);
}

static void say_extents(struct writer *w, enum wire_type type, unsigned page,
			unsigned n)
{
	struct writer out = { 0 };

	put_u32(&out, n ? 1 : 0);
	if (n) {
		put_u64(&out, page * WIRE_PAGE);
		put_u64(&out, n * WIRE_PAGE);
	}
	say(w, SCRIPT_MAIN, type, &out);
}

static void say_poison(struct writer *w, unsigned n)
{
	struct writer out = { 0 };

	put_u32(&out, n);
	for (unsigned i = 0; i < n; i++) {
		put_u64(&out, (20 + 2 * i) * WIRE_PAGE);
		put_u64(&out, WIRE_PAGE);
		put_u8(&out, i & 1);
	}
	say(w, SCRIPT_MAIN, WIRE_MSG_POISON_LIST, &out);
}

/* Two passes, if there is a pass: pages 0 to 8 are sent, some twice */
static void say_passes(struct writer *w, enum ram_backing backing)
{
	struct writer out = { 0 };

	if (backing != RAM_MEMFD) {
		script_pages(w, SCRIPT_MAIN, 0, 8);
		script_header(w, SCRIPT_MAIN, WIRE_MSG_ZERO, 8, 1);
		put_u8(&out, 1);
		say(w, SCRIPT_MAIN, WIRE_MSG_PASS, &out);
		script_await(w, SCRIPT_MAIN, WIRE_MSG_PASSED);
		script_header(w, SCRIPT_MAIN, WIRE_MSG_ZERO, 0, 2);
		script_pages(w, SCRIPT_MAIN, 7, 2);
	}
	put_u8(&out, 0);
	say(w, SCRIPT_MAIN, WIRE_MSG_PASS, &out);
}

/* 64 pages are not zeroes: 0 to 63 */
static void say_until_state(struct writer *w, unsigned pushes,
			    enum ram_backing backing)
{
	say_hello(w, SCRIPT_MAIN, WIRE_MAIN, pushes, 1);
	say_description(w, backing);
	say_hello(w, SCRIPT_DEMAND, WIRE_DEMAND, 0, 1);
	for (unsigned i = 0; i < pushes; i++)
		say_hello(w, SCRIPT_PUSH + i, WIRE_PUSH, 0, 1);
	say_images(w, backing == RAM_ANON ? "kernel" : "");
	say_extents(w, WIRE_MSG_ZERO_LIST, 64, SESSION_RAM / WIRE_PAGE - 64);
	script_await(w, SCRIPT_MAIN, WIRE_MSG_READY);
	say_passes(w, backing);
	say_state(w);
}

static void say_prepare(struct writer *w, unsigned poisoned, bool huge)
{
	say_extents(w, WIRE_MSG_WRITTEN_LIST, 128, 3);
	say_extents(w, WIRE_MSG_DISCARD, 0, huge ? 512 : 9);
	say_poison(w, poisoned);
	script_pages(w, SCRIPT_MAIN, 1, huge ? 63 : 1);
	if (huge)
		script_pages(w, SCRIPT_MAIN, 128, 3);
	script_header(w, SCRIPT_MAIN, WIRE_MSG_ZERO, huge ? 0 : 2, 1);
	script_empty(w, SCRIPT_MAIN, WIRE_MSG_PREPARE);
	script_await(w, SCRIPT_MAIN, WIRE_MSG_PREPARED);
}

static void say_commit(struct writer *w)
{
	script_empty(w, SCRIPT_MAIN, WIRE_MSG_COMMIT);
	script_await(w, SCRIPT_MAIN, WIRE_MSG_RUNNING);
}

static void say_pages(struct writer *w, unsigned pushes)
{
	script_await(w, SCRIPT_DEMAND, WIRE_MSG_REQUEST);
	script_pages(w, SCRIPT_DEMAND, 37, 1);
	script_header(w, SCRIPT_DEMAND, WIRE_MSG_POISON, 40, 1);
	script_pages(w, SCRIPT_PUSH, 0, 16);
	script_header(w, SCRIPT_PUSH, WIRE_MSG_ZERO, 16, 4);
	script_pages(w, SCRIPT_PUSH + pushes - 1, 20, 44);
	script_pages(w, SCRIPT_PUSH, 128, 3);
	for (unsigned i = 0; i < pushes; i++)
		script_empty(w, SCRIPT_PUSH + i, WIRE_MSG_DONE);
	script_empty(w, SCRIPT_MAIN, WIRE_MSG_DONE);
	script_await(w, SCRIPT_MAIN, WIRE_MSG_COMPLETE);
	script_empty(w, SCRIPT_MAIN, WIRE_MSG_CONFIRMED);
}

/* The link is lost: a second one, over which the rest is sent */
static void say_again(struct writer *w, bool in_doubt)
{
	struct writer out = { 0 };

	for (unsigned i = 0; i < SCRIPT_AGAIN; i++)
		script_close(w, i);
	say_hello(w, SCRIPT_AGAIN, WIRE_MAIN, 1, 2);
	put_u8(&out, 1);
	say(w, SCRIPT_AGAIN, WIRE_MSG_RESUME, &out);
	script_await(w, SCRIPT_AGAIN, WIRE_MSG_REPORT);
	say_hello(w, SCRIPT_AGAIN + SCRIPT_DEMAND, WIRE_DEMAND, 0, 2);
	say_hello(w, SCRIPT_AGAIN + SCRIPT_PUSH, WIRE_PUSH, 0, 2);
	if (in_doubt)
		script_empty(w, SCRIPT_AGAIN, WIRE_MSG_COMMIT);
	script_empty(w, SCRIPT_AGAIN, WIRE_MSG_BEAT);
	script_pages(w, SCRIPT_AGAIN + SCRIPT_PUSH, 0, 64);
	script_pages(w, SCRIPT_AGAIN + SCRIPT_PUSH, 128, 3);
	script_empty(w, SCRIPT_AGAIN + SCRIPT_PUSH, WIRE_MSG_DONE);
	script_empty(w, SCRIPT_AGAIN, WIRE_MSG_DONE);
	script_await(w, SCRIPT_AGAIN, WIRE_MSG_COMPLETE);
	script_empty(w, SCRIPT_AGAIN, WIRE_MSG_CONFIRMED);
}

static void say_refuse(struct writer *w)
{
	struct writer out = { 0 };

	put_bytes(&out, "the source gave up", 18);
	say(w, SCRIPT_MAIN, WIRE_MSG_REFUSE, &out);
}

/* The link is lost, and the operator decides */
static size_t say_resolved(struct writer *w, bool run_here, uint8_t *to)
{
	script_close(w, SCRIPT_MAIN);
	script_pass(w, 1);
	script_operate(w, SCRIPT_RECONNECT, 0);
	script_operate(w, run_here ? SCRIPT_RUN_HERE : SCRIPT_GIVE_UP, 0);
	script_pass(w, 1);
	say_hello(w, 6, WIRE_MAIN, 2, 1);
	return script_put(w, to);
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	struct writer w = { 0 };
	unsigned pushes = i == 1 ? 3 : 1;

	if (i > 10)
		return 0;
	say_until_state(&w, pushes, i == 2 ? RAM_HUGETLB :
				    i == 1 ? RAM_MEMFD : RAM_ANON);
	if (i == 3) {
		say_refuse(&w);
		say_hello(&w, 6, WIRE_MAIN, 2, 1);
		return script_put(&w, to);
	}
	say_prepare(&w, i == 1 ? 3 : 0, i == 2);
	if (i == 4)
		script_close(&w, SCRIPT_PUSH);
	if (i == 5)
		say_refuse(&w);
	if (i == 6)
		say_again(&w, true);
	if (i == 8 || i == 9)
		return say_resolved(&w, i == 8, to);
	say_commit(&w);
	if (i == 10) {
		script_operate(&w, SCRIPT_LOSE, 1);
		script_operate(&w, SCRIPT_POISON, 30);
		script_pass(&w, 14);
	}
	if (i == 7)
		say_again(&w, false);
	say_pages(&w, pushes);
	return script_put(&w, to);
}
