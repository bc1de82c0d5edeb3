/* SPDX-License-Identifier: MIT */
/* phases.h - The two sides of a session, for printing their phase tables */
#ifndef FERRY_PHASES_H
#define FERRY_PHASES_H

#include <stdbool.h>

#include "migration/session/phase.h"

/**
 * struct side - One side's table
 * @name, @upper: as the model spells it
 * @title:	as documents call it
 * @phases:	number of phases
 * @step:	source_step() or target_step()
 * @phase_name:	name of a phase
 * @may_run:	may the guest's vCPUs run on this side in a phase?
 */
struct side {
	const char *name, *upper, *title;
	unsigned phases;
	struct phase_step (*step)(unsigned phase, unsigned event);
	const char *(*phase_name)(unsigned phase);
	bool (*may_run)(unsigned phase);
};

extern const struct side source_side, target_side;

/** print_markdown() - Print the generated tables of docs/failure.md */
void print_markdown(void);

#endif /* FERRY_PHASES_H */
