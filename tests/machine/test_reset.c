// SPDX-License-Identifier: MIT
/*
 * test_reset.c - A machine that was reset is like one that was just built
 *
 * What a guest did to its devices, vCPUs and RAM before must not show. The
 * judge is a second machine, built from the same description and started from
 * the same kernel, that has never run.
 */

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compare.h"
#include "rig.h"
#include "vmm/boot/boot.h"
#include "vmm/cpu/x86_regs.h"
#include "vmm/machine/inject.h"
#include "vmm/machine/machine_reset.h"
#include "vmm/machine/vcpu.h"
#include "vmm/memory/ram_holes.h"

static void reset(struct rig *r)
{
	struct error err = { 0 };

	if (machine_reset(r->m, &err))
		fail_msg("%s", err.text);
}

/* As it is before its first instruction */
static void save_new(const struct machine_config *cfg, struct writer *w)
{
	struct rig *r = rig_new(32, cfg->cpus, cfg->backing, "host",
				cfg->bootargs);
	struct error err = { 0 };

	rig_build(r);
	if (boot_load(r->m, rig_guest(), NULL, &err))
		fail_msg("%s", err.text);
	rig_save(r->m, w);
	rig_free(r);
}

static void like_new(unsigned cpus, enum ram_backing backing)
{
	struct rig *r = rig_new(32, cpus, backing, "host",
				"work=token interval_ms=50");
	struct writer before = { 0 }, after = { 0 };

	rig_boot(r, rig_guest());
	rig_wait(r, 0, "\nready ");
	for (unsigned i = 0; i < 3; i++) {
		rig_wait(r, r->len, "report ");
		if (!rig_pause(r))
			fail_msg("it has ended");
		reset(r);
		assert_int_equal(machine_status(r->m).state, RUN_PRELAUNCH);
		save_new(&r->cfg, &before);
		rig_save(r->m, &after);
		compare_states(&before, &after, "reset");
		writer_free(&before);
		writer_free(&after);
		rig_run(r);
	}
	rig_wait(r, r->len, "report ");
	rig_free(r);
}

static void one_vcpu(void **state)
{
	(void)state;
	like_new(1, RAM_ANON);
}

static void four_vcpus(void **state)
{
	(void)state;
	like_new(4, RAM_MEMFD);
}

/* An interrupt between vCPUs, as a message: SDM vol. 3, "Message Address Register Format" */
static void send_ipi(struct machine *m, unsigned to, unsigned mode,
		     unsigned vector)
{
	struct kvm_msi msi = {
		.address_lo = 0xfee00000 | to << 12,
		.data = 1u << 14 | mode << 8 | vector,
	};

	assert_int_equal(ioctl(m->kvm.vm, KVM_SIGNAL_MSI, &msi), 1);
}

/*
 * One vCPU starts another, and before that one has seen it, all are reset. It
 * must not start then, at an address where nothing is any more
 */
static void no_startup_outlives_it(void **state)
{
	struct rig *r = rig_new(32, 2, RAM_ANON, "host",
				"work=token interval_ms=50");
	struct writer before = { 0 }, after = { 0 };

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "\nready ");
	assert_true(rig_pause(r));
	send_ipi(r->m, 1, 5, 0);	/* INIT */
	send_ipi(r->m, 1, 6, 0x42);	/* SIPI */
	reset(r);
	save_new(&r->cfg, &before);
	rig_save(r->m, &after);
	compare_states(&before, &after, "reset");
	writer_free(&before);
	writer_free(&after);
	rig_free(r);
}

static void no_register_outlives_it(void **state)
{
	struct rig *r = rig_new(32, 2, RAM_ANON, "host",
				"work=token interval_ms=50");
	struct writer before = { 0 }, after = { 0 };

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "\nready ");
	assert_true(rig_pause(r));
	rig_fill_registers(r);
	r->m->vcpu[1].asked = VCPU_ASK_BROADCAST;
	reset(r);
	assert_int_equal(r->m->vcpu[1].asked, 0);
	save_new(&r->cfg, &before);
	rig_save(r->m, &after);
	compare_states(&before, &after, "reset");
	writer_free(&before);
	writer_free(&after);
	rig_free(r);
}

struct clocks {
	uint64_t kvmclock, tsc;
};

static struct clocks clocks(struct machine *m)
{
	struct kvm_clock_data c = { 0 };
	struct clocks now = { 0 };

	assert_int_equal(ioctl(m->kvm.vm, KVM_GET_CLOCK, &c), 0);
	assert_int_equal(kvm_get_msr(m->vcpu[0].fd, MSR_TSC, &now.tsc), 0);
	now.kvmclock = c.clock;
	return now;
}

/* A guest's time is the machine's, from when it was built */
static void clocks_go_on(void **state)
{
	struct rig *r = rig_new(32, 2, RAM_ANON, "host", "work=idle mib=4");
	struct clocks before, after;

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "\nready ");
	sleep(2);		/* KVM takes a TSC that is nearly right for right */
	assert_true(rig_pause(r));
	before = clocks(r->m);
	reset(r);
	after = clocks(r->m);
	assert_true(after.kvmclock > before.kvmclock);
	assert_true(after.tsc > before.tsc);
	rig_free(r);
}

static int any_hole(void *ctx, uint64_t offset, uint64_t len)
{
	(void)offset;
	*(uint64_t *)ctx += len;
	return 0;
}

/* RAM is what the kernel was loaded into, and nothing else */
static void ram_is_empty(void **state)
{
	struct rig *r = rig_new(32, 1, RAM_ANON, "host", "work=dirty");
	uint64_t holes = 0, word = 1;

	(void)state;
	rig_boot(r, rig_guest());
	/* A host that gives anyone huge pages fills more than was written to */
	madvise(r->m->ram.base, r->m->ram.size, MADV_NOHUGEPAGE);
	rig_wait(r, 0, "\nready ");
	assert_true(rig_pause(r));
	reset(r);
	assert_int_equal(ram_holes(&r->m->ram, 0, 32 * MIB, any_hole, &holes),
			 0);
	assert_true(holes > 31 * MIB);
	for (uint64_t gpa = 4 * MIB; gpa < 32 * MIB; gpa += GUEST_PAGE_SIZE) {
		assert_int_equal(ram_read(&r->m->ram, gpa, &word, 8), 0);
		assert_int_equal(word, 0);
	}
	rig_free(r);
}

/* Fresh RAM has no lost page, so the list and the walls must go with it */
static void poison_is_forgotten(void **state)
{
	static const enum ram_backing backing[] = { RAM_ANON, RAM_MEMFD };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		enum inject_method method = INJECT_SIMULATE;
		struct rig *r = rig_new(32, 1, backing[i], "host",
					"work=dirty");
		struct error err = { 0 };
		uint8_t byte = 1;

		rig_build(r);
		assert_int_equal(boot_load(r->m, rig_guest(), NULL, &err), 0);
		assert_int_equal(inject_poison(r->m, 20 * MIB, &method, &err),
				 0);
		assert_int_equal(ram_read(&r->m->ram, 20 * MIB, &byte, 1),
				 -EHWPOISON);
		atomic_store(&r->m->walled, true);
		reset(r);
		assert_false(poison_find(&r->m->poison, 20 * MIB, NULL));
		assert_int_equal(r->m->poison.n, 0);
		assert_false(r->m->walled);
		assert_int_equal(ram_read(&r->m->ram, 20 * MIB, &byte, 1), 0);
		assert_int_equal(byte, 0);
		/* The page can be lost again, and that is noted again */
		method = INJECT_SIMULATE;
		assert_int_equal(inject_poison(r->m, 20 * MIB, &method, &err),
				 0);
		rig_free(r);
	}
}

static void wait_asked(struct rig *r, unsigned n)
{
	unsigned asked = 0;

	for (unsigned ms = 0; ms < RIG_SECONDS * 1000 && asked < n; ms++) {
		usleep(1000);
		pthread_mutex_lock(&r->lock);
		asked = r->resets_asked;
		pthread_mutex_unlock(&r->lock);
	}
	if (asked < n)
		fail_msg("reset number %u was not asked for", n);
}

/* And each time it is asked for; the machine is running all the while */
static void a_triple_fault_asks_for_it(void **state)
{
	struct rig *r = rig_new(32, 1, RAM_ANON, "host", "t");

	(void)state;
	rig_boot(r, rig_ring0());
	for (unsigned n = 1; n < 4; n++) {
		wait_asked(r, n);
		assert_int_equal(machine_reset_asked(r->m), RESET_GUEST);
		assert_int_equal(machine_status(r->m).state, RUN_RUNNING);
		reset(r);
		assert_int_equal(r->was_reset, RESET_GUEST);
	}
	rig_free(r);
}

/* No reset while the machine is held; the request stays, and is notified again */
static void not_while_it_is_held(void **state)
{
	struct rig *r = rig_new(32, 2, RAM_ANON, "host", "work=verify");
	struct error err = { 0 };
	struct run_status before;
	size_t from;

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "\nready ");
	assert_int_equal(machine_hold(r->m, &before, &err), 0);
	assert_int_equal(machine_run(r->m, WHY_UNPAUSED, &err), -EBUSY);
	from = r->len;
	machine_ask_reset(r->m, RESET_HOST);
	wait_asked(r, 1);
	assert_int_equal(machine_reset(r->m, &err), -EBUSY);
	assert_int_equal(machine_reset_asked(r->m), RESET_HOST);
	/* Let go, it doesn't run before the reset */
	machine_thaw(r->m, &before);
	wait_asked(r, 2);
	assert_int_equal(machine_status(r->m).state, RUN_RUNNING);
	assert_int_equal(r->m->gate, GATE_PARK);
	reset(r);
	assert_int_equal(r->m->gate, GATE_RUN);
	assert_int_equal(r->was_reset, RESET_HOST);
	rig_wait(r, from, "\nready ");
	rig_free(r);
}

/* Who lets the guest run while it is being reset doesn't let it in */
static int run_during_reset(struct machine *m, struct error *err)
{
	int rc = machine_run(m, WHY_UNPAUSED, err);

	assert_int_equal(m->gate, GATE_PARK);
	return rc;
}

static void the_gate_stays_closed_meanwhile(void **state)
{
	struct rig *r = rig_new(32, 2, RAM_ANON, "host", "work=verify");
	struct error err = { 0 };

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "\nready ");
	machine_set_restart(r->m, run_during_reset);
	assert_int_equal(machine_reset(r->m, &err), 0);
	assert_int_equal(r->m->gate, GATE_RUN);
	rig_free(r);
}

/* Asked for as the guest leaves, it is carried out where it arrives */
static void the_wish_moves_along(void **state)
{
	struct rig *r = rig_new(32, 2, RAM_ANON, "host", "work=verify");
	struct rig *to = rig_new(32, 2, RAM_ANON, "host", "work=verify");
	struct writer w = { 0 };
	struct error err = { 0 };
	struct run_status before;
	struct reader rd;

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "\nready ");
	assert_int_equal(machine_hold(r->m, &before, &err), 0);
	machine_ask_reset(r->m, RESET_GUEST);
	rig_save(r->m, &w);
	rig_build(to);
	rd = (struct reader){ .data = w.data, .len = w.len };
	assert_int_equal(machine_load(to->m, &rd, &err), 0);
	assert_int_equal(machine_reset_asked(to->m), RESET_GUEST);
	assert_int_equal(machine_run(to->m, WHY_POSTCOPY, &err), 0);
	assert_int_equal(boot_load(to->m, rig_guest(), NULL, &err), 0);
	reset(to);
	rig_wait(to, 0, "\nready ");
	writer_free(&w);
	rig_free(to);
	rig_free(r);
}

/*
 * A vCPU that does not leave the guest while @late is set, whatever kicks it:
 * this definition comes before the C library's
 */
static _Atomic bool late;
static _Atomic unsigned lingering;

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == KVM_RUN && late) {
		lingering++;
		while (late)
			usleep(1000);
		lingering--;
	}
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

/* The reset waits for it, also for longer than one attempt takes */
static void a_late_vcpu_is_no_crash(void **state)
{
	struct rig *r = rig_new(32, 2, RAM_ANON, "host", "work=verify");
	struct error err = { 0 };
	size_t from;

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "\nready ");
	late = true;
	while (!lingering) {
		vcpu_kick(&r->m->vcpu[0]);
		usleep(1000);
	}
	machine_ask_reset(r->m, RESET_HOST);
	assert_int_equal(machine_reset(r->m, &err), -ETIMEDOUT);
	assert_int_equal(machine_status(r->m).state, RUN_RUNNING);
	assert_int_equal(machine_reset_asked(r->m), RESET_HOST);
	assert_int_equal(r->m->gate, GATE_PARK);
	from = r->len;
	assert_int_equal(machine_reset_start(r->m, &err), 0);
	usleep(100000);
	late = false;
	rig_wait(r, from, "\nready ");
	assert_int_equal(r->was_reset, RESET_HOST);
	assert_int_equal(machine_status(r->m).state, RUN_RUNNING);
	rig_free(r);
}

/* Requests that come during a reset are carried out, by one thread */
static void started_again_and_again(void **state)
{
	struct rig *r = rig_new(32, 2, RAM_ANON, "host", "work=verify");
	struct error err = { 0 };

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "\nready ");
	for (unsigned n = 0; n < 50; n++) {
		machine_ask_reset(r->m, RESET_HOST);
		assert_int_equal(machine_reset_start(r->m, &err), 0);
		usleep(n * 200);
	}
	for (unsigned ms = 0; machine_reset_asked(r->m); ms++) {
		assert_true(ms < RIG_SECONDS * 1000);
		usleep(1000);
	}
	rig_wait(r, r->len, "report ");
	/* Freed while a reset is under way */
	machine_ask_reset(r->m, RESET_HOST);
	assert_int_equal(machine_reset_start(r->m, &err), 0);
	rig_free(r);
}

#define BESIDE_US	100000	/* for the pause to reach the notify lock */

static pthread_t pauser;

static void *pause_machine(void *arg)
{
	struct error err = { 0 };

	assert_int_equal(machine_pause(arg, RUN_PAUSED, WHY_USER, &err), 0);
	return NULL;
}

/* The reset is nearly over: the machine is about to run, and a client stops it */
static void pause_beside(void *ctx, enum reset_cause cause)
{
	struct rig *r = ctx;

	(void)cause;
	assert_int_equal(pthread_create(&pauser, NULL, pause_machine, r->m),
			 0);
	usleep(BESIDE_US);
}

/* A pause that saw the reset under way, and sets its status after the reset */
static void a_pause_at_its_end_stops_the_guest(void **state)
{
	struct rig *r = rig_new(32, 2, RAM_ANON, "host", "work=verify");
	struct error err = { 0 };

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "\nready ");
	r->m->observer.was_reset = pause_beside;
	machine_ask_reset(r->m, RESET_HOST);
	assert_int_equal(machine_reset(r->m, &err), 0);
	assert_int_equal(pthread_join(pauser, NULL), 0);
	assert_int_equal(machine_status(r->m).state, RUN_PAUSED);
	assert_int_equal(r->m->gate, GATE_PARK);
	assert_int_equal(r->m->parked, 2);
	rig_run(r);
	rig_wait(r, r->len, "report ");
	rig_free(r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_vcpu),
		cmocka_unit_test(four_vcpus),
		cmocka_unit_test(clocks_go_on),
		cmocka_unit_test(no_register_outlives_it),
		cmocka_unit_test(no_startup_outlives_it),
		cmocka_unit_test(ram_is_empty),
		cmocka_unit_test(poison_is_forgotten),
		cmocka_unit_test(a_triple_fault_asks_for_it),
		cmocka_unit_test(not_while_it_is_held),
		cmocka_unit_test(the_gate_stays_closed_meanwhile),
		cmocka_unit_test(the_wish_moves_along),
		cmocka_unit_test(a_late_vcpu_is_no_crash),
		cmocka_unit_test(started_again_and_again),
		cmocka_unit_test(a_pause_at_its_end_stops_the_guest),
	};

	(void)argc;
	rig_check_kvm(argv[0]);
	return cmocka_run_group_tests_name("reset", tests, NULL, NULL);
}
