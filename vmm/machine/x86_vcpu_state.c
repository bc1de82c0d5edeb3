// SPDX-License-Identifier: MIT
/*
 * x86_vcpu_state.c - x86: save and load the complete state of a vCPU
 *
 * Each part is a group of KVM's with its own ioctl. Groups are loaded in the
 * order in which they are listed, and the order matters: SREGS set the APIC
 * base that the LAPIC needs, XCRs say what XSAVE may contain, the LAPIC's timer
 * mode decides whether the TSC deadline MSR keeps its value, and events come
 * last because loading the other groups can change them.
 *
 * Time: a guest's TSC continues as kvmclock does. Where KVM can set the offset
 * (KVM_VCPU_TSC_OFFSET), the TSC reads as if it had run during the migration
 * (x86_clock.c). Where KVM cannot, or scales the TSC on either host, the TSC MSR
 * is restored: it stands still during the migration and never steps back.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arch.h"
#include "vcpu.h"
#include "vmm/cpu/x86_mce.h"
#include "vmm/cpu/x86_regs.h"
#include "vmm/devices/x86_clock.h"

#define MSRS_MAX	4096	/* in a saved state */
#define TSC_BYTES	9	/* what save_tsc() appends */

#define R(m) FIELD(struct kvm_regs, m)
static const struct field regs_fields[] = {
	R(rax), R(rbx), R(rcx), R(rdx), R(rsi), R(rdi), R(rsp), R(rbp),
	R(r8), R(r9), R(r10), R(r11), R(r12), R(r13), R(r14), R(r15),
	R(rip), R(rflags),
};
#undef R

#define S(m) FIELD(struct kvm_sregs, m)
#define SEG(x) \
	S(x.base), S(x.limit), S(x.selector), S(x.type), S(x.present), \
	S(x.dpl), S(x.db), S(x.s), S(x.l), S(x.g), S(x.avl), S(x.unusable)
static const struct field sregs_fields[] = {
	SEG(cs), SEG(ds), SEG(es), SEG(fs), SEG(gs), SEG(ss), SEG(tr),
	SEG(ldt), S(gdt.base), S(gdt.limit), S(idt.base), S(idt.limit),
	S(cr0), S(cr2), S(cr3), S(cr4), S(cr8), S(efer), S(apic_base),
	FIELD_ARRAY(struct kvm_sregs, interrupt_bitmap),
};
#undef SEG
#undef S

static const struct field debug_fields[] = {
	FIELD_ARRAY(struct kvm_debugregs, db),
	FIELD(struct kvm_debugregs, dr6), FIELD(struct kvm_debugregs, dr7),
	FIELD(struct kvm_debugregs, flags),
};

#define R(m) FIELD(struct kvm_vcpu_events, m)
static const struct field events_fields[] = {
	R(exception.injected), R(exception.nr), R(exception.has_error_code),
	R(exception.pending), R(exception.error_code),
	R(interrupt.injected), R(interrupt.nr), R(interrupt.soft),
	R(interrupt.shadow), R(nmi.injected), R(nmi.pending), R(nmi.masked),
	R(sipi_vector), R(flags), R(smi.smm), R(smi.pending),
	R(smi.smm_inside_nmi), R(smi.latched_init),
	R(exception_has_payload), R(exception_payload),
	R(triple_fault.pending),
};
#undef R

static const struct field mp_fields[] = {
	FIELD(struct kvm_mp_state, mp_state),
};

static const struct field lapic_fields[] = {
	FIELD_ARRAY(struct kvm_lapic_state, regs),
};

/* Groups that are a struct with one ioctl each way */
struct group {
	const char *get_name, *set_name;
	unsigned long get, set;
	const struct field *fields;
	size_t n;
};

#define GROUP(what, f) { \
	.get_name = "KVM_GET_" #what, .set_name = "KVM_SET_" #what, \
	.get = KVM_GET_##what, .set = KVM_SET_##what, \
	.fields = f, .n = ARRAY_SIZE(f) }

static const struct group first_groups[] = {
	GROUP(MP_STATE, mp_fields), GROUP(REGS, regs_fields),
	GROUP(SREGS, sregs_fields),
};

static const struct group middle_groups[] = {
	GROUP(DEBUGREGS, debug_fields), GROUP(LAPIC, lapic_fields),
};

static const struct group last_groups[] = {
	GROUP(VCPU_EVENTS, events_fields),
};

/* Room for the largest group */
union group_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debug;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	struct kvm_lapic_state lapic;
};

static int save_groups(struct vcpu *v, const struct group *g, size_t n,
		       struct writer *w, struct error *err)
{
	for (; n--; g++) {
		union group_state s;
		int rc;

		memset(&s, 0, sizeof(s));
		rc = kvm_call(v->fd, g->get, g->get_name, &s, err);
		if (rc < 0)
			return rc;
		put_fields(w, g->fields, g->n, &s);
	}
	return 0;
}

static int load_groups(struct vcpu *v, const struct group *g, size_t n,
		       struct reader *r, struct error *err)
{
	for (; n--; g++) {
		union group_state s;
		int rc;

		memset(&s, 0, sizeof(s));
		get_fields(r, g->fields, g->n, &s);
		if (r->failed)
			return -EBADMSG;
		rc = kvm_call(v->fd, g->set, g->set_name, &s, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

#define PDPTRS	4

/*
 * The four page-directory pointers of 32-bit PAE paging: the processor reads
 * them from memory when CR3 is loaded, and the guest may have changed that
 * memory since. KVM_SET_SREGS reads them from memory
 */
static int save_pdptrs(struct vcpu *v, struct writer *w, struct error *err)
{
	struct kvm_sregs2 s = { 0 };
	int rc = 0;

	if (v->m->kvm.sregs2)
		rc = KVM_CALL(v->fd, KVM_GET_SREGS2, &s, err);
	put_u8(w, s.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID);
	for (unsigned i = 0; i < PDPTRS; i++)
		put_u64(w, s.pdptrs[i]);
	return rc;
}

/* After the special registers */
static int load_pdptrs(struct vcpu *v, struct reader *r, struct error *err)
{
	const uint8_t valid = get_u8(r);
	uint64_t pdptr[PDPTRS];
	struct kvm_sregs2 s;
	int rc;

	for (unsigned i = 0; i < PDPTRS; i++)
		pdptr[i] = get_u64(r);
	if (r->failed || valid > 1)
		return -EBADMSG;
	if (!valid)
		return 0;
	if (!v->m->kvm.sregs2)
		return error_set(err, ENOTSUP,
			"this host's KVM cannot set PDPTRs (KVM_CAP_SREGS2)");
	rc = KVM_CALL(v->fd, KVM_GET_SREGS2, &s, err);
	if (rc)
		return rc;
	s.flags |= KVM_SREGS2_FLAGS_PDPTRS_VALID;
	memcpy(s.pdptrs, pdptr, sizeof(pdptr));
	return KVM_CALL(v->fd, KVM_SET_SREGS2, &s, err);
}

/* Last of all groups */
static int load_events(struct vcpu *v, struct reader *r, struct error *err)
{
	struct kvm_vcpu_events e = { 0 };

	get_fields(r, events_fields, ARRAY_SIZE(events_fields), &e);
	if (r->failed)
		return -EBADMSG;
	if (!v->m->kvm.triple_fault && e.triple_fault.pending)
		return error_set(err, ENOTSUP,
			"this host's KVM cannot take a pending triple fault (KVM_CAP_X86_TRIPLE_FAULT_EVENT)");
	if (!v->m->kvm.triple_fault)
		e.flags &= ~(uint32_t)KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	return KVM_CALL(v->fd, KVM_SET_VCPU_EVENTS, &e, err);
}

#define XCR_MAX	16

static int save_xcrs(struct vcpu *v, struct writer *w, struct error *err)
{
	struct kvm_xcrs x = { 0 };
	int rc = KVM_CALL(v->fd, KVM_GET_XCRS, &x, err);

	put_u32(w, x.nr_xcrs);
	for (uint32_t i = 0; i < x.nr_xcrs && i < XCR_MAX; i++) {
		put_u32(w, x.xcrs[i].xcr);
		put_u64(w, x.xcrs[i].value);
	}
	return rc;
}

static int load_xcrs(struct vcpu *v, struct reader *r, struct error *err)
{
	struct kvm_xcrs x = { .nr_xcrs = get_u32(r) };

	if (x.nr_xcrs > XCR_MAX)
		return error_set(err, EBADMSG, "%u XCRs", x.nr_xcrs);
	for (uint32_t i = 0; i < x.nr_xcrs; i++) {
		x.xcrs[i].xcr = get_u32(r);
		x.xcrs[i].value = get_u64(r);
	}
	return r->failed ? -EBADMSG : KVM_CALL(v->fd, KVM_SET_XCRS, &x, err);
}

/* The XSAVE area's layout is the processor's (SDM vol. 1, ch. 13) */
static int save_xsave(struct vcpu *v, struct writer *w, struct error *err)
{
	size_t size = v->m->kvm.xsave_size;
	void *area = calloc(1, size);
	int rc;

	if (!area)
		return error_set(err, ENOMEM, "out of memory for XSAVE");
	rc = size > sizeof(struct kvm_xsave)
		? KVM_CALL(v->fd, KVM_GET_XSAVE2, area, err)
		: KVM_CALL(v->fd, KVM_GET_XSAVE, area, err);
	put_u32(w, (uint32_t)size);
	put_bytes(w, area, size);
	free(area);
	return rc;
}

static int load_xsave(struct vcpu *v, struct reader *r, struct error *err)
{
	struct reader part = get_part(r);
	size_t size = v->m->kvm.xsave_size;
	uint8_t *area;
	int rc;

	if (part.failed)
		return -EBADMSG;
	for (size_t i = size; i < part.len; i++)
		if (part.data[i])
			return error_set(err, ENOTSUP,
				"the guest uses %zu bytes of XSAVE state, this host has %zu",
				part.len, size);
	area = calloc(1, size);
	if (!area)
		return error_set(err, ENOMEM, "out of memory for XSAVE");
	memcpy(area, part.data, part.len < size ? part.len : size);
	rc = KVM_CALL(v->fd, KVM_SET_XSAVE, area, err);
	free(area);
	return rc;
}

/* KVM_GET_MSRS and KVM_SET_MSRS fail with E2BIG from 256 on (MAX_IO_MSRS) */
#define MSRS_PORTION	128

enum msrs_call { MSRS_GET, MSRS_SET };

/* Return: how many of at most MSRS_PORTION were got or set, -errno */
static int call_msrs(struct vcpu *v, enum msrs_call call,
		     struct kvm_msr_entry *e, unsigned n, struct error *err)
{
	_Alignas(struct kvm_msrs)
	uint8_t raw[sizeof(struct kvm_msrs) + MSRS_PORTION * sizeof(*e)];
	struct kvm_msrs *q = (struct kvm_msrs *)raw;
	int rc;

	n = n < MSRS_PORTION ? n : MSRS_PORTION;
	*q = (struct kvm_msrs){ .nmsrs = n };
	memcpy(q->entries, e, n * sizeof(*e));
	rc = call == MSRS_GET ? KVM_CALL(v->fd, KVM_GET_MSRS, q, err)
			      : KVM_CALL(v->fd, KVM_SET_MSRS, q, err);
	if (call == MSRS_GET)
		memcpy(e, q->entries, n * sizeof(*e));
	return rc;
}

static struct kvm_msr_entry *new_msrs(unsigned n)
{
	return calloc(n + 1, sizeof(struct kvm_msr_entry));
}

/*
 * Not state: MCG_CAP is set by KVM_X86_SETUP_MCE. Hyper-V's reference time is
 * kvmclock in other units (Linux, arch/x86/kvm/hyperv.c,
 * get_time_ref_counter()), and kvmclock is saved; KVM lists the MSR, but
 * ignores a write to it.
 */
static bool is_state(uint32_t msr)
{
	return msr != MSR_MCG_CAP && msr != MSR_HV_TIME;
}

/* KVM_GET_MSRS stops at an MSR that it can't read: drop those from the list */
void x86_msr_probe(struct vcpu *v)
{
	struct arch_machine *a = &v->m->arch;
	uint64_t value;
	unsigned n = 0;

	for (unsigned i = 0; i < a->msrs; i++)
		if (is_state(a->msr[i]) &&
		    !kvm_get_msr(v->fd, a->msr[i], &value))
			a->msr[n++] = a->msr[i];
	a->msrs = n;
}

int arch_machine_init(struct machine *m, struct error *err)
{
	/* Without LMCE, so that Intel's format means broadcast everywhere */
	m->kvm.mce_cap = (m->kvm.mce_cap & (MCG_CTL_P | MCG_SER_P)) |
			 MCE_BANKS;
	return kvm_msr_list(&m->kvm, &m->arch.msr, &m->arch.msrs, err);
}

void arch_devices_loaded(struct machine *m)
{
	struct device *clock = bus_find(&m->bus, &x86_clock_ops, 0);
	struct arch_machine *a = &m->arch;

	a->tsc_shifts = x86_clock_tsc_shift(clock, m->cfg.arch.tsc_khz,
					    &a->tsc_shift);
}

void arch_clock_stop(struct machine *m)
{
	x86_clock_stop(bus_find(&m->bus, &x86_clock_ops, 0));
}

void arch_clock_start(struct machine *m)
{
	x86_clock_start(bus_find(&m->bus, &x86_clock_ops, 0));
}

void arch_machine_fini(struct machine *m)
{
	free(m->arch.msr);
}

static unsigned banks(const struct machine *m)
{
	return m->kvm.mce_cap & MCG_CAP_BANKS;
}

static unsigned add_banks(const struct machine *m, struct kvm_msr_entry *e,
			  unsigned n)
{
	for (unsigned i = 0; i < MCE_BANK_MSRS * banks(m); i++)
		e[n++].index = MSR_MC_CTL(0) + i;
	return n;
}

static int get_msrs(struct vcpu *v, struct kvm_msr_entry *e, unsigned n,
		    struct error *err)
{
	for (unsigned done = 0; done < n;) {
		const unsigned left = n - done;
		int rc = call_msrs(v, MSRS_GET, e + done, left, err);

		if (rc < 0)
			return rc;
		done += (unsigned)rc;
		if ((unsigned)rc < left && rc < MSRS_PORTION)
			return error_set(err, EIO, "MSR 0x%x can't be read",
					 e[done].index);
	}
	return 0;
}

static int save_msrs(struct vcpu *v, struct writer *w, struct error *err)
{
	struct machine *m = v->m;
	unsigned n = m->arch.msrs;
	struct kvm_msr_entry *e = new_msrs(n + MCE_BANK_MSRS * banks(m));
	int rc;

	if (!e)
		return error_set(err, ENOMEM, "out of memory for MSRs");
	for (unsigned i = 0; i < n; i++)
		e[i].index = m->arch.msr[i];
	n = add_banks(m, e, n);
	rc = get_msrs(v, e, n, err);
	put_u32(w, n);
	for (unsigned i = 0; i < n; i++) {
		put_u32(w, e[i].index);
		put_u64(w, e[i].data);
	}
	free(e);
	return rc;
}

/*
 * A KVM of another version has other MSRs. An MSR that KVM refuses and whose
 * value is zero belongs to a feature that the guest never enabled: skip it. KVM
 * stops at the first MSR that it refuses.
 */
static int set_msrs(struct vcpu *v, struct kvm_msr_entry *e, unsigned n,
		    struct error *err)
{
	for (unsigned done = 0; done < n;) {
		const unsigned left = n - done;
		int rc = call_msrs(v, MSRS_SET, e + done, left, err);

		if (rc < 0)
			return rc;
		done += (unsigned)rc;
		if ((unsigned)rc == left || rc == MSRS_PORTION)
			continue;
		if (e[done].data)
			return error_set(err, ENOTSUP,
				"this host's KVM refuses MSR 0x%x = 0x%llx",
				e[done].index,
				(unsigned long long)e[done].data);
		done++;
	}
	return 0;
}

static int load_msrs(struct vcpu *v, struct reader *r, bool has_tsc,
		     struct error *err)
{
	uint32_t n = get_u32(r), used = 0;
	struct kvm_msr_entry *e;
	int rc = -EBADMSG;

	if (n > MSRS_MAX)
		return error_set(err, EBADMSG, "%u MSRs", n);
	e = new_msrs(n);
	if (!e)
		return error_set(err, ENOMEM, "out of memory for MSRs");
	for (uint32_t i = 0; i < n; i++) {
		e[used].index = get_u32(r);
		e[used].data = get_u64(r);
		used += !(has_tsc && e[used].index == MSR_TSC);
	}
	if (!r->failed)
		rc = set_msrs(v, e, used, err);
	free(e);
	return rc;
}

static int tsc_offset(struct vcpu *v, unsigned long request, uint64_t *value)
{
	struct kvm_device_attr a = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)value,
	};

	return ioctl(v->fd, request, &a) ? -errno : 0;
}

static void save_tsc(struct vcpu *v, struct writer *w)
{
	uint64_t offset = 0;
	bool has = !v->m->arch.tsc_scaled &&
		   !tsc_offset(v, KVM_GET_DEVICE_ATTR, &offset);

	put_u8(w, has);
	put_u64(w, offset);
}

/*
 * All vCPUs' offsets move by the same amount: kvmclock has one base for the
 * whole guest only if their TSCs agree to the cycle. Before the MSRs, since
 * the TSC arms the deadline timer. Return: is the offset set?
 */
static bool load_tsc(struct vcpu *v, struct reader *r)
{
	bool has = get_u8(r);
	uint64_t offset = get_u64(r) + v->m->arch.tsc_shift;

	return has && !r->failed && v->m->arch.tsc_shifts &&
	       !v->m->arch.tsc_scaled &&
	       !tsc_offset(v, KVM_SET_DEVICE_ATTR, &offset);
}

int arch_vcpu_save(struct vcpu *v, struct writer *w, struct error *err)
{
	int rc;

	rc = save_groups(v, first_groups, ARRAY_SIZE(first_groups), w, err);
	if (!rc)
		rc = save_pdptrs(v, w, err);
	if (!rc)
		rc = save_xcrs(v, w, err);
	if (!rc)
		rc = save_xsave(v, w, err);
	if (!rc)
		rc = save_groups(v, middle_groups,
				 ARRAY_SIZE(middle_groups), w, err);
	if (!rc)
		save_tsc(v, w);
	if (!rc)
		rc = save_msrs(v, w, err);
	if (!rc)
		rc = save_groups(v, last_groups, ARRAY_SIZE(last_groups), w,
				 err);
	if (rc < 0)
		error_prefix(err, "vCPU %u", v->index);
	return rc;
}

/* What load_state() does with the TSC */
enum tsc_mode {
	TSC_LOAD,
	TSC_KEEP,		/* for a reset: it continues */
};

static int load_state(struct vcpu *v, struct reader *r, enum tsc_mode tsc,
		      struct error *err)
{
	bool has_tsc = false;
	int rc;

	rc = load_groups(v, first_groups, ARRAY_SIZE(first_groups), r, err);
	if (!rc)
		rc = load_pdptrs(v, r, err);
	if (!rc)
		rc = load_xcrs(v, r, err);
	if (!rc)
		rc = load_xsave(v, r, err);
	if (!rc)
		rc = load_groups(v, middle_groups,
				 ARRAY_SIZE(middle_groups), r, err);
	if (!rc && tsc == TSC_KEEP)
		has_tsc = get_bytes(r, TSC_BYTES);
	else if (!rc)
		has_tsc = load_tsc(v, r);
	if (!rc)
		rc = load_msrs(v, r, has_tsc, err);
	if (!rc)
		rc = load_events(v, r, err);
	if (rc < 0) {
		error_set(err, EBADMSG, "state is shorter than it should be");
		error_prefix(err, "vCPU %u", v->index);
	}
	return rc;
}

int arch_vcpu_load(struct vcpu *v, struct reader *r, struct error *err)
{
	return load_state(v, r, TSC_LOAD, err);
}

int arch_vcpu_reset(struct vcpu *v, struct reader *r, struct error *err)
{
	struct kvm_mp_state now;
	int rc;

	v->asked = 0;
	v->retries = 0;
	v->sigbus.seen = false;
	rc = x86_apf_take(v, err);
	/* KVM_GET_MP_STATE has KVM take an INIT or SIPI that is pending; its
	 * effect is then overwritten. KVM_SET_VCPU_EVENTS alone drops an INIT
	 * only where KVM has SMM
	 */
	if (rc >= 0)
		rc = KVM_CALL(v->fd, KVM_GET_MP_STATE, &now, err);
	if (rc >= 0)
		rc = load_state(v, r, TSC_KEEP, err);
	return rc < 0 ? rc : x86_apf_wake(v, err);
}
