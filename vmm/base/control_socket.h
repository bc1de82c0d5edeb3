/* SPDX-License-Identifier: MIT */
/*
 * control_socket.h - Where the control socket comes from
 */
#ifndef FERRY_CONTROL_SOCKET_H
#define FERRY_CONTROL_SOCKET_H

#include <sys/types.h>

#include "error.h"

/**
 * struct control_socket - A listening Unix socket and its name
 * @fd:		listening, non-blocking
 * @dev:	device and
 * @ino:	inode of the name, to know it again
 */
struct control_socket {
	int fd;
	dev_t dev;
	ino_t ino;
};

/**
 * control_socket_open() - Listen on a path
 * @s:		filled in
 * @path:	see control_open() for what happens to what is there
 * @err:	why not
 *
 * Return: 0, -EADDRINUSE (somebody listens there), -EEXIST (that is no
 *	   socket), -ENAMETOOLONG, -EAGAIN (its directory stayed locked), or
 *	   -errno of the call that failed
 */
int control_socket_open(struct control_socket *s, const char *path,
			struct error *err);

/**
 * control_socket_unlink() - Remove the name, if it is still ours
 * @s:		from control_socket_open()
 * @path:	as given there
 */
void control_socket_unlink(const struct control_socket *s, const char *path);

#endif /* FERRY_CONTROL_SOCKET_H */
