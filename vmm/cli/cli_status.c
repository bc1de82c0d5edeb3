// SPDX-License-Identifier: MIT
/* cli_status.c - ferry status */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli_common.h"
#include "vmm/base/units.h"

/* Poisoned ranges that are listed; more are only counted, unless --json */
#define POISON_SHOWN 16

static void print_poison(json_t *st)
{
	json_t *list = cli_get(st, "poisoned"), *p;
	size_t n = json_array_size(list), i;

	printf("  poisoned:  %.0f KiB\n", cli_poisoned(st) / KIB);
	for (i = 0; i < n && i < POISON_SHOWN; i++) {
		p = json_array_get(list, i);
		printf("             0x%" PRIx64 ", %.0f KiB%s\n",
		       (uint64_t)cli_number(p, "address"),
		       cli_number(p, "size") / KIB,
		       json_is_true(cli_get(p, "delivered")) ?
		       " (the guest received a machine check)" : "");
	}
	if (n > i)
		printf("             and %zu more (--json lists all)\n", n - i);
}

static void print_migration(json_t *info)
{
	const char *status = cli_text(info, "status", "none");
	double total = cli_number(info, "ram.total");
	double left = cli_number(info, "ram.remaining");

	if (!strcmp(status, "none"))
		return;
	printf("  migration: %s, %s", cli_text(info, "ferry.side", "outgoing"),
	       status);
	if (cli_get(info, "ferry.stage"))
		printf(", stage %s", cli_text(info, "ferry.stage", ""));
	if (total > 0)
		printf(", %.0f of %.0f MiB", (total - left) / MIB,
		       total / MIB);
	putchar('\n');
	if (cli_get(info, "error-desc"))
		printf("             %s\n", cli_text(info, "error-desc", ""));
}

static void print_status(const struct options *o, json_t *st, json_t *info)
{
	unsigned cpus = cli_number(st, "cpus");

	printf("%s: %s (%s, %s)\n", cli_text(st, "name", cli_label(o)),
	       cli_text(st, "status", "unknown"),
	       cli_text(st, "libvirt.state", "VIR_DOMAIN_NOSTATE"),
	       cli_text(st, "libvirt.reason", "VIR_DOMAIN_NOSTATE_UNKNOWN"));
	if (cli_get(st, "memory"))
		printf("  memory:    %.0f MiB\n",
		       cli_number(st, "memory") / MIB);
	if (cpus)
		printf("  vCPUs:     %u\n", cpus);
	print_poison(st);
	print_migration(info);
}

int cli_status(const struct options *o)
{
	struct error err = { 0 };
	struct qmp_client *q = cli_open(o, &err);
	json_t *st = NULL, *info = NULL;

	if (q && !qmp_execute(q, "query-status", NULL, &st, &err))
		qmp_execute(q, "query-migrate", NULL, &info, NULL);
	if (st && o->json) {
		if (info)
			json_object_set(st, "migration", info);
		cli_print_json(st);
	} else if (st) {
		print_status(o, st, info);
	}
	json_decref(info);
	json_decref(st);
	qmp_close(q);
	return err.code ? cli_fail(&err) : CLI_OK;
}
