// SPDX-License-Identifier: MIT
/*
 * test_devices.c - A device with MMIO, doorbell, interrupt and thread of its own
 *
 * The "prober" is built as a virtio device would be: registers at an MMIO
 * address, an ioeventfd that its thread waits for, an irqfd that the thread
 * raises, and accesses of the thread to guest RAM. It joins a machine through the
 * device list alone. While it is resumed it also increments a word of RAM by
 * itself, as a network card fills buffers unasked.
 */

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rig.h"
#include "vmm/devices/layout.h"
#include "vmm/boot/boot.h"
#include "vmm/machine/description.h"
#include "vmm/machine/inject.h"
#include "vmm/machine/machine_reset.h"
#include "vmm/machine/vcpu.h"
#include "vmm/machine/x86_start.h"

#define PROBER_BASE	0xd0000000u
#define PROBER_SIZE	0x200u
#define PROBER_IRQ	10u
#define PROBERS		2

#define REG_ADDRESS	0x00	/* gpa of the word that a request adds one to */
#define REG_TICKS	0x04	/* gpa of the word that is incremented unasked */
#define REG_SERVED	0x08	/* requests carried out */
#define REG_STATUS	0x0c	/* of the last one: 0, errno */
#define REG_DOORBELL	0x50	/* write: a request */

#define PAGE		0x1000u
#define CODE		0x100000u	/* guest-physical addresses; below is */
#define WORD		0x1800000u	/* RAM that guest.elf does not use */
#define TICKS		0x1900000u
#define LOST		0x1a00000u
#define FACTOR		3u		/* backend: a request adds so much */

struct prober {
	uint32_t address, ticks, served, status;	/* the state */
	struct device *d;
	int doorbell, interrupt, wake;
	pthread_t thread;
	pthread_mutex_t lock;		/* protects all below */
	pthread_cond_t changed;
	bool run, busy, end;
};

static uint32_t load_word(struct prober *p, uint32_t gpa, int *rc)
{
	uint32_t v = 0;

	*rc = p->d->env->read(p->d->env->ctx, gpa, &v, sizeof(v));
	return v;
}

static int add_to_word(struct prober *p, uint32_t gpa, uint32_t n)
{
	int rc;
	uint32_t v = load_word(p, gpa, &rc) + n;

	return rc ? rc : p->d->env->write(p->d->env->ctx, gpa, &v, sizeof(v));
}

static void serve(struct prober *p)
{
	const uint64_t one = 1;
	uint32_t address;
	int rc;

	pthread_mutex_lock(&p->d->lock);
	address = p->address;
	pthread_mutex_unlock(&p->d->lock);
	rc = add_to_word(p, address, *(const uint32_t *)p->d->backend);
	pthread_mutex_lock(&p->d->lock);
	p->served++;
	p->status = (uint32_t)-rc;
	pthread_mutex_unlock(&p->d->lock);
	assert_int_equal(write(p->interrupt, &one, sizeof(one)), sizeof(one));
}

/* Unlocked: the thread alone, between two looks at @run */
static void work(struct prober *p)
{
	struct pollfd fd[] = { { p->doorbell, POLLIN, 0 },
			       { p->wake, POLLIN, 0 } };
	uint32_t ticks;
	uint64_t n;

	poll(fd, 2, 1);
	if (read(p->wake, &n, sizeof(n)) == sizeof(n))
		return;
	if (read(p->doorbell, &n, sizeof(n)) == sizeof(n))
		serve(p);
	pthread_mutex_lock(&p->d->lock);
	ticks = p->ticks;
	pthread_mutex_unlock(&p->d->lock);
	if (ticks)
		add_to_word(p, ticks, 1);
}

static void *prober_main(void *arg)
{
	struct prober *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->end) {
		p->busy = p->run;
		if (!p->run) {
			pthread_cond_broadcast(&p->changed);
			pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		work(p);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static struct kvm_doorbell doorbell(struct device *d)
{
	return (struct kvm_doorbell){
		.address = d->place->range[0].base + REG_DOORBELL, .size = 4,
	};
}

static int prober_create(struct device *d, struct error *err)
{
	const struct kvm_doorbell bell = doorbell(d);
	struct prober *p = d->state;
	int rc;

	p->d = d;
	p->doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->interrupt = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	rc = kvm_ioeventfd_assign(d->env->kvm, &bell, p->doorbell, err);
	if (!rc)
		rc = kvm_irqfd_assign(d->env->kvm, d->place->irq,
				      p->interrupt, err);
	assert_int_equal(pthread_create(&p->thread, NULL, prober_main, p), 0);
	return rc;
}

static void set_run(struct prober *p, bool run, bool end)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&p->lock);
	p->run = run;
	p->busy |= run;
	p->end = end;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	if (!run)
		assert_int_equal(write(p->wake, &one, sizeof(one)),
				 sizeof(one));
}

static void prober_destroy(struct device *d)
{
	const struct kvm_doorbell bell = doorbell(d);
	struct prober *p = d->state;

	set_run(p, false, true);
	pthread_join(p->thread, NULL);
	kvm_ioeventfd_deassign(d->env->kvm, &bell, p->doorbell, NULL);
	kvm_irqfd_deassign(d->env->kvm, d->place->irq, p->interrupt, NULL);
	close(p->doorbell);
	close(p->interrupt);
	close(p->wake);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
}

static uint64_t prober_read(struct device *d, const struct device_access *a)
{
	struct prober *p = d->state;

	return a->at == REG_ADDRESS ? p->address :
	       a->at == REG_TICKS ? p->ticks :
	       a->at == REG_SERVED ? p->served :
	       a->at == REG_STATUS ? p->status : 0xdead;
}

static void prober_write(struct device *d, const struct device_access *a,
			 uint64_t value)
{
	struct prober *p = d->state;

	if (a->at == REG_ADDRESS)
		p->address = (uint32_t)value;
	else if (a->at == REG_TICKS)
		p->ticks = (uint32_t)value;
	else if (a->at == REG_DOORBELL)
		fail_msg("KVM did not take the doorbell");
}

static int prober_quiesce(struct device *d, unsigned ms, struct error *err)
{
	struct prober *p = d->state;
	bool busy = true;

	set_run(p, false, false);
	for (unsigned i = 0; i <= ms && busy; i++) {
		pthread_mutex_lock(&p->lock);
		busy = p->busy;
		pthread_mutex_unlock(&p->lock);
		if (busy)
			usleep(1000);
	}
	if (!busy)
		return 0;
	set_run(p, true, false);
	return error_set(err, ETIMEDOUT, "its thread waits for memory");
}

static void prober_resume(struct device *d)
{
	set_run(d->state, true, false);
}

static const struct field prober_fields[] = {
	FIELD(struct prober, address), FIELD(struct prober, ticks),
	FIELD(struct prober, served), FIELD(struct prober, status),
};

static void assert_quiesced(struct prober *p)
{
	bool busy;

	pthread_mutex_lock(&p->lock);
	busy = p->busy;
	pthread_mutex_unlock(&p->lock);
	assert_false(busy);
}

static int prober_save(struct device *d, struct writer *w, struct error *err)
{
	(void)err;
	assert_quiesced(d->state);
	put_fields(w, prober_fields, ARRAY_SIZE(prober_fields), d->state);
	return 0;
}

static int prober_load(struct device *d, struct reader *r, struct error *err)
{
	(void)err;
	assert_quiesced(d->state);
	get_fields(r, prober_fields, ARRAY_SIZE(prober_fields), d->state);
	return 0;
}

static const struct device_place prober_place[PROBERS] = {
	{ { { DEVICE_MMIO, PROBER_BASE, PROBER_SIZE } }, PROBER_IRQ },
	{ { { DEVICE_MMIO, PROBER_BASE + PROBER_SIZE, PROBER_SIZE } },
	  PROBER_IRQ + 1 },
};

static const struct device_ops prober_ops = {
	.name = "prober", .compatible = "ferry,prober", .version = 1,
	.size = sizeof(struct prober),
	.place = prober_place, .places = PROBERS,
	.create = prober_create, .destroy = prober_destroy,
	.read = prober_read, .write = prober_write,
	.quiesce = prober_quiesce, .resume = prober_resume,
	.save = prober_save, .load = prober_load,
};

/* A machine with two of them, built and not run */
static struct rig *new_rig(const char *args)
{
	static uint32_t factor = FACTOR;
	struct rig *r = rig_new(32, 1, RAM_ANON, "host", args);

	for (unsigned i = 0; i < PROBERS; i++) {
		const struct device_config c = { &prober_ops, i, &factor };

		assert_int_equal(device_list_add(&r->cfg.devices, &c), 0);
	}
	return r;
}

static struct prober *prober(struct rig *r, unsigned i)
{
	return bus_find(&r->m->bus, &prober_ops, i)->state;
}

static uint32_t word(struct rig *r, uint32_t gpa)
{
	uint32_t v;

	assert_int_equal(ram_read(&r->m->ram, gpa, &v, sizeof(v)), 0);
	return v;
}

static uint32_t reg(struct rig *r, unsigned i, unsigned at, bool is_write,
		    uint32_t v)
{
	const struct bus_mmio io = {
		.gpa = PROBER_BASE + i * PROBER_SIZE + at, .size = 4,
		.is_write = is_write, .data = (uint8_t *)&v,
	};

	bus_mmio(&r->m->bus, &io);
	return v;
}

/* Ring it as KVM does for the guest, and wait until it has been served */
static void request(struct rig *r, unsigned i)
{
	const uint32_t before = reg(r, i, REG_SERVED, false, 0);
	const uint64_t one = 1;

	assert_int_equal(write(prober(r, i)->doorbell, &one, sizeof(one)),
			 sizeof(one));
	for (unsigned ms = 0; ms < RIG_SECONDS * 1000; ms++) {
		if (reg(r, i, REG_SERVED, false, 0) != before)
			return;
		usleep(1000);
	}
	fail_msg("the device serves no request");
}

static bool irr(struct rig *r, unsigned irq)
{
	struct kvm_irqchip c = { .chip_id = KVM_IRQCHIP_PIC_SLAVE };

	assert_int_equal(ioctl(r->m->kvm.vm, KVM_GET_IRQCHIP, &c), 0);
	return c.chip.pic.irr >> (irq - 8) & 1;
}

/* KVM takes an interrupt from an irqfd by a kernel worker */
static bool soon_irr(struct rig *r, unsigned irq)
{
	for (unsigned ms = 0; ms < RIG_SECONDS * 1000; ms++) {
		if (irr(r, irq))
			return true;
		usleep(1000);
	}
	return false;
}

static void wait_ticks(struct rig *r)
{
	const uint32_t before = word(r, TICKS);

	for (unsigned ms = 0; ms < RIG_SECONDS * 1000; ms++) {
		if (word(r, TICKS) != before)
			return;
		usleep(1000);
	}
	fail_msg("the device does not run");
}

static void assert_still(struct rig *r)
{
	const uint32_t before = word(r, TICKS);

	usleep(10000);
	assert_int_equal(word(r, TICKS), before);
}

#define LE32(v)	(v) & 0xff, (v) >> 8 & 0xff, (v) >> 16 & 0xff, (v) >> 24

/* 32 bit, flat: a request, by MMIO and doorbell; then exit with the result */
static const uint8_t guest_code[] = {
	0xc7, 0x05, LE32(PROBER_BASE + REG_ADDRESS), LE32(WORD),
	0xc7, 0x05, LE32(PROBER_BASE + REG_DOORBELL), LE32(1u),
	0xf3, 0x90,					/* pause */
	0x83, 0x3d, LE32(PROBER_BASE + REG_SERVED), 1,	/* cmpl $1, … */
	0x75, 0xf5,					/* jne pause */
	0xa1, LE32(WORD),				/* mov …, %eax */
	0x66, 0xba, DEBUG_EXIT_PORT, 0,			/* mov $0xf4, %dx */
	0xee,						/* outb */
	0xf4, 0xeb, 0xfd,				/* hlt, for ever */
};

static void a_guest_uses_it(void **state)
{
	struct rig *r = new_rig("");
	const uint32_t forty = 40;
	struct error err = { 0 };

	(void)state;
	rig_build(r);
	assert_int_equal(ram_write(&r->m->ram, CODE, guest_code,
				   sizeof(guest_code)), 0);
	assert_int_equal(ram_write(&r->m->ram, WORD, &forty, 4), 0);
	assert_int_equal(x86_start_pvh(r->m, CODE, 0, &err), 0);
	assert_false(irr(r, PROBER_IRQ));
	rig_run(r);
	assert_int_equal(rig_exit(r), 40 + FACTOR);
	assert_true(soon_irr(r, PROBER_IRQ));
	assert_false(irr(r, PROBER_IRQ + 1));
	rig_free(r);
}

/* It runs while the gate is open, and only then */
static void it_follows_the_gate(void **state)
{
	struct rig *r = new_rig("work=idle mib=4");
	struct run_status before;
	struct error err = { 0 };

	(void)state;
	rig_boot(r, rig_guest());
	reg(r, 0, REG_TICKS, true, TICKS);
	for (unsigned i = 0; i < 5; i++) {
		wait_ticks(r);
		assert_true(rig_pause(r));
		assert_still(r);
		rig_run(r);
		wait_ticks(r);
		assert_int_equal(machine_hold(r->m, &before, &err), 0);
		assert_still(r);
		assert_int_equal(machine_run(r->m, WHY_UNPAUSED, NULL),
				 -EBUSY);
		assert_still(r);
		machine_thaw(r->m, &before);
		wait_ticks(r);
		assert_int_equal(machine_freeze(r->m, &before, &err), 0);
		assert_still(r);
		machine_thaw(r->m, &before);
	}
	/* A hold of a paused machine leaves it paused, and the device with it */
	assert_true(rig_pause(r));
	assert_int_equal(machine_hold(r->m, &before, &err), 0);
	machine_thaw(r->m, &before);
	assert_still(r);
	rig_run(r);
	wait_ticks(r);
	rig_free(r);			/* while it runs */
}

/* On the destination nothing starts before the guest does */
static void its_state_moves(void **state)
{
	struct rig *r = new_rig("work=idle mib=4");
	struct rig *to = new_rig("work=idle mib=4");
	struct writer w = { 0 };
	struct reader in;
	struct error err = { 0 };

	(void)state;
	rig_boot(r, rig_guest());
	reg(r, 1, REG_TICKS, true, TICKS);
	reg(r, 1, REG_ADDRESS, true, WORD);
	wait_ticks(r);
	request(r, 1);
	assert_true(rig_pause(r));
	assert_int_equal(machine_save(r->m, &w, &err), 0);
	rig_build(to);
	in = (struct reader){ .data = w.data, .len = w.len };
	if (machine_load(to->m, &in, &err))
		fail_msg("%s", err.text);
	assert_int_equal(reg(to, 1, REG_TICKS, false, 0), TICKS);
	assert_int_equal(reg(to, 1, REG_SERVED, false, 0), 1);
	assert_int_equal(reg(to, 0, REG_SERVED, false, 0), 0);
	assert_still(to);
	assert_int_equal(word(to, TICKS), 0);
	assert_int_equal(boot_load(to->m, rig_guest(), NULL, &err), 0);
	rig_run(to);
	wait_ticks(to);
	writer_free(&w);
	rig_free(to);
	rig_free(r);
}

static void a_reset_resets_it(void **state)
{
	struct rig *r = new_rig("work=idle mib=4");
	struct error err = { 0 };

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "\nready ");
	reg(r, 0, REG_TICKS, true, TICKS);
	reg(r, 0, REG_ADDRESS, true, WORD);
	request(r, 0);
	wait_ticks(r);
	if (machine_reset(r->m, &err))
		fail_msg("%s", err.text);
	assert_int_equal(reg(r, 0, REG_TICKS, false, 0), 0);
	assert_int_equal(reg(r, 0, REG_SERVED, false, 0), 0);
	assert_int_equal(word(r, TICKS), 0);	/* nor written after RAM's reset */
	reg(r, 0, REG_TICKS, true, TICKS);
	wait_ticks(r);				/* it runs, as the machine does */
	rig_free(r);
}

/* Poison and addresses that are not RAM are errors of the device alone */
static void it_meets_bad_memory(void **state)
{
	struct rig *r = new_rig("work=idle mib=4");
	enum inject_method method = INJECT_SIMULATE;
	struct memory_failure f;
	struct error err = { 0 };
	static uint8_t buf[3 * PAGE];
	const struct device_env *env;

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "\nready ");
	env = &r->m->bus.env;
	if (inject_poison(r->m, LOST, &method, &err))
		fail_msg("%s", err.text);
	f = rig_failure(r, 0);
	assert_true(f.gpa == LOST);
	reg(r, 0, REG_ADDRESS, true, LOST + 8);
	request(r, 0);
	assert_int_equal(reg(r, 0, REG_STATUS, false, 0), EHWPOISON);
	assert_int_equal(r->failures, 1);	/* it was known */
	reg(r, 0, REG_ADDRESS, true, PROBER_BASE);
	request(r, 0);
	assert_int_equal(reg(r, 0, REG_STATUS, false, 0), ERANGE);
	reg(r, 0, REG_ADDRESS, true, WORD);
	request(r, 0);
	assert_int_equal(reg(r, 0, REG_STATUS, false, 0), 0);

	memset(buf, 7, sizeof(buf));
	assert_int_equal(env->write(env->ctx, LOST - PAGE - 8, buf, PAGE + 8),
			 0);
	assert_int_equal(env->write(env->ctx, LOST - PAGE, buf, 3 * PAGE),
			 -EHWPOISON);
	assert_int_equal(env->read(env->ctx, LOST - 1, buf, 2), -EHWPOISON);
	assert_int_equal(env->read(env->ctx, LOST + PAGE, buf, PAGE), 0);
	assert_int_equal(env->read(env->ctx, 32 * MIB - 8, buf, 9), -ERANGE);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(env->read(env->ctx, LOST - PAGE - 8, buf, PAGE + 8),
			 0);
	for (unsigned i = 0; i < PAGE + 8; i++)
		assert_int_equal(buf[i], 7);
	rig_free(r);
}

/* What only the list knows to be lost is not read either, as by a vCPU */
static void the_list_counts(void **state)
{
	const struct poison p = { .gpa = LOST, .size = PAGE };
	struct rig *r = new_rig("");
	const struct device_env *env;
	uint32_t v = 1;

	(void)state;
	rig_build(r);
	env = &r->m->bus.env;
	assert_int_equal(poison_add(&r->m->poison, &p), 1);
	assert_int_equal(env->read(env->ctx, LOST + PAGE - 2, &v, 2), -EHWPOISON);
	assert_int_equal(env->write(env->ctx, LOST - 2, &v, 4), -EHWPOISON);
	assert_int_equal(env->read(env->ctx, LOST - 4, &v, 4), 0);
	rig_free(r);
}

/* A page that the host lost and the list does not have: the device finds it */
static void what_it_finds_is_reported(void **state)
{
	struct rig *r = new_rig("");
	const struct device_env *env;
	struct memory_failure f;
	uint64_t offset;
	uint32_t v;

	(void)state;
	rig_build(r);
	env = &r->m->bus.env;
	assert_true(ram_offset(&r->m->ram, LOST, PAGE, &offset));
	assert_int_equal(ram_wall(&r->m->ram, offset, PAGE), 0);
	assert_int_equal(env->read(env->ctx, LOST + 100, &v, 4), -EHWPOISON);
	f = rig_failure(r, 0);
	assert_true(f.gpa == LOST && f.size == PAGE);
	assert_int_equal(f.action, MF_NOTED);
	assert_true(poison_find(&r->m->poison, LOST, NULL));
	assert_int_equal(env->write(env->ctx, LOST, &v, 4), -EHWPOISON);
	assert_int_equal(r->failures, 1);
	rig_free(r);
}

/* It is in the description, which a program that lacks the model refuses */
static void it_is_described(void **state)
{
	struct machine_config *out = calloc(1, sizeof(*out));
	struct rig *r = new_rig("");
	struct error err = { 0 };

	(void)state;
	assert_non_null(out);
	rig_build(r);
	assert_int_equal(description_parse(r->m->fdt, r->m->fdt_size, out,
					   &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "/prober@d0000000"));
	free(out);
	rig_free(r);
}

/* Its thread has read the doorbell, and is about to serve the request */
static void wait_taken(struct prober *p)
{
	struct pollfd fd = { p->doorbell, POLLIN, 0 };

	for (unsigned ms = 0; poll(&fd, 1, 0); ms++) {
		assert_true(ms < RIG_SECONDS * 1000);
		usleep(1000);
	}
}

/* A device that does not stop in time: the machine runs on, with its devices */
static void a_pause_can_fail(void **state)
{
	struct rig *r = new_rig("work=idle mib=4");
	struct run_status before;
	struct error err = { 0 };
	struct prober *p;

	(void)state;
	rig_boot(r, rig_guest());
	reg(r, 1, REG_TICKS, true, TICKS);
	wait_ticks(r);
	p = prober(r, 0);
	pthread_mutex_lock(&p->d->lock);	/* its thread waits for that */
	assert_int_equal(write(p->doorbell, &(uint64_t){ 1 }, 8), 8);
	wait_taken(p);
	assert_int_equal(machine_hold(r->m, &before, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "device prober 0: its thread waits"));
	assert_false(machine_held(r->m));
	assert_int_equal(r->m->gate, GATE_RUN);
	wait_ticks(r);
	pthread_mutex_unlock(&p->d->lock);
	err = (struct error){ 0 };
	assert_int_equal(machine_hold(r->m, &before, &err), 0);
	assert_still(r);
	rig_free(r);
}

/* Input to a held machine would be lost, to a paused one it is not */
static void input_is_refused_while_held(void **state)
{
	struct rig *r = new_rig("work=idle mib=4");
	struct run_status before;
	struct error err = { 0 };
	const uint8_t byte = 'x';

	(void)state;
	rig_boot(r, rig_guest());
	assert_true(rig_pause(r));
	assert_int_equal(machine_serial_input(r->m, &byte, 1), 1);
	assert_int_equal(machine_hold(r->m, &before, &err), 0);
	assert_int_equal(machine_serial_input(r->m, &byte, 1), 0);
	machine_thaw(r->m, &before);
	assert_int_equal(machine_serial_input(r->m, &byte, 1), 1);
	rig_free(r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_uses_it),
		cmocka_unit_test(it_follows_the_gate),
		cmocka_unit_test(its_state_moves),
		cmocka_unit_test(a_reset_resets_it),
		cmocka_unit_test(it_meets_bad_memory),
		cmocka_unit_test(the_list_counts),
		cmocka_unit_test(what_it_finds_is_reported),
		cmocka_unit_test(it_is_described),
		cmocka_unit_test(a_pause_can_fail),
		cmocka_unit_test(input_is_refused_while_held),
	};

	(void)argc;
	rig_check_kvm(argv[0]);
	return cmocka_run_group_tests_name("devices", tests, NULL, NULL);
}
