/* SPDX-License-Identifier: MIT */
/*
 * chardev.h - Where the guest's serial port ends on the host
 *
 * Output goes through a ring buffer and a thread of its own, so that a
 * terminal that was stopped, or a pipe that nobody reads, never stops a vCPU;
 * what does not fit is dropped, and the loss is reported. Input is read by
 * the main loop, at the pace at which the guest takes it.
 */
#ifndef FERRY_CHARDEV_H
#define FERRY_CHARDEV_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/error.h"
#include "vmm/cli/options.h"

struct chardev;
struct loop;

/**
 * chardev_input_fn - Takes bytes that were typed
 * @ctx:	the user's
 * @data:	the bytes
 * @n:		how many
 *
 * Return: how many were taken; the rest is offered again soon
 */
typedef size_t chardev_input_fn(void *ctx, const uint8_t *data, size_t n);

/**
 * chardev_open() - Open the other end of a serial port
 * @loop:	reads the input
 * @kind:	standard input and output, a file, or nothing
 * @path:	of the file
 * @err:	why not
 *
 * Return: the chardev, or NULL
 */
struct chardev *chardev_open(struct loop *loop, enum serial_kind kind,
			     const char *path, struct error *err);

/**
 * chardev_listen() - Say who takes the input
 * @c:		the chardev
 * @fn:		takes it, on the main thread
 * @ctx:	handed to @fn
 */
void chardev_listen(struct chardev *c, chardev_input_fn *fn, void *ctx);

/**
 * chardev_write() - Print bytes; any thread, never waits
 * @c:		the chardev
 * @data:	the bytes
 * @n:		how many
 */
void chardev_write(struct chardev *c, const uint8_t *data, size_t n);

/** chardev_close() - Print what is left (2 s at most), and free; NULL is fine */
void chardev_close(struct chardev *c);

#endif /* FERRY_CHARDEV_H */
