/* SPDX-License-Identifier: MIT */
/*
 * unix_socket.h - A listening Unix socket that replaces a stale one
 *
 * For the control socket and the console socket.
 */
#ifndef FERRY_UNIX_SOCKET_H
#define FERRY_UNIX_SOCKET_H

#include <sys/types.h>

#include "error.h"

/**
 * struct unix_socket - A listening Unix socket and its name
 * @fd:		listening, non-blocking
 * @dev:	device and
 * @ino:	inode of the name, to recognize it when it is removed
 */
struct unix_socket {
	int fd;
	dev_t dev;
	ino_t ino;
};

/**
 * unix_socket_open() - Listen on a path
 * @s:		filled in
 * @path:	a stale socket there (no process listens) is replaced. The
 *		socket gets mode 0600; its directory (only the last component)
 *		is created with 0700 if it is missing. While it runs, it holds
 *		a lock on the file PATH.lock, and removes it.
 * @err:	the cause of a failure
 *
 * Return: 0, -EADDRINUSE (a process listens there), -EEXIST (not a socket),
 *	   -ENAMETOOLONG, -EAGAIN (another process kept the lock), -EPERM
 *	   (another user owns the lock's file), or -errno of the call that
 *	   failed
 */
int unix_socket_open(struct unix_socket *s, const char *path,
		     struct error *err);

/**
 * unix_socket_unlink() - Remove the name, unless it is another socket's now
 * @s:		from unix_socket_open()
 * @path:	as given there
 */
void unix_socket_unlink(const struct unix_socket *s, const char *path);

#endif /* FERRY_UNIX_SOCKET_H */
