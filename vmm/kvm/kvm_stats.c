// SPDX-License-Identifier: MIT
/* kvm_stats.c - KVM's binary statistics of a vCPU */

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm.h"
#include "kvm_stats.h"

#define STATS_NAME_MAX	512
#define STATS_MAX	4096

/* The descriptors are an array: each is a struct, then a name of fixed length */
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

void kvm_stat_open(struct kvm_stat *s, int vcpu, const char *name)
{
	struct kvm_stats_header h;
	int fd = ioctl(vcpu, KVM_GET_STATS_FD, NULL);

	s->fd = -1;
	if (fd < 0)
		return;
	if (pread(fd, &h, sizeof(h), 0) == sizeof(h) &&
	    find_stat(fd, &h, name, &s->at))
		s->fd = fd;
	else
		close(fd);
}

void kvm_stat_close(struct kvm_stat *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

uint64_t kvm_stat_read(const struct kvm_stat *s)
{
	uint64_t value = 0;

	if (s->fd < 0 || pread(s->fd, &value, sizeof(value), s->at) !=
			 sizeof(value))
		return 0;
	return value;
}
