// SPDX-License-Identifier: MIT
/*
 * images.c - The kernel and initrd that a guest was started from, carried along
 *
 * A reset starts the guest from them again, wherever it is then. They go while
 * the guest still runs at home: nothing of it costs the blackout anything, and
 * once the guest was handed over it can be reset there whatever becomes of the
 * source. What a peer says of their size is believed up to IMAGE_MAX only, and
 * memory is used as bytes arrive.
 */

#include <errno.h>
#include <stdlib.h>

#include "source.h"
#include "stages.h"
#include "target.h"

static int send_image(struct source *s, const struct image *im,
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
	const struct boot_images *b = &s->m->boot;
	struct wire_msg m = { .type = WIRE_MSG_BOOT };
	struct writer w = { 0 };
	int rc;

	put_u64(&w, b->kernel.size);
	put_u64(&w, b->initrd.size);
	m.length = (uint32_t)w.len;
	rc = w.failed ? error_set(err, ENOMEM, "out of memory for images")
		      : channel_say(&s->se.link.main, &m, w.data, err);
	writer_free(&w);
	if (!rc)
		rc = send_image(s, &b->kernel, err);
	return rc ? rc : send_image(s, &b->initrd, err);
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

static int receive_image(struct target *t, struct image *im, const char *what,
			 uint64_t size, struct error *err)
{
	if (size > IMAGE_MAX)
		return error_set(err, EBADMSG, "%s of %llu bytes: too large",
				 what, (unsigned long long)size);
	*im = (struct image){ .what = what, .path = "(as the source had it)" };
	im->data = size ? malloc(size) : NULL;
	if (size && !im->data)
		return error_set(err, ENOMEM, "out of memory for the %s", what);
	while (im->size < size) {
		long n = hear_piece(t, size - im->size, err);
		int rc = n < 0 ? (int)n : channel_recv(&t->se.link.main,
					im->data + im->size, (size_t)n, err);

		if (rc)
			return rc;
		im->size += (size_t)n;
	}
	return 0;
}

int target_images(struct target *t, struct error *err)
{
	struct boot_images *b = &t->m->boot;
	uint8_t *sizes = NULL;
	uint64_t kernel, initrd;
	struct reader r;
	int rc = session_expect(&t->se, WIRE_MSG_BOOT, &sizes, NULL, err);

	if (rc)
		return rc;
	r = (struct reader){ .data = sizes, .len = WIRE_BOOT };
	kernel = get_u64(&r);
	initrd = get_u64(&r);
	free(sizes);
	rc = receive_image(t, &b->kernel, "kernel", kernel, err);
	return rc ? rc : receive_image(t, &b->initrd, "initrd", initrd, err);
}
