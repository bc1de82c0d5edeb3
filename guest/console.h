/* SPDX-License-Identifier: MIT */
/*
 * console.h - The serial port, from either ring
 */
#ifndef GUEST_CONSOLE_H
#define GUEST_CONSOLE_H

#include "line.h"

/**
 * console_init() - Set the port up for polling
 *
 * Leaves the FIFO as it is: enabling it would discard input that arrived
 * before the guest was ready.
 */
void console_init(void);

/**
 * console_getc() - Next input character
 *
 * Return: the character, or -1 when there is none
 */
int console_getc(void);

/**
 * console_print() - Send a line, whole, and empty it
 * @l:		line
 */
void console_print(struct line *l);

/**
 * console_half() - Print the first part of a line, without a newline
 * @s:		text
 *
 * Other lines are held back until console_rest(). It serves to print one line
 * on two machines: one half before the guest migrates, one half afterwards.
 */
void console_half(const char *s);

/**
 * console_rest() - Print the rest of that line, then the lines held back
 * @s:		text
 */
void console_rest(const char *s);

/**
 * console_seize() - Take the console for good, before the guest ends
 *
 * Returns only to the first vCPU that calls it. Waits for a line that another
 * vCPU prints, but not without limit: that vCPU may be the one that failed.
 */
void console_seize(void);

#endif
