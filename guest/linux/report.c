// SPDX-License-Identifier: MIT
/* report.c - The lines "report" and "verdict" */

#include <stdio.h>

#include "clock.h"
#include "faults.h"
#include "options.h"
#include "report.h"
#include "say.h"
#include "time.h"
#include "verify.h"

/* What Linux counts as lost: HardwareCorrupted in /proc/meminfo */
static unsigned long long corrupted_kib(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "HardwareCorrupted: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

void report_print(void)
{
	struct verify_tally t = verify_tally();

	if (options_want(WORK_CLOCK))
		clock_report();
	say("report t_us=%llu pages=%llu iterations=%llu bad=%llu lost=%llu corrupted_kib=%llu",
	    (unsigned long long)now_us(), (unsigned long long)t.pages,
	    (unsigned long long)t.passes, (unsigned long long)faults_total(),
	    (unsigned long long)t.lost, corrupted_kib());
}

void report_verdict(void)
{
	uint64_t n = faults_total();

	say("verdict bad=%llu lost=%llu corrupted_kib=%llu clean=%d",
	    (unsigned long long)n, (unsigned long long)verify_tally().lost,
	    corrupted_kib(), !n);
}
