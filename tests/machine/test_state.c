// SPDX-License-Identifier: MIT
/*
 * test_state.c - Save, new machine, load, at every sync point of a guest
 *
 * Each line that the guest prints is a sync point: after it the guest is
 * paused, saved, and taken to a new machine that is built from the
 * description of the old one. Saved there, before it has run, the state must
 * be the same, byte for byte, but for what runs by itself. Then the guest goes
 * on, on the new machine, and its own check of its memory must find nothing.
 * Pauses at arbitrary moments come in between.
 */

#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "compare.h"
#include "rig.h"
#include "vmm/base/clock.h"
#include "vmm/cpu/x86_regs.h"
#include "vmm/devices/section.h"
#include "vmm/machine/description.h"
#include "vmm/machine/vcpu.h"
#include "vmm/memory/ram_holes.h"

static struct machine *new_from_description(struct rig *r)
{
	struct machine_config *cfg = calloc(1, sizeof(*cfg));
	struct machine_observer obs = rig_observer(r);
	struct error err = { 0 };
	struct machine *m;

	assert_non_null(cfg);
	if (description_parse(r->m->fdt, r->m->fdt_size, cfg, &err) ||
	    machine_config_check(cfg, &err))
		fail_msg("%s", err.text);
	m = machine_new(cfg, &obs, &err);
	if (!m)
		fail_msg("%s", err.text);
	free(cfg);
	return m;
}

/* RAM goes over page by page; what was never written stays so */
struct copy {
	struct machine *from, *to;
	uint64_t next;
};

static int copy_up_to(void *ctx, uint64_t offset, uint64_t len)
{
	static uint8_t buf[256 * 1024];
	struct copy *c = ctx;

	while (c->next < offset) {
		size_t n = offset - c->next < sizeof(buf) ?
			   offset - c->next : sizeof(buf);
		uint64_t gpa = ram_gpa(&c->from->ram, c->next);

		assert_int_equal(ram_read(&c->from->ram, gpa, buf, n), 0);
		assert_int_equal(ram_write(&c->to->ram, gpa, buf, n), 0);
		c->next += n;
	}
	c->next = offset + len;
	return 0;
}

static void copy_ram(struct machine *from, struct machine *to)
{
	struct copy c = { from, to, 0 };
	uint64_t size = from->ram.size;

	assert_int_equal(ram_holes(&from->ram, 0, size, copy_up_to, &c), 0);
	if (c.next < size)
		copy_up_to(&c, size, 0);
}

static void load(struct machine *m, const struct writer *w)
{
	struct reader r = { .data = w->data, .len = w->len };
	struct error err = { 0 };

	if (machine_load(m, &r, &err))
		fail_msg("%s", err.text);
}

/* Take the paused guest to a new machine, and compare. It is left paused */
static void move(struct rig *r, const char *where)
{
	struct writer before = { 0 }, again = { 0 }, after = { 0 };
	struct machine *m = new_from_description(r);

	rig_save(r->m, &before);
	rig_save(r->m, &again);
	compare_states(&before, &again, "saved twice");
	copy_ram(r->m, m);
	load(m, &before);
	rig_save(m, &after);
	compare_states(&before, &after, where);

	machine_free(r->m);
	r->m = m;
	writer_free(&before);
	writer_free(&again);
	writer_free(&after);
}

static void guest_at_every_line(unsigned cpus, enum ram_backing backing,
				const char *vendor, const char *args)
{
	struct rig *r = rig_new(32, cpus, backing, vendor, args);
	unsigned seen = 0, moves = 0;
	size_t at;

	rig_boot(r, rig_guest());
	while (moves < 16) {
		char where[64];

		/* Every fourth time just somewhere */
		if (moves % 4 == 3)
			usleep(1000 + 1777 * moves);
		else
			rig_lines(r, seen + 1);
		assert_true(rig_pause(r));
		seen = r->lines;
		snprintf(where, sizeof(where), "move %u, after line %u",
			 moves, seen);
		move(r, where);
		rig_run(r);
		moves++;
	}
	rig_type(r, "verdict");
	at = rig_wait(r, 0, "verdict expected=");
	assert_int_equal(rig_number(r, at, "clean"), 1);
	assert_int_equal(rig_number(r, at, "bad"), 0);
	at = rig_wait(r, r->len, "report ");	/* it goes on */
	rig_type(r, "exit");
	assert_int_equal(rig_exit(r), 0);
	assert_null(strstr(r->out, "\nbad "));
	assert_null(strstr(r->out, "fatal"));
	rig_free(r);
}

#define VERIFY "work=verify mib=4 interval_ms=40 seed=3"

static void one_vcpu_anon_amd(void **state)
{
	(void)state;
	guest_at_every_line(1, RAM_ANON, "amd", VERIFY);
}

static void one_vcpu_memfd_intel(void **state)
{
	(void)state;
	guest_at_every_line(1, RAM_MEMFD, "intel", VERIFY);
}

static void four_vcpus_anon_intel(void **state)
{
	(void)state;
	guest_at_every_line(4, RAM_ANON, "intel", VERIFY);
}

static void four_vcpus_memfd_amd(void **state)
{
	(void)state;
	guest_at_every_line(4, RAM_MEMFD, "amd", VERIFY);
}

/* Halted vCPUs with a timer armed: what is lost here never wakes up */
static void sleeping_vcpus(void **state)
{
	(void)state;
	guest_at_every_line(4, RAM_ANON, "host",
			    "work=idle mib=4 interval_ms=40 period_us=3000");
}

static void talking_vcpus(void **state)
{
	(void)state;
	guest_at_every_line(4, RAM_MEMFD, "host",
			    "work=token mib=4 interval_ms=40");
}

static bool tsc_offset(const struct vcpu *v, uint64_t *offset)
{
	struct kvm_device_attr a = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)offset,
	};

	return !ioctl(v->fd, KVM_GET_DEVICE_ATTR, &a);
}

static uint32_t clock_flags(struct rig *r)
{
	struct kvm_clock_data c = { 0 };

	assert_int_equal(ioctl(r->m->kvm.vm, KVM_GET_CLOCK, &c), 0);
	return c.flags;
}

/*
 * TSCs that were in step are so after a move, to the cycle: one that is not
 * takes kvmclock's common base (KVM_CLOCK_TSC_STABLE) from the whole guest.
 */
static void tscs_stay_in_step(void **state)
{
	struct rig *r = rig_new(32, 4, RAM_ANON, "host", "work=token mib=4");
	uint64_t first, other;
	uint32_t flags;

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "report ");
	flags = clock_flags(r);
	for (unsigned n = 0; n < 4; n++) {
		assert_true(rig_pause(r));
		if (!tsc_offset(&r->m->vcpu[0], &first))
			break;		/* this KVM has none */
		move(r, "to keep step");
		for (unsigned i = 0; i < 4; i++) {
			assert_true(tsc_offset(&r->m->vcpu[i], &other));
			first = i ? first : other;
			if (other != first)
				fail_msg("move %u: vCPU %u is %lld cycles off",
					 n, i, (long long)(other - first));
		}
		rig_run(r);
		rig_wait(r, r->len, "report ");
		assert_int_equal(clock_flags(r), flags);
	}
	rig_free(r);
}

/* A migration is a pause for the guest: its watchdogs must not count it */
static void the_guest_learns_of_a_move(void **state)
{
	struct rig *r = rig_new(32, 1, RAM_ANON, "host", "");
	uint64_t msr = 0;
	uint8_t flags;
	size_t from;

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	assert_true(rig_pause(r));
	move(r, "to learn of it");
	assert_int_equal(kvm_get_msr(r->m->vcpu[0].fd, MSR_KVM_SYSTEM_TIME,
				     &msr), 0);
	msr = (msr & ~1ull) + PVCLOCK_FLAGS;
	assert_int_equal(ram_read(&r->m->ram, msr, &flags, 1), 0);
	assert_false(flags & PVCLOCK_GUEST_STOPPED);
	from = r->len;
	rig_run(r);
	rig_type(r, "hello move");
	rig_wait(r, from, "hello move");
	assert_int_equal(ram_read(&r->m->ram, msr, &flags, 1), 0);
	assert_true(flags & PVCLOCK_GUEST_STOPPED);
	rig_free(r);
}

/* Of these the guests above have none: what wasn't loaded would be like new */
static void registers_that_no_guest_uses(void **state)
{
	struct rig *r = rig_new(16, 2, RAM_ANON, "host", "");

	(void)state;
	rig_build(r);
	rig_fill_registers(r);
	move(r, "filled");
	rig_free(r);
}

static void set_msr(struct vcpu *v, uint32_t index, uint64_t value)
{
	struct {			/* struct kvm_msrs with one entry */
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entry;
	} q = { .nmsrs = 1, .entry = { .index = index, .data = value } };

	assert_int_equal(ioctl(v->fd, KVM_SET_MSRS, &q), 1);
}

static uint64_t get_msr(struct vcpu *v, uint32_t index)
{
	uint64_t value;

	assert_int_equal(kvm_get_msr(v->fd, index, &value), 0);
	return value;
}

/* SDM vol. 3, "Memory Type Range Registers" */
#define MSR_MTRR_PHYSBASE0	0x200
#define MSR_MTRR_PHYSMASK7	0x20f
#define MSR_MTRR_FIX64K		0x250
#define MSR_MTRR_DEF_TYPE	0x2ff

/* KVM does not list the MTRRs. Firmware leaves values in them, Linux reads them */
static void mtrrs_move_and_are_reset(void **state)
{
	struct rig *r = rig_new(16, 2, RAM_ANON, "host", "");
	struct error err = { 0 };

	(void)state;
	rig_build(r);
	for (unsigned i = 0; i < 2; i++) {
		struct vcpu *v = &r->m->vcpu[i];

		set_msr(v, MSR_MTRR_DEF_TYPE, 0xc06);
		set_msr(v, MSR_MTRR_FIX64K, 0x0606060606060606);
		set_msr(v, MSR_MTRR_PHYSBASE0, 0x80000000);
		set_msr(v, MSR_MTRR_PHYSMASK7, 0xc0000800);
	}
	move(r, "MTRRs");
	for (unsigned i = 0; i < 2; i++) {
		struct vcpu *v = &r->m->vcpu[i];

		assert_int_equal(get_msr(v, MSR_MTRR_DEF_TYPE), 0xc06);
		assert_true(get_msr(v, MSR_MTRR_FIX64K) ==
			    0x0606060606060606);
		assert_int_equal(get_msr(v, MSR_MTRR_PHYSBASE0), 0x80000000);
		assert_int_equal(get_msr(v, MSR_MTRR_PHYSMASK7), 0xc0000800);
	}
	assert_int_equal(machine_load_initial(r->m, &err), 0);
	assert_int_equal(get_msr(&r->m->vcpu[1], MSR_MTRR_DEF_TYPE), 0);
	assert_int_equal(get_msr(&r->m->vcpu[1], MSR_MTRR_PHYSMASK7), 0);
	rig_free(r);
}

static uint8_t triple_fault(struct rig *r)
{
	struct kvm_vcpu_events e = { 0 };

	assert_int_equal(ioctl(r->m->vcpu[0].fd, KVM_GET_VCPU_EVENTS, &e), 0);
	return e.triple_fault.pending;
}

static void a_pending_triple_fault_moves(void **state)
{
	struct rig *r = rig_new(16, 1, RAM_ANON, "host", "");
	struct kvm_vcpu_events e = { 0 };
	struct error err = { 0 };

	(void)state;
	rig_build(r);
	if (!r->m->kvm.triple_fault) {
		rig_free(r);
		skip_because("no KVM_CAP_X86_TRIPLE_FAULT_EVENT (Linux 6.1)");
	}
	assert_int_equal(ioctl(r->m->vcpu[0].fd, KVM_GET_VCPU_EVENTS, &e), 0);
	e.triple_fault.pending = 1;
	assert_int_equal(ioctl(r->m->vcpu[0].fd, KVM_SET_VCPU_EVENTS, &e), 0);
	assert_int_equal(triple_fault(r), 1);
	move(r, "triple fault");
	assert_int_equal(triple_fault(r), 1);
	assert_int_equal(machine_load_initial(r->m, &err), 0);
	assert_int_equal(triple_fault(r), 0);
	rig_free(r);
}

#define CR0_PAGING	0x80000011	/* PG, ET, PE */

/* Not in memory, or no longer: the processor has its own copy */
static void page_directory_pointers_move(void **state)
{
	struct rig *r = rig_new(16, 1, RAM_ANON, "host", "");
	struct kvm_sregs2 s = { 0 }, after = { 0 };
	struct vcpu *v;

	(void)state;
	rig_build(r);
	v = &r->m->vcpu[0];
	assert_int_equal(ioctl(v->fd, KVM_GET_SREGS2, &s), 0);
	s.cr0 = CR0_PAGING;
	s.cr4 = CR4_PAE;
	s.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	for (unsigned i = 0; i < 4; i++)
		s.pdptrs[i] = 0x10001 + 0x1000 * i;
	assert_int_equal(ioctl(v->fd, KVM_SET_SREGS2, &s), 0);
	assert_int_equal(ioctl(v->fd, KVM_GET_SREGS2, &s), 0);
	if (!(s.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID)) {
		rig_free(r);
		skip_because("this KVM reads the pointers from memory");
	}
	move(r, "PDPTRs");
	assert_int_equal(ioctl(r->m->vcpu[0].fd, KVM_GET_SREGS2, &after), 0);
	assert_true(after.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID);
	assert_memory_equal(s.pdptrs, after.pdptrs, sizeof(s.pdptrs));
	rig_free(r);
}

/* Newer KVMs have more than one call takes. Here one MSR stands for many */
static void more_msrs_than_one_call_takes(void **state)
{
	struct rig *r = rig_new(16, 1, RAM_ANON, "host", "");
	struct arch_machine *a;
	struct writer w = { 0 };

	(void)state;
	rig_build(r);
	a = &r->m->arch;
	a->msr = realloc(a->msr, 1000 * sizeof(*a->msr));
	assert_non_null(a->msr);
	while (a->msrs < 1000)
		a->msr[a->msrs++] = MSR_KERNEL_GS_BASE;
	set_msr(&r->m->vcpu[0], MSR_KERNEL_GS_BASE, 0x1234);
	rig_save(r->m, &w);
	set_msr(&r->m->vcpu[0], MSR_KERNEL_GS_BASE, 0);
	load(r->m, &w);
	assert_int_equal(get_msr(&r->m->vcpu[0], MSR_KERNEL_GS_BASE), 0x1234);
	writer_free(&w);
	rig_free(r);
}

/* The real time in section "clock": after the header, and kvmclock */
static uint8_t *find_realtime(const struct writer *w)
{
	static const char name[SECTION_NAME_MAX] = "clock";
	uint8_t *at = memmem(w->data, w->len, name, sizeof(name));

	assert_non_null(at);
	return at + SECTION_HEADER + 8;
}

#define HOUR_NS		3600000000000ll
#define SECOND_NS	((int64_t)NS_PER_S)

/* An hour between two hosts' clocks is no hour of the guest's */
static void wrong_wall_clocks_are_no_guest_time(void **state)
{
	static const int64_t off[] = { -HOUR_NS, HOUR_NS, -3 * SECOND_NS };
	struct rig *r = rig_new(16, 1, RAM_ANON, "host", "");

	(void)state;
	rig_build(r);
	if (!r->m->kvm.clock_realtime) {
		rig_free(r);
		skip();		/* KVM_CLOCK_REALTIME: Linux 5.16 */
	}
	for (unsigned i = 0; i < ARRAY_SIZE(off); i++) {
		struct writer w = { 0 };
		uint64_t real, before;
		struct timespec t;

		rig_save(r->m, &w);
		memcpy(&before, find_realtime(&w) - sizeof(before),
		       sizeof(before));
		/* Not each KVM that takes the real time gives it, too */
		clock_gettime(CLOCK_REALTIME, &t);
		real = (uint64_t)(t.tv_sec * SECOND_NS + t.tv_nsec + off[i]);
		memcpy(find_realtime(&w), &real, sizeof(real));
		load(r->m, &w);
		assert_in_range(rig_clock(r), before, before + 2 * SECOND_NS);
		writer_free(&w);
	}
	rig_free(r);
}

/* The clock of a paused guest stands still here, on its way, and there */
static void a_paused_clock_moves_as_it_is(void **state)
{
	struct rig *r = rig_new(32, 1, RAM_ANON, "host", "work=idle mib=4");
	uint64_t begin, guest, slept = 0;

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	begin = now_ns();
	guest = rig_clock(r);
	assert_true(rig_pause(r));
	for (unsigned i = 0; i < 2; i++) {
		slept -= now_ns();
		usleep(300000);
		slept += now_ns();
		if (!i)
			move(r, "while it is paused");
	}
	rig_run(r);
	guest = rig_clock(r) - guest;
	/* 5 ms: between the two clocks' speeds */
	assert_in_range(guest, 0, now_ns() - begin - slept + 5000000);
	rig_free(r);
}

/* What is not the state of this machine is refused, not loaded */
static void other_states_are_refused(void **state)
{
	struct rig *one = rig_new(16, 1, RAM_ANON, "host", "");
	struct rig *two = rig_new(16, 2, RAM_ANON, "host", "");
	struct error err = { 0 };
	struct writer w = { 0 };
	struct reader r;

	(void)state;
	rig_build(one);
	rig_build(two);
	rig_save(two->m, &w);
	r = (struct reader){ .data = w.data, .len = w.len };
	assert_int_equal(machine_load(one->m, &r, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "2 vCPUs"));

	err = (struct error){ 0 };
	put_u8(&w, 0);
	r = (struct reader){ .data = w.data, .len = w.len };
	assert_int_equal(machine_load(two->m, &r, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "after its last section"));

	err = (struct error){ 0 };
	w.data[0] ^= 1;
	r = (struct reader){ .data = w.data, .len = w.len };
	assert_int_equal(machine_load(two->m, &r, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "where 'machine' 0 belongs"));
	writer_free(&w);
	rig_free(one);
	rig_free(two);
}

/* Where in a state the MSR of asynchronous page faults is: never offered, so 0 */
static uint8_t *find_msr(const struct writer *w)
{
	static const uint8_t async_pf[12] = { 0x02, 0x4d, 0x56, 0x4b };

	return memmem(w->data, w->len, async_pf, sizeof(async_pf));
}

/* Another KVM's MSR: harmless if it is zero, refused by its number if not */
static void unknown_msrs(void **state)
{
	struct rig *r = rig_new(16, 1, RAM_ANON, "host", "");
	struct error err = { 0 };
	struct writer w = { 0 };
	struct reader in;
	uint8_t *msr;

	(void)state;
	rig_build(r);
	rig_save(r->m, &w);
	msr = find_msr(&w);
	assert_non_null(msr);
	memcpy(msr, "\xde\xc0\xad\x0b", 4);
	load(r->m, &w);

	msr[4] = 7;
	in = (struct reader){ .data = w.data, .len = w.len };
	assert_int_equal(machine_load(r->m, &in, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "refuses MSR 0xbadc0de = 0x7"));
	writer_free(&w);
	rig_free(r);
}

/* Cut off anywhere, it is refused with a reason, and nothing breaks */
static void truncated_states_are_refused(void **state)
{
	struct rig *r = rig_new(16, 1, RAM_ANON, "host", "");
	struct writer w = { 0 };

	(void)state;
	rig_build(r);
	rig_save(r->m, &w);
	for (size_t n = 0; n < w.len; n += 1 + n / 40) {
		uint8_t *cut = malloc(n ? n : 1);
		struct reader part = { .data = cut, .len = n };
		struct error err = { 0 };

		assert_non_null(cut);
		memcpy(cut, w.data, n);
		if (!machine_load(r->m, &part, &err))
			fail_msg("%zu of %zu bytes were taken", n, w.len);
		assert_true(err.code && err.text[0]);
		free(cut);
	}
	writer_free(&w);
	rig_free(r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_vcpu_anon_amd),
		cmocka_unit_test(one_vcpu_memfd_intel),
		cmocka_unit_test(four_vcpus_anon_intel),
		cmocka_unit_test(four_vcpus_memfd_amd),
		cmocka_unit_test(sleeping_vcpus),
		cmocka_unit_test(talking_vcpus),
		cmocka_unit_test(tscs_stay_in_step),
		cmocka_unit_test(the_guest_learns_of_a_move),
		cmocka_unit_test(registers_that_no_guest_uses),
		cmocka_unit_test(mtrrs_move_and_are_reset),
		cmocka_unit_test(a_pending_triple_fault_moves),
		cmocka_unit_test(page_directory_pointers_move),
		cmocka_unit_test(wrong_wall_clocks_are_no_guest_time),
		cmocka_unit_test(a_paused_clock_moves_as_it_is),
		cmocka_unit_test(more_msrs_than_one_call_takes),
		cmocka_unit_test(other_states_are_refused),
		cmocka_unit_test(unknown_msrs),
		cmocka_unit_test(truncated_states_are_refused),
	};

	(void)argc;
	rig_check_kvm(argv[0]);
	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
