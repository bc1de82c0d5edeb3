// SPDX-License-Identifier: MIT
/*
 * kernel_devices.c - The devices that KVM emulates: irqchip, PIT, clock
 *
 * They have no ports here, only state, which is fetched and set whole. Their
 * structs are written member by member (api.rst gives the layouts).
 */

#include <errno.h>
#include <sys/ioctl.h>

#include "device.h"
#include "vmm/machine/machine_guest.h"
#include "vmm/machine/machine_private.h"

static const struct field pic_fields[] = {
	FIELD(struct kvm_pic_state, last_irr), FIELD(struct kvm_pic_state, irr),
	FIELD(struct kvm_pic_state, imr), FIELD(struct kvm_pic_state, isr),
	FIELD(struct kvm_pic_state, priority_add),
	FIELD(struct kvm_pic_state, irq_base),
	FIELD(struct kvm_pic_state, read_reg_select),
	FIELD(struct kvm_pic_state, poll),
	FIELD(struct kvm_pic_state, special_mask),
	FIELD(struct kvm_pic_state, init_state),
	FIELD(struct kvm_pic_state, auto_eoi),
	FIELD(struct kvm_pic_state, rotate_on_auto_eoi),
	FIELD(struct kvm_pic_state, special_fully_nested_mode),
	FIELD(struct kvm_pic_state, init4), FIELD(struct kvm_pic_state, elcr),
	FIELD(struct kvm_pic_state, elcr_mask),
};

static const struct field ioapic_fields[] = {
	FIELD(struct kvm_ioapic_state, base_address),
	FIELD(struct kvm_ioapic_state, ioregsel),
	FIELD(struct kvm_ioapic_state, id),
	FIELD(struct kvm_ioapic_state, irr),
	FIELD_ARRAY(struct kvm_ioapic_state, redirtbl),
};

/* The two PICs and the IOAPIC, in KVM's numbering */
static const struct {
	const struct field *fields;
	size_t n;
} chips[] = {
	[KVM_IRQCHIP_PIC_MASTER] = { pic_fields, ARRAY_SIZE(pic_fields) },
	[KVM_IRQCHIP_PIC_SLAVE]	= { pic_fields, ARRAY_SIZE(pic_fields) },
	[KVM_IRQCHIP_IOAPIC]	= { ioapic_fields, ARRAY_SIZE(ioapic_fields) },
};

static int irqchip_save(struct machine *m, void *dev, struct writer *w,
			struct error *err)
{
	(void)dev;
	for (unsigned i = 0; i < ARRAY_SIZE(chips); i++) {
		struct kvm_irqchip c = { .chip_id = i };
		int rc = KVM_CALL(m->kvm.vm, KVM_GET_IRQCHIP, &c, err);

		if (rc < 0)
			return rc;
		put_fields(w, chips[i].fields, chips[i].n, &c.chip);
	}
	return 0;
}

static int irqchip_load(struct machine *m, void *dev, struct reader *r,
			struct error *err)
{
	(void)dev;
	for (unsigned i = 0; i < ARRAY_SIZE(chips); i++) {
		struct kvm_irqchip c = { .chip_id = i };
		int rc;

		get_fields(r, chips[i].fields, chips[i].n, &c.chip);
		if (r->failed)
			return 0;	/* the caller reports the length */
		rc = KVM_CALL(m->kvm.vm, KVM_SET_IRQCHIP, &c, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

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

static int pit_save(struct machine *m, void *dev, struct writer *w,
		    struct error *err)
{
	struct kvm_pit_state2 s;
	int rc = KVM_CALL(m->kvm.vm, KVM_GET_PIT2, &s, err);

	(void)dev;
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < ARRAY_SIZE(s.channels); i++)
		put_fields(w, pit_channel_fields,
			   ARRAY_SIZE(pit_channel_fields), &s.channels[i]);
	put_u32(w, s.flags);
	return 0;
}

static int pit_load(struct machine *m, void *dev, struct reader *r,
		    struct error *err)
{
	struct kvm_pit_state2 s = { 0 };

	(void)dev;
	for (unsigned i = 0; i < ARRAY_SIZE(s.channels); i++)
		get_fields(r, pit_channel_fields,
			   ARRAY_SIZE(pit_channel_fields), &s.channels[i]);
	s.flags = get_u32(r);
	return r->failed ? 0 : KVM_CALL(m->kvm.vm, KVM_SET_PIT2, &s, err);
}

/*
 * kvmclock. Where KVM pairs the clock with the host's real time, the other
 * host adds what passed since: the guest's clock goes on as if it had not
 * moved. Without that it stands still while the guest does.
 */
static int clock_save(struct machine *m, void *dev, struct writer *w,
		      struct error *err)
{
	struct kvm_clock_data c = { 0 };
	int rc = KVM_CALL(m->kvm.vm, KVM_GET_CLOCK, &c, err);

	(void)dev;
	if (rc < 0)
		return rc;
	put_u64(w, c.clock);
	put_u64(w, c.flags & KVM_CLOCK_REALTIME ? c.realtime : 0);
	put_u64(w, c.flags & KVM_CLOCK_HOST_TSC ? c.host_tsc : 0);
	return 0;
}

/*
 * What is to be added to the offset of each vCPU's TSC, so that it goes on as
 * kvmclock does: the sum that the kernel's Documentation/virt/kvm/devices/vcpu.rst
 * gives for KVM_VCPU_TSC_OFFSET. Once for all of them
 */
static void find_tsc_shift(struct machine *m, uint64_t clock, uint64_t tsc)
{
	struct kvm_clock_data now = { 0 };
	__int128 passed;

	m->tsc_shifts = tsc && !ioctl(m->kvm.vm, KVM_GET_CLOCK, &now) &&
			(now.flags & KVM_CLOCK_HOST_TSC);
	passed = (__int128)(now.clock - clock) * m->cfg.arch.tsc_khz / 1000000;
	m->tsc_shift = tsc + (uint64_t)passed - now.host_tsc;
}

static int clock_load(struct machine *m, void *dev, struct reader *r,
		      struct error *err)
{
	struct kvm_clock_data c = { .clock = get_u64(r) };
	uint64_t tsc;
	int rc;

	(void)dev;
	c.realtime = get_u64(r);
	tsc = get_u64(r);
	if (r->failed)
		return 0;
	if (c.realtime && m->kvm.clock_realtime)
		c.flags = KVM_CLOCK_REALTIME;
	rc = KVM_CALL(m->kvm.vm, KVM_SET_CLOCK, &c, err);
	if (!rc)
		find_tsc_shift(m, c.clock, tsc);
	return rc;
}

const struct device_ops irqchip_ops = {
	.name = "irqchip", .save = irqchip_save, .load = irqchip_load,
};

const struct device_ops pit_ops = {
	.name = "pit", .save = pit_save, .load = pit_load,
};

const struct device_ops clock_ops = {
	.name = "clock", .save = clock_save, .load = clock_load,
	.lasting = true,
};
