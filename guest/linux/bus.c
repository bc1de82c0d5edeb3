// SPDX-License-Identifier: MIT
/*
 * bus.c - A SIGBUS is caught where a page is touched
 *
 * The handler of a lost page can't return: the access would be made again. It
 * jumps back to the workload, which puts a fresh page there.
 */

#include <stdlib.h>

#include "linux.h"

__thread struct catch *catching;

static void handle(int sig, siginfo_t *info, void *uc)
{
	struct catch *c = catching;

	(void)uc;
	/* Found but not touched: there is nothing to jump away from */
	if (info->si_code == BUS_MCEERR_AO)
		return;
	if (!c) {
		signal(sig, SIG_DFL);
		raise(sig);
		return;
	}
	catching = NULL;
	c->info = *info;
	siglongjmp(c->back, 1);
}

void bus_init(void)
{
	/* It is left by a jump that doesn't restore the mask */
	struct sigaction sa = {
		.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	sigaction(SIGBUS, &sa, NULL);
}

void bus_report(const char *who, uint64_t n, const siginfo_t *info)
{
	say("bus work=%s n=%llu code=%d addr=%p lsb=%d t_us=%llu", who,
	    (unsigned long long)n, info->si_code, info->si_addr,
	    info->si_addr_lsb, (unsigned long long)now_us());
}
