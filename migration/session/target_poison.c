// SPDX-License-Identifier: MIT
/* target_poison.c - Lost pages that arrive at a destination, or are made there */

#include "target_poison.h"
#include "vmm/base/log.h"

#define POISON_REPORTS_MAX	64	/* events at once */

int target_poisoned(void *ctx, uint64_t gpa, uint64_t size,
			   bool delivered)
{
	struct target *t = ctx;
	struct poison p = { .gpa = gpa, .size = size, .delivered = delivered };

	return poison_post(machine_poison(t->m), &p);
}

/*
 * One log line and one event for each run, up to a limit, then only a count.
 * Runs of POISON_LIST are reported together, when all of it is in the list.
 */
void target_report_poison(void *ctx)
{
	struct target *t = ctx;
	struct poison run[POISON_REPORTS_MAX];
	size_t more = 0;
	int n = t->quiet ? 0 : poison_take_news(machine_poison(t->m), run,
						POISON_REPORTS_MAX, &more);

	for (int i = 0; i < n; i++) {
		const struct memory_failure f = {
			.gpa = run[i].gpa, .size = run[i].size,
			.action = MF_NOTED, .origin = MF_BY_PEER,
		};

		machine_failure(t->m, &f);
	}
	if (n < 0)
		log_line("out of memory for the poison list");
	if (more)
		log_line("the guest arrives with %zu more ranges of lost memory: query-status lists them",
			 more);
}

void target_crash(void *ctx)
{
	struct target *t = ctx;

	machine_crash(t->m);
}

int target_inject(void *ctx, uint64_t offset, bool simulate,
		  struct error *err)
{
	struct target *t = ctx;

	return page_store_inject(&t->store, offset, simulate, err);
}
