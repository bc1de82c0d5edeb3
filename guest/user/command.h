/* SPDX-License-Identifier: MIT */
/*
 * command.h - The commands that arrive on the serial port
 */
#ifndef GUEST_USER_COMMAND_H
#define GUEST_USER_COMMAND_H

#include "../cpu.h"

/**
 * command_poll() - Run the commands that have arrived
 * @c:		vCPU 0
 */
void command_poll(struct cpu *c);

#endif
