/* SPDX-License-Identifier: MIT */
/*
 * boot_image.h - A file that is to be put into a guest's RAM
 */
#ifndef FERRY_BOOT_IMAGE_H
#define FERRY_BOOT_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/error.h"

#define IMAGE_MAX	(512u << 20)	/* bytes of one */

/**
 * struct image - A file, whole
 * @what:	for messages: "kernel", "initrd"
 * @path:	of the file
 * @data:	its bytes
 * @size:	how many
 */
struct image {
	const char *what, *path;
	uint8_t *data;
	size_t size;
};

/**
 * struct boot_images - What a machine is started from, kept for a reset
 * @kernel:	without data if there is none
 * @initrd:	likewise
 */
struct boot_images {
	struct image kernel, initrd;
};

/**
 * image_read() - Read a file
 * @im:		@im->what and path are set; data and size are filled in
 * @err:	why not
 *
 * Return: 0, -ENOEXEC (not a regular file of at most 512 MiB), -errno
 */
int image_read(struct image *im, struct error *err);

/** image_free() - Free what image_read() has allocated */
void image_free(struct image *im);

/**
 * image_part() - Bytes of an image
 * @im:		the image
 * @at:		offset of the first one
 * @n:		how many
 *
 * Return: them, not aligned, or NULL if they aren't all there
 */
const void *image_part(const struct image *im, uint64_t at, uint64_t n);

/**
 * image_bad() - Say what is wrong with an image
 * @im:		the image
 * @err:	set, naming the file
 * @why:	what is wrong
 *
 * Return: -ENOEXEC
 */
int image_bad(const struct image *im, struct error *err, const char *why);

#endif /* FERRY_BOOT_IMAGE_H */
