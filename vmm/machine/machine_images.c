// SPDX-License-Identifier: MIT
/* machine_images.c - The files that a machine is restarted from */

#include <errno.h>
#include <stdlib.h>

#include "machine_images.h"
#include "machine_private.h"

const struct machine_image *machine_image(const struct machine *m,
					  enum machine_image_index index)
{
	return &m->image[index];
}

const char *machine_image_name(enum machine_image_index index)
{
	return index == MACHINE_KERNEL ? "kernel" : "initrd";
}

void machine_set_image(struct machine *m, enum machine_image_index index,
		       uint8_t *data, size_t size)
{
	free(m->image[index].data);
	m->image[index] = (struct machine_image){ data, data ? size : 0 };
}

void machine_set_restart(struct machine *m, machine_restart_fn *fn)
{
	m->restart = fn;
}

bool machine_can_restart(const struct machine *m)
{
	return m->restart && m->image[MACHINE_KERNEL].data;
}

int machine_restart(struct machine *m, struct error *err)
{
	if (!machine_can_restart(m))
		return error_set(err, ENODATA,
			"there is no kernel to start the guest from");
	return m->restart(m, err);
}
