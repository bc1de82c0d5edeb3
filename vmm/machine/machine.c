// SPDX-License-Identifier: MIT
/* machine.c - A virtual machine: RAM, vCPUs, devices */

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "description.h"
#include "machine_devices.h"
#include "machine_private.h"
#include "machine_reset.h"
#include "vcpu.h"
#include "vcpu_poison.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/devices/power.h"
#include "vmm/devices/section.h"
#include "vmm/devices/serial.h"
#include "vmm/kvm/x86_slot_cost.h"

/* Below KVM_MEM_MAX_NR_PAGES, 2^31 - 1 pages (Linux, virt/kvm/kvm_main.c) */
#define SLOT_MAX	(4 * TIB)

static void init_sync(struct machine *m)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&m->settle_lock, NULL);
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->notify_lock, NULL);
	pthread_mutex_init(&m->inject_lock, NULL);
	pthread_mutex_init(&m->broadcast_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->changed, &attr);
	pthread_condattr_destroy(&attr);
}

bool machine_slot(const struct machine *m, unsigned slot, struct kvm_slot *s)
{
	unsigned before = 0;

	for (unsigned i = 0; i < m->ram.regions; i++) {
		const struct ram_region *r = &m->ram.region[i];
		unsigned n = (unsigned)((r->size + SLOT_MAX - 1) / SLOT_MAX);
		uint64_t at = (uint64_t)(slot - before) * SLOT_MAX;
		uint64_t left = r->size - at;

		if (slot - before < n) {
			*s = (struct kvm_slot){
				.slot = slot, .gpa = r->gpa + at,
				.size = left < SLOT_MAX ? left : SLOT_MAX,
				.hva = m->ram.base + r->offset + at,
			};
			return true;
		}
		before += n;
	}
	return false;
}

static int map_ram(struct machine *m, struct error *err)
{
	int rc = ram_create(&m->ram, m->cfg.memory, m->cfg.backing, err);
	struct kvm_slot s;

	for (unsigned i = 0; !rc && machine_slot(m, i, &s); i++)
		rc = kvm_set_memory(&m->kvm, &s, err);
	return rc;
}

static int make_vcpus(struct machine *m, struct error *err)
{
	int rc = 0;

	m->vcpu = calloc(m->cfg.cpus, sizeof(*m->vcpu));
	if (!m->vcpu)
		return error_set(err, ENOMEM, "out of memory for vCPUs");
	for (unsigned i = 0; i < m->cfg.cpus && rc >= 0; i++)
		rc = vcpu_new(&m->vcpu[i], m, i, err);
	return rc < 0 ? rc : 0;
}

static int build_machine(struct machine *m, struct error *err)
{
	int rc;

	rc = slot_cost_check_host(m->cfg.memory, err);
	if (!rc)
		rc = kvm_open(&m->kvm, err);
	if (!rc)
		rc = arch_machine_init(m, err);
	if (!rc)
		rc = description_build(&m->cfg, &m->fdt, &m->fdt_size, err);
	if (!rc)
		rc = map_ram(m, err);
	if (!rc)
		rc = machine_create_devices(m, err);
	if (!rc)
		rc = make_vcpus(m, err);
	return rc ? rc : machine_save(m, &m->initial, err);
}

struct machine *machine_new(const struct machine_config *cfg,
			    const struct machine_observer *obs,
			    struct error *err)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m) {
		error_set(err, ENOMEM, "out of memory for a machine");
		return NULL;
	}
	m->cfg = *cfg;
	m->observer = *obs;
	m->kvm = (struct kvm){ .sys = -1, .vm = -1 };
	m->ram.memfd = -1;
	m->poison_uffd = -1;
	m->status = (struct run_status){ RUN_PRELAUNCH, WHY_STARTING_UP };
	init_sync(m);
	poison_init(&m->poison);
	if (build_machine(m, err)) {
		machine_free(m);
		return NULL;
	}
	return m;
}

void machine_free(struct machine *m)
{
	if (!m)
		return;
	machine_halt(m);
	machine_reset_join(m);
	for (unsigned i = 0; m->vcpu && i < m->cfg.cpus; i++)
		vcpu_join(&m->vcpu[i]);
	for (unsigned i = 0; m->vcpu && i < m->cfg.cpus; i++)
		vcpu_free(&m->vcpu[i]);
	free(m->vcpu);
	bus_destroy(&m->bus);
	kvm_close(&m->kvm);
	ram_destroy(&m->ram);
	if (m->poison_uffd >= 0)
		close(m->poison_uffd);
	poison_fini(&m->poison);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->notify_lock);
	pthread_mutex_destroy(&m->inject_lock);
	pthread_mutex_destroy(&m->broadcast_lock);
	pthread_mutex_destroy(&m->settle_lock);
	for (unsigned i = 0; i < MACHINE_IMAGES; i++)
		free(m->image[i].data);
	writer_free(&m->initial);
	free(m->fdt);
	arch_machine_fini(m);
	free(m);
}

const struct machine_config *machine_config(const struct machine *m)
{
	return &m->cfg;
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
	*size = m->fdt_size;
	return m->fdt;
}

pid_t machine_vcpu_tid(const struct machine *m, unsigned index)
{
	return m->vcpu[index].tid;
}

bool machine_vcpu_blocking(const struct machine *m, unsigned index)
{
	return kvm_stat_read(&m->vcpu[index].blocking);
}

uint64_t machine_vcpu_idle(const struct machine *m, unsigned index,
			   uint64_t *exits)
{
	const struct vcpu *v = &m->vcpu[index];

	if (v->halted.fd < 0 || v->exits.fd < 0)
		return UINT64_MAX;
	*exits = kvm_stat_read(&v->exits);
	return kvm_stat_read(&v->halted) + kvm_stat_read(&v->polled);
}

int machine_power_button(struct machine *m, struct error *err)
{
	struct device *power = bus_find(&m->bus, &power_ops, 0);

	return power ? power_button(power, err) : error_set(err, ENODEV,
		"this machine has no power button");
}

size_t machine_serial_input(struct machine *m, const uint8_t *data, size_t n)
{
	struct device *serial = bus_find(&m->bus, &serial_ops, 0);

	return serial ? serial_input(serial, data, n) : 0;
}

/* State that belongs to no device and no vCPU: docs/protocol.md */
static const struct section machine_section = {
	.name = "machine", .version = 2,
};

static struct section vcpu_section(const struct vcpu *v)
{
	return (struct section){
		.name = "vcpu", .instance = v->index, .version = 3,
	};
}

static void save_machine_section(struct machine *m, struct writer *w)
{
	size_t mark = section_open(w, &machine_section);

	put_u32(w, m->cfg.cpus);
	put_u8(w, machine_reset_asked(m));
	put_u8(w, machine_panicked(m));
	put_u8(w, machine_no_reboot(m));
	section_close(w, mark);
}

int machine_save(struct machine *m, struct writer *w, struct error *err)
{
	int rc;

	save_machine_section(m, w);
	rc = bus_save(&m->bus, w, err);
	for (unsigned i = 0; i < m->cfg.cpus && rc >= 0; i++) {
		const struct section s = vcpu_section(&m->vcpu[i]);
		size_t mark = section_open(w, &s);

		put_u8(w, vcpu_owes_broadcast(&m->vcpu[i]));
		rc = arch_vcpu_save(&m->vcpu[i], w, err);
		section_close(w, mark);
	}
	if (rc >= 0 && w->failed)
		rc = error_set(err, ENOMEM, "out of memory for the state");
	return rc < 0 ? rc : 0;
}

static int load_machine_section(struct machine *m, struct reader *r,
				struct error *err)
{
	uint32_t cpus;
	uint8_t reset, panicked, no_reboot;
	struct reader part;
	int rc = section_get(r, &machine_section, &part, err);

	if (rc)
		return rc;
	cpus = get_u32(&part);
	reset = get_u8(&part);
	panicked = get_u8(&part);
	no_reboot = get_u8(&part);
	rc = section_done(&machine_section, &part, err);
	if (rc)
		return rc;
	if (cpus != m->cfg.cpus)
		return error_set(err, EBADMSG,
				 "state of %u vCPUs for a machine with %u",
				 cpus, m->cfg.cpus);
	if (reset >= RESET_CAUSES || panicked > 1 || no_reboot > 1)
		return error_set(err, EBADMSG,
			"section 'machine' 0 of the state: reset cause %u, panicked %u, no reboot %u",
			reset, panicked, no_reboot);
	machine_set_reset_asked(m, reset);
	machine_set_panicked(m, panicked);
	if (no_reboot)
		machine_set_no_reboot(m);
	return 0;
}

typedef int vcpu_load_fn(struct vcpu *v, struct reader *r, struct error *err);

static int load_vcpu(struct vcpu *v, struct reader *r, vcpu_load_fn *load,
		     struct error *err)
{
	const uint8_t owes = get_u8(r);
	int rc;

	if (owes > 1)
		return error_set(err, EBADMSG,
			"section 'vcpu' %u of the state: machine check %u",
			v->index, owes);
	rc = load(v, r, err);
	if (rc >= 0 && owes)
		vcpu_set_owes_broadcast(v);
	return rc;
}

static int load_vcpu_sections(struct machine *m, struct reader *r,
			      vcpu_load_fn *load, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; i < m->cfg.cpus && rc >= 0; i++) {
		const struct section s = vcpu_section(&m->vcpu[i]);
		struct reader part;

		rc = section_get(r, &s, &part, err);
		if (!rc)
			rc = load_vcpu(&m->vcpu[i], &part, load, err);
		if (rc >= 0)
			rc = section_done(&s, &part, err);
	}
	return rc < 0 ? rc : 0;
}

int machine_load(struct machine *m, struct reader *r, struct error *err)
{
	int rc = load_machine_section(m, r, err);

	if (!rc)
		rc = bus_load(&m->bus, r, err);
	if (rc < 0)
		return rc;
	arch_devices_loaded(m);
	rc = load_vcpu_sections(m, r, arch_vcpu_load, err);
	if (!rc && !reader_done(r))
		rc = error_set(err, EBADMSG,
			       "state has more bytes after its last section");
	return rc;
}

int machine_load_initial(struct machine *m, struct error *err)
{
	struct reader r = { .data = m->initial.data, .len = m->initial.len };
	struct reader part;
	int rc = section_get(&r, &machine_section, &part, err);

	if (!rc)
		rc = bus_reset(&m->bus, &r, err);
	return rc ? rc : load_vcpu_sections(m, &r, arch_vcpu_reset, err);
}

void machine_lost(struct machine *m, uint64_t gpa, uint64_t size)
{
	struct memory_failure f = { .gpa = gpa, .size = size,
				    .action = MF_NOTED,
				    .origin = MF_BY_READ };
	struct poison p = { .gpa = gpa, .size = size };
	uint8_t byte;
	int rc = 0;

	/* A reset may have replaced the page since it was read */
	pthread_mutex_lock(&m->inject_lock);
	if (ram_read(&m->ram, gpa, &byte, 1) == -EHWPOISON)
		rc = poison_add(&m->poison, &p);
	pthread_mutex_unlock(&m->inject_lock);
	if (rc > 0)
		machine_failure(m, &f);
	else if (rc < 0)
		log_line("out of memory for the poison list");
}

void machine_failure(struct machine *m, const struct memory_failure *f)
{
	m->observer.failure(m->observer.ctx, f);
}

void machine_failure_again(struct machine *m, const struct memory_failure *f)
{
	struct memory_failure now = *f;
	bool pass;

	pthread_mutex_lock(&m->lock);
	m->last_failure = *f;
	pass = flood_pass(&m->failure_flood, now_ms());
	if (pass) {
		now.repeats = m->failure_flood.held;
		m->failure_flood.held = 0;
	}
	pthread_mutex_unlock(&m->lock);
	if (pass)
		machine_failure(m, &now);
}

/* The last one that was counted stands for itself: the others are @repeats */
void machine_flush_failures(struct machine *m)
{
	struct memory_failure last;

	pthread_mutex_lock(&m->lock);
	last = m->last_failure;
	last.repeats = m->failure_flood.held;
	m->failure_flood.held = 0;
	pthread_mutex_unlock(&m->lock);
	if (!last.repeats--)
		return;
	machine_failure(m, &last);
}
