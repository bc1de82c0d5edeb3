// SPDX-License-Identifier: MIT
/*
 * power.c - ACPI's fixed hardware, as little of it as turns a machine off
 *
 * A PM1a event block that never has an event, a PM1a control register, and a
 * reset register (ACPI 6.5, 4.8.3). The machine is in ACPI mode from
 * the start: SCI_EN always reads as one. A reset that the guest has asked for,
 * and not got yet, is state of this device.
 */

#include <errno.h>

#include "device.h"
#include "vmm/boot/acpi.h"
#include "vmm/machine/machine_guest.h"
#include "vmm/machine/machine_private.h"
#include "vmm/machine/machine_reset.h"

#define CONTROL_SCI_EN		0x0001
#define CONTROL_SLP_EN		0x2000
#define CONTROL_SLP_TYP(v)	((v) >> 10 & 7)

struct power {
	uint16_t enable, control;
};

static const struct field power_fields[] = {
	FIELD(struct power, enable), FIELD(struct power, control),
};

static void power_out(struct machine *m, void *dev, unsigned at,
		      unsigned size, uint32_t value)
{
	struct power *p = dev;

	if (at == POWER_RESET && (value & 0xff) == POWER_RESET_VALUE) {
		machine_guest_reset(m);
	} else if (at == POWER_EVENT + 2 && size == 2) {
		p->enable = (uint16_t)value;
	} else if (at == POWER_CONTROL && size == 2) {
		p->control = (uint16_t)(value & ~CONTROL_SLP_EN);
		if ((value & CONTROL_SLP_EN) &&
		    CONTROL_SLP_TYP(value) == POWER_SLEEP_OFF)
			machine_guest_exit(m, 0);
	}
}

static uint32_t power_in(struct machine *m, void *dev, unsigned at,
			 unsigned size)
{
	const struct power *p = dev;

	(void)m;
	(void)size;
	if (at == POWER_EVENT + 2)
		return p->enable;
	return at == POWER_CONTROL ? p->control | CONTROL_SCI_EN : 0;
}

static int power_save(struct machine *m, void *dev, struct writer *w,
		      struct error *err)
{
	(void)err;
	put_fields(w, power_fields, ARRAY_SIZE(power_fields), dev);
	put_u8(w, machine_reset_asked(m));
	return 0;
}

static int power_load(struct machine *m, void *dev, struct reader *r,
		      struct error *err)
{
	uint8_t reset;

	get_fields(r, power_fields, ARRAY_SIZE(power_fields), dev);
	reset = get_u8(r);
	if (reset >= RESET_CAUSES)
		return error_set(err, EBADMSG, "power: %u is no reset", reset);
	machine_set_reset_asked(m, reset);
	return 0;
}

const struct device_ops power_ops = {
	.name = "power",
	.size = sizeof(struct power),
	.port = POWER_PORT,
	.ports = POWER_PORTS,
	.out = power_out,
	.in = power_in,
	.save = power_save,
	.load = power_load,
};
