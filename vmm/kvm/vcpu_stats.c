// SPDX-License-Identifier: MIT
/* vcpu_stats.c - Is a vCPU blocked in the kernel at this moment? */

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vcpu_stats.h"
#include "vmm/machine/vcpu.h"

#define STATS_NAME_MAX	512
#define STATS_MAX	4096

/* One descriptor after the other: the struct, and a name of fixed length */
static bool find_stat(int fd, const struct kvm_stats_header *h,
		      const char *name, off_t *at)
{
	const size_t size = sizeof(struct kvm_stats_desc) + h->name_size;
	char *d;
	bool found = false;

	if (h->name_size > STATS_NAME_MAX || h->num_desc > STATS_MAX)
		return false;
	d = malloc(size);
	for (uint32_t i = 0; d && i < h->num_desc && !found; i++) {
		const struct kvm_stats_desc *desc = (const void *)d;

		if (pread(fd, d, size, (off_t)(h->desc_offset + i * size)) !=
		    (ssize_t)size)
			break;
		found = !strncmp(desc->name, name, h->name_size);
		*at = (off_t)h->data_offset + desc->offset;
	}
	free(d);
	return found;
}

void vcpu_stats_open(struct vcpu *v)
{
	struct kvm_stats_header h;
	int fd = ioctl(v->fd, KVM_GET_STATS_FD, NULL);

	v->stats_fd = -1;
	if (fd < 0)
		return;
	if (pread(fd, &h, sizeof(h), 0) == sizeof(h) &&
	    find_stat(fd, &h, "blocking", &v->stats_blocking))
		v->stats_fd = fd;
	else
		close(fd);
}

bool vcpu_blocking(const struct vcpu *v)
{
	uint64_t value = 0;

	return v->stats_fd >= 0 &&
	       pread(v->stats_fd, &value, sizeof(value),
		     v->stats_blocking) == sizeof(value) && value;
}
