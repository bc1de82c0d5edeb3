// SPDX-License-Identifier: MIT
/* policy.c - Which pages to push next */

#include <stdbool.h>
#include <string.h>

#include "policy.h"

void policy_init(struct policy *p)
{
	memset(p, 0, sizeof(*p));
	p->trails = 1;
}

static bool near(const struct trail *t, size_t page)
{
	return page + POLICY_NEAR >= t->down && page <= t->up + POLICY_NEAR;
}

static struct trail *pick(struct policy *p, size_t page)
{
	struct trail *oldest = &p->trail[0];

	for (unsigned i = 0; i < p->trails; i++) {
		if (near(&p->trail[i], page))
			return &p->trail[i];
		if (p->trail[i].used < oldest->used)
			oldest = &p->trail[i];
	}
	return p->trails < POLICY_TRAILS ? &p->trail[p->trails++] : oldest;
}

void policy_fault(struct policy *p, size_t page)
{
	struct trail *t = pick(p, page);

	t->up = page + 1;
	t->down = page;
	t->used = ++p->clock;
}

/* The free run that ends at or below @last, as long as may be */
static size_t claim_below(struct sent *s, size_t last, size_t *first)
{
	size_t from = last;

	while (from && last - from + 1 < POLICY_RUN &&
	       !sent_test(s, from - 1))
		from--;
	*first = from;
	return sent_claim(s, from, last - from + 1);
}

static size_t grow(struct trail *t, struct sent *s, size_t *first)
{
	size_t above = sent_next(s, t->up), below = sent_prev(s, t->down), n;
	bool down = above == s->n || (below != s->n && t->turn % 3 == 2);

	t->turn++;
	if (down && below == s->n)
		return 0;
	if (down) {
		n = claim_below(s, below, first);
		t->down = *first;
		return n;
	}
	*first = above;
	n = sent_claim(s, above, POLICY_RUN);
	t->up = above + n;
	return n;
}

size_t policy_next(struct policy *p, struct sent *s, size_t *first)
{
	/* Another thread may claim what was just found: then look again */
	while (s->left) {
		struct trail *t = &p->trail[p->next++ % p->trails];
		size_t n = t->up > s->n ? 0 : grow(t, s, first);

		if (n)
			return n;
		/* It ran into both ends: all that is left is between trails */
		if (!n && sent_next(s, t->up) == s->n &&
		    sent_prev(s, t->down) == s->n)
			t->up = t->down = 0;
	}
	return 0;
}
