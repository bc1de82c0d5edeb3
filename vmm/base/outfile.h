/* SPDX-License-Identifier: MIT */
/*
 * outfile.h - A file that is there whole or not at all
 *
 * It is written under another name beside its place, and renamed when it is
 * complete: a failure leaves what was there before, and nothing half-written.
 * What was never written of it is a hole, and reads as zeroes.
 */
#ifndef FERRY_OUTFILE_H
#define FERRY_OUTFILE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/**
 * struct outfile - A file being written
 * @fd:		it, or -1
 * @path:	where it belongs
 * @temp:	where it is
 */
struct outfile {
	int fd;
	char path[PATH_MAX], temp[PATH_MAX];
};

/**
 * outfile_open() - Begin, with an empty file for its owner's eyes only
 * @f:		filled in
 * @path:	where it belongs; what is there, if anything, must be a
 *		regular file
 * @err:	why not
 *
 * Return: 0, -errno: then there is nothing to drop
 */
int outfile_open(struct outfile *f, const char *path, struct error *err);

/**
 * outfile_write() - Write a stretch of it
 * @f:		the file
 * @data:	contents
 * @n:		bytes
 * @at:		where in the file
 * @err:	why not
 *
 * Return: 0, -errno
 */
int outfile_write(struct outfile *f, const void *data, size_t n, uint64_t at,
		  struct error *err);

/**
 * outfile_size() - Make it so long, with a hole or without what is too much
 * @f:		the file
 * @size:	bytes
 * @err:	why not
 *
 * Return: 0, -errno
 */
int outfile_size(struct outfile *f, uint64_t size, struct error *err);

/**
 * outfile_keep() - It is complete: put it in its place
 * @f:		the file, closed in any case
 * @err:	why not: then it is dropped
 *
 * Return: 0, -errno
 */
int outfile_keep(struct outfile *f, struct error *err);

/** outfile_drop() - Remove what was written; fine behind outfile_keep() */
void outfile_drop(struct outfile *f);

#endif /* FERRY_OUTFILE_H */
