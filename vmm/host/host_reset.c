// SPDX-License-Identifier: MIT
/*
 * host_reset.c - Reset of the guest
 *
 * A vCPU thread or a control client requests it, the main thread decides, and a
 * thread of the machine executes it (machine_reset_start()). With --no-reboot, or without a kernel to boot, the machine ends instead.
 */

#include <errno.h>

#include "host.h"
#include "host_reset.h"
#include "vmm/base/log.h"
#include "vmm/base/loop.h"
#include "vmm/control/control.h"
#include "vmm/machine/machine_images.h"
#include "vmm/machine/machine_reset.h"

static const char *cause_name(enum reset_cause cause)
{
	return cause == RESET_HOST ? "host-qmp-system-reset" : "guest-reset";
}

void host_was_reset(void *ctx, enum reset_cause cause)
{
	struct host *h = ctx;

	log_line("the guest was reset");
	control_event(h->control, "RESET", json_pack("{s:b, s:s}",
		      "guest", cause == RESET_GUEST,
		      "reason", cause_name(cause)));
}

static void end_machine(struct host *h, enum reset_cause cause)
{
	if (!machine_no_reboot(h->machine))
		log_line("the guest requested a reset, but this machine has no kernel to boot: the machine ends");
	machine_set_status(h->machine, (struct run_status){ RUN_SHUTDOWN,
							    WHY_SHUTDOWN });
	host_end(h, cause == RESET_GUEST, cause_name(cause), 0);
}

/* Called with h->lock. The observer's reset() repeats a reset that must wait */
static int reset_now(struct host *h, struct error *err)
{
	struct machine *m = h->machine;
	enum reset_cause cause = m ? machine_reset_asked(m) : RESET_NONE;

	if (!cause || machine_held(m))
		return 0;
	if (machine_no_reboot(m) || !machine_can_restart(m)) {
		end_machine(h, cause);
		return 0;
	}
	return machine_reset_start(m, err);
}

static void on_posted(void *arg)
{
	struct error err = { 0 };
	struct host *h = arg;
	int rc;

	pthread_mutex_lock(&h->lock);
	rc = reset_now(h, &err);
	if (rc)
		log_line("%s", err.text);
	pthread_mutex_unlock(&h->lock);
}

void host_reset_asked(void *ctx)
{
	struct host *h = ctx;

	if (loop_post(h->loop, on_posted, h))
		log_line("out of memory for a reset: the guest stays stopped");
}

int host_system_reset(struct host *h, struct error *err)
{
	struct run_status s = machine_status(h->machine);

	if (machine_held(h->machine) || s.state == RUN_FINISH_MIGRATE ||
	    s.state == RUN_POSTMIGRATE || s.state == RUN_SHUTDOWN)
		return error_set(err, EBUSY,
			"the guest can't be reset here now: it is being dumped, migrates, was handed over, or ended");
	/* The vCPUs stop at once. The call that this posts finds no request */
	machine_ask_reset(h->machine, RESET_HOST);
	return reset_now(h, err);
}
