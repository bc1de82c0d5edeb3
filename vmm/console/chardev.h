/* SPDX-License-Identifier: MIT */
/*
 * chardev.h - The host's end of the guest's serial port
 *
 * Output goes through a ring buffer that a thread writes, so that a terminal
 * that is stopped, or a pipe that nothing reads, never stops a vCPU. Output
 * that does not fit is dropped, and the loss is reported. The main loop reads
 * the input, as fast as the guest takes it.
 */
#ifndef FERRY_CHARDEV_H
#define FERRY_CHARDEV_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/error.h"

struct chardev;
struct loop;

/**
 * chardev_input_fn - Receives input
 * @ctx:	the user's
 * @data:	the bytes
 * @n:		number of bytes
 *
 * Return: bytes taken; the rest is offered again after 10 ms
 */
typedef size_t chardev_input_fn(void *ctx, const uint8_t *data, size_t n);

/**
 * chardev_quit_fn - The user typed the escape and q: end the machine
 * @ctx:	the user's
 */
typedef void chardev_quit_fn(void *ctx);

/**
 * chardev_open() - Open the host's end of a serial port
 * @loop:	reads the input
 * @where:	"stdio", "none", or "file:PATH" (output only)
 * @err:	the cause of a failure
 *
 * Return: the chardev, or NULL
 */
struct chardev *chardev_open(struct loop *loop, const char *where,
			     struct error *err);

/**
 * chardev_listen() - Start to read the input
 * @c:		the chardev
 * @fn:		receives it, on the main thread
 * @quit:	called on the main thread
 * @ctx:	passed to @fn and @quit
 *
 * A terminal on standard input is set to raw mode, so that Ctrl-C and all other
 * keys go to the guest, except the escape, Ctrl-]. chardev_close(), and a signal
 * without a handler, restore it: call this when the program's handlers are set.
 */
void chardev_listen(struct chardev *c, chardev_input_fn *fn,
		    chardev_quit_fn *quit, void *ctx);

/**
 * chardev_write() - Write output; any thread, never blocks
 * @c:		the chardev
 * @data:	the bytes
 * @n:		number of bytes
 */
void chardev_write(struct chardev *c, const uint8_t *data, size_t n);

/**
 * chardev_close() - Write the rest of the output, and free
 * @c:		the chardev, or NULL
 *
 * Waits at most 2 s for the output to be written.
 */
void chardev_close(struct chardev *c);

#endif /* FERRY_CHARDEV_H */
