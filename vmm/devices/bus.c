// SPDX-License-Identifier: MIT
/* bus.c - All devices of a machine */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "layout.h"
#include "section.h"
#include "vmm/base/clock.h"
#include "vmm/memory/ram.h"

_Static_assert(LAYOUT_MMIO_BASE >= RAM_LOW_MAX &&
	       LAYOUT_MMIO_END <= RAM_HIGH_GPA, "MMIO is where RAM never is");

static int refuse_device(const struct device_config *c, int code,
			 const char *why, struct error *err)
{
	return error_set(err, code, "device %s %u: %s", c->ops->name,
			 c->instance, why);
}

/* The window for MMIO begins after the last port: no number is in both spaces */
static bool ranges_overlap(const struct device_range *a,
			   const struct device_range *b)
{
	return a->size && b->size &&
	       a->base < b->base + b->size && b->base < a->base + a->size;
}

static bool range_valid(const struct device_range *r)
{
	if (!r->size)
		return true;
	if (r->space == DEVICE_PORTS)
		return r->base < 0x10000 && r->size <= 0x10000 - r->base;
	return r->base >= LAYOUT_MMIO_BASE && r->base < LAYOUT_MMIO_END &&
	       r->size <= LAYOUT_MMIO_END - r->base;
}

static bool places_overlap(const struct device_place *a,
			   const struct device_place *b)
{
	for (unsigned i = 0; i < DEVICE_RANGES; i++)
		for (unsigned j = 0; j < DEVICE_RANGES; j++)
			if (ranges_overlap(&a->range[i], &b->range[j]))
				return true;
	return false;
}

static int check_config(const struct bus *b, const struct device_config *c,
			struct error *err)
{
	const struct device_place *place;

	if (c->instance >= c->ops->places)
		return refuse_device(c, EINVAL, "there is no such instance",
				     err);
	place = &c->ops->place[c->instance];
	for (unsigned i = 0; i < DEVICE_RANGES; i++)
		if (!range_valid(&place->range[i]))
			return refuse_device(c, EINVAL,
				"its addresses are outside the window for devices",
				err);
	if (place->irq >= LAYOUT_IRQS)
		return refuse_device(c, EINVAL,
				     "there is no such interrupt line", err);
	if (bus_find(b, c->ops, c->instance))
		return refuse_device(c, EEXIST, "it is there twice", err);
	for (unsigned i = 0; i < b->n; i++) {
		const struct device_place *other = b->device[i]->place;

		if (places_overlap(place, other) ||
		    (place->irq && place->irq == other->irq))
			return refuse_device(c, EEXIST,
				"another device has its address or interrupt",
				err);
	}
	return 0;
}

static void free_device(struct device *d)
{
	pthread_mutex_destroy(&d->lock);
	free(d->state);
	free(d);
}

static int create_device(struct bus *b, const struct device_config *c,
			 struct error *err)
{
	struct device *d;
	int rc = check_config(b, c, err);

	if (rc)
		return rc;
	d = calloc(1, sizeof(*d));
	if (!d)
		return refuse_device(c, ENOMEM, "out of memory", err);
	*d = (struct device){
		.ops = c->ops, .instance = c->instance, .env = &b->env,
		.place = &c->ops->place[c->instance], .backend = c->backend,
		.state = calloc(1, c->ops->size ? c->ops->size : 1),
	};
	pthread_mutex_init(&d->lock, NULL);
	if (!d->state)
		rc = refuse_device(c, ENOMEM, "out of memory", err);
	else if (c->ops->create)
		rc = c->ops->create(d, err);
	if (rc)
		free_device(d);
	else
		b->device[b->n++] = d;
	return rc;
}

int bus_create(struct bus *b, const struct device_list *l,
	       const struct device_env *env, struct error *err)
{
	int rc = 0;

	*b = (struct bus){ .env = *env };
	for (unsigned i = 0; i < l->n && !rc; i++)
		rc = create_device(b, &l->entry[i], err);
	if (rc)
		bus_destroy(b);
	return rc;
}

void bus_destroy(struct bus *b)
{
	while (b->n) {
		struct device *d = b->device[--b->n];

		if (d->ops->destroy)
			d->ops->destroy(d);
		free_device(d);
	}
	b->running = false;
}

struct device *bus_find(const struct bus *b, const struct device_ops *ops,
			unsigned instance)
{
	for (unsigned i = 0; i < b->n; i++)
		if (b->device[i]->ops == ops &&
		    b->device[i]->instance == instance)
			return b->device[i];
	return NULL;
}

/* Fills in @a's range and offset. Return: the device, or NULL */
static struct device *find_address(struct bus *b, enum device_space space,
				   uint64_t address, struct device_access *a)
{
	for (unsigned i = 0; i < b->n; i++) {
		const struct device_range *r = b->device[i]->place->range;

		for (unsigned k = 0; k < DEVICE_RANGES; k++) {
			if (r[k].space != space || address < r[k].base ||
			    address - r[k].base >= r[k].size)
				continue;
			a->range = k;
			a->at = address - r[k].base;
			return b->device[i];
		}
	}
	return NULL;
}

/* @d is NULL where no device is; else its lock is held */
static void access_device(struct device *d, const struct device_access *a,
			  bool is_write, uint8_t *data)
{
	uint64_t value = 0;

	if (is_write) {
		memcpy(&value, data, a->size);
		if (d && d->ops->write)
			d->ops->write(d, a, value);
		return;
	}
	if (!d)
		value = ~0ull;
	else if (d->ops->read)
		value = d->ops->read(d, a);
	memcpy(data, &value, a->size);
}

/* String I/O is carried out without another vCPU's access in between */
void bus_pio(struct bus *b, const struct bus_pio *io)
{
	struct device_access a = { .size = io->size };
	struct device *d = find_address(b, DEVICE_PORTS, io->port, &a);

	if (d)
		pthread_mutex_lock(&d->lock);
	for (unsigned i = 0; i < io->count; i++)
		access_device(d, &a, !io->is_in, io->data + i * io->size);
	if (d)
		pthread_mutex_unlock(&d->lock);
}

void bus_mmio(struct bus *b, const struct bus_mmio *io)
{
	struct device_access a = { .size = io->size };
	struct device *d = find_address(b, DEVICE_MMIO, io->gpa, &a);

	if (d && a.size > d->place->range[a.range].size - a.at)
		d = NULL;
	if (d)
		pthread_mutex_lock(&d->lock);
	access_device(d, &a, io->is_write, io->data);
	if (d)
		pthread_mutex_unlock(&d->lock);
}

static void resume_devices(struct bus *b, unsigned from)
{
	for (unsigned i = from; i < b->n; i++)
		if (b->device[i]->ops->resume)
			b->device[i]->ops->resume(b->device[i]);
}

/* In reverse order: a device may depend on those created before it */
int bus_quiesce(struct bus *b, unsigned ms, struct error *err)
{
	const uint64_t end = now_ms() + ms;

	for (unsigned i = b->n; b->running && i-- > 0; ) {
		struct device *d = b->device[i];
		uint64_t now = now_ms();
		int rc;

		if (!d->ops->quiesce)
			continue;
		rc = d->ops->quiesce(d, now < end ? (unsigned)(end - now) : 0,
				     err);
		if (rc) {
			resume_devices(b, i + 1);
			error_prefix(err, "device %s %u", d->ops->name,
				     d->instance);
			return rc;
		}
	}
	b->running = false;
	return 0;
}

void bus_resume(struct bus *b)
{
	if (!b->running)
		resume_devices(b, 0);
	b->running = true;
}

static struct section device_section(const struct device *d)
{
	return (struct section){
		.name = d->ops->name, .instance = d->instance,
		.version = d->ops->version,
	};
}

int bus_save(struct bus *b, struct writer *w, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; i < b->n && !rc; i++) {
		struct device *d = b->device[i];
		const struct section s = device_section(d);
		size_t mark = section_open(w, &s);

		pthread_mutex_lock(&d->lock);
		if (d->ops->save)
			rc = d->ops->save(d, w, err);
		pthread_mutex_unlock(&d->lock);
		section_close(w, mark);
	}
	return rc;
}

static int load_device(struct device *d, struct reader *r, bool reset,
		       struct error *err)
{
	const struct section s = device_section(d);
	struct reader part;
	int rc = section_get(r, &s, &part, err);

	if (rc || (reset && d->ops->lasting))
		return rc;
	pthread_mutex_lock(&d->lock);
	if (d->ops->load)
		rc = d->ops->load(d, &part, err);
	pthread_mutex_unlock(&d->lock);
	return rc ? rc : section_done(&s, &part, err);
}

int bus_load(struct bus *b, struct reader *r, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; i < b->n && !rc; i++)
		rc = load_device(b->device[i], r, false, err);
	return rc;
}

int bus_reset(struct bus *b, struct reader *r, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; i < b->n && !rc; i++)
		rc = load_device(b->device[i], r, true, err);
	return rc;
}
