/* SPDX-License-Identifier: MIT */
/*
 * runtime_link.h - The name of a machine whose control socket is elsewhere
 *
 * A machine that was started with --control PATH has a symbolic link to PATH in
 * the runtime directory, where the sockets of other machines are. Commands find
 * it by its name, and `ferry list` shows it.
 */
#ifndef FERRY_RUNTIME_LINK_H
#define FERRY_RUNTIME_LINK_H

#include <limits.h>

#include "error.h"
#include "runtime.h"

/**
 * struct runtime_link - A link, or none
 * @path:	of the link; empty if there is none
 * @target:	the control socket, an absolute path
 */
struct runtime_link {
	char path[RUNTIME_PATH_MAX];
	char target[PATH_MAX];
};

/**
 * runtime_link_clear() - Remove the link of a machine that was killed
 * @name:	machine's name
 *
 * A link to a socket on which a process listens remains.
 */
void runtime_link_clear(const char *name);

/**
 * runtime_link_create() - Give a control socket its name
 * @l:		filled in; empty after a failure
 * @name:	machine's name
 * @control:	the socket
 * @err:	the cause of a failure
 *
 * Return: 0 (also if @control is the socket that belongs to @name), -EEXIST
 *	   (another machine has the name), -errno
 */
int runtime_link_create(struct runtime_link *l, const char *name,
			const char *control, struct error *err);

/**
 * runtime_link_remove() - Remove the link, unless it is another machine's now
 * @l:		from runtime_link_create()
 */
void runtime_link_remove(const struct runtime_link *l);

#endif /* FERRY_RUNTIME_LINK_H */
