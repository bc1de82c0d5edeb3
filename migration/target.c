// SPDX-License-Identifier: MIT
/*
 * target.c - The side that a guest arrives at
 *
 * Listens in a thread of its own and walks through the stages with whoever
 * connects. Until the source was told that the machine is prepared, a failure throws
 * everything away, and the next source may try. After that it is in doubt whether
 * the source has committed: the machine is kept, and does not run until it has
 * heard so (invariant 5). After the commit a lost connection keeps all there is.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../vmm/description.h"
#include "../vmm/log.h"
#include "../vmm/uffd.h"
#include "stages.h"
#include "target.h"

#define HELLO_MS	10000
#define SILENCE_MS	20000
#define LAST_PAGES_MS	20000
#define ACCEPT_AGAIN_US	100000	/* out of descriptors, say */

static int say(struct target *t, enum wire_type type, const struct writer *w,
	       struct error *err)
{
	struct wire_msg m = { .type = type,
			      .length = w ? (uint32_t)w->len : 0 };

	return channel_say(&t->main, &m, w ? w->data : NULL, err);
}

static int welcome(struct channel *c, const uint8_t *id, enum wire_role role,
		   struct error *err)
{
	struct wire_hello h = {
		.version = WIRE_VERSION, .role = role, .page_size = WIRE_PAGE,
		.features = uffd_has_poison() == 1 ? WIRE_POISON : 0,
	};
	struct wire_msg m = { .type = WIRE_MSG_WELCOME,
			      .length = WIRE_HELLO };
	uint8_t out[WIRE_HELLO];

	memcpy(h.id, id, WIRE_ID);
	wire_put_hello(out, &h);
	return channel_say(c, &m, out, err);
}

static int hear_hello(struct channel *c, enum wire_role role,
		      struct wire_hello *h, struct error *err)
{
	uint8_t *in = NULL;
	int rc = channel_expect(c, WIRE_MSG_HELLO, &in, NULL, err);

	if (!rc)
		rc = wire_get_hello(in, h, err);
	if (!rc && h->role != role)
		rc = error_set(err, EBADMSG,
			"the peer opened the wrong kind of connection");
	if (!rc && h->page_size != WIRE_PAGE)
		rc = error_set(err, ENOTSUP,
			"the peer's pages have %u bytes, ours %u",
			h->page_size, WIRE_PAGE);
	free(in);
	return rc;
}

int target_hello(struct target *t, struct error *err)
{
	struct wire_hello h;
	int rc = hear_hello(&t->main, WIRE_MAIN, &h, err);

	if (rc)
		return rc;
	memcpy(t->id, h.id, WIRE_ID);
	return welcome(&t->main, t->id, WIRE_MAIN, err);
}

/* RAM is empty, and stays so until we place something (invariant 11) */
static int register_ram(struct target *t, struct error *err)
{
	struct ram *ram = &t->m->ram;

	t->uffd = uffd_open(true, err);
	if (t->uffd < 0)
		return t->uffd;
	if (madvise(ram->base, ram->size, MADV_NOHUGEPAGE) && errno != EINVAL)
		return error_set(err, errno, "MADV_NOHUGEPAGE: %s",
				 strerrordesc_np(errno));
	if (pages_init(&t->pages, ram->size / WIRE_PAGE))
		return error_set(err, ENOMEM, "out of memory for pages");
	return uffd_register(t->uffd, ram->base, ram->size, UFFD_MISSING,
			     err);
}

static int build_machine(struct target *t, const uint8_t *fdt, uint32_t len,
			 struct error *err)
{
	struct machine_observer obs = host_observer(t->host);
	struct machine_config *cfg = calloc(1, sizeof(*cfg));
	int rc;

	if (!cfg)
		return error_set(err, ENOMEM, "out of memory");
	rc = description_parse(fdt, len, cfg, err);
	if (!rc)
		rc = description_check_host(cfg, err);
	if (!rc) {
		t->m = machine_new(cfg, &obs, err);
		rc = t->m ? 0 : -err->code;
	}
	free(cfg);
	return rc;
}

int target_build(struct target *t, struct error *err)
{
	uint8_t *fdt = NULL;
	uint32_t len;
	int rc = channel_expect(&t->main, WIRE_MSG_DESCRIPTION, &fdt, &len,
				err);

	if (!rc)
		rc = build_machine(t, fdt, len, err);
	free(fdt);
	if (!rc) {
		job_machine(t->job, t->m);
		rc = register_ram(t, err);
	}
	return rc ? rc : say(t, WIRE_MSG_BUILT, NULL, err);
}

static int start_pager(struct target *t, struct error *err)
{
	int rc = pthread_create(&t->pager, NULL, target_pager_main, t);

	if (rc)
		return error_set(err, rc, "cannot start the pager: %s",
				 strerrordesc_np(rc));
	pthread_setname_np(t->pager, "pager");
	t->pager_started = true;
	return 0;
}

/* The pager must be there before any state is loaded: loading may fault */
int target_attach(struct target *t, struct error *err)
{
	struct wire_hello h;
	int rc = channel_accept(&t->demand, t->listener, HELLO_MS, HELLO_MS,
				err);

	if (!rc)
		rc = hear_hello(&t->demand, WIRE_DEMAND, &h, err);
	if (!rc && memcmp(h.id, t->id, WIRE_ID))
		rc = error_set(err, EBADMSG,
			"another migration's source connected in between");
	if (!rc)
		rc = welcome(&t->demand, t->id, WIRE_DEMAND, err);
	channel_deadline(&t->main, SILENCE_MS);
	return rc ? rc : start_pager(t, err);
}

int target_state(struct target *t, struct error *err)
{
	job_set(t->job, JOB_DEVICE, NULL);
	return channel_expect(&t->main, WIRE_MSG_STATE, &t->state,
			      &t->state_len, err);
}

int target_poison_list(struct target *t, struct error *err)
{
	return channel_expect(&t->main, WIRE_MSG_POISON_LIST, &t->poison,
			      &t->poison_len, err);
}

int target_zero_list(struct target *t, struct error *err)
{
	return channel_expect(&t->main, WIRE_MSG_ZERO_LIST, &t->zero,
			      &t->zero_len, err);
}

static int load_poison(struct target *t, struct error *err)
{
	struct reader r = { .data = t->poison, .len = t->poison_len };
	struct poison *p;
	int n = poison_parse(&r, &p, err), rc = 0;

	if (n < 0)
		return n;
	for (int i = 0; i < n && !rc; i++) {
		if (p[i].gpa % WIRE_PAGE || p[i].size % WIRE_PAGE)
			rc = error_set(err, EBADMSG,
				"poison list: 0x%llx is not whole pages",
				(unsigned long long)p[i].gpa);
		else
			rc = target_poison(t, p[i].gpa, p[i].size / WIRE_PAGE,
					   p[i].delivered, err);
	}
	free(p);
	return rc;
}

static int load_zeroes(struct target *t, struct error *err)
{
	struct reader r = { .data = t->zero, .len = t->zero_len };
	uint32_t n = get_u32(&r);
	uint64_t pages = t->pages.n;

	for (uint32_t i = 0; i < n && !r.failed; i++) {
		uint64_t at = get_u64(&r), len = get_u64(&r);

		if (at % WIRE_PAGE || len % WIRE_PAGE ||
		    at / WIRE_PAGE > pages ||
		    len / WIRE_PAGE > pages - at / WIRE_PAGE)
			return error_set(err, EBADMSG,
				"zero list: entry %u is not whole pages of RAM",
				i);
		t->job->pages[PAGE_KIND_ZERO] +=
			pages_set_zero(&t->pages, at / WIRE_PAGE,
				       len / WIRE_PAGE);
	}
	return reader_done(&r) ? 0 :
	       error_set(err, EBADMSG, "zero list: wrong length");
}

static int load_state(struct target *t, struct error *err)
{
	struct reader r = { .data = t->state, .len = t->state_len };

	t->run_it = get_u8(&r);
	return machine_load(t->m, &r, err);
}

static void drop_received(struct target *t)
{
	free(t->state);
	free(t->poison);
	free(t->zero);
	t->state = t->poison = t->zero = NULL;
}

/* What comes before PREPARE are the pages that the guest needs first */
static int hear_prepare(struct target *t, struct error *err)
{
	uint8_t *data = malloc(WIRE_RUN_PAGES * WIRE_PAGE);
	struct wire_msg m;
	int rc;

	if (!data)
		return error_set(err, ENOMEM, "out of memory for pages");
	for (;;) {
		rc = channel_hear(&t->main, &m, err);
		if (rc || m.type == WIRE_MSG_PREPARE)
			break;
		if (m.type != WIRE_MSG_PAGES && m.type != WIRE_MSG_ZERO &&
		    m.type != WIRE_MSG_POISON) {
			rc = error_set(err, EBADMSG,
				"the peer sent %s where PREPARE belongs",
				wire_name(m.type));
			break;
		}
		rc = channel_recv(&t->main, data, m.length, err);
		if (!rc)
			rc = target_message(t, &m, data, PAGE_PUSH, err);
		if (rc)
			break;
	}
	free(data);
	return rc;
}

/* From here on the machine is kept, whatever happens to the connection */
static int promise(struct target *t, struct error *err)
{
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	if (t->broken)
		rc = error_set(err, EPIPE,
			"the connection was lost while the state was loaded");
	else
		t->prepared = true;
	pthread_mutex_unlock(&t->lock);
	return rc;
}

/* All was read: now it is loaded (invariant 6) */
int target_prepare(struct target *t, struct error *err)
{
	struct pager p = { .ctx = t, .poison = target_pager_hook };
	int rc = load_poison(t, err);

	if (!rc)
		rc = load_zeroes(t, err);
	if (!rc)
		rc = hear_prepare(t, err);
	if (!rc)
		rc = load_state(t, err);
	drop_received(t);
	if (!rc)
		rc = promise(t, err);
	if (rc)
		return rc;
	machine_set_pager(t->m, &p);
	return say(t, WIRE_MSG_PREPARED, NULL, err);
}

int target_commit(struct target *t, struct error *err)
{
	int rc = channel_expect(&t->main, WIRE_MSG_COMMIT, NULL, NULL, err);

	/* A source that says no has not committed: there is no doubt */
	if (rc == -ECONNREFUSED)
		t->prepared = false;
	if (rc)
		return rc;
	pthread_mutex_lock(&t->lock);
	t->committed = true;
	pthread_mutex_unlock(&t->lock);
	t->host->side = "destination";
	host_set_machine(t->host, t->m);
	t->job->run = now_ns();
	job_set(t->job, JOB_POSTCOPY, NULL);
	if (t->run_it)
		machine_run(t->m, WHY_POSTCOPY, NULL);
	else
		machine_set_status(t->m, (struct run_status){ RUN_PAUSED,
							      WHY_POSTCOPY });
	rc = say(t, WIRE_MSG_RUNNING, NULL, err);
	return !rc && t->lost.code ? error_set(err, t->lost.code, "%s",
					       t->lost.text) : rc;
}

int target_receive(struct target *t, struct error *err)
{
	uint8_t *data = malloc(WIRE_RUN_PAGES * WIRE_PAGE);
	struct wire_msg m;
	int rc = data ? 0 : error_set(err, ENOMEM, "out of memory for pages");

	while (!rc) {
		rc = channel_hear(&t->main, &m, err);
		if (rc || m.type == WIRE_MSG_DONE)
			break;
		if (m.type == WIRE_MSG_PAGES)
			rc = channel_recv(&t->main, data, m.length, err);
		if (!rc)
			rc = target_message(t, &m, data, PAGE_PUSH, err);
	}
	free(data);
	return rc;
}

/* The source has sent all; some may still be on the other connection */
static int wait_last_pages(struct target *t, struct error *err)
{
	for (unsigned ms = 0; t->pages.missing; ms++) {
		if (ms > LAST_PAGES_MS || t->failed || t->ending)
			return error_set(err, EPROTO,
				"the source has finished, but %zu pages are missing",
				(size_t)t->pages.missing);
		usleep(1000);
	}
	return 0;
}

static void end_pager(struct target *t)
{
	t->ending = true;
	target_wake_pager(t);
	if (t->pager_started)
		pthread_join(t->pager, NULL);
	t->pager_started = false;
}

static void close_uffd(struct target *t)
{
	pthread_mutex_lock(&t->hook_lock);
	if (t->uffd >= 0)
		close(t->uffd);
	t->uffd = -1;
	pthread_mutex_unlock(&t->hook_lock);
}

/*
 * Every page is there, or known to be zeroes. Those need no page of their
 * own: unregistered memory that was never written reads as zeroes. Poison
 * stays (tests/kernel/poison-survives.c).
 */
static int let_go(struct target *t, struct error *err)
{
	struct ram *ram = &t->m->ram;
	int rc;

	end_pager(t);
	machine_set_pager(t->m, NULL);
	pthread_mutex_lock(&t->hook_lock);
	rc = uffd_unregister(t->uffd, ram->base, ram->size);
	pthread_mutex_unlock(&t->hook_lock);
	if (rc)
		return error_set(err, -rc, "UFFDIO_UNREGISTER: %s",
				 strerrordesc_np(-rc));
	close_uffd(t);
	return 0;
}

int target_finish(struct target *t, struct error *err)
{
	struct writer w = { 0 };
	int rc = wait_last_pages(t, err);

	if (!rc)
		rc = let_go(t, err);
	if (rc)
		return rc;
	machine_set_reason(t->m, WHY_POSTCOPY, WHY_MIGRATED);
	job_put_latency(t->job, &w);
	/* The guest is whole: a source that can't be told doesn't change it */
	if (w.failed || say(t, WIRE_MSG_COMPLETE, &w, NULL))
		log_line("the source could not be told that all pages arrived");
	writer_free(&w);
	return 0;
}

static void walk(struct target *t, struct error *err)
{
	int rc = 0;

	for (const struct stage *st = stages; st->name && !rc; st++) {
		job_stage(t->job, st->name);
		if (t->stop && !t->committed)
			rc = error_set(err, ECANCELED, "this side is ending");
		else if (st->target)
			rc = st->target(t, err);
	}
}

/*
 * Loading state may wait for a page that doesn't come any more. Until the
 * source was told that we are prepared, all of it is thrown away, so whoever
 * waits may go on with zeroes: that machine never runs.
 */
static void let_loader_go(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	t->broken |= !t->prepared;
	pthread_mutex_unlock(&t->lock);
	pthread_mutex_lock(&t->hook_lock);
	if (t->broken && t->uffd >= 0)
		uffd_unregister(t->uffd, t->m->ram.base, t->m->ram.size);
	pthread_mutex_unlock(&t->hook_lock);
}

static void show_lost(struct target *t, const struct error *why)
{
	if (t->committed)
		machine_set_reason(t->m, WHY_POSTCOPY, WHY_POSTCOPY_FAILED);
	job_set(t->job, JOB_PAUSED, why);
}

void target_fail(struct target *t, const struct error *why)
{
	bool first;

	if (t->ending)
		return;
	pthread_mutex_lock(&t->lock);
	first = t->prepared && !t->failed;
	t->failed |= first;
	pthread_mutex_unlock(&t->lock);
	let_loader_go(t);

	channel_shut(&t->main);
	channel_shut(&t->demand);
	if (!first)
		return;
	log_line("migration paused: %s; what has arrived is kept here",
		 why->text);
	show_lost(t, why);
}

/* Throw away what a failed attempt left, to be ready for the next one */
static void start_over(struct target *t)
{
	end_pager(t);
	pthread_mutex_lock(&t->lock);
	channel_close(&t->main);
	channel_close(&t->demand);
	pthread_mutex_unlock(&t->lock);
	/* Whoever waits for a page gets a zero page now, and must not run with
	 * it. The machine goes last, since its end waits for who waits
	 */
	if (t->m)
		machine_halt(t->m);
	close_uffd(t);		/* from here on nobody else looks at the machine */
	machine_free(t->m);
	t->m = NULL;
	pages_fini(&t->pages);
	drop_received(t);
	t->inflight_n = 0;
	t->prepared = t->broken = t->failed = t->ending = false;
	error_clear(&t->lost);
}

/* Return: true if another source may try */
static bool serve_one(struct target *t)
{
	struct error err = { 0 };

	job_begin(t->job, false);
	walk(t, &err);
	if (!err.code) {
		log_line("the guest has arrived whole");
		shutdown(t->listener, SHUT_RDWR);
		job_set(t->job, JOB_COMPLETED, NULL);
		return false;
	}
	if (t->prepared) {
		if (!t->committed)
			error_prefix(&err, "hand-over in doubt");
		target_fail(t, &err);
		/* The pager may have said so before, and this thread
		 * something else after it
		 */
		if (t->failed)
			show_lost(t, NULL);
		return false;
	}
	channel_refuse(&t->main, &err);
	log_line("incoming migration failed: %s; waiting for another",
		 err.text);
	job_set(t->job, JOB_FAILED, &err);
	start_over(t);
	return true;
}

static void *target_main(void *arg)
{
	struct target *t = arg;
	bool again = true;

	while (again && !t->stop) {
		struct error err = { 0 };
		int rc = channel_accept(&t->main, t->listener, -1, HELLO_MS,
					&err);

		if (rc == -ECANCELED || t->stop)
			break;
		if (rc) {
			log_line("%s", err.text);
			usleep(ACCEPT_AGAIN_US);
		} else {
			again = serve_one(t);
		}
	}
	return NULL;
}

struct target *target_new(struct host *h, struct job *job,
			  const struct uri *uri, struct error *err)
{
	struct target *t = calloc(1, sizeof(*t));
	int rc;

	if (!t) {
		error_set(err, ENOMEM, "out of memory for a migration");
		return NULL;
	}
	t->host = h;
	t->job = job;
	t->uri = *uri;
	t->main.fd = t->demand.fd = t->uffd = -1;
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->inflight_lock, NULL);
	pthread_mutex_init(&t->hook_lock, NULL);
	t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->listener = channel_listen(uri, err);
	rc = t->listener < 0 ? t->listener
	     : pthread_create(&t->thread, NULL, target_main, t);
	if (rc) {
		error_set(err, rc < 0 ? -rc : rc,
			  "cannot start the incoming migration");
		target_free(t);
		return NULL;
	}
	t->started = true;
	pthread_setname_np(t->thread, "receiver");
	return t;
}

void target_disconnect(struct target *t)
{
	pthread_mutex_lock(&t->lock);
	channel_shut(&t->main);
	channel_shut(&t->demand);
	pthread_mutex_unlock(&t->lock);
}

void target_free(struct target *t)
{
	if (!t)
		return;
	t->stop = t->ending = true;
	if (t->listener >= 0)
		shutdown(t->listener, SHUT_RDWR);
	target_disconnect(t);
	let_loader_go(t);
	if (t->started)
		pthread_join(t->thread, NULL);
	start_over(t);
	if (t->listener >= 0)
		close(t->listener);
	if (t->uri.kind == URI_UNIX && t->listener >= 0)
		unlink(t->uri.path);
	close(t->wake);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->inflight_lock);
	pthread_mutex_destroy(&t->hook_lock);
	free(t);
}
