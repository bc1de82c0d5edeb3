// SPDX-License-Identifier: MIT
/* description_check.c - Can this host run a guest that was described? */

#include <errno.h>
#include <stdlib.h>

#include "description.h"
#include "machine.h"

/* Leaves whose registers are sets of features, with the registers that are */
static const struct {
	uint32_t leaf, index;
	bool eax, ebx, ecx, edx;
} feature_leaves[] = {
	{ 0x1, 0, false, false, true, true },
	{ 0x7, 0, false, true, true, true },
	{ 0xd, 0, true, false, false, true },
	{ 0xd, 1, true, false, false, false },
	{ 0x40000001, 0, true, false, false, false },
	{ 0x80000001, 0, false, false, true, true },
	{ 0x80000007, 0, false, false, false, true },
	{ 0x80000008, 0, false, true, false, false },
};

static const struct kvm_cpuid_entry2 *leaf(const struct kvm_cpuid_table *t,
					   uint32_t function, uint32_t index)
{
	static const struct kvm_cpuid_entry2 none;

	for (uint32_t i = 0; i < t->nent; i++)
		if (t->entry[i].function == function &&
		    (t->entry[i].index == index ||
		     !(t->entry[i].flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
			return &t->entry[i];
	return &none;
}

static int check_features(const struct kvm_cpuid_table *want,
			  const struct kvm_cpuid_table *have,
			  struct error *err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(feature_leaves); i++) {
		uint32_t f = feature_leaves[i].leaf;
		const struct kvm_cpuid_entry2 *w, *h;
		uint32_t a, b, c, d;

		w = leaf(want, f, feature_leaves[i].index);
		h = leaf(have, f, feature_leaves[i].index);
		a = feature_leaves[i].eax ? w->eax & ~h->eax : 0;
		b = feature_leaves[i].ebx ? w->ebx & ~h->ebx : 0;
		c = feature_leaves[i].ecx ? w->ecx & ~h->ecx : 0;
		d = feature_leaves[i].edx ? w->edx & ~h->edx : 0;
		if (a | b | c | d)
			return error_set(err, ENOTSUP,
				"machine description: /cpus, property ferry,cpuid: this host lacks leaf 0x%x bits eax 0x%x ebx 0x%x ecx 0x%x edx 0x%x",
				f, a, b, c, d);
	}
	return 0;
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
	rc = machine_config_host(host, vendor_name(cfg->vendor), err);
	if (!rc)
		rc = check_features(&cfg->cpuid, &host->cpuid, err);
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
