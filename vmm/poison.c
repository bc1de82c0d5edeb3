// SPDX-License-Identifier: MIT
/* poison.c - The guest pages that can't be read any more */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "poison.h"

void poison_init(struct poison_list *l)
{
	*l = (struct poison_list){ 0 };
	pthread_mutex_init(&l->lock, NULL);
}

void poison_fini(struct poison_list *l)
{
	free(l->entry);
	pthread_mutex_destroy(&l->lock);
}

/* Index of the first entry that ends above @gpa */
static size_t lower(const struct poison_list *l, uint64_t gpa)
{
	size_t from = 0, to = l->n;

	while (from < to) {
		size_t mid = (from + to) / 2;

		if (l->entry[mid].gpa + l->entry[mid].size <= gpa)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static struct poison *find(struct poison_list *l, uint64_t gpa)
{
	size_t i = lower(l, gpa);

	return i < l->n && l->entry[i].gpa <= gpa ? &l->entry[i] : NULL;
}

static int insert(struct poison_list *l, const struct poison *p)
{
	size_t i = lower(l, p->gpa);

	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 16;
		struct poison *e = reallocarray(l->entry, cap, sizeof(*e));

		if (!e)
			return -ENOMEM;
		l->entry = e;
		l->cap = cap;
	}
	memmove(&l->entry[i + 1], &l->entry[i],
		(l->n - i) * sizeof(l->entry[0]));
	l->entry[i] = *p;
	/* A neighbour that is known already keeps its own entry */
	if (i + 1 < ++l->n && l->entry[i + 1].gpa < p->gpa + p->size)
		l->entry[i].size = l->entry[i + 1].gpa - p->gpa;
	return 1;
}

int poison_add(struct poison_list *l, const struct poison *p)
{
	struct poison *old;
	int rc = 0;

	pthread_mutex_lock(&l->lock);
	old = find(l, p->gpa);
	if (old)
		old->delivered |= p->delivered;
	else
		rc = insert(l, p);
	pthread_mutex_unlock(&l->lock);
	return rc;
}

bool poison_find(struct poison_list *l, uint64_t gpa, struct poison *found)
{
	struct poison *p;

	pthread_mutex_lock(&l->lock);
	p = find(l, gpa);
	if (p && found)
		*found = *p;
	pthread_mutex_unlock(&l->lock);
	return p;
}

void poison_delivered(struct poison_list *l, uint64_t gpa)
{
	struct poison *p;

	pthread_mutex_lock(&l->lock);
	p = find(l, gpa);
	if (p)
		p->delivered = true;
	pthread_mutex_unlock(&l->lock);
}

int poison_copy(struct poison_list *l, struct poison **out)
{
	int n;

	pthread_mutex_lock(&l->lock);
	n = (int)l->n;
	*out = n ? malloc(l->n * sizeof(**out)) : NULL;
	if (*out)
		memcpy(*out, l->entry, l->n * sizeof(**out));
	else if (n)
		n = -ENOMEM;
	pthread_mutex_unlock(&l->lock);
	return n;
}

void poison_save(const struct poison *p, size_t n, struct writer *w)
{
	put_u32(w, (uint32_t)n);
	for (; n--; p++) {
		put_u64(w, p->gpa);
		put_u64(w, p->size);
		put_u8(w, p->delivered);
	}
}

int poison_parse(struct reader *r, struct poison **out, struct error *err)
{
	uint32_t n = get_u32(r);
	uint64_t end = 0;
	struct poison *p;

	*out = NULL;
	if (n > POISON_MAX || (r->len - r->pos) / 17 < n)
		return error_set(err, EBADMSG,
				 "poison list: %u entries do not fit", n);
	p = calloc(n + 1, sizeof(*p));
	if (!p)
		return error_set(err, ENOMEM, "out of memory for poison");

	for (uint32_t i = 0; i < n; i++) {
		p[i].gpa = get_u64(r);
		p[i].size = get_u64(r);
		p[i].delivered = get_u8(r);
		if (p[i].gpa < end || !p[i].size ||
		    p[i].gpa + p[i].size < p[i].gpa) {
			error_set(err, EBADMSG,
				"poison list: bad entry %u at 0x%llx", i,
				(unsigned long long)p[i].gpa);
			free(p);
			return -EBADMSG;
		}
		end = p[i].gpa + p[i].size;
	}
	*out = p;
	return (int)n;
}
