// SPDX-License-Identifier: MIT
/*
 * test_bus.c - Dispatch, quiescing and state of devices, without KVM
 *
 * The devices here are models of the test: a register file with a thread that
 * increments one of them, as a device with work of its own would.
 */

#include <time.h>
#include <unistd.h>

#include "unit.h"

#include "vmm/devices/bus.h"
#include "vmm/devices/layout.h"
#include "vmm/devices/power.h"
#include "vmm/devices/section.h"

#define REGISTERS	4
#define MMIO_BASE	(LAYOUT_MMIO_BASE + 0x1000u)

/* What the environment was asked for */
static struct {
	unsigned irqs, sci, exits, resets, panics, crashes, bytes;
	int status;
	bool frozen;
} seen;

/* Devices that exist, and what the next ones shall do */
static int alive, fail_create;
static bool stuck;

struct counter {
	unsigned turn;		/* when it was quiesced last */
	uint32_t reg[REGISTERS];
	pthread_t thread;
	pthread_mutex_t lock;		/* protects all below */
	pthread_cond_t changed;
	bool run, busy, end;
	unsigned resumes;
	uint64_t ticks;
};

static void *counter_main(void *arg)
{
	struct counter *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->end) {
		if (!c->run && !stuck) {
			c->busy = false;
			pthread_cond_broadcast(&c->changed);
			pthread_cond_wait(&c->changed, &c->lock);
			continue;
		}
		c->busy = true;
		c->ticks++;
		pthread_mutex_unlock(&c->lock);
		usleep(100);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static int counter_create(struct device *d, struct error *err)
{
	struct counter *c = d->state;

	if (fail_create && !--fail_create)
		return error_set(err, EIO, "a device that fails");
	alive++;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	assert_int_equal(pthread_create(&c->thread, NULL, counter_main, c), 0);
	return 0;
}

static void counter_destroy(struct device *d)
{
	struct counter *c = d->state;

	pthread_mutex_lock(&c->lock);
	c->end = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->changed);
	alive--;
}

static uint64_t counter_read(struct device *d, const struct device_access *a)
{
	struct counter *c = d->state;

	if (a->size == 8)
		return 0x1122334455667788;
	return c->reg[a->at / 4 % REGISTERS] + (a->range << 8);
}

static void counter_write(struct device *d, const struct device_access *a,
			  uint64_t value)
{
	struct counter *c = d->state;

	c->reg[a->at / 4 % REGISTERS] = (uint32_t)value;
}

static unsigned turns;		/* calls of counter_quiesce() */

static int counter_quiesce(struct device *d, unsigned ms, struct error *err)
{
	struct counter *c = d->state;
	struct timespec until;
	int rc = 0;

	c->turn = ++turns;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000l;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&c->lock);
	c->run = false;
	while (c->busy && !rc)
		rc = pthread_cond_timedwait(&c->changed, &c->lock, &until);
	if (rc)
		c->run = true;
	pthread_mutex_unlock(&c->lock);
	return rc ? error_set(err, ETIMEDOUT, "it is stuck") : 0;
}

static void counter_resume(struct device *d)
{
	struct counter *c = d->state;

	pthread_mutex_lock(&c->lock);
	c->run = c->busy = true;
	c->resumes++;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

static int counter_save(struct device *d, struct writer *w, struct error *err)
{
	struct counter *c = d->state;

	(void)err;
	for (unsigned i = 0; i < REGISTERS; i++)
		put_u32(w, c->reg[i]);
	return 0;
}

static int counter_load(struct device *d, struct reader *r, struct error *err)
{
	struct counter *c = d->state;

	(void)err;
	for (unsigned i = 0; i < REGISTERS; i++)
		c->reg[i] = get_u32(r);
	return 0;
}

/* Two good instances, then one place for each reason to refuse it */
enum { GOOD_0, GOOD_1, SAME_PORT, SAME_MMIO, SAME_IRQ, IN_RAM, AT_IOAPIC,
       NO_PORT, NO_IRQ, PLACES };

static const struct device_place counter_place[PLACES] = {
	[GOOD_0] = {
		{ { DEVICE_PORTS, 0x100, 16 }, { DEVICE_MMIO, MMIO_BASE, 16 } },
		5,
	},
	[GOOD_1] = {
		{ { DEVICE_PORTS, 0x110, 8 },
		  { DEVICE_MMIO, MMIO_BASE + 0x10, 0x1000 } }, 6,
	},
	[SAME_PORT] = { { { DEVICE_PORTS, 0x10f, 1 } }, 7 },
	[SAME_MMIO] = { { { DEVICE_MMIO, MMIO_BASE - 8, 9 } }, 7 },
	[SAME_IRQ] = { { { DEVICE_PORTS, 0x200, 1 } }, 5 },
	[IN_RAM] = { { { DEVICE_MMIO, LAYOUT_MMIO_BASE - 16, 32 } }, 7 },
	[AT_IOAPIC] = { { { DEVICE_MMIO, LAYOUT_MMIO_END - 16, 17 } }, 7 },
	[NO_PORT] = { { { DEVICE_PORTS, 0xffff, 2 } }, 7 },
	[NO_IRQ] = { { { DEVICE_PORTS, 0x200, 1 } }, LAYOUT_IRQS },
};

static const struct device_ops counter_ops = {
	.name = "counter", .compatible = "test,counter", .version = 3,
	.size = sizeof(struct counter),
	.place = counter_place, .places = ARRAY_SIZE(counter_place),
	.create = counter_create, .destroy = counter_destroy,
	.read = counter_read, .write = counter_write,
	.quiesce = counter_quiesce, .resume = counter_resume,
	.save = counter_save, .load = counter_load,
};

/* The same as a lasting device, elsewhere */
static const struct device_place lasting_place[] = { {
	{ { DEVICE_PORTS, 0x300, 16 } }, 0,
} };

static const struct device_ops lasting_ops = {
	.name = "sixteen-letters-", .version = 1,
	.size = sizeof(struct counter), .lasting = true,
	.place = lasting_place, .places = ARRAY_SIZE(lasting_place),
	.read = counter_read, .write = counter_write,
	.save = counter_save, .load = counter_load,
};

static void env_irq(void *ctx, unsigned irq, bool level)
{
	(void)ctx;
	if (irq == POWER_IRQ) {
		seen.sci = level;
		return;
	}
	assert_int_equal(irq, SERIAL_IRQ);
	seen.irqs += level;
}

static void env_output(void *ctx, const uint8_t *data, size_t n)
{
	(void)ctx;
	(void)data;
	seen.bytes += (unsigned)n;
}

static bool env_frozen(void *ctx)
{
	(void)ctx;
	return seen.frozen;
}

static void env_exit(void *ctx, int status)
{
	(void)ctx;
	seen.exits++;
	seen.status = status;
}

static void env_reset(void *ctx)
{
	(void)ctx;
	seen.resets++;
}

static void env_panicked(void *ctx)
{
	(void)ctx;
	seen.panics++;
}

static void env_crash_loaded(void *ctx)
{
	(void)ctx;
	seen.crashes++;
}

static const struct device_env env = {
	.irq = env_irq, .output = env_output, .frozen = env_frozen,
	.guest_exit = env_exit, .guest_reset = env_reset,
	.guest_panicked = env_panicked,
	.guest_crash_loaded = env_crash_loaded,
};

static const struct device_list two = {
	.n = 3,
	.entry = { { &counter_ops, GOOD_0, NULL }, { &lasting_ops, 0, NULL },
		   { &counter_ops, GOOD_1, NULL } },
};

static void open_bus(struct bus *b, const struct device_list *l)
{
	struct error err = { 0 };

	if (bus_create(b, l, &env, &err))
		fail_msg("%s", err.text);
}

static int setup(void **state)
{
	static struct bus b;

	memset(&seen, 0, sizeof(seen));
	open_bus(&b, &two);
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	bus_destroy(*state);
	assert_int_equal(alive, 0);
	return 0;
}

static uint32_t port_in(struct bus *b, uint16_t port, unsigned size)
{
	uint32_t v = 0;
	struct bus_pio io = {
		.port = port, .is_in = true, .size = size, .count = 1,
		.data = (uint8_t *)&v,
	};

	bus_pio(b, &io);
	return v;
}

static void port_out(struct bus *b, uint16_t port, unsigned size, uint32_t v)
{
	struct bus_pio io = {
		.port = port, .size = size, .count = 1, .data = (uint8_t *)&v,
	};

	bus_pio(b, &io);
}

static uint64_t mmio(struct bus *b, uint64_t gpa, unsigned size,
		     const uint64_t *value)
{
	uint64_t v = value ? *value : 0;
	struct bus_mmio io = {
		.gpa = gpa, .size = size, .is_write = value,
		.data = (uint8_t *)&v,
	};

	bus_mmio(b, &io);
	return v;
}

static void ports_reach_their_device(void **state)
{
	struct bus *b = *state;

	port_out(b, 0x104, 4, 0x1234);
	port_out(b, 0x114, 4, 0x56);
	port_out(b, 0x0ff, 1, 9);		/* one before, one after */
	port_out(b, 0x118, 1, 9);
	assert_int_equal(port_in(b, 0x104, 4), 0x1234);
	assert_int_equal(port_in(b, 0x104, 1), 0x34);
	assert_int_equal(port_in(b, 0x114, 4), 0x56);
	assert_int_equal(port_in(b, 0x0ff, 4), 0xffffffff);
	assert_int_equal(port_in(b, 0x118, 2), 0xffff);
	assert_int_equal(port_in(b, 0x10f, 4), 0);	/* first port counts */
}

static void mmio_reaches_its_device(void **state)
{
	struct bus *b = *state;
	const uint64_t v = 0x12345678, other = 0x77;

	mmio(b, MMIO_BASE + 8, 4, &v);
	mmio(b, MMIO_BASE + 0x10, 4, &other);
	mmio(b, MMIO_BASE + 14, 4, &other);	/* ends outside */
	mmio(b, MMIO_BASE - 1, 1, &other);
	/* Range 1 of the device: its register as read there has 0x100 added */
	assert_int_equal(mmio(b, MMIO_BASE + 8, 4, NULL), v + 0x100);
	assert_int_equal(port_in(b, 0x108, 4), v);
	assert_int_equal(port_in(b, 0x10c, 4), 0);
	assert_int_equal(mmio(b, MMIO_BASE + 0x10, 4, NULL), 0x177);
	assert_true(mmio(b, MMIO_BASE + 8, 8, NULL) == 0x1122334455667788);
	assert_true(mmio(b, MMIO_BASE + 12, 8, NULL) == ~0ull);
	assert_true(mmio(b, MMIO_BASE - 8, 8, NULL) == ~0ull);
	assert_true(mmio(b, MMIO_BASE + 0x1010, 8, NULL) == ~0ull);
	assert_true(mmio(b, ~0ull, 1, NULL) == 0xff);
	assert_true(mmio(b, 0x100, 4, NULL) == 0xffffffff);	/* no port */
}

static void bad_lists_are_refused(void **state)
{
	static const struct {
		unsigned instance;
		int code;
		const char *why;
	} bad[] = {
		{ GOOD_0, EEXIST, "twice" },
		{ SAME_PORT, EEXIST, "address or interrupt" },
		{ SAME_MMIO, EEXIST, "address or interrupt" },
		{ SAME_IRQ, EEXIST, "address or interrupt" },
		{ IN_RAM, EINVAL, "outside the window" },
		{ AT_IOAPIC, EINVAL, "outside the window" },
		{ NO_PORT, EINVAL, "outside the window" },
		{ NO_IRQ, EINVAL, "no such interrupt line" },
		{ PLACES, EINVAL, "no such instance" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct device_list l = two;
		struct error err = { 0 };
		struct bus b;
		char name[40];

		l.entry[l.n++] = (struct device_config){
			.ops = &counter_ops, .instance = bad[i].instance,
		};
		assert_refused(bus_create(&b, &l, &env, &err), bad[i].code,
			       err, bad[i].why);
		snprintf(name, sizeof(name), "device counter %u",
			 bad[i].instance);
		assert_non_null(strstr(err.text, name));
		assert_int_equal(b.n, 0);
	}
	assert_int_equal(alive, 0);
}

static void a_failed_create_destroys_the_others(void **state)
{
	struct error err = { 0 };
	struct bus b;

	(void)state;
	fail_create = 2;
	assert_refused(bus_create(&b, &two, &env, &err), EIO, err,
		       "a device that fails");
	assert_int_equal(alive, 0);
	assert_int_equal(fail_create, 0);
	bus_destroy(&b);			/* nothing is left to do */
}

static uint64_t ticks(struct bus *b, unsigned instance)
{
	struct counter *c = bus_find(b, &counter_ops, instance)->state;
	uint64_t n;

	pthread_mutex_lock(&c->lock);
	n = c->ticks;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static void wait_ticks(struct bus *b, unsigned instance)
{
	const uint64_t before = ticks(b, instance);

	for (unsigned ms = 0; ms < 20000; ms++) {
		if (ticks(b, instance) > before)
			return;
		usleep(1000);
	}
	fail_msg("counter %u does not run", instance);
}

static void assert_still(struct bus *b)
{
	const uint64_t first = ticks(b, GOOD_0), other = ticks(b, GOOD_1);

	usleep(5000);
	assert_true(ticks(b, GOOD_0) == first);
	assert_true(ticks(b, GOOD_1) == other);
}

static void threads_stop_and_go_on(void **state)
{
	struct bus *b = *state;
	const struct counter *c = bus_find(b, &counter_ops, GOOD_0)->state;
	const struct counter *other = bus_find(b, &counter_ops,
					       GOOD_1)->state;
	struct error err = { 0 };

	assert_still(b);			/* created quiesced */
	for (unsigned i = 0; i < 20; i++) {
		bus_resume(b);
		bus_resume(b);
		wait_ticks(b, GOOD_0);
		wait_ticks(b, GOOD_1);
		assert_int_equal(c->resumes, i + 1);
		assert_int_equal(bus_quiesce(b, 10000, &err), 0);
		assert_int_equal(bus_quiesce(b, 0, &err), 0);
		assert_still(b);
		/* What was created later may depend on the other one */
		assert_true(other->turn < c->turn);
	}
	bus_resume(b);				/* destroyed while they run */
}

/* GOOD_1 is quiesced first, in time; then nothing stops GOOD_0 */
static void a_stuck_device_is_named(void **state)
{
	struct bus *b = *state;
	struct error err = { 0 };
	struct counter *c = bus_find(b, &counter_ops, GOOD_1)->state;

	bus_resume(b);
	wait_ticks(b, GOOD_0);
	stuck = true;
	pthread_mutex_lock(&c->lock);
	c->end = true;				/* this one does stop */
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	c->busy = c->end = false;
	assert_refused(bus_quiesce(b, 30, &err), ETIMEDOUT, err,
		       "device counter 0: it is stuck");
	assert_true(b->running);
	assert_true(c->run);			/* it was resumed again */
	wait_ticks(b, GOOD_0);
	stuck = false;
	assert_int_equal(pthread_create(&c->thread, NULL, counter_main, c), 0);
	wait_ticks(b, GOOD_1);
	err = (struct error){ 0 };
	assert_int_equal(bus_quiesce(b, 10000, &err), 0);
	assert_still(b);
}

static void save(struct bus *b, struct writer *w)
{
	struct error err = { 0 };

	if (bus_save(b, w, &err))
		fail_msg("%s", err.text);
}

static void state_goes_to_another_bus(void **state)
{
	struct bus *b = *state, other;
	struct writer w = { 0 };
	struct reader r;
	struct error err = { 0 };

	port_out(b, 0x104, 4, 1);
	port_out(b, 0x114, 4, 2);
	port_out(b, 0x304, 4, 3);
	save(b, &w);
	open_bus(&other, &two);
	r = (struct reader){ .data = w.data, .len = w.len };
	assert_int_equal(bus_load(&other, &r, &err), 0);
	assert_true(reader_done(&r));
	assert_int_equal(port_in(&other, 0x104, 4), 1);
	assert_int_equal(port_in(&other, 0x114, 4), 2);
	assert_int_equal(port_in(&other, 0x304, 4), 3);
	bus_destroy(&other);
	writer_free(&w);
}

static void a_reset_keeps_lasting_devices(void **state)
{
	struct bus *b = *state;
	struct writer w = { 0 };
	struct reader r;
	struct error err = { 0 };

	save(b, &w);
	port_out(b, 0x104, 4, 1);
	port_out(b, 0x304, 4, 3);
	r = (struct reader){ .data = w.data, .len = w.len };
	assert_int_equal(bus_reset(b, &r, &err), 0);
	assert_true(reader_done(&r));
	assert_int_equal(port_in(b, 0x104, 4), 0);
	assert_int_equal(port_in(b, 0x304, 4), 3);
	writer_free(&w);
}

/* Where in the saved state of @two a section begins */
#define CONTENTS	(REGISTERS * 4)
#define SECTION_AT(n)	((n) * (SECTION_HEADER + CONTENTS))

static void other_states_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		const char *why;
	} bad[] = {
		{ SECTION_AT(0), 'C', "section 'Counter' 0 where 'counter' 0" },
		{ SECTION_AT(0) + 1, 0x1b, "section 'c?unter' 0 where" },
		{ SECTION_AT(0) + 9, 'x', "section 'counter' 0 where 'counter' 0" },
		{ SECTION_AT(0) + 16, 1, "section 'counter' 1 where 'counter' 0" },
		{ SECTION_AT(0) + 18, 4,
		  "version 4 of section 'counter' 0; this program reads version 3" },
		{ SECTION_AT(1) + 15, 'X',
		  "'sixteen-lettersX' 0 where 'sixteen-letters-' 0" },
		{ SECTION_AT(0) + 20, CONTENTS - 1,
		  "section 'counter' 0 of the state has the wrong length" },
		{ SECTION_AT(0) + 20, CONTENTS + 1,
		  "section 'counter' 0 of the state has the wrong length" },
		{ SECTION_AT(2) + 23, 0xff,
		  "state ends inside section 'counter' 1" },
	};
	struct bus *b = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct writer w = { 0 };
		struct error err = { 0 };
		struct reader r;

		save(b, &w);
		assert_int_equal(w.len, SECTION_AT(3));
		w.data[bad[i].at] = bad[i].byte;
		r = (struct reader){ .data = w.data, .len = w.len };
		assert_refused(bus_load(b, &r, &err), EBADMSG, err,
			       bad[i].why);
		writer_free(&w);
	}
}

static void cut_states_are_refused(void **state)
{
	struct bus *b = *state;
	struct writer w = { 0 };

	save(b, &w);
	for (size_t n = 0; n < w.len; n++) {
		struct reader r = { .data = w.data, .len = n };
		struct error err = { 0 };

		assert_int_equal(bus_load(b, &r, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "state ends "));
	}
	writer_free(&w);
}

/* Those of every machine that need no KVM */
static void default_list(struct device_list *l,
			 const struct device_ops *without)
{
	struct device_list all;

	device_list_default(&all);
	*l = (struct device_list){ 0 };
	for (unsigned i = 0; i < all.n; i++)
		if (all.entry[i].ops != without &&
		    all.entry[i].ops->compatible)
			assert_int_equal(device_list_add(l, &all.entry[i]), 0);
}

static void the_machine_is_notified(void **state)
{
	struct device_list l;
	struct bus b;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	default_list(&l, NULL);
	assert_int_equal(device_list_add(&l, &(struct device_config){
						.ops = &debug_exit_ops }), 0);
	open_bus(&b, &l);
	port_out(&b, DEBUG_EXIT_PORT, 4, 0x107);
	assert_int_equal(seen.exits, 1);
	assert_int_equal(seen.status, 7);
	port_out(&b, KEYBOARD_PORT, 1, 0xff);
	port_out(&b, POWER_PORT + POWER_RESET, 1, 0);
	assert_int_equal(seen.resets, 0);
	port_out(&b, KEYBOARD_PORT, 1, 0xfe);
	port_out(&b, POWER_PORT + POWER_RESET, 1, POWER_RESET_VALUE);
	assert_int_equal(seen.resets, 2);
	port_out(&b, POWER_PORT + POWER_CONTROL, 2,
		 POWER_SLEEP_OFF << 10 | 0x2000);
	assert_int_equal(seen.exits, 2);
	assert_int_equal(seen.status, 0);
	port_out(&b, PVPANIC_PORT, 1, 0x04);
	port_out(&b, PVPANIC_PORT, 1, 0x02);
	port_out(&b, PVPANIC_PORT, 1, 0x03);
	assert_int_equal(seen.crashes, 1);
	assert_int_equal(seen.panics, 1);
	assert_int_equal(port_in(&b, PVPANIC_PORT, 1), 0x03);
	port_out(&b, SERIAL_PORT, 1, 'x');
	assert_int_equal(seen.bytes, 1);
	assert_int_equal(seen.irqs, 0);
	port_out(&b, SERIAL_PORT + 1, 1, 0x02);
	assert_int_equal(seen.irqs, 1);
	bus_destroy(&b);
}

/* A guest must not determine the process's exit status unless it is asked to */
static void debug_exit_is_no_default(void **state)
{
	struct device_list l;
	struct bus b;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	default_list(&l, NULL);
	open_bus(&b, &l);
	port_out(&b, DEBUG_EXIT_PORT, 1, 7);
	assert_int_equal(seen.exits, 0);
	assert_int_equal(port_in(&b, DEBUG_EXIT_PORT, 1), 0xff);
	bus_destroy(&b);
}

static void lists_and_node_names(void **state)
{
	struct device_config c = { &counter_ops, 0, NULL };
	char name[DEVICE_NODE_MAX];
	struct device_list l;

	(void)state;
	device_list_default(&l);
	for (unsigned i = 0; i < l.n; i++) {
		assert_int_equal(device_list_add(&l, &l.entry[i]), -EEXIST);
		if (!l.entry[i].ops->compatible)
			continue;
		device_node_name(&l.entry[i], name);
		assert_true(device_find_node(name, &c));
		assert_ptr_equal(c.ops, l.entry[i].ops);
		assert_int_equal(c.instance, 0);
	}
	assert_false(device_find_node("serial@3f9", &c));
	assert_false(device_find_node("irqchip@0", &c));
	assert_false(device_find_node("", &c));
	c = (struct device_config){ .ops = &counter_ops };
	while (l.n < DEVICES_MAX) {
		assert_int_equal(device_list_add(&l, &c), 0);
		c.instance++;
	}
	assert_int_equal(device_list_add(&l, &c), -ENOSPC);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#define BUTTON	0x0100u		/* ACPI 6.5, 4.8.3.1: bit 8 of both registers */

/* The button asks a guest that watches it, until the guest has answered */
static void the_power_button_raises_the_sci(void **state)
{
	const struct device_list list = {
		.n = 1, .entry = { { &power_ops, 0, NULL } },
	};
	const uint16_t status = POWER_PORT + POWER_EVENT, enable = status + 2;
	struct writer w = { 0 };
	struct error err = { 0 };
	struct device *d;
	struct reader r;
	struct bus b;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	open_bus(&b, &list);
	d = bus_find(&b, &power_ops, 0);
	assert_refused(power_button(d, &err), ENOTSUP, err, "does not watch");
	assert_int_equal(port_in(&b, status, 2), 0);
	port_out(&b, enable, 2, BUTTON);
	assert_int_equal(port_in(&b, enable, 2), BUTTON);
	seen.frozen = true;
	error_clear(&err);
	assert_refused(power_button(d, &err), EBUSY, err, "being sent");
	assert_int_equal(seen.sci, 0);
	seen.frozen = false;
	assert_int_equal(power_button(d, &err), 0);
	assert_int_equal(seen.sci, 1);
	assert_int_equal(port_in(&b, status, 2), BUTTON);
	assert_int_equal(port_in(&b, status, 4), BUTTON << 16 | BUTTON);

	/* It is pressed on the destination, too; a reset releases it */
	assert_int_equal(power_ops.save(d, &w, &err), 0);
	port_out(&b, enable, 2, 0);		/* masked */
	assert_int_equal(seen.sci, 0);
	port_out(&b, status, 2, BUTTON);	/* a one clears it */
	assert_int_equal(port_in(&b, status, 2), 0);
	r = (struct reader){ .data = w.data, .len = w.len };
	assert_int_equal(power_ops.load(d, &r, &err), 0);
	assert_true(reader_done(&r));
	assert_int_equal(seen.sci, 1);
	port_out(&b, status, 2, 0xffff & ~BUTTON);
	assert_int_equal(seen.sci, 1);
	port_out(&b, status, 2, BUTTON);
	assert_int_equal(seen.sci, 0);
	writer_free(&w);
	bus_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ports_reach_their_device),
		CASE(mmio_reaches_its_device),
		cmocka_unit_test(bad_lists_are_refused),
		cmocka_unit_test(a_failed_create_destroys_the_others),
		CASE(threads_stop_and_go_on),
		CASE(a_stuck_device_is_named),
		CASE(state_goes_to_another_bus),
		CASE(a_reset_keeps_lasting_devices),
		CASE(other_states_are_refused),
		CASE(cut_states_are_refused),
		cmocka_unit_test(the_machine_is_notified),
		cmocka_unit_test(debug_exit_is_no_default),
		cmocka_unit_test(lists_and_node_names),
		cmocka_unit_test(the_power_button_raises_the_sci),
	};

	return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
