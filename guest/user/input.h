/* SPDX-License-Identifier: MIT */
/*
 * input.h - Lines that arrive on the serial port, polled by vCPU 0
 */
#ifndef GUEST_USER_INPUT_H
#define GUEST_USER_INPUT_H

#include <stdint.h>

/**
 * input_line() - The next complete line, if it is time to poll and one is there
 *
 * Return: the line without its newline, cut at 255 bytes, valid until the next
 * call; the caller may change it. NULL when there is none
 */
char *input_line(void);

/**
 * input_deadline() - When vCPU 0 must poll again
 *
 * Return: TSC
 */
uint64_t input_deadline(void);

#endif
