// SPDX-License-Identifier: MIT
/* readahead.c - How many pages to send after a requested one */

#include "readahead.h"

static struct stream *stream_find(struct readahead *r, size_t page)
{
	for (unsigned i = 0; i < READAHEAD_STREAMS; i++) {
		struct stream *s = &r->stream[i];

		if (s->used && page >= s->next &&
		    page - s->next <= READAHEAD_GAP)
			return s;
	}
	return NULL;
}

static struct stream *stream_oldest(struct readahead *r)
{
	struct stream *o = &r->stream[0];

	for (unsigned i = 1; i < READAHEAD_STREAMS; i++)
		if (r->stream[i].used < o->used)
			o = &r->stream[i];
	return o;
}

size_t readahead_pages(struct readahead *r, size_t page)
{
	struct stream *s = stream_find(r, page);

	if (s) {
		s->n = s->n ? 2 * s->n : 4;
		if (s->n > READAHEAD_MAX)
			s->n = READAHEAD_MAX;
	} else {
		s = stream_oldest(r);
		s->n = 0;
	}
	s->next = page + 1 + s->n;
	s->used = ++r->requests;
	return s->n;
}
