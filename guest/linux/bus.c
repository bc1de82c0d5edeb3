// SPDX-License-Identifier: MIT
/*
 * bus.c - Recovery from the SIGBUS that an access to a lost page raises
 *
 * The handler can't return, since the access would be repeated. It jumps back
 * to the workload, which maps a fresh page there.
 */

#include <stdlib.h>

#include "bus.h"
#include "say.h"
#include "time.h"

__thread struct bus_catch *bus_catching;

static void sigbus_handle(int sig, siginfo_t *info, void *uc)
{
	struct bus_catch *c = bus_catching;

	(void)uc;
	/* Action optional: no access of this thread was interrupted */
	if (info->si_code == BUS_MCEERR_AO)
		return;
	if (!c) {
		signal(sig, SIG_DFL);
		raise(sig);
		return;
	}
	bus_catching = NULL;
	c->info = *info;
	siglongjmp(c->back, 1);
}

void bus_init(void)
{
	/* SA_NODEFER: siglongjmp() does not restore the signal mask */
	struct sigaction sa = {
		.sa_sigaction = sigbus_handle,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	sigaction(SIGBUS, &sa, NULL);
}

void bus_report(const char *workload, uint64_t n, const siginfo_t *info)
{
	say("bus work=%s n=%llu code=%d addr=%p lsb=%d t_us=%llu", workload,
	    (unsigned long long)n, info->si_code, info->si_addr,
	    info->si_addr_lsb, (unsigned long long)now_us());
}
