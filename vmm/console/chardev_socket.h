/* SPDX-License-Identifier: MIT */
/*
 * chardev_socket.h - Terminals that are attached to the guest's serial port
 *
 * A Unix stream socket of plain bytes: each terminal receives the guest's
 * output, and the guest receives what any of the terminals sends. A terminal
 * that does not read never stops a vCPU: output is kept in a ring, and a
 * terminal that falls too far behind receives the number of bytes lost instead.
 */
#ifndef FERRY_CHARDEV_SOCKET_H
#define FERRY_CHARDEV_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#include "chardev.h"
#include "vmm/base/error.h"

#define TERMINALS_MAX		16
#define TERMINAL_SHOWN		8192	/* bytes of old output, for a new one */

struct chardev_socket;
struct loop;

/**
 * chardev_socket_open() - Listen for terminals
 * @loop:	runs it
 * @path:	of the socket, as for unix_socket_open()
 * @err:	the cause of a failure
 *
 * Return: the console socket, or NULL
 */
struct chardev_socket *chardev_socket_open(struct loop *loop,
					   const char *path,
					   struct error *err);

/** chardev_socket_path() - Return: the path of the socket */
const char *chardev_socket_path(const struct chardev_socket *c);

/**
 * chardev_socket_listen() - Set the receiver of the input
 * @c:		the socket
 * @fn:		receives it, on the main thread
 * @ctx:	passed to @fn
 */
void chardev_socket_listen(struct chardev_socket *c, chardev_input_fn *fn,
			   void *ctx);

/**
 * chardev_socket_write() - Write output; any thread, never blocks
 * @c:		the socket, or NULL
 * @data:	the bytes
 * @n:		number of bytes
 */
void chardev_socket_write(struct chardev_socket *c, const uint8_t *data,
			  size_t n);

/**
 * chardev_socket_leave() - Disconnect all, because the guest was handed over
 * @c:		the socket, or NULL
 *
 * Any thread; never blocks. Terminals receive the output so far first.
 */
void chardev_socket_leave(struct chardev_socket *c);

/**
 * chardev_socket_close() - Disconnect all, and free
 * @c:		the socket, or NULL
 */
void chardev_socket_close(struct chardev_socket *c);

#endif /* FERRY_CHARDEV_SOCKET_H */
