// SPDX-License-Identifier: MIT
/*
 * control_socket.c - Where the control socket comes from
 *
 * A socket's name outlives a process that was killed. To tell such a stale
 * name from a live one we connect to it; to replace it we remove it and bind
 * anew. Two processes that did so at once could remove each other's, so the
 * whole is done under a lock on the directory (flock(2), which needs no file
 * of its own), up to and including listen(2): before that, connect(2) is
 * refused as if the name were stale.
 */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control_socket.h"

#define LOCK_TRIES	100
#define LOCK_WAIT_NS	(20 * 1000 * 1000)
#define BACKLOG		16

/**
 * lock_directory() - Lock the directory of the socket, made if missing
 * @path:	of the socket
 * @err:	why not
 *
 * Return: descriptor that holds the lock, or -errno
 */
static int lock_directory(const char *path, struct error *err)
{
	const struct timespec wait = { .tv_nsec = LOCK_WAIT_NS };
	char copy[PATH_MAX];
	const char *dir;
	int fd, tries;

	snprintf(copy, sizeof(copy), "%s", path);
	dir = dirname(copy);
	if (mkdir(dir, 0700) && errno != EEXIST)
		return error_set(err, errno, "cannot make the directory %s for "
				 "the control socket: %m", dir);

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "cannot open %s, where the "
				 "control socket shall be: %m", dir);

	for (tries = 0; flock(fd, LOCK_EX | LOCK_NB); tries++) {
		if (errno == EWOULDBLOCK && tries < LOCK_TRIES) {
			nanosleep(&wait, NULL);
			continue;
		}
		error_set(err, errno, "cannot lock %s: %m", dir);
		close(fd);
		return -err->code;
	}
	return fd;
}

/**
 * make_address() - Put a path in a socket address
 * @path:	the path
 * @sa:		filled in
 * @err:	why not
 *
 * Return: 0, -ENAMETOOLONG
 */
static int make_address(const char *path, struct sockaddr_un *sa,
			struct error *err)
{
	size_t len = strlen(path);

	if (!len || len >= sizeof(sa->sun_path))
		return error_set(err, ENAMETOOLONG, "the control socket's path "
				 "must have 1 to %zu bytes, and '%s' has %zu",
				 sizeof(sa->sun_path) - 1, path, len);
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(sa->sun_path, path, len);
	return 0;
}

/**
 * probe_stale() - Find out whether anybody listens
 * @sa:		where
 * @err:	says so if somebody does
 *
 * Return: 0 if nobody does, -EADDRINUSE, or -errno
 */
static int probe_stale(const struct sockaddr_un *sa, struct error *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = 0;

	if (fd < 0)
		return error_set(err, errno, "cannot make a socket: %m");

	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa))) {
		if (errno != ECONNREFUSED && errno != ENOENT)
			/* EAGAIN among them: it lives, and is busy */
			rc = error_set(err, errno == EAGAIN ? EADDRINUSE : errno,
				       "control socket %s is in use or cannot "
				       "be reached: %m", sa->sun_path);
	} else {
		rc = error_set(err, EADDRINUSE, "control socket %s is in use: "
			       "a machine of this name runs already "
			       "(`ferry list` shows it)", sa->sun_path);
	}
	close(fd);
	return rc;
}

/**
 * clear_path() - Make way for the socket
 * @sa:		where
 * @err:	why not
 *
 * Return: 0, -EADDRINUSE, -EEXIST, or -errno
 */
static int clear_path(const struct sockaddr_un *sa, struct error *err)
{
	struct stat st;
	int rc;

	if (lstat(sa->sun_path, &st)) {
		if (errno == ENOENT)
			return 0;
		return error_set(err, errno, "cannot look at %s: %m",
				 sa->sun_path);
	}
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, EEXIST, "%s is there and is no socket: "
				 "remove it, or choose another path with "
				 "--control", sa->sun_path);

	rc = probe_stale(sa, err);
	if (rc)
		return rc;
	if (unlink(sa->sun_path) && errno != ENOENT)
		return error_set(err, errno, "cannot remove the stale control "
				 "socket %s: %m", sa->sun_path);
	return 0;
}

/**
 * bind_listen() - Bind and listen, for the owner only
 * @s:		its @fd is a socket; the rest is filled in
 * @sa:		where
 * @err:	why not
 *
 * Return: 0, or -errno
 */
static int bind_listen(struct control_socket *s, const struct sockaddr_un *sa,
		       struct error *err)
{
	struct stat st;

	/* Linux takes the mode of the name from the socket's own, so that it
	 * is never open to others, not even for a moment
	 */
	if (fchmod(s->fd, 0600) ||
	    bind(s->fd, (const struct sockaddr *)sa, sizeof(*sa)))
		return error_set(err, errno, "cannot make the control socket "
				 "%s: %m", sa->sun_path);
	if (listen(s->fd, BACKLOG) || lstat(sa->sun_path, &st)) {
		error_set(err, errno, "cannot listen on the control socket "
			  "%s: %m", sa->sun_path);
		unlink(sa->sun_path);
		return -err->code;
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

int control_socket_open(struct control_socket *s, const char *path,
			struct error *err)
{
	struct error local = { 0 };
	struct sockaddr_un sa;
	int lock, rc;

	if (!err)
		err = &local;
	rc = make_address(path, &sa, err);
	if (rc)
		return rc;
	lock = lock_directory(path, err);
	if (lock < 0)
		return lock;

	rc = clear_path(&sa, err);
	if (rc)
		goto out;

	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0) {
		rc = error_set(err, errno, "cannot make a socket: %m");
		goto out;
	}
	rc = bind_listen(s, &sa, err);
	if (rc)
		close(s->fd);
out:
	close(lock);
	return rc;
}

void control_socket_unlink(const struct control_socket *s, const char *path)
{
	struct stat st;

	/* Somebody may have removed ours, and another machine made its own */
	if (!lstat(path, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(path);
}
