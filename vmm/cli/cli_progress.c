// SPDX-License-Identifier: MIT
/* cli_progress.c - A migration as text */

#include <stdarg.h>

#include "cli_common.h"
#include "cli_progress.h"
#include "vmm/base/units.h"

/* Unit of network rates */
#define MEGABYTE 1e6

struct line {
	char *buf;
	size_t size, len;
};

static void __attribute__((format(printf, 2, 3)))
line_append(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->buf + l->len, l->size - l->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->len += (size_t)n;
	if (l->len >= l->size)
		l->len = l->size - 1;
}

/* Return: MB/s by the machine's own figure, else the average, or 0 */
static double rate(json_t *info)
{
	double ms = cli_number(info, "ferry.total-ms");

	if (cli_get(info, "ram.mbps"))	/* megabits, as in QEMU */
		return cli_number(info, "ram.mbps") / 8;
	if (ms <= 0)
		return 0;
	return cli_number(info, "ram.transferred") / MEGABYTE / (ms / 1000);
}

void progress_text(json_t *info, const char *name, char *buf, size_t size)
{
	struct line l = { .buf = buf, .size = size };
	double total = cli_number(info, "ram.total");
	double done = total - cli_number(info, "ram.remaining");
	double poison = cli_number(info, "ferry.pages.poison");
	const char *status = cli_text(info, "status", "?");

	line_append(&l, "%s: %s", name, cli_text(info, "ferry.stage", status));
	if (total > 0)
		line_append(&l, "  %.0f/%.0f MiB %3.0f%%", done / MIB,
			    total / MIB, 100 * done / total);
	if (rate(info) > 0)
		line_append(&l, "  %.0f MB/s", rate(info));
	if (cli_get(info, "ferry.pages.demand"))
		line_append(&l, "  demand %.0f",
			    cli_number(info, "ferry.pages.demand"));
	if (poison > 0)
		line_append(&l, "  poison %.0f", poison);
}

static void summary_latency(const char *label, json_t *lat, FILE *out)
{
	if (cli_number(lat, "count") <= 0)
		return;
	fprintf(out, "  %-9s %.0f faults, p50 %.0f us, p90 %.0f us, "
		"p99 %.0f us, max %.0f us\n", label, cli_number(lat, "count"),
		cli_number(lat, "p50"), cli_number(lat, "p90"),
		cli_number(lat, "p99"), cli_number(lat, "max"));
}

static void summary_vcpus(json_t *list, FILE *out)
{
	char label[24];
	json_t *v;
	size_t i;

	if (json_array_size(list) < 2)
		return;
	json_array_foreach(list, i, v) {
		snprintf(label, sizeof(label), "vCPU %.0f:",
			 cli_number(v, "index"));
		summary_latency(label, v, out);
	}
}

void progress_summary(json_t *info, FILE *out)
{
	json_t *pages = cli_get(info, "ferry.pages");

	fprintf(out, "  time:     %.0f ms in total",
		cli_number(info, "ferry.total-ms"));
	if (cli_get(info, "ferry.downtime-ms"))
		fprintf(out, ", %.2f ms of it without a running guest",
			cli_number(info, "ferry.downtime-ms"));
	fputc('\n', out);
	if (cli_get(info, "ram.transferred"))
		fprintf(out, "  memory:   %.1f of %.0f MiB sent, %.0f MB/s\n",
			cli_number(info, "ram.transferred") / MIB,
			cli_number(info, "ram.total") / MIB, rate(info));
	if (pages)
		fprintf(out, "  pages:    %.0f on demand, %.0f pushed, "
			"%.0f zero, %.0f poisoned\n",
			cli_number(pages, "demand"), cli_number(pages, "push"),
			cli_number(pages, "zero"), cli_number(pages, "poison"));
	summary_latency("demand:", cli_get(info, "ferry.demand-latency-us"),
			out);
	summary_vcpus(cli_get(info, "ferry.vcpus"), out);
}
