// SPDX-License-Identifier: MIT
/*
 * x86_pit.c - The interval timer (8254), which KVM emulates
 *
 * Its struct is written member by member (api.rst gives the layout).
 */

#include "device.h"
#include "vmm/kvm/kvm.h"

static const struct field pit_channel_fields[] = {
	FIELD(struct kvm_pit_channel_state, count),
	FIELD(struct kvm_pit_channel_state, latched_count),
	FIELD(struct kvm_pit_channel_state, count_latched),
	FIELD(struct kvm_pit_channel_state, status_latched),
	FIELD(struct kvm_pit_channel_state, status),
	FIELD(struct kvm_pit_channel_state, read_state),
	FIELD(struct kvm_pit_channel_state, write_state),
	FIELD(struct kvm_pit_channel_state, write_latch),
	FIELD(struct kvm_pit_channel_state, rw_mode),
	FIELD(struct kvm_pit_channel_state, mode),
	FIELD(struct kvm_pit_channel_state, bcd),
	FIELD(struct kvm_pit_channel_state, gate),
	FIELD(struct kvm_pit_channel_state, count_load_time),
};

static int pit_create(struct device *d, struct error *err)
{
	struct kvm_pit_config config = { .flags = 0 };

	return KVM_CALL(d->env->kvm->vm, KVM_CREATE_PIT2, &config, err);
}

static int pit_save(struct device *d, struct writer *w, struct error *err)
{
	struct kvm_pit_state2 s;
	int rc = KVM_CALL(d->env->kvm->vm, KVM_GET_PIT2, &s, err);

	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < ARRAY_SIZE(s.channels); i++)
		put_fields(w, pit_channel_fields,
			   ARRAY_SIZE(pit_channel_fields), &s.channels[i]);
	put_u32(w, s.flags);
	return 0;
}

static int pit_load(struct device *d, struct reader *r, struct error *err)
{
	struct kvm_pit_state2 s = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(s.channels); i++)
		get_fields(r, pit_channel_fields,
			   ARRAY_SIZE(pit_channel_fields), &s.channels[i]);
	s.flags = get_u32(r);
	/* bus_load() reports a wrong length */
	return r->failed ? 0
			 : KVM_CALL(d->env->kvm->vm, KVM_SET_PIT2, &s, err);
}

static const struct device_place pit_place[1];

const struct device_ops x86_pit_ops = {
	.name = "pit",
	.version = 1,
	.place = pit_place,
	.places = ARRAY_SIZE(pit_place),
	.create = pit_create,
	.save = pit_save,
	.load = pit_load,
};
