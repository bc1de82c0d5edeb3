/* SPDX-License-Identifier: MIT */
/*
 * chardev_socket.h - Terminals that are attached to the guest's serial port
 *
 * A Unix stream socket beside the control socket, on which bytes are what they
 * are: what the guest prints, to everybody; what anybody types, to the guest.
 * Nobody's reading holds a vCPU up: output is kept in a ring, and who falls too
 * far behind is told how much was lost.
 */
#ifndef FERRY_CHARDEV_SOCKET_H
#define FERRY_CHARDEV_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#include "chardev.h"
#include "vmm/base/error.h"

#define TERMINALS_MAX		16
#define TERMINAL_SHOWN		8192	/* bytes of the past, for a new one */

struct chardev_socket;
struct loop;

/**
 * chardev_socket_open() - Listen for terminals
 * @loop:	runs it
 * @path:	of the socket; what is there is treated as control_open() does
 * @err:	why not
 *
 * Return: it, or NULL
 */
struct chardev_socket *chardev_socket_open(struct loop *loop,
					   const char *path,
					   struct error *err);

/** chardev_socket_path() - Where it listens */
const char *chardev_socket_path(const struct chardev_socket *c);

/**
 * chardev_socket_listen() - Say who takes the input
 * @c:		the socket
 * @fn:		takes it, on the main thread
 * @ctx:	handed to @fn
 */
void chardev_socket_listen(struct chardev_socket *c, chardev_input_fn *fn,
			   void *ctx);

/**
 * chardev_socket_write() - Print bytes; any thread, never waits
 * @c:		the socket, or NULL
 * @data:	the bytes
 * @n:		how many
 */
void chardev_socket_write(struct chardev_socket *c, const uint8_t *data,
			  size_t n);

/**
 * chardev_socket_leave() - The guest has left: disconnect all; any thread
 * @c:		the socket, or NULL
 */
void chardev_socket_leave(struct chardev_socket *c);

/** chardev_socket_close() - Disconnect all, and free; NULL is fine */
void chardev_socket_close(struct chardev_socket *c);

#endif /* FERRY_CHARDEV_SOCKET_H */
