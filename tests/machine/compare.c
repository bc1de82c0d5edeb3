// SPDX-License-Identifier: MIT
/* compare.c - Are two saved states of a machine the same? */

#include "compare.h"
#include "rig.h"
#include "vmm/devices/section.h"

/* x86_vcpu_state.c: what each part of a vCPU's state takes, in its order */
#define MP_BYTES	4
#define REGS_BYTES	(18 * 8)
#define SEGMENT_BYTES	23
#define SREGS_BYTES	(8 * SEGMENT_BYTES + 2 * 10 + 7 * 8 + 4 * 8)
#define PDPTRS_BYTES	(1 + 4 * 8)
#define DEBUG_BYTES	(7 * 8)
#define LAPIC_BYTES	1024
#define LAPIC_PPR	0xa0
#define LAPIC_TMCCT	0x390
#define TSC_BYTES	9
#define EVENTS_BYTES	37

/* x86_pit.c: a channel of the PIT */
#define PIT_CHANNELS	3
#define PIT_BEFORE_TIME	16

/* Two states side by side */
struct pair {
	struct reader a, b;
	const char *where;
	unsigned vcpu;
};

static void compare(struct pair *p, const char *what, size_t n)
{
	const uint8_t *a = get_bytes(&p->a, n), *b = get_bytes(&p->b, n);

	if (!a || !b)
		fail_msg("%s, vCPU %u, %s: the state ends early", p->where,
			 p->vcpu, what);
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			fail_msg("%s, vCPU %u, %s: byte 0x%zx is 0x%02x, was 0x%02x",
				 p->where, p->vcpu, what, i, b[i], a[i]);
}

static void skip_bytes(struct pair *p, size_t n)
{
	get_bytes(&p->a, n);
	get_bytes(&p->b, n);
}

static uint32_t compare_u32(struct pair *p, const char *what)
{
	uint32_t a = get_u32(&p->a), b = get_u32(&p->b);

	if (a != b)
		fail_msg("%s, vCPU %u, %s: %u, was %u", p->where, p->vcpu,
			 what, b, a);
	return a;
}

/* The TSC; how long a vCPU's thread has run (HV_X64_MSR_VP_RUNTIME) */
static bool runs_by_itself(uint32_t msr)
{
	return msr == 0x10 || msr == 0x40000010;
}

static void compare_msrs(struct pair *p)
{
	uint32_t n = compare_u32(p, "number of MSRs");

	while (n--) {
		uint32_t msr = compare_u32(p, "MSR number");
		uint64_t a = get_u64(&p->a), b = get_u64(&p->b);

		if (a != b && !runs_by_itself(msr))
			fail_msg("%s, vCPU %u, MSR 0x%x: 0x%llx, was 0x%llx",
				 p->where, p->vcpu, msr,
				 (unsigned long long)b,
				 (unsigned long long)a);
	}
}

static void compare_vcpu(struct pair *p)
{
	compare(p, "machine check that it owes", 1);
	compare(p, "MP_STATE", MP_BYTES);
	compare(p, "REGS", REGS_BYTES);
	compare(p, "SREGS", SREGS_BYTES);
	compare(p, "PDPTRS", PDPTRS_BYTES);
	compare(p, "XCRS", 12 * compare_u32(p, "number of XCRs"));
	compare(p, "XSAVE", compare_u32(p, "size of XSAVE"));
	compare(p, "DEBUGREGS", DEBUG_BYTES);
	/* PPR follows from TPR and ISR, and KVM works it out when it is needed:
	 * after KVM_SET_LAPIC it may still be as if ISR were empty
	 */
	compare(p, "LAPIC", LAPIC_PPR);
	skip_bytes(p, 4);
	compare(p, "LAPIC after PPR", LAPIC_TMCCT - LAPIC_PPR - 4);
	skip_bytes(p, 4);
	compare(p, "LAPIC after TMCCT", LAPIC_BYTES - LAPIC_TMCCT - 4);
	skip_bytes(p, TSC_BYTES);
	compare_msrs(p);
	compare(p, "VCPU_EVENTS", EVENTS_BYTES);
}

static void compare_pit(struct pair *p)
{
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
		compare(p, "PIT channel", PIT_BEFORE_TIME);
		skip_bytes(p, 8);
	}
	compare(p, "PIT flags", 4);
}

/* The header up to the length, then readers of the contents */
static struct pair open_section(struct pair *p, char *name)
{
	struct pair part = { .where = p->where, .vcpu = p->vcpu };

	if (p->a.len - p->a.pos >= SECTION_NAME_MAX)
		memcpy(name, p->a.data + p->a.pos, SECTION_NAME_MAX);
	compare(p, "section", SECTION_HEADER - 4);
	part.a = get_part(&p->a);
	part.b = get_part(&p->b);
	return part;
}

static void compare_device(struct pair *p)
{
	char name[SECTION_NAME_MAX + 1] = { 0 };
	struct pair part = open_section(p, name);

	if (!strcmp(name, "pit"))
		compare_pit(&part);
	else if (strcmp(name, "clock"))
		compare(&part, name, part.a.len);
	else
		skip_bytes(&part, part.a.len);
	assert_true(reader_done(&part.a) && reader_done(&part.b));
}

void compare_states(const struct writer *a, const struct writer *b,
			   const char *where)
{
	struct pair p = {
		.a = { .data = a->data, .len = a->len },
		.b = { .data = b->data, .len = b->len },
		.where = where,
	};
	char name[SECTION_NAME_MAX + 1] = { 0 };
	struct device_list devices;
	struct pair machine = open_section(&p, name);
	uint32_t cpus = compare_u32(&machine, "number of vCPUs");

	compare(&machine, "machine", 3);
	assert_true(reader_done(&machine.a) && reader_done(&machine.b));
	device_list_default(&devices);
	for (unsigned i = 0; i <= devices.n; i++)	/* and debug-exit */
		compare_device(&p);
	for (; p.vcpu < cpus; p.vcpu++) {
		struct pair part = open_section(&p, name);

		compare_vcpu(&part);
		assert_true(reader_done(&part.a) && reader_done(&part.b));
	}
	assert_true(reader_done(&p.a) && reader_done(&p.b));
}
