/* SPDX-License-Identifier: MIT */
/*
 * runtime.h - Names of machines, and the sockets that belong to a name
 */
#ifndef FERRY_RUNTIME_H
#define FERRY_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define RUNTIME_NAME_MAX 64

/* Size of sun_path in struct sockaddr_un, with the terminating zero */
#define RUNTIME_PATH_MAX 108

/**
 * runtime_check_name() - Check the name of a machine
 * @name:	letters, digits, '.', '_' and '-', 1 to RUNTIME_NAME_MAX of
 *		them, and no '-' in front
 * @err:	says that @name is not valid, and what is
 *
 * Return: 0, -EINVAL
 */
int runtime_check_name(const char *name, struct error *err);

/**
 * runtime_dir() - The directory of this user's control sockets
 * @buf:	receives the path
 * @size:	of @buf, at least RUNTIME_PATH_MAX
 * @err:	the cause of a failure
 *
 * $XDG_RUNTIME_DIR/ferry; without that variable /run/ferry for root. The
 * directory need not exist: control_open() creates it.
 *
 * Return: 0, -ENOENT (no variable, and not root), -EINVAL (not an absolute
 *	   path), -ENAMETOOLONG
 */
int runtime_dir(char *buf, size_t size, struct error *err);

/**
 * runtime_path() - The control socket of a name
 * @name:	machine's name
 * @buf:	receives the path
 * @size:	of @buf, at least RUNTIME_PATH_MAX
 * @err:	the cause of a failure
 *
 * Return: 0, -EINVAL (not a valid name), or as runtime_dir()
 */
int runtime_path(const char *name, char *buf, size_t size, struct error *err);

/**
 * runtime_console() - The console socket that belongs to a control socket
 * @control:	path of the control socket
 * @buf:	receives the path: .console instead of .sock
 * @size:	of @buf, at least RUNTIME_PATH_MAX
 * @err:	the cause of a failure
 *
 * Return: 0, -ENAMETOOLONG
 */
int runtime_console(const char *control, char *buf, size_t size,
		    struct error *err);

/**
 * runtime_name_fn - Visits one name
 * @ctx:	the caller's
 * @name:	machine's name; it may have ended, its socket is still there
 *
 * Return: true to visit the next name
 */
typedef bool runtime_name_fn(void *ctx, const char *name);

/**
 * runtime_names() - Visit all names that have a control socket in a directory
 * @dir:	from runtime_dir(); a missing directory has no names
 * @fn:		called for each name, in alphabetical order
 * @ctx:	passed to @fn
 * @err:	the cause of a failure
 *
 * Return: 0, or -errno of opendir(3)
 */
int runtime_names(const char *dir, runtime_name_fn *fn, void *ctx,
		  struct error *err);

#endif /* FERRY_RUNTIME_H */
