// SPDX-License-Identifier: MIT
/*
 * power.c - The part of ACPI's fixed hardware that powers off and resets
 *
 * A PM1a event block, whose only event is the power button, a PM1a control
 * register, and a reset register (ACPI 6.5, 4.8.3). The machine is in ACPI mode
 * from the start: SCI_EN always reads as one.
 */

#include <errno.h>

#include "device.h"
#include "layout.h"
#include "power.h"

#define EVENT_BUTTON		0x0100	/* PWRBTN_STS, PWRBTN_EN */

#define CONTROL_SCI_EN		0x0001
#define CONTROL_SLP_EN		0x2000
#define CONTROL_SLP_TYP(v)	((v) >> 10 & 7)

struct power {
	uint16_t enable, control, status;
};

static const struct field power_fields[] = {
	FIELD(struct power, enable), FIELD(struct power, control),
	FIELD(struct power, status),
};

/* The SCI is level-triggered: raised until the guest clears the status */
static void update_irq(struct device *d)
{
	const struct power *p = d->state;

	device_irq(d, p->status & p->enable);
}

int power_button(struct device *d, struct error *err)
{
	struct power *p = d->state;
	int rc = 0;

	pthread_mutex_lock(&d->lock);
	if (d->env->frozen(d->env->ctx))
		rc = error_set(err, EBUSY,
			"the guest's state is being sent: try again");
	else if (!(p->enable & EVENT_BUTTON))
		rc = error_set(err, ENOTSUP,
			"the guest does not watch its power button (ACPI), so it can't be asked to shut down; `ferry quit` ends it without asking");
	else
		p->status |= EVENT_BUTTON;
	update_irq(d);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

static void power_write(struct device *d, const struct device_access *a,
			uint64_t value)
{
	struct power *p = d->state;

	if (a->at == POWER_RESET && (value & 0xff) == POWER_RESET_VALUE) {
		d->env->guest_reset(d->env->ctx);
	} else if (a->at == POWER_EVENT && a->size == 2) {
		p->status &= (uint16_t)~value;	/* a one clears the bit */
		update_irq(d);
	} else if (a->at == POWER_EVENT + 2 && a->size == 2) {
		p->enable = (uint16_t)value;
		update_irq(d);
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

	if (a->at == POWER_EVENT)
		return p->status | (a->size == 4 ? p->enable << 16 : 0);
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
	/* A reset must lower the line that was raised before it */
	update_irq(d);
	return 0;
}

static const struct device_place power_place[] = { {
	.range = { { DEVICE_PORTS, POWER_PORT, POWER_PORTS } },
	.irq = POWER_IRQ,
} };

const struct device_ops power_ops = {
	.name = "power",
	.compatible = "ferry,acpi-power",
	.version = 2,
	.size = sizeof(struct power),
	.place = power_place,
	.places = ARRAY_SIZE(power_place),
	.read = power_read,
	.write = power_write,
	.save = power_save,
	.load = power_load,
};
