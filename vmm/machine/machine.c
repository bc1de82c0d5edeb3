// SPDX-License-Identifier: MIT
/* machine.c - A virtual machine: RAM, vCPUs, devices */

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "description.h"
#include "machine_private.h"
#include "vcpu.h"
#include "vmm/base/log.h"
#include "vmm/kvm/vcpu_stats.h"

static void init_sync(struct machine *m)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&m->device_lock, NULL);
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->notify_lock, NULL);
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

		rc = kvm_set_memory(&m->kvm, i, r->gpa, r->size,
				    m->ram.base + r->offset, err);
	}
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

	rc = kvm_open(&m->kvm, err);
	if (!rc)
		rc = arch_machine_init(m, err);
	if (!rc)
		rc = description_build(&m->cfg, &m->fdt, &m->fdt_size, err);
	if (!rc)
		rc = map_ram(m, err);
	if (!rc)
		rc = devices_init(m, err);
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
	for (unsigned i = 0; m->vcpu && i < m->cfg.cpus; i++)
		vcpu_join(&m->vcpu[i]);
	for (unsigned i = 0; m->vcpu && i < m->cfg.cpus; i++)
		vcpu_free(&m->vcpu[i]);
	free(m->vcpu);
	devices_fini(m);
	kvm_close(&m->kvm);
	ram_destroy(&m->ram);
	if (m->poison_uffd >= 0)
		close(m->poison_uffd);
	poison_fini(&m->poison);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->notify_lock);
	pthread_mutex_destroy(&m->inject_lock);
	pthread_mutex_destroy(&m->device_lock);
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
	return vcpu_blocking(&m->vcpu[index]);
}

void *machine_device(struct machine *m, const struct device_ops *ops)
{
	for (unsigned i = 0; i < DEVICES; i++)
		if (device_list[i] == ops)
			return m->device[i];
	return NULL;
}

int machine_save(struct machine *m, struct writer *w, struct error *err)
{
	int rc;

	rc = devices_save(m, w, err);
	put_u32(w, m->cfg.cpus);
	for (unsigned i = 0; i < m->cfg.cpus && rc >= 0; i++) {
		size_t mark = put_open(w);

		rc = arch_vcpu_save(&m->vcpu[i], w, err);
		put_close(w, mark);
	}
	if (rc >= 0 && w->failed)
		rc = error_set(err, ENOMEM, "out of memory for the state");
	return rc < 0 ? rc : 0;
}

int machine_load(struct machine *m, struct reader *r, struct error *err)
{
	uint32_t n;
	int rc;

	rc = devices_load(m, r, err);
	if (rc < 0)
		return rc;
	n = get_u32(r);
	if (n != m->cfg.cpus)
		return error_set(err, EBADMSG,
				 "state of %u vCPUs for a machine with %u", n,
				 m->cfg.cpus);
	for (unsigned i = 0; i < n && rc >= 0; i++) {
		struct reader part = get_part(r);

		rc = arch_vcpu_load(&m->vcpu[i], &part, err);
		if (rc >= 0 && !reader_done(&part))
			rc = error_set(err, EBADMSG,
				"vCPU %u: state of the wrong length", i);
	}
	if (rc >= 0 && !reader_done(r))
		rc = error_set(err, EBADMSG, "bytes follow the end of the state");
	return rc < 0 ? rc : 0;
}

void machine_lost(struct machine *m, uint64_t gpa, uint64_t size)
{
	struct memory_failure f = { .gpa = gpa, .size = size,
				    .action = MF_NOTED };
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
