// SPDX-License-Identifier: MIT
/* runtime.c - Where the control socket of a name is */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime.h"
#include "vmm/cli/options_value.h"

int runtime_dir(char *buf, size_t size, struct error *err)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (xdg && *xdg && *xdg != '/')
		return error_set(err, EINVAL, "XDG_RUNTIME_DIR is '%.100s', "
				 "which is no absolute path", xdg);
	if (xdg && *xdg)
		n = snprintf(buf, size, "%s/ferry", xdg);
	else if (geteuid() == 0)
		n = snprintf(buf, size, "/run/ferry");
	else
		return error_set(err, ENOENT, "XDG_RUNTIME_DIR is not set: set "
				 "it, or say --control PATH");

	if ((size_t)n >= size)
		return error_set(err, ENAMETOOLONG, "XDG_RUNTIME_DIR is too "
				 "long for the path of a socket: say "
				 "--control PATH");
	return 0;
}

int runtime_path(const char *name, char *buf, size_t size, struct error *err)
{
	char dir[RUNTIME_PATH_MAX];
	int rc;

	if (!name_valid(name))
		return error_set(err, EINVAL, "'%.80s' is no name for a "
				 "machine", name);
	rc = runtime_dir(dir, sizeof(dir), err);
	if (rc)
		return rc;
	if ((size_t)snprintf(buf, size, "%s/%s.sock", dir, name) >= size)
		return error_set(err, ENAMETOOLONG, "%s/%s.sock is too long "
				 "for the path of a socket: say --control "
				 "PATH", dir, name);
	return 0;
}

int runtime_console(const char *control, char *buf, size_t size,
		    struct error *err)
{
	static const char end[] = ".sock";
	size_t len = strlen(control), cut = sizeof(end) - 1;

	if (len > cut && !strcmp(control + len - cut, end))
		len -= cut;
	if ((size_t)snprintf(buf, size, "%.*s.console", (int)len, control) >=
	    size)
		return error_set(err, ENAMETOOLONG, "%s is too long for a "
				 "console socket beside it", control);
	return 0;
}
