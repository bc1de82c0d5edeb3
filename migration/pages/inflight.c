// SPDX-License-Identifier: MIT
/* inflight.c - Who waits for which page, and since when */

#include "inflight.h"
#include "vmm/base/clock.h"

void inflight_add(struct inflight_table *t, size_t page, unsigned vcpu)
{
	bool known = false;

	pthread_mutex_lock(&t->lock);
	/* A vCPU that was kicked out of its wait comes back to the same one */
	for (unsigned i = 0; vcpu != PAGE_STATS_OTHER && i < t->n; i++)
		known |= t->entry[i].page == page &&
			 t->entry[i].vcpu == vcpu;
	if (!known && t->n < INFLIGHT_MAX)
		t->entry[t->n++] = (struct inflight){
			page, now_ns(), vcpu,
		};
	pthread_mutex_unlock(&t->lock);
}

bool inflight_has(struct inflight_table *t, unsigned vcpu)
{
	bool has = false;

	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < t->n; i++)
		has |= t->entry[i].vcpu == vcpu;
	pthread_mutex_unlock(&t->lock);
	return has;
}

void inflight_name(struct inflight_table *t, size_t page, unsigned vcpu)
{
	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < t->n; i++) {
		if (t->entry[i].page != page || t->entry[i].vcpu != PAGE_STATS_OTHER)
			continue;
		t->entry[i].vcpu = vcpu;
		break;
	}
	pthread_mutex_unlock(&t->lock);
}

void inflight_done(struct inflight_table *t, size_t page, size_t n)
{
	uint64_t now;

	if (!t->n || !n)
		return;
	now = now_ns();
	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < t->n; ) {
		struct inflight *f = &t->entry[i];

		if (f->page < page || f->page - page >= n) {
			i++;
			continue;
		}
		histogram_add(&t->stats->demand, now - f->since);
		histogram_add(&t->stats->vcpu[f->vcpu], now - f->since);
		*f = t->entry[--t->n];
	}
	pthread_mutex_unlock(&t->lock);
}

uint64_t inflight_oldest(struct inflight_table *t)
{
	uint64_t oldest = 0;

	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < t->n; i++)
		if (!oldest || t->entry[i].since < oldest)
			oldest = t->entry[i].since;
	pthread_mutex_unlock(&t->lock);
	return oldest;
}
