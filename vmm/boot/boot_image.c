// SPDX-License-Identifier: MIT
/* boot_image.c - A file that is loaded into a guest's RAM */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot_image.h"
#include "vmm/machine/machine_images.h"

int image_bad(const struct image *im, struct error *err, const char *why)
{
	return error_set(err, ENOEXEC, "%s %s: %s", im->what, im->path, why);
}

static int read_all(int fd, struct image *im)
{
	for (size_t done = 0; done < im->size; ) {
		ssize_t n = read(fd, im->data + done, im->size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

int image_read(struct image *im, struct error *err)
{
	struct stat st;
	int fd, rc;

	im->data = NULL;
	im->size = 0;
	/* O_NONBLOCK: open() of a FIFO would wait for a writer */
	fd = open(im->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st)) {
		rc = error_set(err, errno, "cannot open %s %s: %s", im->what,
			       im->path, strerrordesc_np(errno));
	} else if (!S_ISREG(st.st_mode) ||
		   st.st_size > (off_t)MACHINE_IMAGE_MAX) {
		rc = image_bad(im, err,
			       "not a regular file of at most 512 MiB");
	} else {
		im->size = (size_t)st.st_size;
		im->data = malloc(im->size + 1);
		rc = im->data ? read_all(fd, im) : -ENOMEM;
		if (rc)
			error_set(err, -rc, "cannot read %s %s: %s", im->what,
				  im->path, strerrordesc_np(-rc));
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

void image_free(struct image *im)
{
	free(im->data);
	im->data = NULL;
	im->size = 0;
}

const void *image_part(const struct image *im, uint64_t at, uint64_t n)
{
	return at <= im->size && n <= im->size - at ? im->data + at : NULL;
}
