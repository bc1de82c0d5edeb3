// SPDX-License-Identifier: MIT
/* fake_machine.c - A machine without KVM, for tests of migration/ */

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fake_machine.h"
#include "vmm/base/page.h"
#include "vmm/machine/description.h"
#include "vmm/machine/dirty.h"
#include "vmm/machine/hot.h"
#include "vmm/machine/inject.h"
#include "vmm/machine/machine_images.h"

#define GATE_DEADLINE_MS	5000	/* as vmm/machine/gate.h */
#define GATE_END_MS	1000	/* likewise */
#define FIRST_TID	100
#define STATE_TAG	0xfa4e	/* first bytes of a saved state */
#define STATE_PANICKED	1	/* bits of its last byte */
#define STATE_RESET	2

enum gate { GATE_CLOSED, GATE_OPEN, GATE_END };

struct fake_vcpu {
	struct machine *m;
	unsigned index;
	_Atomic pid_t tid;
	pthread_t thread;
	bool started;
	_Atomic bool blocked;
	_Atomic uint64_t idle;
};

/**
 * struct machine - The fake
 * @lock:	protects changes of @gate, and all to @reset_asked, and @hook
 * @changed:	broadcast when @gate or @inside changes
 * @inject_lock: one poisoning on purpose at a time
 * @inside:	vCPUs that are inside the gate
 * @dirty:	bits: pages that were written since they were cleared, or NULL
 * @logging:	the dirty log is on
 * @state:	what save and load carry along
 */
struct machine {
	struct machine_config *cfg;
	struct machine_observer observer;
	struct ram ram;
	struct poison_list poison;
	struct machine_image image[MACHINE_IMAGES];
	void *description;
	size_t description_size;

	pthread_mutex_t lock, inject_lock;
	pthread_cond_t changed;
	_Atomic enum gate gate;
	unsigned inside;
	bool held, panicked, loaded, ended, reset_asked;
	struct run_status status;
	struct ram_hook hook;
	_Atomic(_Atomic uint64_t *) dirty;
	_Atomic bool logging;
	uint8_t state[FAKE_STATE];
	struct fake_vcpu vcpu[FAKE_VCPUS_MAX];
};

struct fake_host fake_host;

static pid_t next_tid = FIRST_TID;

const char *fake_call_name(enum fake_call call)
{
	static const char *const name[FAKE_CALLS] = {
		"machine_new", "machine_hold", "machine_save", "machine_load",
		"ram_create", "ram_copy_out", "ram_holes", "ram_split",
		"ram_wall", "ram_renew", "ram_drop", "ram_write",
		"machine_dirty_start", "machine_dirty_fetch", "uffd_open", "uffd_register", "uffd_unregister",
		"uffd_copy", "uffd_zero", "uffd_poison", "uffd_read",
		"madvise", "uffd_move", "huge_buffer_get",
	};

	return call < FAKE_CALLS ? name[call] : "?";
}

int fake_fails(enum fake_call call)
{
	return fake_host.fail ? fake_host.fail(fake_host.ctx, call) : 0;
}

void fake_reset(void)
{
	next_tid = FIRST_TID;
}

void fake_fault(const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (fake_host.fault) {
		fake_host.fault(fake_host.ctx, text);
		return;
	}
	fprintf(stderr, "%s\n", text);
	abort();
}

static void notify_gate(struct machine *m, bool open)
{
	if (fake_host.gate)
		fake_host.gate(fake_host.ctx, m, open);
}

/* The caller holds @m->lock */
static void set_gate(struct machine *m, enum gate gate)
{
	const bool was_open = m->gate == GATE_OPEN;

	if (m->gate == GATE_END)
		return;
	m->gate = gate;
	if (was_open != (gate == GATE_OPEN))
		notify_gate(m, gate == GATE_OPEN);
	pthread_cond_broadcast(&m->changed);
}

/* Return: false when the vCPU shall end */
static bool enter_gate(struct machine *m)
{
	bool enters;

	pthread_mutex_lock(&m->lock);
	while (m->gate == GATE_CLOSED)
		pthread_cond_wait(&m->changed, &m->lock);
	enters = m->gate == GATE_OPEN;
	m->inside += enters;
	pthread_mutex_unlock(&m->lock);
	return enters;
}

static void leave_gate(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->inside--;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

static void *vcpu_main(void *arg)
{
	struct fake_vcpu *v = arg;

	if (fake_host.real_tids)
		v->tid = gettid();
	while (enter_gate(v->m)) {
		fake_host.step(fake_host.ctx, v->m, v->index);
		leave_gate(v->m);
	}
	return NULL;
}

/* The caller holds @m->lock. Return: true if no vCPU is inside in time */
static bool wait_outside(struct machine *m, unsigned ms)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += ms / 1000;
	end.tv_nsec += ms % 1000 * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	while (m->inside)
		if (pthread_cond_timedwait(&m->changed, &m->lock, &end))
			return !m->inside;
	return true;
}

static int start_vcpus(struct machine *m, struct error *err)
{
	for (unsigned i = 0; i < m->cfg->cpus; i++) {
		struct fake_vcpu *v = &m->vcpu[i];
		int rc;

		v->m = m;
		v->index = i;
		v->tid = next_tid++;
		if (!fake_host.step)
			continue;
		rc = pthread_create(&v->thread, NULL, vcpu_main, v);
		if (rc)
			return error_set(err, rc, "cannot start a vCPU: %s",
					 strerrordesc_np(rc));
		v->started = true;
		pthread_setname_np(v->thread, "vcpu");
	}
	return 0;
}

static int build_parts(struct machine *m, const struct machine_config *cfg,
		       struct error *err)
{
	int rc = fake_fails(FAKE_MACHINE_NEW);

	if (rc)
		return error_set(err, rc, "cannot build the machine: %s",
				 strerrordesc_np(rc));
	m->cfg = malloc(sizeof(*m->cfg));
	if (!m->cfg)
		return error_set(err, ENOMEM, "out of memory");
	*m->cfg = *cfg;
	rc = ram_create(&m->ram, cfg->memory, cfg->backing, err);
	if (!rc)
		rc = description_build(m->cfg, &m->description,
				       &m->description_size, err);
	return rc ? rc : start_vcpus(m, err);
}

struct machine *machine_new(const struct machine_config *cfg,
			    const struct machine_observer *obs,
			    struct error *err)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m) {
		error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	m->observer = *obs;
	m->ram.memfd = m->ram.pagemap = -1;
	poison_init(&m->poison);
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->inject_lock, NULL);
	pthread_cond_init(&m->changed, NULL);
	if (!build_parts(m, cfg, err))
		return m;
	machine_free(m);
	return NULL;
}

void machine_free(struct machine *m)
{
	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	set_gate(m, GATE_END);
	pthread_mutex_unlock(&m->lock);
	for (unsigned i = 0; i < FAKE_VCPUS_MAX; i++)
		if (m->vcpu[i].started)
			pthread_join(m->vcpu[i].thread, NULL);
	for (unsigned i = 0; i < MACHINE_IMAGES; i++)
		free(m->image[i].data);
	ram_destroy(&m->ram);
	poison_fini(&m->poison);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->inject_lock);
	pthread_cond_destroy(&m->changed);
	free(m->dirty);
	free(m->description);
	free(m->cfg);
	free(m);
}

const struct machine_config *machine_config(const struct machine *m)
{
	return m->cfg;
}

struct ram *machine_ram(struct machine *m)
{
	return &m->ram;
}

struct poison_list *machine_poison(struct machine *m)
{
	return &m->poison;
}

const void *machine_description(const struct machine *m, size_t *size)
{
	*size = m->description_size;
	return m->description;
}

pid_t machine_vcpu_tid(const struct machine *m, unsigned index)
{
	return m->vcpu[index].tid;
}

bool machine_vcpu_blocking(const struct machine *m, unsigned index)
{
	return m->vcpu[index].blocked;
}

void fake_machine_block(struct machine *m, unsigned vcpu, bool blocked)
{
	m->vcpu[vcpu].blocked = blocked;
}

/* A fake vCPU is never halted without an end */
uint64_t machine_vcpu_idle(const struct machine *m, unsigned index,
			   uint64_t *exits)
{
	static _Atomic uint64_t calls;

	*exits = ++calls;
	return m->vcpu[index].idle;
}

void fake_machine_idle(struct machine *m, unsigned vcpu, uint64_t ns)
{
	m->vcpu[vcpu].idle += ns;
}

uint8_t *fake_machine_state(struct machine *m)
{
	return m->state;
}

unsigned fake_machine_inside(struct machine *m)
{
	return m->inside;
}

bool fake_machine_is_open(struct machine *m)
{
	return m->gate == GATE_OPEN;
}

bool fake_machine_is_loaded(struct machine *m)
{
	return m->loaded;
}

/* ---- State ---- */

int machine_save(struct machine *m, struct writer *w, struct error *err)
{
	int rc = fake_fails(FAKE_MACHINE_SAVE);

	if (m->inside || m->gate == GATE_OPEN)
		fake_fault("the state of a running machine was saved");
	if (rc)
		return error_set(err, rc, "cannot save the state: %s",
				 strerrordesc_np(rc));
	put_u16(w, STATE_TAG);
	put_bytes(w, m->state, sizeof(m->state));
	put_u8(w, (m->panicked ? STATE_PANICKED : 0) |
		  (m->reset_asked ? STATE_RESET : 0));
	return 0;
}

int machine_load(struct machine *m, struct reader *r, struct error *err)
{
	const uint8_t *state;
	uint8_t flags;
	int rc = fake_fails(FAKE_MACHINE_LOAD);

	if (rc)
		return error_set(err, rc, "cannot load the state: %s",
				 strerrordesc_np(rc));
	if (get_u16(r) != STATE_TAG)
		return error_set(err, EBADMSG, "state: wrong tag");
	state = get_bytes(r, sizeof(m->state));
	flags = get_u8(r);
	m->panicked = flags & STATE_PANICKED;
	m->reset_asked = flags & STATE_RESET;
	if (!reader_done(r))
		return error_set(err, EBADMSG, "state: wrong length");
	memcpy(m->state, state, sizeof(m->state));
	rc = fake_host.load ? fake_host.load(fake_host.ctx, m) : 0;
	m->loaded = !rc;
	return rc ? error_set(err, -rc, "cannot load the state: %s",
			      strerrordesc_np(-rc)) : 0;
}

/* ---- Running ---- */

static void notify_status(struct machine *m, struct run_status s)
{
	if (m->observer.status)
		m->observer.status(m->observer.ctx, s);
}

/* As gate_reopen(): with @m->lock held */
static void reopen_gate(struct machine *m)
{
	if (m->status.state == RUN_RUNNING && !m->reset_asked)
		set_gate(m, GATE_OPEN);
}

static void notify_reset(struct machine *m)
{
	if (m->reset_asked && fake_host.reset)
		fake_host.reset(fake_host.ctx, m);
}

static int check_may_run(const struct machine *m, struct error *err)
{
	if (m->held)
		return error_set(err, EBUSY, "the guest is being migrated");
	return m->ended ? error_set(err, ECANCELED, "the guest has ended")
			: 0;
}

int machine_run(struct machine *m, enum run_reason why, struct error *err)
{
	const struct run_status s = { RUN_RUNNING, why };
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = check_may_run(m, err);
	if (!rc) {
		m->status = s;
		reopen_gate(m);
	}
	pthread_mutex_unlock(&m->lock);
	if (!rc)
		notify_status(m, s);
	return rc;
}

/* The caller holds @m->lock. Return: 0, -ETIMEDOUT: all vCPUs continue */
static int park_vcpus(struct machine *m, bool was_open, struct error *err)
{
	set_gate(m, GATE_CLOSED);
	if (wait_outside(m, GATE_DEADLINE_MS))
		return 0;
	if (was_open && !m->reset_asked)
		set_gate(m, GATE_OPEN);
	return error_set(err, ETIMEDOUT, "a vCPU did not stop within %d s",
			 GATE_DEADLINE_MS / 1000);
}

int machine_pause(struct machine *m, enum run_state state,
		  enum run_reason why, struct error *err)
{
	const struct run_status s = { state, why };
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = check_may_run(m, err);
	if (!rc)
		rc = park_vcpus(m, m->gate == GATE_OPEN, err);
	/* It was released while it waited, or a holder came */
	if (!rc)
		rc = check_may_run(m, err);
	if (!rc)
		m->status = s;
	pthread_mutex_unlock(&m->lock);
	if (!rc)
		notify_status(m, s);
	return rc;
}

void machine_halt(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	set_gate(m, GATE_END);
	wait_outside(m, fake_host.end_ms ? fake_host.end_ms : GATE_END_MS);
	pthread_mutex_unlock(&m->lock);
}

int machine_hold(struct machine *m, struct run_status *before,
		 struct error *err)
{
	const struct run_status s = { RUN_FINISH_MIGRATE, WHY_MIGRATION };
	int rc = fake_fails(FAKE_MACHINE_HOLD);

	if (rc)
		return error_set(err, rc, "cannot hold the machine: %s",
				 strerrordesc_np(rc));
	pthread_mutex_lock(&m->lock);
	rc = check_may_run(m, err);
	if (!rc) {
		m->held = true;
		*before = m->status;
		rc = park_vcpus(m, before->state == RUN_RUNNING, err);
		m->held = !rc;
		if (!rc)
			m->status = s;
	}
	pthread_mutex_unlock(&m->lock);
	if (!rc)
		notify_status(m, s);
	return rc;
}

void machine_thaw(struct machine *m, const struct run_status *before)
{
	pthread_mutex_lock(&m->lock);
	m->held = false;
	m->status = *before;
	reopen_gate(m);
	pthread_mutex_unlock(&m->lock);
	notify_status(m, *before);
	notify_reset(m);
}

bool machine_held(struct machine *m)
{
	return m->held;
}

struct run_status machine_status(struct machine *m)
{
	return m->status;
}

void machine_set_status(struct machine *m, struct run_status s)
{
	pthread_mutex_lock(&m->lock);
	m->status = s;
	pthread_mutex_unlock(&m->lock);
	notify_status(m, s);
}

void machine_set_reason(struct machine *m, enum run_reason from,
			enum run_reason to)
{
	struct run_status s;
	bool changed;

	pthread_mutex_lock(&m->lock);
	changed = m->status.reason == from;
	if (changed)
		m->status.reason = to;
	s = m->status;
	pthread_mutex_unlock(&m->lock);
	if (changed)
		notify_status(m, s);
}

bool machine_ended(struct machine *m)
{
	return m->ended;
}

void machine_crash(struct machine *m)
{
	const struct run_status s = { RUN_INTERNAL_ERROR, WHY_CRASHED };

	pthread_mutex_lock(&m->lock);
	m->ended = true;
	m->status = s;
	set_gate(m, GATE_CLOSED);
	pthread_mutex_unlock(&m->lock);
	notify_status(m, s);
}

bool machine_panicked(struct machine *m)
{
	return m->panicked;
}

/* ---- Images, the hook, hot pages ---- */

const struct machine_image *machine_image(const struct machine *m,
					  enum machine_image_index index)
{
	return &m->image[index];
}

const char *machine_image_name(enum machine_image_index index)
{
	return index == MACHINE_KERNEL ? "kernel" : "initrd";
}

void machine_set_image(struct machine *m, enum machine_image_index index,
		       uint8_t *data, size_t size)
{
	free(m->image[index].data);
	m->image[index] = (struct machine_image){ data, size };
}

void machine_set_ram_hook(struct machine *m, const struct ram_hook *hook)
{
	pthread_mutex_lock(&m->lock);
	m->hook = hook ? *hook : (struct ram_hook){ 0 };
	pthread_mutex_unlock(&m->lock);
	if (!hook)
		notify_reset(m);
}

struct ram_hook machine_ram_hook(struct machine *m)
{
	struct ram_hook hook;

	pthread_mutex_lock(&m->lock);
	hook = m->hook;
	pthread_mutex_unlock(&m->lock);
	return hook;
}

/* ---- The dirty log ---- */

static size_t dirty_words(const struct machine *m)
{
	return m->ram.size / GUEST_PAGE_SIZE / 64 + 1;
}

static void dirty_all(struct machine *m)
{
	for (size_t w = 0; m->dirty && w < dirty_words(m); w++)
		m->dirty[w] = ~0ull;
}

void fake_machine_dirty(struct machine *m, size_t page)
{
	if (m->dirty)
		atomic_fetch_or(&m->dirty[page / 64], 1ull << page % 64);
}

bool fake_machine_is_logging(struct machine *m)
{
	return m->logging;
}

int machine_dirty_start(struct machine *m, struct error *err)
{
	int rc = fake_fails(FAKE_DIRTY_START);

	if (!rc && !m->dirty)
		m->dirty = calloc(dirty_words(m), sizeof(*m->dirty));
	if (rc || !m->dirty)
		return error_set(err, rc ? rc : ENOMEM, "no dirty log");
	dirty_all(m);
	m->logging = true;
	return 0;
}

void machine_dirty_stop(struct machine *m)
{
	m->logging = false;
}

int machine_dirty_fetch(struct machine *m, uint64_t *bits, struct error *err)
{
	int rc = fake_fails(FAKE_DIRTY_FETCH);

	if (!m->logging)
		fake_fault("the dirty log is read while it is off");
	if (rc)
		return error_set(err, rc, "cannot fetch the dirty log");
	for (size_t w = 0; w < dirty_words(m); w++)
		bits[w] |= m->dirty[w];
	return 0;
}

int machine_dirty_clear(struct machine *m, const uint64_t *bits, size_t first,
			size_t n, struct error *err)
{
	(void)err;
	if (first % DIRTY_ALIGN ||
	    (n % DIRTY_ALIGN && first + n != m->ram.size / GUEST_PAGE_SIZE))
		fake_fault("pages %zu + %zu of the dirty log are cleared",
			   first, n);
	for (size_t w = first / 64; w * 64 < first + n; w++)
		atomic_fetch_and(&m->dirty[w], ~bits[w]);
	return 0;
}

/* ---- Reset ---- */

void fake_machine_ask_reset(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->reset_asked = true;
	if (m->gate == GATE_OPEN)
		set_gate(m, GATE_CLOSED);
	pthread_mutex_unlock(&m->lock);
	notify_reset(m);
}

/* The caller holds @m->lock. Return: as fake_machine_reset() */
static int reset_locked(struct machine *m)
{
	if (!m->reset_asked || m->ended)
		return 0;
	if (m->held || m->hook.missing)
		return -EBUSY;
	if (!wait_outside(m, GATE_DEADLINE_MS))
		return -ETIMEDOUT;
	/* A holder came meanwhile */
	if (m->held || m->hook.missing)
		return -EBUSY;
	if (ram_renew(&m->ram, NULL))
		return -ENOMEM;
	dirty_all(m);
	poison_clear(&m->poison);
	memset(m->state, 0, sizeof(m->state));
	if (fake_host.was_reset)
		fake_host.was_reset(fake_host.ctx, m);
	m->reset_asked = m->panicked = false;
	reopen_gate(m);
	return 0;
}

int fake_machine_reset(struct machine *m)
{
	int rc;

	pthread_mutex_lock(&m->inject_lock);
	pthread_mutex_lock(&m->lock);
	rc = reset_locked(m);
	pthread_mutex_unlock(&m->lock);
	pthread_mutex_unlock(&m->inject_lock);
	return rc;
}

size_t hot_pages(struct machine *m, uint64_t *gpa, size_t max)
{
	return fake_host.hot ? fake_host.hot(fake_host.ctx, m, gpa, max) : 0;
}

/* ---- Poison ---- */

void machine_failure(struct machine *m, const struct memory_failure *f)
{
	if (m->observer.failure)
		m->observer.failure(m->observer.ctx, f);
}

void inject_drain(struct machine *m)
{
	pthread_mutex_lock(&m->inject_lock);
	pthread_mutex_unlock(&m->inject_lock);
}

static int lose_page(struct machine *m, uint64_t offset, bool simulate,
		     struct error *err)
{
	struct ram_hook hook = machine_ram_hook(m);
	int rc = hook.poison ? hook.poison(hook.ctx, offset, simulate, err)
			     : RAM_HOOK_PASS;

	if (rc != RAM_HOOK_PASS)
		return rc;
	rc = fake_host.lose ? fake_host.lose(fake_host.ctx, m, offset)
			    : -ENOTSUP;
	if (rc)
		error_set(err, -rc, "cannot poison the page: %s",
			  strerrordesc_np(-rc));
	if (hook.done)
		hook.done(hook.ctx, offset);
	return rc;
}

static int poison_page(struct machine *m, uint64_t gpa, bool simulate,
		       struct error *err)
{
	struct memory_failure f = { .action = MF_NOTED };
	struct poison p = { .size = GUEST_PAGE_SIZE };
	uint64_t offset;
	int rc;

	if (!ram_offset(&m->ram, gpa, 1, &offset))
		return error_set(err, ERANGE, "0x%llx is not RAM",
				 (unsigned long long)gpa);
	if (poison_find(&m->poison, gpa, NULL))
		return error_set(err, EEXIST, "0x%llx is poisoned already",
				 (unsigned long long)gpa);
	offset -= offset % GUEST_PAGE_SIZE;
	rc = lose_page(m, offset, simulate, err);
	if (rc)
		return rc;
	p.gpa = f.gpa = ram_gpa(&m->ram, offset);
	f.size = p.size;
	rc = poison_add(&m->poison, &p);
	if (rc > 0)
		machine_failure(m, &f);
	return rc < 0 ? error_set(err, -rc, "out of memory") : 0;
}

int fake_machine_poison(struct machine *m, uint64_t gpa, bool simulate,
			struct error *err)
{
	int rc;

	pthread_mutex_lock(&m->inject_lock);
	rc = poison_page(m, gpa, simulate, err);
	pthread_mutex_unlock(&m->inject_lock);
	return rc;
}
