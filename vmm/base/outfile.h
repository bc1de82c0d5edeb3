/* SPDX-License-Identifier: MIT */
/*
 * outfile.h - An output file that appears complete or not at all
 *
 * The file is written under a temporary name in the same directory, and renamed
 * when it is complete: a failure leaves the previous file as it was. Ranges
 * that were never written are holes, and read as zeroes.
 */
#ifndef FERRY_OUTFILE_H
#define FERRY_OUTFILE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/**
 * struct outfile - A file being written
 * @fd:		descriptor, or -1
 * @path:	final path
 * @temp:	temporary path
 */
struct outfile {
	int fd;
	char path[PATH_MAX], temp[PATH_MAX];
};

/**
 * outfile_open() - Create the temporary file, empty, with mode 0600
 * @f:		filled in
 * @path:	final path; a file that exists there must be a regular one
 * @err:	the cause of a failure
 *
 * Return: 0, -errno: then outfile_drop() is not needed
 */
int outfile_open(struct outfile *f, const char *path, struct error *err);

/**
 * outfile_write() - Write a range
 * @f:		the file
 * @data:	contents
 * @n:		bytes
 * @at:		offset in the file
 * @err:	the cause of a failure
 *
 * Return: 0, -errno
 */
int outfile_write(struct outfile *f, const void *data, size_t n, uint64_t at,
		  struct error *err);

/**
 * outfile_size() - Set the size; new bytes are a hole
 * @f:		the file
 * @size:	bytes
 * @err:	the cause of a failure
 *
 * Return: 0, -errno
 */
int outfile_size(struct outfile *f, uint64_t size, struct error *err);

/**
 * outfile_keep() - Close the complete file, and rename it to its final path
 * @f:		the file, closed in any case
 * @err:	the cause of a failure: then the temporary file is removed
 *
 * Writes the contents to the disk before the new name, and then the name
 * (fsync(2) of the file and of its directory): after a crash of the host the
 * path has the previous file or the complete new one, and after success the new
 * one. May take as long as the disk needs for the whole file.
 *
 * Return: 0, -errno. If only the directory could not be written to the disk,
 *	   the new file is at its path nevertheless
 */
int outfile_keep(struct outfile *f, struct error *err);

/**
 * outfile_drop() - Remove the temporary file
 * @f:		the file; nothing happens after outfile_keep()
 */
void outfile_drop(struct outfile *f);

#endif /* FERRY_OUTFILE_H */
