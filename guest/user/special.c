// SPDX-License-Identifier: MIT
/*
 * special.c - The few pages about which there is something to remember
 *
 * An open-addressed table of words, each a page number and flags. Words are
 * only ever added to and get more flags, both atomically, so that looking one
 * up takes no lock; nothing is removed. Addresses outside the data area may be
 * in it too.
 */
#include "work.h"

#define SLOTS		8192		/* a power of two */
#define USED_MAX	(SLOTS / 2)
#define FLAG_BITS	8

static uint64_t slots[SLOTS];
static uint32_t used;
static uint32_t special_lock;

static uint64_t key_of(uint64_t gpa)
{
	return ((gpa >> PAGE_SHIFT) + 1) << FLAG_BITS;
}

/* The slot that has this key, or the empty one where it would be */
static uint64_t *find(uint64_t key)
{
	uint64_t i = key * 0x9e3779b97f4a7c15ULL >> 51;

	for (;;) {
		uint64_t *slot = &slots[i++ % SLOTS];
		uint64_t v = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

		if (!v || (v ^ key) >> FLAG_BITS == 0)
			return slot;
	}
}

/**
 * special_get() - What is remembered about a page
 * @gpa:	its address
 *
 * Return: PAGE_... flags, 0 for most pages
 */
uint32_t special_get(uint64_t gpa)
{
	uint64_t *slot;

	if (!__atomic_load_n(&used, __ATOMIC_ACQUIRE))
		return 0;
	slot = find(key_of(gpa));
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE) &
	       ((1 << FLAG_BITS) - 1);
}

/**
 * special_set() - Remember something about a page
 * @gpa:	its address
 * @flags:	PAGE_... flags to add
 *
 * Return: false when the table is full
 */
bool special_set(uint64_t gpa, uint32_t flags)
{
	uint64_t key = key_of(gpa), *slot;
	bool ok = true;

	spin_lock(&special_lock);
	slot = find(key);
	if (*slot) {
		__atomic_or_fetch(slot, flags, __ATOMIC_RELEASE);
	} else if (used < USED_MAX) {
		__atomic_store_n(slot, key | flags, __ATOMIC_RELEASE);
		__atomic_add_fetch(&used, 1, __ATOMIC_RELEASE);
	} else {
		ok = false;
	}
	spin_unlock(&special_lock);
	return ok;
}

/**
 * special_count() - Count pages
 * @mask:	flags to look at
 * @flags:	what they must be
 */
uint64_t special_count(uint32_t mask, uint32_t flags)
{
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < SLOTS; i++)
		n += slots[i] && (slots[i] & mask) == flags;
	return n;
}
