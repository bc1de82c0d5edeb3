// SPDX-License-Identifier: MIT
/*
 * unix_socket.c - A listening Unix socket that replaces a stale one
 *
 * The name of a socket remains when its process is killed. A connect(2) tells
 * such a stale name from a live one; a stale name is removed and bound again.
 * Two processes that do so at the same time could remove each other's name, so
 * all of it is done under a lock, up to and including listen(2): before that,
 * connect(2) is refused as if the name were stale.
 *
 * The lock is flock(2) on PATH.lock, a file that only this user can open: a
 * user who can read a directory, as every user can read /tmp, can hold a lock
 * on the directory itself. The owner of the lock removes the file before it
 * releases the lock, so that no file remains; a process that acquires the lock
 * of a file that has been removed tries again with a new file.
 */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "unix_socket.h"

#define LOCK_TRIES	100
#define LOCK_WAIT_NS	(20 * 1000 * 1000)
#define BACKLOG		16

static int make_directory(const char *path, struct error *err)
{
	char copy[PATH_MAX];
	const char *dir;

	snprintf(copy, sizeof(copy), "%s", path);
	dir = dirname(copy);
	if (mkdir(dir, 0700) && errno != EEXIST)
		return error_set(err, errno, "cannot create the directory %s "
				 "for a socket: %m", dir);
	return 0;
}

/* Return: a descriptor of the lock's file, or -errno */
static int lock_open(const char *lock, struct error *err)
{
	int fd = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return error_set(err, errno, "cannot open %s, the lock of a "
				 "socket: %m", lock);
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid())
		return fd;
	close(fd);
	return error_set(err, EPERM, "%s, the lock of a socket, belongs to "
			 "another user, or is no file: choose another path "
			 "with --control", lock);
}

/* Is a locked file still the one that other processes would open? */
static bool lock_is_current(int fd, const char *lock)
{
	struct stat mine, named;

	return !fstat(fd, &mine) && !lstat(lock, &named) &&
	       mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

/* Return: a descriptor that holds the lock, or -errno */
static int lock_path(const char *lock, struct error *err)
{
	const struct timespec wait = { .tv_nsec = LOCK_WAIT_NS };
	int code = EAGAIN;

	for (int tries = 0; tries < LOCK_TRIES; tries++) {
		int fd = lock_open(lock, err);

		if (fd < 0)
			return fd;
		if (!flock(fd, LOCK_EX | LOCK_NB)) {
			if (lock_is_current(fd, lock))
				return fd;
			close(fd);
			continue;
		}
		code = errno;
		close(fd);
		if (code != EWOULDBLOCK)
			break;
		nanosleep(&wait, NULL);
	}
	return error_set(err, code, "cannot lock %s: %s", lock,
			 strerrordesc_np(code));
}

static void unlock_path(int fd, const char *lock)
{
	unlink(lock);
	close(fd);
}

static int make_address(const char *path, struct sockaddr_un *sa,
			struct error *err)
{
	size_t len = strlen(path);

	if (!len || len >= sizeof(sa->sun_path))
		return error_set(err, ENAMETOOLONG, "the path of a socket "
				 "must have 1 to %zu bytes; '%s' has %zu",
				 sizeof(sa->sun_path) - 1, path, len);
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(sa->sun_path, path, len);
	return 0;
}

/* Return: 0 if no process listens there, -EADDRINUSE, or -errno */
static int probe_stale(const struct sockaddr_un *sa, struct error *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = 0;

	if (fd < 0)
		return error_set(err, errno, "cannot create a socket: %m");

	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa))) {
		/* EAGAIN: its queue is full, so a process listens there */
		if (errno != ECONNREFUSED && errno != ENOENT)
			rc = error_set(err,
				       errno == EAGAIN ? EADDRINUSE : errno,
				       "socket %s is in use or cannot be "
				       "reached: %m", sa->sun_path);
	} else {
		rc = error_set(err, EADDRINUSE, "socket %s is in use: a "
			       "machine of this name is running already "
			       "(`ferry list` shows it)", sa->sun_path);
	}
	close(fd);
	return rc;
}

static int clear_path(const struct sockaddr_un *sa, struct error *err)
{
	struct stat st;
	int rc;

	if (lstat(sa->sun_path, &st)) {
		if (errno == ENOENT)
			return 0;
		return error_set(err, errno, "cannot look up %s: %m",
				 sa->sun_path);
	}
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, EEXIST, "%s exists and is not a socket: "
				 "remove it, or choose another path with "
				 "--control", sa->sun_path);

	rc = probe_stale(sa, err);
	if (rc)
		return rc;
	if (unlink(sa->sun_path) && errno != ENOENT)
		return error_set(err, errno, "cannot remove the stale socket "
				 "%s: %m", sa->sun_path);
	return 0;
}

static int bind_listen(struct unix_socket *s, const struct sockaddr_un *sa,
		       struct error *err)
{
	struct stat st;

	/* Linux takes the mode of the name from the socket's own, so that the
	 * name is never accessible to other users, not even for a moment
	 */
	if (fchmod(s->fd, 0600) ||
	    bind(s->fd, (const struct sockaddr *)sa, sizeof(*sa)))
		return error_set(err, errno, "cannot create the socket %s: %m",
				 sa->sun_path);
	if (listen(s->fd, BACKLOG) || lstat(sa->sun_path, &st)) {
		error_set(err, errno, "cannot listen on the socket %s: %m",
			  sa->sun_path);
		unlink(sa->sun_path);
		return -err->code;
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

int unix_socket_open(struct unix_socket *s, const char *path,
		     struct error *err)
{
	struct error local = { 0 };
	struct sockaddr_un sa;
	char name[PATH_MAX];
	int lock, rc;

	if (!err)
		err = &local;
	rc = make_address(path, &sa, err);
	if (!rc)
		rc = make_directory(path, err);
	if (rc)
		return rc;
	snprintf(name, sizeof(name), "%s.lock", path);
	lock = lock_path(name, err);
	if (lock < 0)
		return lock;

	rc = clear_path(&sa, err);
	if (rc)
		goto out;

	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0) {
		rc = error_set(err, errno, "cannot create a socket: %m");
		goto out;
	}
	rc = bind_listen(s, &sa, err);
	if (rc)
		close(s->fd);
out:
	unlock_path(lock, name);
	return rc;
}

void unix_socket_unlink(const struct unix_socket *s, const char *path)
{
	struct stat st;

	/* The name may have been removed, and bound by another machine */
	if (!lstat(path, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(path);
}
