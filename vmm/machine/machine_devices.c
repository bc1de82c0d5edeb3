// SPDX-License-Identifier: MIT
/* machine_devices.c - A machine's devices: environment, quiescing */

#include <errno.h>

#include "machine_devices.h"
#include "machine_guest.h"
#include "machine_private.h"
#include "vmm/base/page.h"

static void env_irq(void *ctx, unsigned irq, bool level)
{
	struct machine *m = ctx;

	kvm_irq_line(&m->kvm, irq, level);
}

/* A copy between a device and RAM; one of the two pointers is NULL */
struct transfer {
	uint64_t gpa;
	uint8_t *to;
	const uint8_t *from;
};

/* @n bytes in one page. A page in the poison list counts as lost, even if the
 * host can read it
 */
static int copy_page(struct machine *m, const struct transfer *t, size_t n)
{
	int rc = -EHWPOISON;

	if (!poison_find(&m->poison, t->gpa, NULL))
		rc = t->to ? ram_read(&m->ram, t->gpa, t->to, n)
			   : ram_write(&m->ram, t->gpa, t->from, n);
	if (rc == -EHWPOISON)
		machine_lost(m, page_down(t->gpa), GUEST_PAGE_SIZE);
	return rc;
}

static int copy_pages(struct machine *m, struct transfer t, size_t len)
{
	uint64_t offset;
	int rc = 0;

	if (!ram_offset(&m->ram, t.gpa, len, &offset))
		return -ERANGE;
	while (len && !rc) {
		size_t n = GUEST_PAGE_SIZE - (t.gpa & GUEST_PAGE_MASK);

		n = n < len ? n : len;
		rc = copy_page(m, &t, n);
		t.gpa += n;
		t.to += t.to ? n : 0;
		t.from += t.from ? n : 0;
		len -= n;
	}
	return rc;
}

static int env_read(void *ctx, uint64_t gpa, void *to, size_t len)
{
	return copy_pages(ctx, (struct transfer){ .gpa = gpa, .to = to },
			  len);
}

static int env_write(void *ctx, uint64_t gpa, const void *from, size_t len)
{
	return copy_pages(ctx, (struct transfer){ .gpa = gpa, .from = from },
			  len);
}

static void env_output(void *ctx, const uint8_t *data, size_t n)
{
	struct machine *m = ctx;

	m->observer.output(m->observer.ctx, data, n);
}

static bool env_frozen(void *ctx)
{
	return machine_held(ctx);
}

static void env_guest_exit(void *ctx, int status)
{
	machine_guest_exit(ctx, status);
}

static void env_guest_reset(void *ctx)
{
	machine_guest_reset(ctx);
}

static void env_guest_panicked(void *ctx)
{
	machine_guest_panicked(ctx);
}

static void env_guest_crash_loaded(void *ctx)
{
	machine_guest_crash_loaded(ctx);
}

int machine_create_devices(struct machine *m, struct error *err)
{
	const struct device_env env = {
		.ctx = m, .kvm = &m->kvm, .irq = env_irq,
		.read = env_read, .write = env_write,
		.output = env_output, .frozen = env_frozen,
		.guest_exit = env_guest_exit,
		.guest_reset = env_guest_reset,
		.guest_panicked = env_guest_panicked,
		.guest_crash_loaded = env_guest_crash_loaded,
	};

	return bus_create(&m->bus, &m->cfg.devices, &env, err);
}

int machine_settle_devices(struct machine *m, unsigned ms, struct error *err)
{
	bool run;
	int rc = 0;

	pthread_mutex_lock(&m->settle_lock);
	pthread_mutex_lock(&m->lock);
	run = m->gate == GATE_RUN;
	pthread_mutex_unlock(&m->lock);
	if (run)
		bus_resume(&m->bus);
	else
		rc = bus_quiesce(&m->bus, ms, err);
	pthread_mutex_unlock(&m->settle_lock);
	return rc;
}
