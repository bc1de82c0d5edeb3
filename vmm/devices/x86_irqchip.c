// SPDX-License-Identifier: MIT
/*
 * x86_irqchip.c - The two PICs and the IOAPIC, which KVM emulates
 *
 * Their structs are written member by member (api.rst gives the layouts). The
 * LAPICs belong to the vCPUs.
 */

#include "device.h"
#include "vmm/kvm/kvm.h"

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

/* The two PICs and the IOAPIC, by KVM's chip_id */
static const struct {
	const struct field *fields;
	size_t n;
} chips[] = {
	[KVM_IRQCHIP_PIC_MASTER] = { pic_fields, ARRAY_SIZE(pic_fields) },
	[KVM_IRQCHIP_PIC_SLAVE]	= { pic_fields, ARRAY_SIZE(pic_fields) },
	[KVM_IRQCHIP_IOAPIC]	= { ioapic_fields, ARRAY_SIZE(ioapic_fields) },
};

static int irqchip_create(struct device *d, struct error *err)
{
	return KVM_CALL(d->env->kvm->vm, KVM_CREATE_IRQCHIP, 0, err);
}

static int irqchip_save(struct device *d, struct writer *w, struct error *err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(chips); i++) {
		struct kvm_irqchip c = { .chip_id = i };
		int rc = KVM_CALL(d->env->kvm->vm, KVM_GET_IRQCHIP, &c, err);

		if (rc < 0)
			return rc;
		put_fields(w, chips[i].fields, chips[i].n, &c.chip);
	}
	return 0;
}

static int irqchip_load(struct device *d, struct reader *r, struct error *err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(chips); i++) {
		struct kvm_irqchip c = { .chip_id = i };
		int rc;

		get_fields(r, chips[i].fields, chips[i].n, &c.chip);
		if (r->failed)
			return 0;	/* bus_load() reports the length */
		rc = KVM_CALL(d->env->kvm->vm, KVM_SET_IRQCHIP, &c, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static const struct device_place irqchip_place[1];

const struct device_ops x86_irqchip_ops = {
	.name = "irqchip",
	.version = 1,
	.place = irqchip_place,
	.places = ARRAY_SIZE(irqchip_place),
	.create = irqchip_create,
	.save = irqchip_save,
	.load = irqchip_load,
};
