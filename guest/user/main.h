/* SPDX-License-Identifier: MIT */
/*
 * main.h - Start of ring 3
 */
#ifndef GUEST_USER_MAIN_H
#define GUEST_USER_MAIN_H

#include "../cpu.h"

/**
 * user_main() - First ring 3 function of a vCPU (pvh.S); does not return
 * @c:		this vCPU
 */
void user_main(struct cpu *c);

#endif
