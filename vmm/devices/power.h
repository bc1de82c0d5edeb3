/* SPDX-License-Identifier: MIT */
/*
 * power.h - The power button of ACPI's fixed hardware
 */
#ifndef FERRY_POWER_H
#define FERRY_POWER_H

#include "vmm/base/error.h"

struct device;

/**
 * power_button() - Press the power button: ask the guest to shut down
 * @d:		the power device
 * @err:	the cause of a failure
 *
 * Any thread.
 *
 * Return: 0, -ENOTSUP (the guest has not enabled the event, and would not
 *	   notice), -EBUSY (the machine is frozen: struct device_env)
 */
int power_button(struct device *d, struct error *err);

#endif /* FERRY_POWER_H */
