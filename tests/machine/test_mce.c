// SPDX-License-Identifier: MIT
/*
 * test_mce.c - What a guest sees of lost memory, in the format of its vendor
 *
 * Poison is made as "ferry poison --method simulate" makes it. guest.elf says
 * which registers its machine-check handler found, and goes on working;
 * ring0.elf meets poison in ring 0, where KVM may be emulating.
 */

#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rig.h"
#include "vmm/base/units.h"
#include "vmm/boot/boot.h"
#include "vmm/devices/layout.h"
#include "vmm/devices/section.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/inject.h"
#include "vmm/machine/machine_reset.h"
#include "vmm/machine/vcpu.h"
#include "vmm/machine/vcpu_poison.h"
#include "vmm/memory/sigbus.h"

#define INTEL_REQUIRED	0xbd80000000000134
#define INTEL_OPTIONAL	0xbd000000000000c0
#define INTEL_BROADCAST	0xa000000000000000
#define AMD_REQUIRED	0xbc00080000000000
#define AMD_OPTIONAL	0x9c00180000000000

/* ring0.S */
#define LOST	0x400000
#define RESULT	0x600000
#define BEFORE		0x600100
#define AFTER		0x600200

#define LATE_READS	5

/* What KVM_X86_SET_MCE fails with, or 0 */
static _Atomic int set_mce_errno;

/* How often MCG_STATUS of this vCPU still reads as in a machine check */
static int late_fd = -1;
static _Atomic int late_reads;

/* How often KVM is still delivering an interrupt to this vCPU */
static int interrupted_fd = -1;
static _Atomic int interrupted_reads;

/* How often a machine check came before this vCPU's last exit was completed */
static struct vcpu *watched;
static _Atomic int early;

static bool is_interrupted(int fd, unsigned long request)
{
	return request == KVM_GET_VCPU_EVENTS && fd == interrupted_fd &&
	       interrupted_reads > 0;
}

static bool is_late(int fd, unsigned long request, const struct kvm_msrs *q)
{
	return request == KVM_GET_MSRS && fd == late_fd && late_reads > 0 &&
	       q->entries[0].index == MSR_MCG_STATUS;
}

/* Comes before the C library's */
int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int rc;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == KVM_X86_SET_MCE && set_mce_errno) {
		errno = set_mce_errno;
		return -1;
	}
	if (request == KVM_X86_SET_MCE && watched && watched->io_pending)
		early++;
	rc = (int)syscall(SYS_ioctl, fd, request, arg);
	if (is_late(fd, request, arg)) {
		struct kvm_msrs *q = arg;

		late_reads--;
		q->entries[0].data |= MCG_STATUS_MCIP;
	}
	if (is_interrupted(fd, request)) {
		struct kvm_vcpu_events *e = arg;

		interrupted_reads--;
		e->interrupt.injected = 1;
	}
	return rc;
}

static void set_msr(struct rig *r, uint32_t index, uint64_t value)
{
	struct {			/* struct kvm_msrs with one entry */
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entry;
	} q = { .nmsrs = 1, .entry = { .index = index, .data = value } };

	assert_int_equal(ioctl(r->m->vcpu[0].fd, KVM_SET_MSRS, &q), 1);
}

/* cmocka puts handlers of its own around each test: so in each test */
static void take_sigbus(void)
{
	struct error err = { 0 };

	if (sigbus_install(&err) < 0)
		fail_msg("%s", err.text);
}

static void poison(struct rig *r, uint64_t gpa)
{
	enum inject_method method = INJECT_SIMULATE;
	struct error err = { 0 };

	if (inject_poison(r->m, gpa, &method, &err))
		fail_msg("%s", err.text);
}

/* So that it's in the list before a vCPU can be the first to find it */
static void poison_paused(struct rig *r, uint64_t gpa)
{
	struct error err = { 0 };

	if (machine_pause(r->m, RUN_PAUSED, WHY_USER, &err))
		fail_msg("%s", err.text);
	poison(r, gpa);
	if (machine_run(r->m, WHY_UNPAUSED, &err))
		fail_msg("%s", err.text);
}

static void expect(struct rig *r, uint64_t gpa)
{
	char text[64];

	snprintf(text, sizeof(text), "expect 0x%llx 1",
		 (unsigned long long)gpa);
	rig_type(r, text);
}

static void check_noted(struct rig *r, unsigned n, uint64_t gpa)
{
	struct memory_failure f = rig_failure(r, n);

	assert_int_equal(f.action, MF_NOTED);
	assert_true(f.gpa == gpa && f.size == GUEST_PAGE_SIZE);
	assert_false(f.required || f.recursive);
}

static void check_injected(struct rig *r, unsigned n, uint64_t gpa)
{
	struct memory_failure f = rig_failure(r, n);
	struct poison p;

	assert_int_equal(f.action, MF_INJECTED);
	assert_true(f.gpa == gpa && f.size == GUEST_PAGE_SIZE);
	assert_true(f.required && !f.recursive);
	assert_true(poison_find(&r->m->poison, gpa, &p) && p.delivered);
}

static struct rig *start(const char *vendor, unsigned cpus,
			 enum ram_backing backing)
{
	struct rig *r = rig_new(32, cpus, backing, vendor,
				"work=verify mib=8 interval_ms=200 seed=5");

	take_sigbus();
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	return r;
}

static struct rig *ring0(const char *vendor, enum ram_backing backing,
			 const char *mode)
{
	struct rig *r = rig_new(16, 1, backing, vendor, mode);
	struct error err = { 0 };

	take_sigbus();
	rig_build(r);
	if (boot_load(r->m, rig_ring0(), NULL, &err))
		fail_msg("%s", err.text);
	return r;
}

static void check_line(struct rig *r, size_t at, unsigned bank,
		       uint64_t status, uint64_t mcg, const char *kind)
{
	char want[64];
	char *end;

	assert_int_equal(rig_number(r, at, "bank"), bank);
	if (rig_number(r, at, "status") != status)
		fail_msg("MCi_STATUS is 0x%llx, not 0x%llx",
			 (unsigned long long)rig_number(r, at, "status"),
			 (unsigned long long)status);
	assert_int_equal(rig_number(r, at, "mcgstatus"), mcg);
	snprintf(want, sizeof(want), " kind=%s ", kind);
	pthread_mutex_lock(&r->lock);
	end = strchr(r->out + at, '\n');
	*end = 0;
	assert_non_null(strstr(r->out + at, want));
	*end = '\n';
	pthread_mutex_unlock(&r->lock);
}

static void check_verdict(struct rig *r, unsigned expected)
{
	size_t at = r->len;

	rig_type(r, "verdict");
	at = rig_wait(r, at, "verdict expected=");
	assert_int_equal(rig_number(r, at, "expected"), expected);
	assert_int_equal(rig_number(r, at, "seen"), expected);
	assert_int_equal(rig_number(r, at, "readable"), 0);
	assert_int_equal(rig_number(r, at, "unexpected"), 0);
	assert_int_equal(rig_number(r, at, "bad"), 0);
	assert_int_equal(rig_number(r, at, "clean"), 1);
	rig_type(r, "exit");
	assert_int_equal(rig_exit(r), 0);
}

static void consumed(const char *vendor, enum ram_backing backing,
		     uint64_t status)
{
	static const uint64_t gpa[] = { 0x500000, 0x503000, 0xbff000 };
	struct rig *r = start(vendor, 1, backing);

	for (unsigned i = 0; i < ARRAY_SIZE(gpa); i++) {
		size_t at = r->len;

		poison_paused(r, gpa[i]);
		expect(r, gpa[i]);
		at = rig_wait(r, at, "mce vcpu=");
		check_line(r, at, 9, status, 7, "ar");
		assert_true((rig_number(r, at, "addr") & ~0xfffull) ==
			    gpa[i]);
		assert_int_equal(rig_number(r, at, "misc"), 0x8c);
		rig_wait(r, at, "retired addr=");
		check_noted(r, 2 * i, gpa[i]);
		check_injected(r, 2 * i + 1, gpa[i]);
	}
	check_verdict(r, ARRAY_SIZE(gpa));
	assert_int_equal(r->failures, 2 * ARRAY_SIZE(gpa));
	rig_free(r);
}

static void intel_consumes(void **state)
{
	(void)state;
	consumed("intel", RAM_ANON, INTEL_REQUIRED);
	consumed("intel", RAM_MEMFD, INTEL_REQUIRED);
}

static void amd_consumes(void **state)
{
	(void)state;
	consumed("amd", RAM_ANON, AMD_REQUIRED);
	consumed("amd", RAM_MEMFD, AMD_REQUIRED);
}

static void intel_tells_the_other_vcpu(void **state)
{
	struct rig *r = start("intel", 2, RAM_ANON);
	size_t at;
	uint64_t hit;

	(void)state;
	poison(r, 0x500000);
	expect(r, 0x500000);
	at = rig_wait(r, 0, " bank=9 ");
	while (at && r->out[at - 1] != '\n')
		at--;
	hit = rig_number(r, at, "vcpu");
	check_line(r, at, 9, INTEL_REQUIRED, 7, "ar");
	at = rig_wait(r, 0, " bank=1 ");
	while (at && r->out[at - 1] != '\n')
		at--;
	assert_int_equal(rig_number(r, at, "vcpu"), !hit);
	check_line(r, at, 1, INTEL_BROADCAST, 5, "broadcast");
	check_verdict(r, 1);
	rig_free(r);
}

static void amd_tells_nobody_else(void **state)
{
	struct rig *r = start("amd", 2, RAM_ANON);
	size_t at;

	(void)state;
	poison(r, 0x500000);
	expect(r, 0x500000);
	at = rig_wait(r, 0, "mce vcpu=");
	check_line(r, at, 9, AMD_REQUIRED, 7, "ar");
	at = rig_wait(r, at, "report ");
	rig_wait(r, at + 1, "report ");
	assert_null(strstr(r->out, "bank=1 "));
	assert_null(strstr(r->out, "kind=broadcast"));
	check_verdict(r, 1);
	rig_free(r);
}

/* Found by the host before any access, as the kernel's BUS_MCEERR_AO says */
static void found(struct rig *r, uint64_t gpa)
{
	struct sigbus s = { .lsb = 12, .seen = true };
	uint64_t offset;

	assert_true(ram_offset(&r->m->ram, gpa, 1, &offset));
	s.addr = (uintptr_t)r->m->ram.base + offset;
	inject_found(r->m, &s);
	inject_found(r->m, &s);		/* the second time it is known */
}

static void check_told(struct rig *r, unsigned n, uint64_t gpa)
{
	struct memory_failure f = rig_failure(r, n);
	struct poison p;

	assert_int_equal(f.action, MF_INJECTED);
	assert_true(f.gpa == gpa && f.size == GUEST_PAGE_SIZE);
	assert_false(f.required || f.recursive);
	assert_true(poison_find(&r->m->poison, gpa, &p) && p.delivered);
	assert_false(inject_report(r->m));
}

static void intel_is_told_of_what_was_found(void **state)
{
	struct rig *r = start("intel", 2, RAM_ANON);
	size_t at;

	(void)state;
	found(r, 0x600000);
	assert_true(inject_report(r->m));
	at = rig_wait(r, 0, " bank=9 ");
	while (at && r->out[at - 1] != '\n')
		at--;
	check_line(r, at, 9, INTEL_OPTIONAL, 5, "ao");
	assert_int_equal(rig_number(r, at, "vcpu"), 0);
	assert_true(rig_number(r, at, "addr") == 0x600000);
	rig_wait(r, at, "retired addr=0x600000");
	expect(r, 0x600000);
	check_noted(r, 0, 0x600000);
	check_told(r, 1, 0x600000);
	assert_int_equal(r->failures, 2);
	check_verdict(r, 1);
	rig_free(r);
}

/* Only while a vCPU is in ring 3 is the guest's own handler not running */
static struct vcpu *pause_in_ring3(struct rig *r, unsigned index)
{
	struct vcpu *v = &r->m->vcpu[index];
	struct kvm_sregs s;

	do {
		rig_run(r);
		usleep(1000);
		assert_true(rig_pause(r));
		assert_int_equal(ioctl(v->fd, KVM_GET_SREGS, &s), 0);
	} while (s.cs.dpl != 3);
	return v;
}

/*
 * A broadcast is queued for a vCPU, and before KVM has delivered it the vCPU is
 * found to have touched poison (KVM fetches a page for it that it had waited for,
 * say). MCIP is set by then, which means neither that the guest is in a machine
 * check nor that it can't have this one: the broadcast comes first, and then
 * the touch, once more.
 */
static void intel_touches_while_a_broadcast_comes(void **state)
{
	struct rig *r = start("intel", 2, RAM_ANON);
	const uint64_t gpa = 0x500000;
	struct vcpu *v;
	size_t at;

	(void)state;
	v = pause_in_ring3(r, 1);
	poison(r, gpa);
	expect(r, gpa);

	v->asked |= VCPU_ASK_BROADCAST;
	vcpu_deliver(v);
	vcpu_poisoned(v, gpa, 12);
	check_noted(r, 0, gpa);
	assert_int_equal(r->failures, 1);
	assert_false(machine_ended(r->m));

	rig_run(r);
	at = rig_wait(r, 0, "mce vcpu=1 bank=1 ");
	check_line(r, at, 1, INTEL_BROADCAST, 5, "broadcast");
	rig_wait(r, 0, " bank=9 ");
	check_injected(r, 1, gpa);
	check_verdict(r, 1);
	rig_free(r);
}

/* vCPU 1 gets its broadcast after LATE_READS attempts: *@reads fail for *@fd */
static struct rig *delayed_broadcast(int *fd, _Atomic int *reads)
{
	struct rig *r = rig_new(32, 2, RAM_ANON, "intel",
				"work=idle mib=8 interval_ms=1000000");
	struct vcpu *v;
	size_t at;

	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	v = pause_in_ring3(r, 1);
	v->asked |= VCPU_ASK_BROADCAST;
	*fd = v->fd;
	*reads = LATE_READS;
	rig_run(r);
	at = rig_wait(r, 0, "mce vcpu=1 bank=1 ");
	check_line(r, at, 1, INTEL_BROADCAST, 5, "broadcast");
	assert_int_equal(*reads, 0);
	return r;
}

/*
 * A vCPU is still in the handler of the machine check before: its thread was
 * preempted, say, just before it clears MCIP. Without its broadcast an Intel
 * guest waits for it, and panics.
 */
static void intel_tells_a_vcpu_that_is_late(void **state)
{
	struct rig *r = delayed_broadcast(&late_fd, &late_reads);

	(void)state;
	rig_free(r);
}

/* A machine check would take the place of the interrupt, which would be lost */
static void intel_waits_for_an_interrupt(void **state)
{
	struct rig *r = delayed_broadcast(&interrupted_fd, &interrupted_reads);
	size_t at;

	(void)state;
	interrupted_fd = r->m->vcpu[0].fd;
	interrupted_reads = LATE_READS;
	found(r, 0x600000);
	for (unsigned n = 0; inject_report(r->m) && n < 1000; n++)
		usleep(10000);
	assert_int_equal(interrupted_reads, 0);
	at = rig_wait(r, 0, "mce vcpu=0 bank=9 ");
	check_line(r, at, 9, INTEL_OPTIONAL, 5, "ao");
	rig_free(r);
}

/* A touch is reported at once: waiting would only repeat it */
static void a_touch_does_not_wait_for_an_interrupt(void **state)
{
	struct rig *r = start("intel", 1, RAM_ANON);

	(void)state;
	assert_true(rig_pause(r));
	poison(r, 0x500000);
	interrupted_fd = r->m->vcpu[0].fd;
	interrupted_reads = LATE_READS;
	vcpu_poisoned(&r->m->vcpu[0], 0x500000, 12);
	interrupted_reads = 0;
	check_injected(r, 1, 0x500000);
	rig_free(r);
}

/* Where the stack of a machine check begins, and the guest's tables */
#define MC_TOP		0x1d00000ull
#define MC_IDT		0x1e00000ull
#define MC_TSS		0x1f00000ull

static void put(struct rig *r, uint64_t gpa, const void *data, size_t n)
{
	assert_int_equal(ram_write(&r->m->ram, gpa, data, n), 0);
}

/* As in a kernel whose handler runs on stack 2 of its interrupt stack table */
static void put_tables(struct rig *r, uint32_t stack)
{
	const uint64_t top = MC_TOP;
	const uint32_t gate[] = { 0x00080000, 0x8e00 | stack, 0, 0 };

	put(r, MC_IDT + MC_VECTOR * sizeof(gate), gate, sizeof(gate));
	put(r, MC_TSS + 0x2c, &top, sizeof(top));
}

static void forget_machine_check(struct rig *r)
{
	struct vcpu *v = &r->m->vcpu[0];
	struct kvm_vcpu_events e;

	set_msr(r, MSR_MCG_STATUS, 0);
	assert_int_equal(ioctl(v->fd, KVM_GET_VCPU_EVENTS, &e), 0);
	e.exception.pending = e.exception.injected = 0;
	assert_int_equal(ioctl(v->fd, KVM_SET_VCPU_EVENTS, &e), 0);
}

/* The machine check would overwrite the frame of the one before */
static void intel_waits_until_the_stack_is_free(void **state)
{
	static const struct {
		const char *what;
		uint64_t rsp, rflags;
		uint16_t ring;
		uint32_t stack;
		uint64_t idt;
		bool waits;
	} cases[] = {
		{ "on it", MC_TOP - 480, 2, 0, 2, MC_IDT, true },
		{ "its first word", MC_TOP - 8, 2, 0, 2, MC_IDT, true },
		{ "its last word", MC_TOP - 8192, 2, 0, 2, MC_IDT, true },
		{ "above it", MC_TOP, 2, 0, 2, MC_IDT, false },
		{ "below it", MC_TOP - 8200, 2, 0, 2, MC_IDT, false },
		{ "interrupts on", MC_TOP - 480, 0x202, 0, 2, MC_IDT, false },
		{ "ring 3", MC_TOP - 480, 2, 3, 2, MC_IDT, false },
		{ "no such stack", MC_TOP - 480, 2, 0, 0, MC_IDT, false },
		{ "another stack", MC_TOP - 480, 2, 0, 1, MC_IDT, false },
		{ "no table", MC_TOP - 480, 2, 0, 2, 1ull << 40, false },
	};
	struct rig *r = start("intel", 1, RAM_ANON);
	struct vcpu *v = &r->m->vcpu[0];
	struct kvm_sregs s;
	struct kvm_regs regs;

	(void)state;
	assert_true(rig_pause(r));
	assert_int_equal(ioctl(v->fd, KVM_GET_SREGS, &s), 0);
	assert_int_equal(ioctl(v->fd, KVM_GET_REGS, &regs), 0);
	s.tr.base = MC_TSS;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put_tables(r, cases[i].stack);
		s.cs.selector = (uint16_t)(8 | cases[i].ring);
		s.idt.base = cases[i].idt;
		regs.rsp = cases[i].rsp;
		regs.rflags = cases[i].rflags;
		assert_int_equal(ioctl(v->fd, KVM_SET_SREGS, &s), 0);
		assert_int_equal(ioctl(v->fd, KVM_SET_REGS, &regs), 0);
		v->asked = VCPU_ASK_BROADCAST;
		vcpu_deliver(v);
		if (v->asked != (cases[i].waits ? VCPU_ASK_BROADCAST : 0))
			fail_msg("%s: asked is %u", cases[i].what, v->asked);
		v->asked = 0;
		forget_machine_check(r);
	}
	rig_free(r);
}

/*
 * KVM may complete it by its emulator, which drops a machine check that is
 * queued. MCIP stays set then, and the guest never has another one.
 */
static void a_report_comes_after_the_last_exit(void **state)
{
	struct rig *r = ring0("intel", RAM_ANON, "p");
	uint64_t got[2];

	(void)state;
	watched = r->m->vcpu;
	early = 0;
	found(r, LOST);
	rig_run(r);
	for (unsigned n = 0; inject_report(r->m) && n < 1000; n++)
		usleep(10000);
	assert_int_equal(rig_exit(r), 42);
	watched = NULL;
	assert_int_equal(early, 0);
	assert_int_equal(ram_read(&r->m->ram, RESULT, got, sizeof(got)), 0);
	assert_int_equal(got[0], 5);
	assert_true(got[1] == INTEL_OPTIONAL);
	rig_free(r);
}

/* Both would enter the handler twice, the second time alone */
static void two_vcpus_enter_one_machine_check(void **state)
{
	struct rig *r = start("intel", 2, RAM_ANON);
	struct vcpu *v;

	(void)state;
	assert_true(rig_pause(r));
	v = r->m->vcpu;
	poison(r, 0x500000);
	poison(r, 0x600000);
	vcpu_poisoned(&v[0], 0x500000, 12);
	assert_int_equal(v[1].asked, VCPU_ASK_BROADCAST);
	vcpu_poisoned(&v[1], 0x600000, 12);
	assert_int_equal(v[0].asked, 0);
	assert_int_equal(v[1].asked, 0);
	assert_int_equal(rig_failure(r, 3).action, MF_INJECTED);
	rig_free(r);
}

/* The same, but the second reports what the host found */
static void a_page_that_was_found_joins_a_machine_check(void **state)
{
	struct rig *r = start("intel", 3, RAM_ANON);
	struct vcpu *v;

	(void)state;
	assert_true(rig_pause(r));
	v = r->m->vcpu;
	found(r, 0x600000);
	v[0].asked = VCPU_ASK_OPTIONAL | VCPU_ASK_BROADCAST;
	vcpu_deliver(&v[0]);
	assert_int_equal(rig_failure(r, 1).action, MF_INJECTED);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(v[i].asked, 0);
	rig_free(r);
}

/* A broadcast that never ends is no reason to try for ever */
static void a_guest_that_stays_in_a_machine_check_ends(void **state)
{
	struct rig *r = start("intel", 2, RAM_ANON);
	struct memory_failure f;
	struct vcpu *v;

	(void)state;
	assert_true(rig_pause(r));
	poison(r, 0x500000);
	v = &r->m->vcpu[1];
	v->asked |= VCPU_ASK_BROADCAST;
	vcpu_deliver(v);
	for (unsigned i = 0; i < 100 && !machine_ended(r->m); i++)
		vcpu_poisoned(v, 0x500000, 12);
	f = rig_failure(r, 1);
	assert_int_equal(f.action, MF_FATAL);
	assert_true(f.gpa == 0x500000 && f.required && f.recursive);
	assert_int_equal(r->failures, 2);
	rig_free(r);
}

/* AMD only logs it: no exception comes, MCG_STATUS stays 0, and the guest
 * finds the record when it looks
 */
static void amd_finds_a_record(void **state)
{
	struct rig *r = start("amd", 2, RAM_ANON);
	size_t at;

	(void)state;
	found(r, 0x600000);
	assert_true(inject_report(r->m));
	check_noted(r, 0, 0x600000);
	at = rig_wait(r, 0, "mce vcpu=");
	check_line(r, at, 9, AMD_OPTIONAL, 0, "deferred");
	assert_int_equal(rig_number(r, at, "vcpu"), 0);
	assert_true(rig_number(r, at, "addr") == 0x600000);
	rig_wait(r, at, "retired addr=0x600000");
	expect(r, 0x600000);
	check_told(r, 1, 0x600000);
	assert_int_equal(r->failures, 2);
	check_verdict(r, 1);
	rig_free(r);
}

/* A bank holds one record: the next one waits until the guest has read it */
static void all_that_was_found_is_told_once(void **state)
{
	static const char *const vendors[] = { "amd", "intel" };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct rig *r = start(vendors[i], 2, RAM_ANON);

		for (uint64_t p = 0; p < 8; p++)
			found(r, 0x600000 + p * 0x1000);
		for (unsigned n = 0; inject_report(r->m) && n < 1000; n++)
			usleep(10000);
		for (uint64_t p = 0; p < 8; p++) {
			char want[48];

			snprintf(want, sizeof(want), "retired addr=0x%llx",
				 0x600000ull + p * 0x1000);
			rig_wait(r, 0, want);
			expect(r, 0x600000 + p * 0x1000);
		}
		assert_int_equal(r->failures, 16);
		check_verdict(r, 8);
		rig_free(r);
	}
}

/* A page that the guest accessed before the report is not reported again */
static void what_was_met_is_not_told(void **state)
{
	struct rig *r = start("intel", 1, RAM_ANON);

	(void)state;
	assert_true(rig_pause(r));
	poison(r, 0x600000);
	found(r, 0x600000);
	found(r, 0x601000);
	poison_delivered(&r->m->poison, 0x601000, GUEST_PAGE_SIZE);
	assert_false(inject_report(r->m));
	rig_free(r);
}

/* Two vCPUs run into one page, and many pages in a row */
static void several_vcpus_one_page(void **state)
{
	static const char *const vendors[] = { "amd", "intel" };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct rig *r = rig_new(32, 4, RAM_ANON, vendors[i],
			"work=walk order=seq share=1 mib=4 interval_ms=200");

		take_sigbus();
		rig_boot(r, rig_guest());
		rig_wait(r, 0, "ready ");
		for (uint64_t p = 0; p < 8; p++) {
			assert_true(rig_pause(r));
			poison(r, 0x480000 + p * 0x3000);
			rig_run(r);
			expect(r, 0x480000 + p * 0x3000);
		}
		for (uint64_t p = 0; p < 8; p++) {
			char want[48];

			snprintf(want, sizeof(want), "retired addr=0x%llx",
				 0x480000ull + p * 0x3000);
			rig_wait(r, 0, want);
		}
		check_verdict(r, 8);
		rig_free(r);
	}
}

static void ring0_works_without_poison(void **state)
{
	struct rig *r = ring0("host", RAM_ANON, "r");

	(void)state;
	rig_run(r);
	assert_int_equal(rig_exit(r), 1);
	assert_int_equal(r->failures, 0);
	rig_free(r);
}

/* Linux on an Intel processor needs it; kvm_amd takes it away: vcpu.c */
static void an_intel_guest_is_promised_recovery(void **state)
{
	struct rig *r = ring0("intel", RAM_ANON, "c");
	uint32_t cap;

	(void)state;
	rig_run(r);
	assert_int_equal(rig_exit(r), 1);
	assert_int_equal(ram_read(&r->m->ram, RESULT, &cap, sizeof(cap)), 0);
	assert_int_equal(cap, MCG_CTL_P | MCG_SER_P | MCE_BANKS);
	rig_free(r);
}

/* A read that can't be done must leave no trace: the guest may repeat it */
static void check_unchanged(struct rig *r, const char *mode)
{
	static const char *const name[] = { "EAX", "ECX", "EDX", "EBX", "ESP",
		"EBP", "ESI", "EDI", "EIP", "DS" };
	uint32_t before[ARRAY_SIZE(name)], after[ARRAY_SIZE(name)];

	assert_int_equal(ram_read(&r->m->ram, BEFORE, before, sizeof(before)),
			 0);
	assert_int_equal(ram_read(&r->m->ram, AFTER, after, sizeof(after)), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(name); i++)
		if (before[i] != after[i])
			fail_msg("mode %s: %s is 0x%x in the machine check, was 0x%x",
				 mode, name[i], after[i], before[i]);
}

static void hit_in_ring0(const char *vendor, enum ram_backing backing,
			 const char *mode, uint64_t status)
{
	struct rig *r = ring0(vendor, backing, mode);
	const unsigned pages = *mode == 'x' ? 2 : 1;
	uint64_t got[4];

	for (unsigned i = 0; i < pages; i++)
		poison(r, LOST + i * GUEST_PAGE_SIZE);
	rig_run(r);
	assert_int_equal(rig_exit(r), 42);
	for (unsigned i = 0; i < pages; i++)
		check_noted(r, i, LOST + i * GUEST_PAGE_SIZE);
	check_injected(r, pages, LOST);
	assert_int_equal(r->failures, pages + 1);
	assert_int_equal(ram_read(&r->m->ram, RESULT, got, sizeof(got)), 0);
	assert_int_equal(got[0], 7);
	assert_true(got[1] == status);
	assert_int_equal(got[2] & ~0xfffull, LOST);
	assert_int_equal(got[3], 0x8c);
	if (*mode != 'w')
		check_unchanged(r, mode);
	rig_free(r);
}

static void ring0_reads(void **state)
{
	(void)state;
	hit_in_ring0("intel", RAM_ANON, "r", INTEL_REQUIRED);
	hit_in_ring0("intel", RAM_MEMFD, "r", INTEL_REQUIRED);
	hit_in_ring0("amd", RAM_ANON, "r", AMD_REQUIRED);
	hit_in_ring0("amd", RAM_MEMFD, "r", AMD_REQUIRED);
}

/* More than one register, and a segment */
static void ring0_reads_of_other_kinds(void **state)
{
	(void)state;
	hit_in_ring0("intel", RAM_ANON, "s", INTEL_REQUIRED);
	hit_in_ring0("amd", RAM_MEMFD, "s", AMD_REQUIRED);
	hit_in_ring0("intel", RAM_ANON, "d", INTEL_REQUIRED);
	hit_in_ring0("amd", RAM_MEMFD, "d", AMD_REQUIRED);
}

/* KVM carries out such a read in two parts; neither may happen */
static void ring0_reads_across_two_lost_pages(void **state)
{
	(void)state;
	hit_in_ring0("intel", RAM_ANON, "x", INTEL_REQUIRED);
	hit_in_ring0("amd", RAM_MEMFD, "x", AMD_REQUIRED);
}

/* What follows the read within the instruction must not happen, either */
static void ring0_reads_and_then_writes(void **state)
{
	(void)state;
	hit_in_ring0("intel", RAM_ANON, "o", INTEL_REQUIRED);
	hit_in_ring0("amd", RAM_MEMFD, "o", AMD_REQUIRED);
	hit_in_ring0("intel", RAM_ANON, "m", INTEL_REQUIRED);
	hit_in_ring0("amd", RAM_MEMFD, "m", AMD_REQUIRED);
}

static void ring0_writes(void **state)
{
	(void)state;
	hit_in_ring0("intel", RAM_ANON, "w", INTEL_REQUIRED);
	hit_in_ring0("amd", RAM_MEMFD, "w", AMD_REQUIRED);
}

/* A machine check that another thread asked for is in the state that is saved */
static void what_was_asked_for_is_state(void **state)
{
	struct rig *r = rig_new(16, 1, RAM_ANON, "intel", "work=idle mib=4");
	struct error err = { 0 };
	struct run_status before;

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	assert_true(rig_pause(r));
	r->m->vcpu[0].asked = VCPU_ASK_BROADCAST;
	assert_int_equal(machine_hold(r->m, &before, &err), 0);
	assert_int_equal(r->m->vcpu[0].asked, 0);
	machine_thaw(r->m, &before);
	rig_free(r);
}

/* One that can't be delivered yet is state, too, and a state has 0 or 1 */
static void what_must_wait_is_state(void **state)
{
	struct rig *r = rig_new(16, 1, RAM_ANON, "intel", "work=idle mib=4");
	struct writer w = { 0 };
	struct error err = { 0 };
	struct run_status before;
	struct reader in;
	uint8_t *owes;

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	assert_true(rig_pause(r));
	set_msr(r, MSR_MCG_STATUS, MCG_STATUS_MCIP);
	r->m->vcpu[0].asked = VCPU_ASK_BROADCAST;
	assert_int_equal(machine_hold(r->m, &before, &err), 0);
	rig_save(r->m, &w);
	machine_free(r->m);
	rig_build(r);
	in = (struct reader){ .data = w.data, .len = w.len };
	if (machine_load(r->m, &in, &err))
		fail_msg("%s", err.text);
	assert_int_equal(r->m->vcpu[0].asked, VCPU_ASK_BROADCAST);
	set_msr(r, MSR_MCG_STATUS, 0);
	vcpu_deliver(&r->m->vcpu[0]);
	assert_int_equal(r->m->vcpu[0].asked, 0);

	owes = memmem(w.data, w.len, "vcpu\0", 5);
	assert_non_null(owes);
	owes += SECTION_HEADER;
	assert_int_equal(*owes, 1);
	*owes = 2;
	in = (struct reader){ .data = w.data, .len = w.len };
	assert_int_equal(machine_load(r->m, &in, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "'vcpu' 0 of the state: machine check 2"));
	writer_free(&w);
	rig_free(r);
}

/* A guest without machine checks ends, with one report. The process stays */
static void a_guest_without_mce_ends(void **state)
{
	static const char *const vendors[] = { "amd", "intel" };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct rig *r = ring0(vendors[i], RAM_ANON, "n");
		struct memory_failure f;

		poison(r, LOST);
		rig_run(r);
		f = rig_failure(r, 1);
		assert_int_equal(f.action, MF_FATAL);
		assert_true(f.gpa == LOST && f.required && !f.recursive);
		rig_state(r, RUN_INTERNAL_ERROR);
		assert_true(machine_ended(r->m));
		assert_false(rig_pause(r));
		assert_false(r->exited);
		assert_int_equal(r->failures, 2);
		rig_free(r);
	}
}

#define TOUCHES	1000

/* The guest can touch a page at any rate; the host's log can't take any */
static void a_page_that_is_touched_again_is_counted(void **state)
{
	struct rig *r = rig_new(32, 1, RAM_ANON, "amd", "work=idle mib=4");
	uint64_t seen = 0;

	(void)state;
	take_sigbus();
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	assert_true(rig_pause(r));
	for (unsigned i = 0; i < TOUCHES; i++) {
		set_msr(r, MSR_MCG_STATUS, 0);
		vcpu_poisoned(&r->m->vcpu[0], 20 * MIB, 12);
	}
	assert_int_equal(machine_status(r->m).state, RUN_PAUSED);
	assert_in_range(r->failures, 1, FLOOD_BURST + 10);
	machine_flush_failures(r->m);
	machine_flush_failures(r->m);
	for (unsigned i = 0; i < r->failures; i++)
		seen += 1 + r->failure[i].repeats;
	assert_int_equal(seen, TOUCHES);
	rig_free(r);
}

/* Each write to pvpanic's port would be a line and an event */
static void a_panic_is_reported_once(void **state)
{
	struct rig *r = rig_new(32, 1, RAM_ANON, "amd", "work=idle mib=4");
	uint8_t loaded = 2, panicked = 1;
	struct bus_pio io = { .port = PVPANIC_PORT, .size = 1, .count = 1 };
	struct error err = { 0 };

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	for (unsigned i = 0; i < TOUCHES; i++) {
		io.data = &loaded;
		bus_pio(&r->m->bus, &io);
	}
	assert_int_equal(r->crash_loads, 1);
	for (unsigned i = 0; i < TOUCHES; i++) {
		io.data = &panicked;
		bus_pio(&r->m->bus, &io);
	}
	assert_int_equal(r->panics, 1);
	/* Each start and each boot is a new one */
	rig_run(r);
	bus_pio(&r->m->bus, &io);
	assert_int_equal(r->panics, 2);
	assert_int_equal(machine_reset(r->m, &err), 0);
	io.data = &loaded;
	bus_pio(&r->m->bus, &io);
	assert_int_equal(r->crash_loads, 2);
	rig_free(r);
}

static void a_failure_of_kvm_is_not_the_guests(void **state)
{
	struct rig *r = rig_new(32, 1, RAM_ANON, "amd", "work=idle mib=4");
	bool others;

	(void)state;
	take_sigbus();
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	assert_true(rig_pause(r));
	set_mce_errno = EINVAL;
	assert_int_equal(arch_vcpu_report(&r->m->vcpu[0], ARCH_REPORT_CONSUMED,
					  20 * MIB, 12, &others),
			 ARCH_REPORT_FAILED);
	assert_int_equal(r->m->vcpu[0].report_errno, EINVAL);
	vcpu_poisoned(&r->m->vcpu[0], 20 * MIB, 12);
	set_mce_errno = 0;
	assert_int_equal(machine_status(r->m).state, RUN_INTERNAL_ERROR);
	assert_int_equal(rig_failure(r, 0).action, MF_FATAL);
	rig_free(r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intel_consumes),
		cmocka_unit_test(amd_consumes),
		cmocka_unit_test(intel_tells_the_other_vcpu),
		cmocka_unit_test(amd_tells_nobody_else),
		cmocka_unit_test(intel_is_told_of_what_was_found),
		cmocka_unit_test(intel_touches_while_a_broadcast_comes),
		cmocka_unit_test(intel_tells_a_vcpu_that_is_late),
		cmocka_unit_test(intel_waits_for_an_interrupt),
		cmocka_unit_test(a_touch_does_not_wait_for_an_interrupt),
		cmocka_unit_test(intel_waits_until_the_stack_is_free),
		cmocka_unit_test(a_report_comes_after_the_last_exit),
		cmocka_unit_test(two_vcpus_enter_one_machine_check),
		cmocka_unit_test(a_page_that_was_found_joins_a_machine_check),
		cmocka_unit_test(a_guest_that_stays_in_a_machine_check_ends),
		cmocka_unit_test(amd_finds_a_record),
		cmocka_unit_test(all_that_was_found_is_told_once),
		cmocka_unit_test(what_was_met_is_not_told),
		cmocka_unit_test(several_vcpus_one_page),
		cmocka_unit_test(ring0_works_without_poison),
		cmocka_unit_test(an_intel_guest_is_promised_recovery),
		cmocka_unit_test(ring0_reads),
		cmocka_unit_test(ring0_reads_of_other_kinds),
		cmocka_unit_test(ring0_reads_across_two_lost_pages),
		cmocka_unit_test(ring0_reads_and_then_writes),
		cmocka_unit_test(ring0_writes),
		cmocka_unit_test(a_guest_without_mce_ends),
		cmocka_unit_test(a_page_that_is_touched_again_is_counted),
		cmocka_unit_test(a_panic_is_reported_once),
		cmocka_unit_test(a_failure_of_kvm_is_not_the_guests),
		cmocka_unit_test(what_was_asked_for_is_state),
		cmocka_unit_test(what_must_wait_is_state),
	};

	(void)argc;
	rig_check_kvm(argv[0]);
	return cmocka_run_group_tests_name("mce", tests, NULL, NULL);
}
