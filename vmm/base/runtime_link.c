// SPDX-License-Identifier: MIT
/* runtime_link.c - The name of a machine whose control socket is elsewhere */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime_link.h"

static bool is_link(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISLNK(st.st_mode);
}

/* Does no process listen at the socket to which @path leads? */
static bool is_stale(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool stale = false;

	if (fd < 0)
		return false;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)))
		stale = errno == ECONNREFUSED || errno == ENOENT;
	close(fd);
	return stale;
}

void runtime_link_clear(const char *name)
{
	char path[RUNTIME_PATH_MAX];

	if (!runtime_path(name, path, sizeof(path), NULL) && is_link(path) &&
	    is_stale(path))
		unlink(path);
}

static bool is_same(const char *a, const char *b)
{
	struct stat sa, sb;

	return !stat(a, &sa) && !stat(b, &sb) && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

int runtime_link_create(struct runtime_link *l, const char *name,
			const char *control, struct error *err)
{
	char dir[RUNTIME_PATH_MAX];
	int rc;

	*l = (struct runtime_link){ 0 };
	rc = runtime_dir(dir, sizeof(dir), err);
	if (!rc)
		rc = runtime_path(name, l->path, sizeof(l->path), err);
	if (!rc && !realpath(control, l->target))
		rc = error_set(err, errno, "cannot resolve %.200s: %m",
			       control);
	if (!rc && mkdir(dir, 0700) && errno != EEXIST)
		rc = error_set(err, errno, "cannot create the directory %s: %m",
			       dir);
	if (!rc && !is_same(l->path, control)) {
		if (!symlink(l->target, l->path))
			return 0;
		rc = error_set(err, errno, errno == EEXIST ?
			       "another machine has this name (%s)" :
			       "cannot create the link %s: %m", l->path);
	}
	l->path[0] = '\0';
	return rc;
}

void runtime_link_remove(const struct runtime_link *l)
{
	char target[PATH_MAX];
	ssize_t n = l->path[0] ? readlink(l->path, target, sizeof(target)) : 0;

	if (n > 0 && (size_t)n == strlen(l->target) &&
	    !memcmp(target, l->target, (size_t)n))
		unlink(l->path);
}
