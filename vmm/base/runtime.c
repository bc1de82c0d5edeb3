// SPDX-License-Identifier: MIT
/* runtime.c - Names of machines, and the sockets that belong to a name */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime.h"

#define SUFFIX ".sock"

int runtime_check_name(const char *name, struct error *err)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._-";
	size_t len = strlen(name);

	if (len && len <= RUNTIME_NAME_MAX && name[0] != '-' &&
	    strspn(name, allowed) == len)
		return 0;
	return error_set(err, EINVAL, "'%.80s' is not a valid machine name; "
			 "use 1 to %d letters, digits, '.', '_' or '-', and no "
			 "'-' in front", name, RUNTIME_NAME_MAX);
}

int runtime_dir(char *buf, size_t size, struct error *err)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (xdg && *xdg && *xdg != '/')
		return error_set(err, EINVAL, "XDG_RUNTIME_DIR is '%.100s', "
				 "which is not an absolute path", xdg);
	if (xdg && *xdg)
		n = snprintf(buf, size, "%s/ferry", xdg);
	else if (geteuid() == 0)
		n = snprintf(buf, size, "/run/ferry");
	else
		return error_set(err, ENOENT, "XDG_RUNTIME_DIR is not set: set "
				 "it, or use --control PATH");

	if ((size_t)n >= size)
		return error_set(err, ENAMETOOLONG, "XDG_RUNTIME_DIR is too "
				 "long for the path of a socket: use "
				 "--control PATH");
	return 0;
}

int runtime_path(const char *name, char *buf, size_t size, struct error *err)
{
	char dir[RUNTIME_PATH_MAX];
	int rc = runtime_check_name(name, err);

	if (!rc)
		rc = runtime_dir(dir, sizeof(dir), err);
	if (rc)
		return rc;
	if ((size_t)snprintf(buf, size, "%s/%s" SUFFIX, dir, name) >= size)
		return error_set(err, ENAMETOOLONG, "%s/%s" SUFFIX " is too "
				 "long for the path of a socket: use --control "
				 "PATH", dir, name);
	return 0;
}

int runtime_console(const char *control, char *buf, size_t size,
		    struct error *err)
{
	size_t len = strlen(control), cut = strlen(SUFFIX);

	if (len > cut && !strcmp(control + len - cut, SUFFIX))
		len -= cut;
	if ((size_t)snprintf(buf, size, "%.*s.console", (int)len, control) >=
	    size)
		return error_set(err, ENAMETOOLONG, "the path of the console "
				 "socket that belongs to %s is too long",
				 control);
	return 0;
}

static int is_control_socket(const struct dirent *d)
{
	size_t len = strlen(d->d_name), cut = strlen(SUFFIX);

	return len > cut && len <= RUNTIME_NAME_MAX + cut &&
	       !strcmp(d->d_name + len - cut, SUFFIX);
}

int runtime_names(const char *dir, runtime_name_fn *fn, void *ctx,
		  struct error *err)
{
	struct dirent **found;
	bool more = true;
	int n;

	n = scandir(dir, &found, is_control_socket, alphasort);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return error_set(err, errno, "cannot read the directory %s: %m",
				 dir);
	for (int i = 0; i < n; i++) {
		char *name = found[i]->d_name;

		name[strlen(name) - strlen(SUFFIX)] = '\0';
		more = more && fn(ctx, name);
		free(found[i]);
	}
	free(found);
	return 0;
}
