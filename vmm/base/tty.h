/* SPDX-License-Identifier: MIT */
/*
 * tty.h - Raw mode of the terminal on standard input
 */
#ifndef FERRY_TTY_H
#define FERRY_TTY_H

#include <stdbool.h>

/* tty_raw(): is the output changed, too? */
enum tty_output {
	TTY_OUTPUT_RAW,		/* a newline only moves down */
	TTY_OUTPUT_LINES,	/* a newline begins a line, as usual */
};

/**
 * tty_raw() - Set the terminal to raw mode: each byte is read as it is typed
 * @output:	mode of its output
 *
 * The previous mode returns with tty_restore(), exit(3), or a signal that ends or
 * stops the program; only SIGKILL, and a signal that had a handler or was ignored
 * before, leave the terminal in raw mode.
 *
 * Return: true; false, and nothing is changed, if it is not a terminal
 */
bool tty_raw(enum tty_output output);

/** tty_restore() - Restore the mode before tty_raw(), if that was called */
void tty_restore(void);

#endif /* FERRY_TTY_H */
