/* SPDX-License-Identifier: MIT */
/*
 * boot_image.h - A file that is loaded into a guest's RAM
 */
#ifndef FERRY_BOOT_IMAGE_H
#define FERRY_BOOT_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/error.h"

/**
 * struct image - A whole file
 * @what:	for messages: "kernel", "initrd"
 * @path:	its path, for messages
 * @data:	its bytes
 * @size:	how many
 */
struct image {
	const char *what, *path;
	uint8_t *data;
	size_t size;
};

/**
 * image_read() - Read a file
 * @im:		@im->what and path are set; data and size are filled in
 * @err:	the reason on failure
 *
 * Return: 0, -ENOEXEC (not a regular file of at most MACHINE_IMAGE_MAX bytes),
 *	   -errno
 */
int image_read(struct image *im, struct error *err);

/** image_free() - Free what image_read() has allocated */
void image_free(struct image *im);

/**
 * image_part() - Bytes of an image
 * @im:		the image
 * @at:		offset of the first byte
 * @n:		how many
 *
 * Return: pointer to them, not aligned; NULL if the image is too short
 */
const void *image_part(const struct image *im, uint64_t at, uint64_t n);

/**
 * image_bad() - Report what is wrong with an image
 * @im:		the image
 * @err:	set, naming the file
 * @why:	what is wrong
 *
 * Return: -ENOEXEC
 */
int image_bad(const struct image *im, struct error *err, const char *why);

#endif /* FERRY_BOOT_IMAGE_H */
