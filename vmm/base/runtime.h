/* SPDX-License-Identifier: MIT */
/*
 * runtime.h - Where the control socket of a name is
 */
#ifndef FERRY_RUNTIME_H
#define FERRY_RUNTIME_H

#include <stddef.h>

#include "error.h"

/* Fits what a struct sockaddr_un can take, and the terminating zero */
#define RUNTIME_PATH_MAX 108

/**
 * runtime_dir() - The directory of this user's control sockets
 * @buf:	where to put it
 * @size:	of @buf, at least RUNTIME_PATH_MAX
 * @err:	why there is none
 *
 * $XDG_RUNTIME_DIR/ferry; without that variable /run/ferry for root. The
 * directory need not exist: control_open() makes it.
 *
 * Return: 0, -ENOENT (no variable, and not root), -EINVAL (it is no absolute
 *	   path), -ENAMETOOLONG
 */
int runtime_dir(char *buf, size_t size, struct error *err);

/**
 * runtime_path() - The control socket of a name
 * @name:	machine's name
 * @buf:	where to put the path
 * @size:	of @buf, at least RUNTIME_PATH_MAX
 * @err:	why there is none
 *
 * Return: 0, -EINVAL (that is no name), or as runtime_dir()
 */
int runtime_path(const char *name, char *buf, size_t size, struct error *err);

/**
 * runtime_console() - The console socket that belongs to a control socket
 * @control:	path of the control socket
 * @buf:	where to put the path: .console in the place of .sock
 * @size:	of @buf, at least RUNTIME_PATH_MAX
 * @err:	why there is none
 *
 * Return: 0, -ENAMETOOLONG
 */
int runtime_console(const char *control, char *buf, size_t size,
		    struct error *err);

#endif /* FERRY_RUNTIME_H */
