// SPDX-License-Identifier: MIT
/*
 * special.c - A table of the few pages with special properties
 *
 * An open-addressed table of words, each a page number and flags. Words are
 * only added, and flags only set, both atomically, so a look-up takes no lock;
 * nothing is removed. Addresses outside the data area are allowed.
 */
#include "../layout.h"
#include "lock.h"
#include "special.h"

#define SLOTS		8192		/* a power of two */
#define USED_MAX	(SLOTS / 2)
#define FLAG_BITS	8

static uint64_t slots[SLOTS];
static uint32_t used;
static uint32_t special_lock;

static uint64_t slot_key(uint64_t gpa)
{
	return ((gpa >> PAGE_SHIFT) + 1) << FLAG_BITS;
}

/* The slot with this key, or the empty slot where the key belongs */
static uint64_t *slot_find(uint64_t key)
{
	uint64_t i = key * 0x9e3779b97f4a7c15ULL >> 51;

	for (;;) {
		uint64_t *slot = &slots[i++ % SLOTS];
		uint64_t v = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

		if (!v || (v ^ key) >> FLAG_BITS == 0)
			return slot;
	}
}

uint32_t special_flags(uint64_t gpa)
{
	uint64_t *slot;

	if (!__atomic_load_n(&used, __ATOMIC_ACQUIRE))
		return 0;
	slot = slot_find(slot_key(gpa));
	return __atomic_load_n(slot, __ATOMIC_ACQUIRE) &
	       ((1 << FLAG_BITS) - 1);
}

bool special_set(uint64_t gpa, uint32_t flags)
{
	uint64_t key = slot_key(gpa), *slot;
	bool ok = true;

	spin_lock(&special_lock);
	slot = slot_find(key);
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

uint64_t special_count(uint32_t mask, uint32_t flags)
{
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < SLOTS; i++)
		n += slots[i] && (slots[i] & mask) == flags;
	return n;
}
