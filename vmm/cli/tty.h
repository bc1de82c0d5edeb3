/* SPDX-License-Identifier: MIT */
/*
 * tty.h - A terminal whose every key goes to somebody else
 */
#ifndef FERRY_TTY_H
#define FERRY_TTY_H

#include <stdbool.h>

/**
 * tty_raw() - Have standard input give each byte as it is typed
 *
 * Until tty_restore(), exit(3), or a signal that ends or stops the program:
 * whatever happens, short of SIGKILL, the terminal is as it was.
 *
 * Return: is it a terminal? If not, nothing was done
 */
bool tty_raw(void);

/** tty_restore() - Have it as it was; fine if nothing was done */
void tty_restore(void);

#endif /* FERRY_TTY_H */
