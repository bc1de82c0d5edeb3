// SPDX-License-Identifier: MIT
/*
 * images.c - Send and receive the kernel and initrd of the guest
 *
 * A reset on the destination starts the guest from them. They are sent while
 * the guest still runs on the source, so they cost no downtime, and a reset
 * after the hand-over does not need the source. A size that the peer sends is
 * limited to MACHINE_IMAGE_MAX.
 */

#include <errno.h>
#include <stdlib.h>

#include "images.h"
#include "vmm/machine/machine_images.h"

static int send_image(struct source *s, const struct machine_image *im,
		      struct error *err)
{
	int rc = 0;

	for (size_t at = 0; at < im->size && !rc; ) {
		size_t n = im->size - at;
		struct wire_msg m = { .type = WIRE_MSG_IMAGE };

		if (n > WIRE_IMAGE_MAX)
			n = WIRE_IMAGE_MAX;
		m.length = (uint32_t)n;
		rc = channel_say(&s->se.link.main, &m, im->data + at, err);
		s->se.progress->stats.bytes += WIRE_HEADER + n;
		pacer_spend(&s->pages.pacer, now_ns(), WIRE_HEADER + n);
		at += n;
		page_source_throttle(&s->pages);
		if (!rc && session_phase(&s->se) != SOURCE_SETUP)
			rc = error_set(err, ECANCELED, "cancelled");
	}
	return rc;
}

int source_images(struct source *s, struct error *err)
{
	struct wire_msg m = { .type = WIRE_MSG_BOOT };
	struct writer w = { 0 };
	int rc;

	for (unsigned i = 0; i < MACHINE_IMAGES; i++)
		put_u64(&w, machine_image(s->m, i)->size);
	m.length = (uint32_t)w.len;
	rc = w.failed ? error_set(err, ENOMEM, "out of memory for images")
		      : channel_say(&s->se.link.main, &m, w.data, err);
	writer_free(&w);
	for (unsigned i = 0; i < MACHINE_IMAGES && !rc; i++)
		rc = send_image(s, machine_image(s->m, i), err);
	return rc;
}

/* Return: bytes of the next piece, -EBADMSG, as channel_hear() */
static long hear_piece(struct target *t, size_t left, struct error *err)
{
	struct wire_msg m;
	int rc = session_hear(&t->se, &m, "IMAGE", err);

	if (rc)
		return rc;
	if (m.type != WIRE_MSG_IMAGE || m.length > left)
		return error_set(err, EBADMSG,
			"the peer sent %s of %u bytes where an image lacks %zu",
			wire_name(m.type), m.length, left);
	return m.length;
}

static int receive_image(struct target *t, unsigned index, uint64_t size,
			 struct error *err)
{
	uint8_t *data = NULL;
	size_t got = 0;
	int rc = 0;

	if (size > MACHINE_IMAGE_MAX)
		return error_set(err, EBADMSG, "%s of %llu bytes: too large",
				 machine_image_name(index),
				 (unsigned long long)size);
	if (size)
		data = malloc(size);
	if (size && !data)
		return error_set(err, ENOMEM, "out of memory for the %s",
				 machine_image_name(index));
	while (got < size && !rc) {
		long n = hear_piece(t, size - got, err);

		rc = n < 0 ? (int)n : channel_recv(&t->se.link.main,
						   data + got, (size_t)n, err);
		got += n < 0 ? 0 : (size_t)n;
	}
	if (rc)
		free(data);
	else
		machine_set_image(t->m, index, data, size);
	return rc;
}

int target_images(struct target *t, struct error *err)
{
	uint8_t *sizes = NULL;
	struct reader r;
	int rc = session_expect(&t->se, WIRE_MSG_BOOT, &sizes, NULL, err);

	if (rc)
		return rc;
	r = (struct reader){ .data = sizes, .len = WIRE_BOOT };
	for (unsigned i = 0; i < MACHINE_IMAGES && !rc; i++)
		rc = receive_image(t, i, get_u64(&r), err);
	free(sizes);
	return rc;
}
