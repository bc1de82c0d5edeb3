// SPDX-License-Identifier: MIT
/*
 * outfile.c - A file that is there whole or not at all
 *
 * SIGXFSZ must be ignored by the program: a limit on the size of files is an
 * error here, and not the end.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outfile.h"

static int failed(const struct outfile *f, const char *what,
		  struct error *err)
{
	int e = errno;

	return error_set(err, e, "cannot %s %.200s: %s", what, f->path,
			 strerrordesc_np(e));
}

/* Where a link leads; the file itself if there is none yet */
static int resolve(struct outfile *f, const char *path, struct error *err)
{
	struct stat st;

	if (strlen(path) >= sizeof(f->path) - sizeof(".XXXXXX"))
		return error_set(err, ENAMETOOLONG, "the path is too long");
	strcpy(f->path, path);
	if (!*path)
		return error_set(err, EINVAL, "the path is empty");
	if (stat(path, &st))
		return errno == ENOENT ? 0 : failed(f, "write to", err);
	if (!S_ISREG(st.st_mode))
		return error_set(err, S_ISDIR(st.st_mode) ? EISDIR : EEXIST,
			"cannot write to %.200s: it is %s", path,
			S_ISDIR(st.st_mode) ? "a directory"
					    : "no regular file");
	if (!realpath(path, f->path))
		return failed(f, "write to", err);
	return 0;
}

int outfile_open(struct outfile *f, const char *path, struct error *err)
{
	int rc = resolve(f, path, err);

	f->fd = -1;
	if (rc)
		return rc;
	snprintf(f->temp, sizeof(f->temp), "%.*s.XXXXXX",
		 (int)(sizeof(f->temp) - sizeof(".XXXXXX")), f->path);
	f->fd = mkostemp(f->temp, O_CLOEXEC);
	return f->fd < 0 ? failed(f, "write to", err) : 0;
}

int outfile_write(struct outfile *f, const void *data, size_t n, uint64_t at,
		  struct error *err)
{
	while (n) {
		ssize_t now = pwrite(f->fd, data, n, (off_t)at);

		if (now < 0 && errno == EINTR)
			continue;
		if (now <= 0) {
			errno = now ? errno : ENOSPC;
			return failed(f, "write to", err);
		}
		data = (const char *)data + now;
		at += (uint64_t)now;
		n -= (size_t)now;
	}
	return 0;
}

int outfile_size(struct outfile *f, uint64_t size, struct error *err)
{
	return ftruncate(f->fd, (off_t)size) ? failed(f, "write to", err) : 0;
}

int outfile_keep(struct outfile *f, struct error *err)
{
	/* Some file systems only say now that there was no room */
	int rc = close(f->fd) ? failed(f, "write to", err) : 0;

	f->fd = -1;
	if (!rc && rename(f->temp, f->path))
		rc = failed(f, "create", err);
	if (rc)
		unlink(f->temp);
	return rc;
}

void outfile_drop(struct outfile *f)
{
	if (f->fd < 0)
		return;
	close(f->fd);
	f->fd = -1;
	unlink(f->temp);
}
