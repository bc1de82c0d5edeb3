/* SPDX-License-Identifier: MIT */
/*
 * report.h - The lines "boot", "ready", "report" and "verdict", by vCPU 0
 */
#ifndef GUEST_USER_REPORT_H
#define GUEST_USER_REPORT_H

#include "../cpu.h"

/**
 * report_boot() - Print the first line
 * @c:		vCPU 0
 * @fdt:	the VMM passed a device tree
 */
void report_boot(struct cpu *c, bool fdt);

/**
 * report_ready() - Print that the data area has been filled
 * @c:		vCPU 0
 */
void report_ready(struct cpu *c);

/**
 * report_print() - Print the report line
 * @c:		vCPU 0
 */
void report_print(struct cpu *c);

/**
 * report_start() - The first interval begins
 */
void report_start(void);

/**
 * report_poll() - Print the report line at the end of each interval, if there
 * are intervals
 * @c:		vCPU 0
 */
void report_poll(struct cpu *c);

/**
 * report_verdict() - Compare the expected machine checks with those that came
 * @c:		vCPU 0
 *
 * Return: true if there is no fault: no wrong word, no expected page that could
 * be read, no machine check for a page that was not expected. An expected page
 * that no vCPU accessed is no fault; compare expected= with seen=.
 */
bool report_verdict(struct cpu *c);

/**
 * report_finish() - Print report and verdict, and end the guest
 * @c:		vCPU 0
 */
void report_finish(struct cpu *c) __attribute__((noreturn));

#endif
