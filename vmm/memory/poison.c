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

static int insert(struct poison_list *l, size_t i, const struct poison *p)
{
	if (l->n == POISON_MAX)
		return -ENOMEM;
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
	l->n++;
	return 1;
}

/*
 * Enter the first part of a stretch that is known as a whole, or new as a
 * whole; shrink the stretch to what is behind it. Return: as poison_add()
 */
static int add_part(struct poison_list *l, struct poison *rest)
{
	size_t i = lower(l, rest->gpa);
	struct poison part = *rest;
	int rc = 0;

	if (i < l->n && l->entry[i].gpa <= rest->gpa) {
		part.size = l->entry[i].gpa + l->entry[i].size - rest->gpa;
		l->entry[i].delivered |= rest->delivered;
	} else {
		if (i < l->n && l->entry[i].gpa - rest->gpa < part.size)
			part.size = l->entry[i].gpa - rest->gpa;
		rc = insert(l, i, &part);
	}
	if (part.size > rest->size)
		part.size = rest->size;
	rest->gpa += part.size;
	rest->size -= part.size;
	return rc;
}

int poison_add(struct poison_list *l, const struct poison *p)
{
	struct poison rest = *p;
	int rc = 0;

	pthread_mutex_lock(&l->lock);
	while (rest.size && rc >= 0) {
		int now = add_part(l, &rest);

		rc = now ? now : rc;
	}
	pthread_mutex_unlock(&l->lock);
	return rc;
}

void poison_clear(struct poison_list *l)
{
	pthread_mutex_lock(&l->lock);
	l->n = 0;
	pthread_mutex_unlock(&l->lock);
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

bool poison_untold(struct poison_list *l, struct poison *first)
{
	bool found = false;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->n && !found; i++) {
		found = l->entry[i].tell && !l->entry[i].delivered;
		if (found && first)
			*first = l->entry[i];
	}
	pthread_mutex_unlock(&l->lock);
	return found;
}

void poison_delivered(struct poison_list *l, uint64_t gpa, uint64_t size)
{
	pthread_mutex_lock(&l->lock);
	for (size_t i = lower(l, gpa); i < l->n; i++) {
		if (l->entry[i].gpa >= gpa + size)
			break;
		l->entry[i].delivered = true;
	}
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
	if (r->failed || n > POISON_MAX || (r->len - r->pos) / 17 < n)
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
