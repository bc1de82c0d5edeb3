// SPDX-License-Identifier: MIT
/* source_poison.c - Lost pages that a source finds, or that are reported to it */

#include "source_poison.h"
#include "source_precopy.h"
#include "vmm/base/log.h"

static void post_poison(struct source *s, uint64_t gpa, uint64_t size,
			unsigned resets)
{
	struct poison p = { .gpa = gpa, .size = size };

	if (poison_post_read(machine_poison(s->m), &p, resets))
		log_line("out of memory for the poison list");
	reporter_wake(&s->reporter);
}

void source_note_poison(struct source *s, uint64_t gpa, uint64_t size)
{
	post_poison(s, gpa, size, poison_resets(machine_poison(s->m)));
}

/* A page has its own event, as if it were poisoned here on purpose */
static void report_run(struct source *s, const struct poison *run)
{
	const bool few = run->size <= WIRE_RUN_PAGES * WIRE_PAGE;
	struct memory_failure f = { .size = few ? WIRE_PAGE : run->size,
				    .action = MF_NOTED,
				    .origin = MF_BY_READ };

	for (uint64_t at = 0; at < run->size; at += f.size) {
		f.gpa = run->gpa + at;
		machine_failure(s->m, &f);
	}
}

void source_report_poison(void *ctx)
{
	struct source *s = ctx;
	struct poison run[POISON_POSTS];
	size_t more = 0;
	int n = poison_take_news(machine_poison(s->m), run, POISON_POSTS,
				 &more);

	for (int i = 0; i < n; i++)
		report_run(s, &run[i]);
	if (more)
		log_line("%zu more ranges of memory are lost: query-status lists them",
			 more);
}

/* A page that is to be sent can't be read: invariant 3 */
void source_page_lost(void *ctx, uint64_t gpa)
{
	struct source *s = ctx;

	/* Only while no thread but the session's sends pages */
	if (!s->batch.skip_lost) {
		source_note_poison(s, gpa, WIRE_PAGE);
		return;
	}
	/* The guest runs: it may have been reset since the read */
	post_poison(s, gpa, WIRE_PAGE, s->pass_resets);
	source_pass_lost(s, gpa);
}
