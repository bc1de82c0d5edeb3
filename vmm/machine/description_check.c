// SPDX-License-Identifier: MIT
/* description_check.c - Can this host run a guest that was described? */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "description.h"
#include "machine.h"
#include "vmm/cpu/cpuid.h"

static int check_cpuid(const struct machine_config *cfg,
		       struct machine_config *host, struct error *err)
{
	struct kvm_cpuid_table want = cfg->cpuid;
	char text[ERROR_TEXT_MAX - 80];

	if (strcmp(cfg->host_id, host->host_id))
		return error_set(err, ENOTSUP,
			"the guest was started on a processor that says '%s', this host's says '%s': a guest stays with its vendor",
			cfg->host_id, host->host_id);
	cpuid_add_user(&host->cpuid);
	if (!cpuid_lacks(&want, &host->cpuid, text, sizeof(text)))
		return 0;
	return error_set(err, ENOTSUP, "this host lacks what the guest has: %s",
			 text);
}

int description_check_host(const struct machine_config *cfg,
			   struct error *err)
{
	struct machine_config *host = calloc(1, sizeof(*host));
	uint32_t diff;
	int rc;

	if (!host)
		return error_set(err, ENOMEM, "out of memory");
	host->cpus = cfg->cpus;
	host->memory = cfg->memory;
	rc = machine_config_host(host, "host", vendor_name(cfg->vendor), err);
	if (!rc)
		rc = check_cpuid(cfg, host, err);
	diff = host->tsc_khz > cfg->tsc_khz ? host->tsc_khz - cfg->tsc_khz
					    : cfg->tsc_khz - host->tsc_khz;
	/* KVM itself takes 250 ppm for the same frequency */
	if (!rc && diff > cfg->tsc_khz / 4000)
		rc = error_set(err, ENOTSUP,
			"machine description: /cpus, property ferry,tsc-khz: the guest's TSC runs at %u kHz, this host's at %u kHz",
			cfg->tsc_khz, host->tsc_khz);
	free(host);
	return rc;
}
