// SPDX-License-Identifier: MIT
/* poison.c - The list of guest memory that is lost */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "poison.h"
#include "vmm/base/page.h"

#define ENTRY_BYTES	17	/* of poison_save() */

void poison_init(struct poison_list *l)
{
	memset((void *)l, 0, sizeof(*l));
	pthread_mutex_init(&l->lock, NULL);
}

void poison_fini(struct poison_list *l)
{
	free(l->entry);
	pthread_mutex_destroy(&l->lock);
}

static uint64_t poison_end(const struct poison *p)
{
	return p->gpa + p->size;
}

/* Index of the first entry that ends above @gpa */
static size_t find_index(const struct poison_list *l, uint64_t gpa)
{
	size_t from = 0, to = l->n;

	while (from < to) {
		size_t mid = (from + to) / 2;

		if (poison_end(&l->entry[mid]) <= gpa)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static struct poison *find_entry(struct poison_list *l, uint64_t gpa)
{
	size_t i = find_index(l, gpa);

	return i < l->n && l->entry[i].gpa <= gpa ? &l->entry[i] : NULL;
}

static bool can_merge(const struct poison *a, const struct poison *b)
{
	return poison_end(a) == b->gpa && a->delivered == b->delivered &&
	       a->report == b->report && a->news == b->news;
}

/* Merge entry @i into the one before it, if that is possible */
static bool merge_entry(struct poison_list *l, size_t i)
{
	if (!i || i >= l->n || !can_merge(&l->entry[i - 1], &l->entry[i]))
		return false;
	l->entry[i - 1].size += l->entry[i].size;
	l->n--;
	memmove(&l->entry[i], &l->entry[i + 1],
		(l->n - i) * sizeof(l->entry[0]));
	return true;
}

static int insert_entry(struct poison_list *l, size_t i,
			const struct poison *p)
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
	return 0;
}

/* Enter a run that the list has no part of. Return: 1, -ENOMEM */
static int add_run(struct poison_list *l, const struct poison *p)
{
	size_t i = find_index(l, p->gpa);

	/* A run between two entries needs no entry of its own */
	if (i && can_merge(&l->entry[i - 1], p)) {
		l->entry[i - 1].size += p->size;
		merge_entry(l, i);
	} else if (i < l->n && can_merge(p, &l->entry[i])) {
		l->entry[i].gpa = p->gpa;
		l->entry[i].size += p->size;
	} else if (insert_entry(l, i, p)) {
		return -ENOMEM;
	}
	return 1;
}

/* Divide entry @i at @gpa, unless it starts or ends there, or no memory */
static bool divide_entry(struct poison_list *l, size_t i, uint64_t gpa)
{
	struct poison rest = l->entry[i];

	if (gpa <= rest.gpa || gpa >= poison_end(&rest))
		return false;
	rest.size = poison_end(&rest) - gpa;
	rest.gpa = gpa;
	if (insert_entry(l, i + 1, &rest))
		return false;
	l->entry[i].size -= rest.size;
	return true;
}

static void set_delivered(struct poison_list *l, uint64_t gpa, uint64_t size)
{
	const uint64_t end = gpa + size;

	for (size_t i = find_index(l, gpa); i < l->n && l->entry[i].gpa < end;
	     i++) {
		if (l->entry[i].delivered && !l->entry[i].news)
			continue;
		if (divide_entry(l, i, gpa))
			i++;
		divide_entry(l, i, end);
		l->entry[i].delivered = true;
		l->entry[i].news = false;
		if (merge_entry(l, i))
			i--;
		merge_entry(l, i + 1);
	}
}

/*
 * Enter the first part of @rest, which is either in the list or not; remove it
 * from @rest. Return: as poison_add()
 */
static int add_part(struct poison_list *l, struct poison *rest)
{
	size_t i = find_index(l, rest->gpa);
	struct poison part = *rest;
	int rc = 0;

	if (i < l->n && l->entry[i].gpa <= rest->gpa) {
		if (poison_end(&l->entry[i]) < poison_end(rest))
			part.size = poison_end(&l->entry[i]) - rest->gpa;
		if (rest->delivered)
			set_delivered(l, part.gpa, part.size);
	} else {
		if (i < l->n && l->entry[i].gpa < poison_end(rest))
			part.size = l->entry[i].gpa - rest->gpa;
		rc = add_run(l, &part);
	}
	rest->gpa += part.size;
	rest->size -= part.size;
	return rc;
}

/* Return: as poison_add() */
static int add_all(struct poison_list *l, const struct poison *p)
{
	struct poison rest = *p;
	int rc = 0;

	while (rest.size && rc >= 0) {
		int now = add_part(l, &rest);

		rc = now ? now : rc;
	}
	return rc;
}

/* What can't be entered stays in its slot. Return: 0, -ENOMEM */
static int enter_posts(struct poison_list *l)
{
	int rc = 0;

	if (!l->posted)
		return 0;
	for (unsigned i = 0; i < POISON_POSTS; i++) {
		struct poison_post *s = &l->post[i];

		if (s->state != POST_FULL)
			continue;
		if (s->resets == l->resets && add_all(l, &s->p) < 0) {
			rc = -ENOMEM;
			continue;
		}
		s->state = POST_FREE;
		l->posted--;
	}
	return rc;
}

/* Return: as enter_posts() */
static int lock_list(struct poison_list *l)
{
	pthread_mutex_lock(&l->lock);
	return enter_posts(l);
}

static void unlock_list(struct poison_list *l)
{
	pthread_mutex_unlock(&l->lock);
}

int poison_add(struct poison_list *l, const struct poison *p)
{
	int rc;

	lock_list(l);
	rc = add_all(l, p);
	unlock_list(l);
	return rc;
}

unsigned poison_resets(const struct poison_list *l)
{
	return l->resets;
}

/* All slots are full. Return: 0, -ENOMEM */
static int add_read(struct poison_list *l, const struct poison *p,
		    unsigned resets)
{
	int rc;

	lock_list(l);
	rc = resets == l->resets ? add_all(l, p) : 0;
	unlock_list(l);
	return rc < 0 ? rc : 0;
}

int poison_post_read(struct poison_list *l, const struct poison *p,
		     unsigned resets)
{
	struct poison news = *p;
	const size_t first = l->next++;

	news.news = true;
	for (unsigned i = 0; i < POISON_POSTS; i++) {
		struct poison_post *s = &l->post[(first + i) % POISON_POSTS];
		unsigned is = POST_FREE;

		if (!atomic_compare_exchange_strong(&s->state, &is,
						    POST_WRITING))
			continue;
		s->p = news;
		s->resets = resets;
		s->state = POST_FULL;
		l->posted++;
		return 0;
	}
	return add_read(l, &news, resets);
}

int poison_post(struct poison_list *l, const struct poison *p)
{
	return poison_post_read(l, p, poison_resets(l));
}

int poison_take_news(struct poison_list *l, struct poison *out, size_t max,
		     size_t *more)
{
	int rc = lock_list(l), n = 0;
	size_t to = 0;

	*more = 0;
	for (size_t i = 0; i < l->n; i++) {
		if (l->entry[i].news && (size_t)n < max)
			out[n++] = l->entry[i];
		else
			*more += l->entry[i].news;
		l->entry[i].news = false;
		if (to && can_merge(&l->entry[to - 1], &l->entry[i]))
			l->entry[to - 1].size += l->entry[i].size;
		else
			l->entry[to++] = l->entry[i];
	}
	l->n = to;
	unlock_list(l);
	return rc ? rc : n;
}

void poison_clear(struct poison_list *l)
{
	lock_list(l);
	l->n = 0;
	l->resets++;
	for (unsigned i = 0; i < POISON_POSTS; i++)
		if (l->post[i].state == POST_FULL) {
			l->post[i].state = POST_FREE;
			l->posted--;
		}
	unlock_list(l);
}

/* Only what there was no memory for is still a post */
static bool find_post(const struct poison_list *l, uint64_t gpa,
		      struct poison *found)
{
	for (unsigned i = 0; i < POISON_POSTS && l->posted; i++) {
		const struct poison_post *s = &l->post[i];

		if (s->state != POST_FULL || gpa < s->p.gpa ||
		    gpa - s->p.gpa >= s->p.size)
			continue;
		*found = s->p;
		return true;
	}
	return false;
}

bool poison_find(struct poison_list *l, uint64_t gpa, struct poison *found)
{
	struct poison *p, post;

	lock_list(l);
	p = find_entry(l, gpa);
	if (!p && find_post(l, gpa, &post))
		p = &post;
	if (p && found)
		*found = *p;
	unlock_list(l);
	return p;
}

bool poison_unreported(struct poison_list *l, struct poison *first)
{
	bool found = false;

	lock_list(l);
	for (size_t i = 0; i < l->n && !found; i++) {
		found = l->entry[i].report && !l->entry[i].delivered;
		if (found && first) {
			*first = l->entry[i];
			if (first->size > GUEST_PAGE_SIZE)
				first->size = GUEST_PAGE_SIZE;
		}
	}
	unlock_list(l);
	return found;
}

void poison_delivered(struct poison_list *l, uint64_t gpa, uint64_t size)
{
	lock_list(l);
	set_delivered(l, gpa, size);
	unlock_list(l);
}

int poison_copy(struct poison_list *l, struct poison **out)
{
	int n = lock_list(l);

	*out = NULL;
	if (!n) {
		n = (int)l->n;
		*out = n ? malloc(l->n * sizeof(**out)) : NULL;
		if (*out)
			memcpy(*out, l->entry, l->n * sizeof(**out));
		else if (n)
			n = -ENOMEM;
	}
	unlock_list(l);
	return n;
}

int poison_head(struct poison_list *l, struct poison *out, size_t max,
		struct poison_sum *sum)
{
	int rc = lock_list(l);

	*sum = (struct poison_sum){ .ranges = l->n };
	for (size_t i = 0; i < l->n; i++) {
		sum->bytes += l->entry[i].size;
		if (i < max)
			out[i] = l->entry[i];
	}
	unlock_list(l);
	return rc;
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
	if (r->failed || n > POISON_MAX || (r->len - r->pos) / ENTRY_BYTES < n)
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
