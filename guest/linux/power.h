/* SPDX-License-Identifier: MIT */
/*
 * power.h - The end of the guest
 */
#ifndef GUEST_LINUX_POWER_H
#define GUEST_LINUX_POWER_H

/** power_off() - Power the machine off */
void power_off(void) __attribute__((noreturn));

#endif
