/* SPDX-License-Identifier: MIT */
/*
 * report.h - The lines "report" and "verdict"
 */
#ifndef GUEST_LINUX_REPORT_H
#define GUEST_LINUX_REPORT_H

/** report_print() - Print "clock …", if requested, and "report …" */
void report_print(void);

/** report_verdict() - Print "verdict …" */
void report_verdict(void);

#endif
