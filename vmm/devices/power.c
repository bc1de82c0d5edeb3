// SPDX-License-Identifier: MIT
/*
 * power.c - The part of ACPI's fixed hardware that powers off and resets
 *
 * A PM1a event block that never has an event, a PM1a control register, and a
 * reset register (ACPI 6.5, 4.8.3). The machine is in ACPI mode from the start:
 * SCI_EN always reads as one.
 */

#include "device.h"
#include "layout.h"

#define CONTROL_SCI_EN		0x0001
#define CONTROL_SLP_EN		0x2000
#define CONTROL_SLP_TYP(v)	((v) >> 10 & 7)

struct power {
	uint16_t enable, control;
};

static const struct field power_fields[] = {
	FIELD(struct power, enable), FIELD(struct power, control),
};

static void power_write(struct device *d, const struct device_access *a,
			uint64_t value)
{
	struct power *p = d->state;

	if (a->at == POWER_RESET && (value & 0xff) == POWER_RESET_VALUE) {
		d->env->guest_reset(d->env->ctx);
	} else if (a->at == POWER_EVENT + 2 && a->size == 2) {
		p->enable = (uint16_t)value;
	} else if (a->at == POWER_CONTROL && a->size == 2) {
		p->control = (uint16_t)(value & ~CONTROL_SLP_EN);
		if ((value & CONTROL_SLP_EN) &&
		    CONTROL_SLP_TYP(value) == POWER_SLEEP_OFF)
			d->env->guest_exit(d->env->ctx, 0);
	}
}

static uint64_t power_read(struct device *d, const struct device_access *a)
{
	const struct power *p = d->state;

	if (a->at == POWER_EVENT + 2)
		return p->enable;
	return a->at == POWER_CONTROL ? p->control | CONTROL_SCI_EN : 0;
}

static int power_save(struct device *d, struct writer *w, struct error *err)
{
	(void)err;
	put_fields(w, power_fields, ARRAY_SIZE(power_fields), d->state);
	return 0;
}

static int power_load(struct device *d, struct reader *r, struct error *err)
{
	(void)err;
	get_fields(r, power_fields, ARRAY_SIZE(power_fields), d->state);
	return 0;
}

/* Without @irq: the SCI is in the FADT, but nothing raises it */
static const struct device_place power_place[] = { {
	.range = { { DEVICE_PORTS, POWER_PORT, POWER_PORTS } },
} };

const struct device_ops power_ops = {
	.name = "power",
	.compatible = "ferry,acpi-power",
	.version = 1,
	.size = sizeof(struct power),
	.place = power_place,
	.places = ARRAY_SIZE(power_place),
	.read = power_read,
	.write = power_write,
	.save = power_save,
	.load = power_load,
};
