// SPDX-License-Identifier: MIT
/* x86_board.c - The device models of an x86 machine */

#include "device_list.h"

const struct device_model device_models[] = {
	{ &x86_irqchip_ops, true },
	{ &x86_pit_ops, true },
	{ &x86_clock_ops, true },
	{ &serial_ops, true },
	{ &debug_exit_ops, false },
	{ &power_ops, true },
	{ &pvpanic_ops, true },
	{ &keyboard_ops, true },
	{ NULL, false },
};
