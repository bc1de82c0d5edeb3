// SPDX-License-Identifier: MIT
/* boot.c - Read a kernel and its initrd, and start a machine from them */

#include <errno.h>

#include "arch_boot.h"
#include "boot.h"
#include "boot_image.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/machine_images.h"

/* @path: of a file that was read here; NULL for an image that was migrated */
static struct image view_image(const struct machine *m,
			       enum machine_image_index index, const char *path)
{
	const struct machine_image *im = machine_image(m, index);

	return (struct image){
		.what = machine_image_name(index),
		.path = path ? path : "(as it was loaded)",
		.data = im->data, .size = im->size,
	};
}

static int start_images(struct machine *m, const char *kernel,
			const char *initrd, struct error *err)
{
	struct image k = view_image(m, MACHINE_KERNEL, kernel);
	struct image i = view_image(m, MACHINE_INITRD, initrd);

	return arch_boot_start(m, &k, i.data ? &i : NULL, err);
}

static int boot_restart(struct machine *m, struct error *err)
{
	return start_images(m, NULL, NULL, err);
}

static int read_image(struct machine *m, enum machine_image_index index,
		      const char *path, struct error *err)
{
	struct image im = view_image(m, index, path);
	int rc = image_read(&im, err);

	if (rc)
		image_free(&im);
	machine_set_image(m, index, im.data, im.size);
	return rc;
}

void boot_attach(struct machine *m)
{
	machine_set_restart(m, boot_restart);
}

int boot_load(struct machine *m, const char *kernel, const char *initrd,
	      struct error *err)
{
	int rc = read_image(m, MACHINE_KERNEL, kernel, err);

	if (!rc && initrd)
		rc = read_image(m, MACHINE_INITRD, initrd, err);
	else
		machine_set_image(m, MACHINE_INITRD, NULL, 0);
	boot_attach(m);
	return rc ? rc : start_images(m, kernel, initrd, err);
}
