// SPDX-License-Identifier: MIT
/* dump.c - Write guest memory into a file */

#include "dump.h"
#include "dump_core.h"

static int write_bytes(struct ram_save *s, struct error *err)
{
	int rc;

	s->strict = true;
	rc = outfile_size(s->file, s->to - s->from, err);
	if (!rc)
		rc = ram_save_lost(s, err);
	return rc ? rc : ram_save(s, err);
}

static int write_core(struct ram_save *s, struct error *err)
{
	struct run_status before;
	int rc = machine_freeze(s->m, &before, err);

	if (rc)
		return rc;
	rc = dump_core(s, err);
	machine_thaw(s->m, &before);
	return rc;
}

int dump_write(struct ram_save *s, enum dump_kind kind, struct error *err)
{
	int rc = kind == DUMP_CORE ? write_core(s, err) : write_bytes(s, err);

	if (!rc)
		rc = outfile_keep(s->file, err);
	outfile_drop(s->file);
	return rc;
}
