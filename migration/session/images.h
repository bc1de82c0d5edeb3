/* SPDX-License-Identifier: MIT */
/* images.h - Send and receive the kernel and initrd of the guest */
#ifndef FERRY_IMAGES_H
#define FERRY_IMAGES_H

#include "source.h"
#include "target.h"

/** source_images() - Stage: send them */
int source_images(struct source *s, struct error *err);

/** target_images() - Stage: receive them */
int target_images(struct target *t, struct error *err);

#endif /* FERRY_IMAGES_H */
