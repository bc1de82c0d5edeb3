// SPDX-License-Identifier: MIT
/*
 * outfile.c - An output file that appears complete or not at all
 *
 * The program must ignore SIGXFSZ, so that the limit on the size of a file is
 * an error of write(2) and does not end the process.
 */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outfile.h"

static int outfile_failed(const struct outfile *f, const char *what,
			  struct error *err)
{
	int e = errno;

	return error_set(err, e, "cannot %s %.200s: %s", what, f->path,
			 strerrordesc_np(e));
}

/* Set f->path: the target of a symbolic link, or @path itself */
static int resolve_path(struct outfile *f, const char *path, struct error *err)
{
	struct stat st;

	if (strlen(path) >= sizeof(f->path) - sizeof(".XXXXXX"))
		return error_set(err, ENAMETOOLONG, "the path is too long");
	strcpy(f->path, path);
	if (!*path)
		return error_set(err, EINVAL, "the path is empty");
	if (stat(path, &st))
		return errno == ENOENT ? 0 :
		       outfile_failed(f, "write to", err);
	if (!S_ISREG(st.st_mode))
		return error_set(err, S_ISDIR(st.st_mode) ? EISDIR : EEXIST,
			"cannot write to %.200s: it is %s", path,
			S_ISDIR(st.st_mode) ? "a directory"
					    : "not a regular file");
	if (!realpath(path, f->path))
		return outfile_failed(f, "write to", err);
	return 0;
}

int outfile_open(struct outfile *f, const char *path, struct error *err)
{
	int rc = resolve_path(f, path, err);

	f->fd = -1;
	if (rc)
		return rc;
	snprintf(f->temp, sizeof(f->temp), "%.*s.XXXXXX",
		 (int)(sizeof(f->temp) - sizeof(".XXXXXX")), f->path);
	f->fd = mkostemp(f->temp, O_CLOEXEC);
	return f->fd < 0 ? outfile_failed(f, "write to", err) : 0;
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
			return outfile_failed(f, "write to", err);
		}
		data = (const char *)data + now;
		at += (uint64_t)now;
		n -= (size_t)now;
	}
	return 0;
}

int outfile_size(struct outfile *f, uint64_t size, struct error *err)
{
	return ftruncate(f->fd, (off_t)size) ?
	       outfile_failed(f, "write to", err) : 0;
}

/* Write the contents to the disk; some file systems report that in close(2) */
static int close_synced(struct outfile *f, struct error *err)
{
	int rc = fsync(f->fd) ? outfile_failed(f, "write to", err) : 0;

	if (close(f->fd) && !rc)
		rc = outfile_failed(f, "write to", err);
	f->fd = -1;
	return rc;
}

/* Write the new name to the disk, where the file system can do that */
static int sync_directory(const struct outfile *f, struct error *err)
{
	char copy[PATH_MAX];
	int fd, rc;

	strcpy(copy, f->path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A directory may be writable and not readable */
	if (fd < 0)
		return errno == EACCES ? 0 :
		       outfile_failed(f, "write the directory of", err);
	rc = fsync(fd) && errno != EINVAL ?
	     outfile_failed(f, "write the directory of", err) : 0;
	close(fd);
	return rc;
}

int outfile_keep(struct outfile *f, struct error *err)
{
	int rc = close_synced(f, err);

	if (!rc && rename(f->temp, f->path))
		rc = outfile_failed(f, "create", err);
	if (rc)
		unlink(f->temp);
	else
		rc = sync_directory(f, err);
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
