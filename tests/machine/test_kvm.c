// SPDX-License-Identifier: MIT
/*
 * test_kvm.c - The typed calls of vmm/kvm/ on this host's KVM
 *
 * A VM without a machine around it: one memslot, one vCPU in real mode, which
 * runs a few bytes of code until it halts or exits.
 */

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rig.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/kvm_stats.h"

#define PAGES		1024u		/* of the slot */
#define PAGE		4096u
#define CODE		0x1000u		/* gpa */
#define DATA		0x10000u	/* gpa, page 16 */
#define MMIO		0xc0000000u	/* not in the slot */
#define IRQ		5u
#define SLOT		3u

struct vm {
	struct kvm k;
	struct kvm_slot slot;
	int vcpu, event;
	struct kvm_run *run;
};

static int setup(void **state)
{
	struct vm *v = calloc(1, sizeof(*v));
	struct error err = { 0 };
	int rc;

	assert_non_null(v);
	*state = v;
	v->slot = (struct kvm_slot){ .slot = SLOT, .size = PAGES * PAGE };
	v->slot.hva = mmap(NULL, v->slot.size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(v->slot.hva != MAP_FAILED);
	rc = kvm_open(&v->k, &err);
	if (!rc)
		rc = KVM_CALL(v->k.vm, KVM_CREATE_IRQCHIP, 0, &err);
	if (!rc)
		rc = kvm_set_memory(&v->k, &v->slot, &err);
	if (rc)
		fail_msg("%s", err.text);
	v->vcpu = KVM_CALL(v->k.vm, KVM_CREATE_VCPU, 0, &err);
	assert_true(v->vcpu >= 0);
	v->run = mmap(NULL, v->k.run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      v->vcpu, 0);
	assert_true(v->run != MAP_FAILED);
	v->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(v->event >= 0);
	return 0;
}

static int teardown(void **state)
{
	struct vm *v = *state;

	munmap(v->run, v->k.run_size);
	close(v->vcpu);
	kvm_close(&v->k);
	munmap(v->slot.hva, v->slot.size);
	close(v->event);
	free(v);
	return 0;
}

/* Execute code in real mode with EBX = @ebx, until it exits. Return: why */
static uint32_t run(struct vm *v, const void *code, size_t n, uint32_t ebx)
{
	struct kvm_regs regs = { .rip = CODE, .rflags = 2, .rbx = ebx };
	struct kvm_sregs s;

	memcpy((uint8_t *)v->slot.hva + CODE, code, n);
	assert_int_equal(ioctl(v->vcpu, KVM_GET_SREGS, &s), 0);
	s.cs.base = s.ds.base = 0;
	s.cs.selector = s.ds.selector = 0;
	s.ds.limit = 0xffffffff;		/* "unreal": EBX reaches 4 GiB */
	s.ds.g = 1;
	/* An exit is complete after the next KVM_RUN only, which may skip the
	 * instruction of a port access if RIP is still there
	 */
	v->run->immediate_exit = 1;
	ioctl(v->vcpu, KVM_RUN, 0);
	v->run->immediate_exit = 0;
	assert_int_equal(ioctl(v->vcpu, KVM_SET_SREGS, &s), 0);
	assert_int_equal(ioctl(v->vcpu, KVM_SET_REGS, &regs), 0);
	if (ioctl(v->vcpu, KVM_RUN, 0))
		fail_msg("KVM_RUN: %m");
	return v->run->exit_reason;
}

/* Each ends with OUT to port 0x80, which nothing takes: an exit to know it by */
#define END	"\xe6\x80"		/* out 0x80, al */
#define RUN(v, code, ebx) run((v), code END, sizeof(code END) - 1, (ebx))

static void assert_at_end(struct vm *v, uint32_t why)
{
	assert_int_equal(why, KVM_EXIT_IO);
	assert_int_equal(v->run->io.port, 0x80);
}

static uint64_t taken(struct vm *v)
{
	uint64_t n = 0;

	return read(v->event, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* Of the doorbell that did not ring: the access comes to user space */
static void assert_mmio(struct vm *v, uint32_t why, uint64_t value)
{
	uint64_t data = 0;

	assert_int_equal(why, KVM_EXIT_MMIO);
	assert_true(v->run->mmio.is_write);
	memcpy(&data, v->run->mmio.data, v->run->mmio.len);
	assert_true(data == value);
	assert_int_equal(taken(v), 0);
}

#define STORE_AL	"\x67\x88\x03"		/* mov [ebx], al */
#define STORE_EAX	"\x67\x66\x89\x03"	/* mov [ebx], eax */
#define EAX(n)		"\x66\xb8" n		/* mov eax, n */
#define OUT_EAX_90	"\x66\xe7\x90"		/* out 0x90, eax */
#define OUT_AL_90	"\xe6\x90"		/* out 0x90, al */

static void a_doorbell_at_an_address(void **state)
{
	struct vm *v = *state;
	const struct kvm_doorbell d = { .address = MMIO + 0x50, .size = 4 };
	struct error err = { 0 };

	assert_mmio(v, RUN(v, EAX("\7\0\0\0") STORE_EAX, MMIO + 0x50), 7);
	assert_int_equal(kvm_ioeventfd_assign(&v->k, &d, v->event, &err), 0);
	assert_at_end(v, RUN(v, EAX("\7\0\0\0") STORE_EAX STORE_EAX,
			     MMIO + 0x50));
	assert_int_equal(taken(v), 2);
	/* Another address, another size */
	assert_mmio(v, RUN(v, EAX("\7\0\0\0") STORE_EAX, MMIO + 0x54), 7);
	assert_mmio(v, RUN(v, EAX("\7\0\0\0") STORE_AL, MMIO + 0x50), 7);
	assert_int_equal(kvm_ioeventfd_assign(&v->k, &d, v->event, &err),
			 -EEXIST);
	err = (struct error){ 0 };
	assert_int_equal(kvm_ioeventfd_deassign(&v->k, &d, v->event, &err), 0);
	assert_mmio(v, RUN(v, EAX("\7\0\0\0") STORE_EAX, MMIO + 0x50), 7);
	assert_int_equal(kvm_ioeventfd_deassign(&v->k, &d, v->event, &err),
			 -ENOENT);
	assert_non_null(strstr(err.text, "KVM_IOEVENTFD"));
}

/* One eventfd for each queue number that is written to the same register */
static void a_doorbell_for_one_value(void **state)
{
	struct vm *v = *state;
	const struct kvm_doorbell d = {
		.address = MMIO, .size = 4, .match = true, .value = 0x102,
	};
	struct kvm_doorbell other = d;
	struct error err = { 0 };
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t n = 0;

	other.value = 0x103;
	assert_int_equal(kvm_ioeventfd_assign(&v->k, &d, v->event, &err), 0);
	assert_int_equal(kvm_ioeventfd_assign(&v->k, &other, fd, &err), 0);
	assert_at_end(v, RUN(v, EAX("\2\1\0\0") STORE_EAX, MMIO));
	assert_int_equal(taken(v), 1);
	assert_at_end(v, RUN(v, EAX("\3\1\0\0") STORE_EAX, MMIO));
	assert_int_equal(taken(v), 0);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	assert_mmio(v, RUN(v, EAX("\4\1\0\0") STORE_EAX, MMIO), 0x104);
	assert_int_equal(kvm_ioeventfd_deassign(&v->k, &d, v->event, &err), 0);
	assert_mmio(v, RUN(v, EAX("\2\1\0\0") STORE_EAX, MMIO), 0x102);
	close(fd);
}

static void assert_port_90(struct vm *v, uint32_t why)
{
	assert_int_equal(why, KVM_EXIT_IO);
	assert_int_equal(v->run->io.port, 0x90);
	assert_int_equal(taken(v), 0);
}

static void a_doorbell_at_a_port(void **state)
{
	struct vm *v = *state;
	const struct kvm_doorbell d = {
		.address = 0x90, .size = 1, .port = true,
	};
	const struct kvm_doorbell one = {
		.address = 0x90, .size = 4, .port = true, .match = true,
		.value = 9,
	};
	struct error err = { 0 };

	assert_port_90(v, RUN(v, OUT_AL_90, 0));
	assert_int_equal(kvm_ioeventfd_assign(&v->k, &d, v->event, &err), 0);
	assert_at_end(v, RUN(v, OUT_AL_90 OUT_AL_90 OUT_AL_90, 0));
	assert_int_equal(taken(v), 3);
	assert_port_90(v, RUN(v, EAX("\x9\0\0\0") OUT_EAX_90, 0));
	assert_int_equal(kvm_ioeventfd_assign(&v->k, &one, v->event, &err), 0);
	assert_at_end(v, RUN(v, EAX("\x9\0\0\0") OUT_EAX_90, 0));
	assert_int_equal(taken(v), 1);
	assert_port_90(v, RUN(v, EAX("\xa\0\0\0") OUT_EAX_90, 0));
	assert_int_equal(kvm_ioeventfd_deassign(&v->k, &d, v->event, &err), 0);
	assert_port_90(v, RUN(v, OUT_AL_90, 0));
}

static bool requested(struct vm *v)
{
	struct kvm_irqchip c = { .chip_id = KVM_IRQCHIP_PIC_MASTER };

	assert_int_equal(ioctl(v->k.vm, KVM_GET_IRQCHIP, &c), 0);
	return c.chip.pic.irr >> IRQ & 1;
}

static void clear_request(struct vm *v)
{
	struct kvm_irqchip c = { .chip_id = KVM_IRQCHIP_PIC_MASTER };

	assert_int_equal(ioctl(v->k.vm, KVM_GET_IRQCHIP, &c), 0);
	c.chip.pic.irr = 0;
	assert_int_equal(ioctl(v->k.vm, KVM_SET_IRQCHIP, &c), 0);
}

static bool soon_requested(struct vm *v)
{
	for (unsigned ms = 0; ms < 10000; ms++) {
		if (requested(v))
			return true;
		usleep(1000);
	}
	return false;
}

static void ring(struct vm *v)
{
	const uint64_t one = 1;

	assert_int_equal(write(v->event, &one, sizeof(one)), sizeof(one));
}

static void an_eventfd_interrupts(void **state)
{
	struct vm *v = *state;
	struct error err = { 0 };

	assert_int_equal(kvm_irqfd_assign(&v->k, IRQ, v->event, &err), 0);
	assert_false(requested(v));
	for (unsigned i = 0; i < 3; i++) {
		ring(v);
		assert_true(soon_requested(v));
		clear_request(v);
	}
	assert_int_equal(kvm_irqfd_assign(&v->k, IRQ, v->event, &err),
			 -EBUSY);
	assert_non_null(strstr(err.text, "KVM_IRQFD"));
	err = (struct error){ 0 };
	/* What was on its way is there when deassign returns; no more comes */
	ring(v);
	assert_int_equal(kvm_irqfd_deassign(&v->k, IRQ, v->event, &err), 0);
	assert_true(requested(v));
	clear_request(v);
	ring(v);
	usleep(20000);
	assert_false(requested(v));
	assert_int_equal(taken(v), 1);		/* it stayed in the eventfd */
	assert_int_equal(kvm_irqfd_assign(&v->k, IRQ, v->event, &err), 0);
	ring(v);
	assert_true(soon_requested(v));
}

static void a_line_has_a_level(void **state)
{
	struct vm *v = *state;

	kvm_irq_line(&v->k, IRQ, 1);
	assert_true(requested(v));
	kvm_irq_line(&v->k, IRQ, 0);
	kvm_irq_line(&v->k, 1000, 1);		/* nothing happens */
}

/* mov [ebx], al; add ebx, 4096; twice more: three pages from EBX on */
#define STEP	"\x66\x81\xc3\x00\x10\x00\x00"
#define THREE	STORE_AL STEP STORE_AL STEP STORE_AL

static void set_flags(struct vm *v, uint32_t flags)
{
	struct error err = { 0 };

	v->slot.flags = flags;
	if (kvm_set_memory(&v->k, &v->slot, &err))
		fail_msg("%s", err.text);
}

static void get_log(struct vm *v, uint64_t *bitmap)
{
	struct error err = { 0 };

	memset(bitmap, 0xff, PAGES / 8);
	if (kvm_get_dirty_log(&v->k, SLOT, bitmap, &err))
		fail_msg("%s", err.text);
}

/* Exactly these pages of the slot are dirty; the code's page may be */
static void assert_dirty(struct vm *v, unsigned first, unsigned n)
{
	uint64_t bitmap[PAGES / 64];

	get_log(v, bitmap);
	for (unsigned i = 0; i < PAGES; i++) {
		bool dirty = bitmap[i / 64] >> i % 64 & 1;

		if (i == CODE / PAGE)
			continue;
		if (dirty != (i >= first && i - first < n))
			fail_msg("page %u is %s", i, dirty ? "dirty" : "clean");
	}
}

static void the_log_names_what_was_written(void **state)
{
	struct vm *v = *state;
	uint64_t bitmap[PAGES / 64];
	struct error err = { 0 };

	assert_int_equal(kvm_get_dirty_log(&v->k, SLOT, bitmap, &err),
			 -ENOENT);
	assert_at_end(v, RUN(v, THREE, DATA));
	set_flags(v, KVM_MEM_LOG_DIRTY_PAGES);
	assert_dirty(v, 0, 0);
	assert_at_end(v, RUN(v, THREE, DATA));
	assert_dirty(v, DATA / PAGE, 3);
	assert_dirty(v, 0, 0);			/* that cleared it */
	assert_at_end(v, RUN(v, THREE, DATA + PAGE));
	assert_dirty(v, DATA / PAGE + 1, 3);
	set_flags(v, 0);
	err = (struct error){ 0 };
	assert_int_equal(kvm_get_dirty_log(&v->k, SLOT, bitmap, &err),
			 -ENOENT);
	assert_non_null(strstr(err.text, "KVM_GET_DIRTY_LOG"));
}

static void need_manual(struct vm *v, int flags)
{
	if ((kvm_has(&v->k, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) & flags) ==
	    flags)
		return;
	skip_because("KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 is %d",
		     kvm_has(&v->k, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2));
}

static void the_log_is_cleared_in_portions(void **state)
{
	struct vm *v = *state;
	const unsigned page = DATA / PAGE;	/* 16 */
	const uint64_t two = 3ull << page;
	const struct kvm_page_range first = {
		.slot = SLOT, .first = 0, .count = 64,
	};
	const struct kvm_page_range odd = {
		.slot = SLOT, .first = 3, .count = 64,
	};
	struct error err = { 0 };

	need_manual(v, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	if (kvm_dirty_log_manual(&v->k, false, &err))
		fail_msg("%s", err.text);
	set_flags(v, KVM_MEM_LOG_DIRTY_PAGES);
	assert_at_end(v, RUN(v, THREE, DATA));
	assert_dirty(v, page, 3);
	assert_dirty(v, page, 3);		/* reading clears nothing */
	assert_int_equal(kvm_clear_dirty_log(&v->k, &first, &two, &err), 0);
	assert_dirty(v, page + 2, 1);
	assert_at_end(v, RUN(v, THREE, DATA));
	assert_dirty(v, page, 3);		/* written again, seen again */
	assert_int_equal(kvm_clear_dirty_log(&v->k, &odd, &two, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "KVM_CLEAR_DIRTY_LOG"));
}

static void a_new_log_has_all_pages(void **state)
{
	struct vm *v = *state;
	uint64_t all[PAGES / 64];
	const struct kvm_page_range whole = { .slot = SLOT, .count = PAGES };
	struct error err = { 0 };

	need_manual(v, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
		       KVM_DIRTY_LOG_INITIALLY_SET);
	if (kvm_dirty_log_manual(&v->k, true, &err))
		fail_msg("%s", err.text);
	set_flags(v, KVM_MEM_LOG_DIRTY_PAGES);
	assert_dirty(v, 0, PAGES);
	memset(all, 0xff, sizeof(all));
	assert_int_equal(kvm_clear_dirty_log(&v->k, &whole, all, &err), 0);
	assert_dirty(v, 0, 0);
	assert_at_end(v, RUN(v, THREE, DATA));
	assert_dirty(v, DATA / PAGE, 3);
}

/* A write to read-only memory is MMIO; reads and code are as ever */
static void a_slot_can_be_read_only(void **state)
{
	struct vm *v = *state;
	struct error err = { 0 };

	v->slot.size = 0;			/* flags of a new slot only */
	assert_int_equal(kvm_set_memory(&v->k, &v->slot, &err), 0);
	v->slot.size = PAGES * PAGE;
	set_flags(v, KVM_MEM_READONLY);
	assert_mmio(v, RUN(v, EAX("\7\0\0\0") STORE_EAX, DATA), 7);
	assert_int_equal(((uint8_t *)v->slot.hva)[DATA], 0);
}

static void statistics_are_found_by_name(void **state)
{
	struct vm *v = *state;
	struct kvm_stat s;
	uint64_t before;

	kvm_stat_open(&s, v->vcpu, "no such statistic");
	assert_int_equal(s.fd, -1);
	assert_true(kvm_stat_read(&s) == 0);
	kvm_stat_close(&s);
	/* "signal_exits", which is beside it, must not be taken for it */
	kvm_stat_open(&s, v->vcpu, "mmio_exits");
	if (s.fd < 0)
		skip_because("this KVM has no statistics");
	before = kvm_stat_read(&s);
	assert_mmio(v, RUN(v, EAX("\7\0\0\0") STORE_EAX, MMIO), 7);
	assert_true(kvm_stat_read(&s) == before + 1);
	assert_at_end(v, RUN(v, "", 0));
	assert_true(kvm_stat_read(&s) == before + 1);
	kvm_stat_close(&s);
	assert_int_equal(s.fd, -1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(a_doorbell_at_an_address),
		CASE(a_doorbell_for_one_value),
		CASE(a_doorbell_at_a_port),
		CASE(an_eventfd_interrupts),
		CASE(a_line_has_a_level),
		CASE(the_log_names_what_was_written),
		CASE(the_log_is_cleared_in_portions),
		CASE(a_new_log_has_all_pages),
		CASE(a_slot_can_be_read_only),
		CASE(statistics_are_found_by_name),
	};

	(void)argc;
	rig_check_kvm(argv[0]);
	return cmocka_run_group_tests_name("kvm", tests, NULL, NULL);
}
