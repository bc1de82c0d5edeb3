// SPDX-License-Identifier: MIT
/* machine.c - A virtual machine: RAM, vCPUs, devices, and what it is doing */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "description.h"
#include "machine.h"
#include "machine_devices.h"
#include "machine_gate.h"
#include "reset.h"
#include "vcpu.h"
#include "vmm/base/log.h"
#include "vmm/devices/section.h"
#include "vmm/devices/x86_clock.h"

static void init_sync(struct machine *m)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&m->settling, NULL);
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->telling, NULL);
	pthread_mutex_init(&m->inject_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->changed, &attr);
	pthread_condattr_destroy(&attr);
}

static int map_ram(struct machine *m, struct error *err)
{
	int rc = ram_create(&m->ram, m->cfg.memory, m->cfg.backing, err);

	for (unsigned i = 0; !rc && i < m->ram.regions; i++) {
		const struct ram_region *r = &m->ram.region[i];

		const struct kvm_slot slot = {
			.slot = i, .gpa = r->gpa, .size = r->size,
			.hva = m->ram.base + r->offset,
		};

		rc = kvm_set_memory(&m->kvm, &slot, err);
	}
	return rc;
}

static int add_vcpus(struct machine *m, struct error *err)
{
	int rc = 0;

	m->vcpu = calloc(m->cfg.cpus, sizeof(*m->vcpu));
	if (!m->vcpu)
		return error_set(err, ENOMEM, "out of memory for vCPUs");
	for (unsigned i = 0; i < m->cfg.cpus && rc >= 0; i++)
		rc = vcpu_new(&m->vcpu[i], m, i, err);
	if (rc >= 0)
		vcpu_msr_probe(&m->vcpu[0]);
	return rc < 0 ? rc : 0;
}

static int build(struct machine *m, struct error *err)
{
	int rc;

	rc = kvm_open(&m->kvm, err);
	if (rc)
		return rc;
	/* Without LMCE, so that Intel's format means broadcast everywhere */
	m->kvm.mce_cap = (m->kvm.mce_cap & (MCG_CTL_P | MCG_SER_P)) |
			 MCE_BANKS;
	rc = kvm_msr_list(&m->kvm, &m->msr, &m->msrs, err);
	if (!rc)
		rc = description_build(&m->cfg, &m->fdt, &m->fdt_size, err);
	if (!rc)
		rc = map_ram(m, err);
	if (!rc)
		rc = machine_create_devices(m, err);
	if (!rc)
		rc = add_vcpus(m, err);
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
	if (build(m, err)) {
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
	pthread_mutex_destroy(&m->telling);
	pthread_mutex_destroy(&m->inject_lock);
	pthread_mutex_destroy(&m->settling);
	image_free(&m->boot.kernel);
	image_free(&m->boot.initrd);
	writer_free(&m->initial);
	free(m->fdt);
	free(m->msr);
	free(m);
}

/* What is not the state of a device or vCPU: see docs/protocol.md */
static const struct section machine_section = {
	.name = "machine", .version = 1,
};

static struct section vcpu_section(const struct vcpu *v)
{
	return (struct section){
		.name = "vcpu", .instance = v->index, .version = 1,
	};
}

static void save_machine_section(struct machine *m, struct writer *w)
{
	size_t mark = section_open(w, &machine_section);

	put_u32(w, m->cfg.cpus);
	put_u8(w, machine_reset_asked(m));
	put_u8(w, machine_panicked(m));
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

		rc = vcpu_save(&m->vcpu[i], w, err);
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
	uint8_t reset, panicked;
	struct reader part;
	int rc = section_get(r, &machine_section, &part, err);

	if (rc)
		return rc;
	cpus = get_u32(&part);
	reset = get_u8(&part);
	panicked = get_u8(&part);
	rc = section_done(&machine_section, &part, err);
	if (rc)
		return rc;
	if (cpus != m->cfg.cpus)
		return error_set(err, EBADMSG,
				 "state of %u vCPUs for a machine with %u",
				 cpus, m->cfg.cpus);
	if (reset >= RESET_CAUSES || panicked > 1)
		return error_set(err, EBADMSG,
			"section 'machine' 0 of the state: reset cause %u, panicked %u",
			reset, panicked);
	machine_set_reset_asked(m, reset);
	machine_set_panicked(m, panicked);
	return 0;
}

static int load_vcpu_section(struct vcpu *v, struct reader *r, bool reset,
			     struct error *err)
{
	const struct section s = vcpu_section(v);
	struct reader part;
	int rc = section_get(r, &s, &part, err);

	if (!rc)
		rc = reset ? vcpu_reset(v, &part, err)
			   : vcpu_load(v, &part, err);
	return rc ? rc : section_done(&s, &part, err);
}

int machine_load(struct machine *m, struct reader *r, struct error *err)
{
	int rc;

	rc = load_machine_section(m, r, err);
	if (!rc)
		rc = bus_load(&m->bus, r, err);
	if (rc < 0)
		return rc;
	m->tsc_shifts = x86_clock_tsc_shift(bus_find(&m->bus, &x86_clock_ops,
						     0),
					    m->cfg.tsc_khz, &m->tsc_shift);
	for (unsigned i = 0; i < m->cfg.cpus && rc >= 0; i++)
		rc = load_vcpu_section(&m->vcpu[i], r, false, err);
	if (rc >= 0 && !reader_done(r))
		rc = error_set(err, EBADMSG,
			       "state has more bytes after its last section");
	return rc < 0 ? rc : 0;
}

int machine_load_initial(struct machine *m, struct error *err)
{
	struct reader r = { .data = m->initial.data, .len = m->initial.len };
	struct reader part;
	int rc = section_get(&r, &machine_section, &part, err);

	if (!rc)
		rc = bus_reset(&m->bus, &r, err);
	for (unsigned i = 0; i < m->cfg.cpus && !rc; i++)
		rc = load_vcpu_section(&m->vcpu[i], &r, true, err);
	return rc;
}

void machine_set_pager(struct machine *m, const struct pager *p)
{
	pthread_mutex_lock(&m->lock);
	m->pager = p ? *p : (struct pager){ 0 };
	pthread_mutex_unlock(&m->lock);
	/* A reset may have waited for it */
	if (!p)
		machine_tell_reset(m);
}

struct pager machine_pager(struct machine *m)
{
	struct pager p;

	pthread_mutex_lock(&m->lock);
	p = m->pager;
	pthread_mutex_unlock(&m->lock);
	return p;
}

void machine_lost(struct machine *m, uint64_t gpa, uint64_t size)
{
	struct memory_failure f = { .gpa = gpa, .size = size,
				    .action = MF_NOTED };
	struct poison p = { .gpa = gpa, .size = size };
	uint8_t byte;
	int rc = 0;

	/* A reset may have come since it was met, and have made it whole */
	pthread_mutex_lock(&m->inject_lock);
	if (ram_read(&m->ram, gpa, &byte, 1) == -EFAULT)
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
