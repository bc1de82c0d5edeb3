// SPDX-License-Identifier: MIT
/*
 * workloads.c - The table of workloads
 */
#include "../line.h"
#include "work_dirty.h"
#include "work_idle.h"
#include "work_talk.h"
#include "work_token.h"
#include "work_verify.h"
#include "work_walk.h"
#include "worker.h"
#include "workloads.h"

static const struct work *const workloads[] = {
	&work_verify, &work_dirty, &work_walk, &work_idle, &work_token,
	&work_talk,
};

bool workload_choose(const char *name)
{
	uint64_t i;

	for (i = 0; i < sizeof(workloads) / sizeof(*workloads); i++) {
		if (!text_equal(name, workloads[i]->name))
			continue;
		work = workloads[i];
		return true;
	}
	return false;
}
