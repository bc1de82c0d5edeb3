/* SPDX-License-Identifier: MIT */
/*
 * machine_images.h - The files that a machine is restarted from
 *
 * The machine keeps them as byte strings and does not interpret them; boot/
 * registers the function that starts a machine from them. A reset calls that
 * function. A migration sends the images to the destination, so that the guest
 * can be reset there.
 *
 * The images are set before the machine first runs and do not change then.
 */
#ifndef FERRY_MACHINE_IMAGES_H
#define FERRY_MACHINE_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/error.h"

struct machine;

enum machine_image_index { MACHINE_KERNEL, MACHINE_INITRD, MACHINE_IMAGES };

#define MACHINE_IMAGE_MAX	(512u << 20)	/* bytes of one image */

/** struct machine_image - @size bytes at @data; all zero if there is none */
struct machine_image {
	uint8_t *data;
	size_t size;
};

/**
 * machine_restart_fn - Load the images into RAM and set vCPU 0 to their start
 * @m:		the machine, with fresh RAM, and vCPUs that never ran or were
 *		reset
 * @err:	the reason on failure
 *
 * Return: 0, -errno
 */
typedef int machine_restart_fn(struct machine *m, struct error *err);

/** machine_image() - One of a machine's images */
const struct machine_image *machine_image(const struct machine *m,
					  enum machine_image_index index);

/** machine_image_name() - "kernel", "initrd" */
const char *machine_image_name(enum machine_image_index index);

/**
 * machine_set_image() - Replace an image
 * @m:		the machine
 * @index:	which one
 * @data:	from malloc(); the machine owns it from now on; NULL for none
 * @size:	bytes, at most MACHINE_IMAGE_MAX
 */
void machine_set_image(struct machine *m, enum machine_image_index index,
		       uint8_t *data, size_t size);

/** machine_set_restart() - Register the function that a reset calls */
void machine_set_restart(struct machine *m, machine_restart_fn *fn);

/** machine_can_restart() - Is there a kernel, and a function to start it? */
bool machine_can_restart(const struct machine *m);

/**
 * machine_restart() - Call the registered function, for a reset
 * @m:		as in machine_restart_fn
 * @err:	the reason on failure
 *
 * Return: 0, -ENODATA (machine_can_restart() is false), -errno
 */
int machine_restart(struct machine *m, struct error *err);

#endif /* FERRY_MACHINE_IMAGES_H */
