/* SPDX-License-Identifier: MIT */
/*
 * ram_hook.h - A migration's hook between the machine and its RAM
 *
 * While a migration is under way, a page of RAM may not have arrived yet, or
 * may belong to the other host already. The migration installs a hook. The
 * machine asks it before it poisons a page on purpose, and reads from it
 * whether pages are missing. At most one hook is installed at a time.
 */
#ifndef FERRY_RAM_HOOK_H
#define FERRY_RAM_HOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/error.h"

struct machine;

/* What ram_hook.poison() decided, beside -errno */
enum ram_hook_answer {
	RAM_HOOK_DONE	= 0,	/* the hook poisoned the page itself */
	RAM_HOOK_PASS	= 1,	/* the machine must poison the page */
};

/**
 * struct ram_hook - The hook's operations
 * @ctx:	passed to each function
 * @missing:	pages of RAM may not have arrived: a thread that reads such a
 *		page waits for it, and RAM must not be dropped (no reset)
 * @poison:	called before the page at a RAM offset is made unreadable on
 *		purpose, by a marker (@simulate) or for real. Returns enum
 *		ram_hook_answer, or -errno to refuse. NULL stands for PASS
 * @done:	called after @poison returned PASS and the machine has tried,
 *		with or without success; may be NULL
 *
 * The machine calls @poison and @done with inject_lock held, one page at a
 * time.
 */
struct ram_hook {
	void *ctx;
	bool missing;
	int (*poison)(void *ctx, uint64_t offset, bool simulate,
		      struct error *err);
	void (*done)(void *ctx, uint64_t offset);
};

/**
 * machine_set_ram_hook() - Install a hook, or remove it
 * @m:		the machine
 * @hook:	copied; NULL removes the hook
 *
 * A reset that was waiting for the migration is requested again (the
 * observer's reset()) when the hook is removed. Waits until the previous hook's
 * functions have returned, so its @ctx may be freed afterwards.
 */
void machine_set_ram_hook(struct machine *m, const struct ram_hook *hook);

/** machine_ram_hook() - The hook that is installed; all zero if none is */
struct ram_hook machine_ram_hook(struct machine *m);

#endif /* FERRY_RAM_HOOK_H */
