// SPDX-License-Identifier: MIT
/*
 * test_pause.c - Pausing and going on, a thousand times, under load
 *
 * A vCPU may be anywhere when it is stopped: in the guest, in the middle of a
 * string of port writes, halted, on its way to the gate. Nothing that it was
 * doing may be lost or done twice: every byte of output is looked at.
 */

#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rig.h"
#include "vmm/base/clock.h"
#include "vmm/cpu/x86_regs.h"
#include "vmm/machine/vcpu.h"

#define TIMES	1000

/* Answers to "hello N" for each N, once and in order */
static void check_answers(struct rig *r, unsigned n)
{
	const char *at = r->out;
	char want[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(want, sizeof(want), "\nhello number-%u\n", i);
		at = strstr(at, want);
		if (!at)
			fail_msg("the answer%s was lost, doubled or torn",
				 want);
		at++;
		assert_null(strstr(at, want));
	}
}

/* Every line is of a kind that the guest prints, and whole */
static void check_lines(struct rig *r)
{
	static const char *const kinds[] = {
		"boot ferry-guest ", "ready t_us=", "report t_us=", "hello ",
		"verdict expected=",
	};
	unsigned n = 0;
	char *line, *save = NULL;

	for (line = strtok_r(r->out, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		bool known = false;

		line += *line == '\r';
		for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
			known |= !strncmp(line, kinds[i], strlen(kinds[i]));
		if (!known)
			fail_msg("not a line of the guest's: '%s'", line);
		if (!strncmp(line, "report ", 7) && !strstr(line, " bad=0 "))
			fail_msg("'%s'", line);
		n++;
	}
	assert_true(n > 3);
}

static void pause_often(const char *args, unsigned cpus)
{
	struct rig *r = rig_new(32, cpus, RAM_ANON, "host", args);
	unsigned asked = 0;

	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	for (unsigned i = 0; i < TIMES; i++) {
		if (i % 20 == 0) {
			char text[32];

			snprintf(text, sizeof(text), "hello number-%u",
				 asked++);
			rig_type(r, text);
		}
		usleep(i * 7919 % 2000);
		assert_true(rig_pause(r));
		assert_int_equal(r->m->parked, cpus);
		assert_int_equal(machine_status(r->m).state, RUN_PAUSED);
		if (i % 100 == 0)
			assert_true(rig_pause(r));	/* it is already */
		rig_run(r);
	}
	rig_wait(r, 0, "\nhello number-49\n");
	rig_type(r, "exit");
	assert_int_equal(rig_exit(r), 0);
	check_answers(r, asked);
	check_lines(r);
	rig_free(r);
}

static void under_load(void **state)
{
	(void)state;
	pause_often("work=verify mib=8 interval_ms=20", 4);
}

static void asleep(void **state)
{
	(void)state;
	pause_often("work=idle mib=8 interval_ms=20 period_us=1000", 4);
}

/* While it is paused nothing happens: no output, no change of memory */
static void paused_means_paused(void **state)
{
	struct rig *r = rig_new(16, 2, RAM_ANON, "host",
				"work=dirty mib=4 interval_ms=20");
	static uint8_t a[16 << 20], b[16 << 20];
	size_t len;

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "report ");
	assert_true(rig_pause(r));
	len = r->len;
	assert_int_equal(ram_read(&r->m->ram, 0, a, sizeof(a)), 0);
	usleep(100000);
	assert_int_equal(ram_read(&r->m->ram, 0, b, sizeof(b)), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(r->len, len);
	rig_run(r);
	rig_wait(r, len, "report ");
	rig_free(r);
}

static void a_guest_that_ended_stays_ended(void **state)
{
	struct rig *r = rig_new(16, 2, RAM_ANON, "host", "work=idle mib=4");
	struct error err = { 0 };

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	rig_type(r, "exit");
	assert_int_equal(rig_exit(r), 0);
	rig_state(r, RUN_SHUTDOWN);
	assert_false(rig_pause(r));
	assert_true(machine_run(r->m, WHY_UNPAUSED, &err) < 0);
	assert_true(machine_ended(r->m));
	rig_free(r);
}

/* Freed in every condition: never run, running, paused, with halted vCPUs */
static void freed_at_any_time(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++) {
		struct rig *r = rig_new(16, 4, i & 1 ? RAM_ANON : RAM_MEMFD,
			"host", i & 2 ? "work=idle mib=4" : "mib=4");

		if (i < 2) {
			rig_build(r);
		} else {
			rig_boot(r, rig_guest());
			usleep((unsigned)i * 9000);
			if (i % 3 == 0)
				rig_pause(r);
		}
		rig_free(r);
	}
}

static uint64_t kvmclock_flags_gpa(struct rig *r)
{
	uint64_t msr = 0;

	assert_int_equal(kvm_get_msr(r->m->vcpu[0].fd, MSR_KVM_SYSTEM_TIME,
				     &msr), 0);
	assert_true(msr & 1);
	return (msr & ~1ull) + PVCLOCK_FLAGS;
}

static uint8_t kvmclock_flags(struct rig *r)
{
	uint8_t flags;

	assert_int_equal(ram_read(&r->m->ram, kvmclock_flags_gpa(r), &flags,
				  1), 0);
	return flags;
}

/* As a guest does that has read the flag */
static void clear_kvmclock_flags(struct rig *r)
{
	const uint8_t none = 0;

	assert_int_equal(ram_write(&r->m->ram, kvmclock_flags_gpa(r), &none,
				   1), 0);
}

static void answer_once(struct rig *r, const char *text)
{
	size_t from = r->len;

	rig_type(r, text);
	rig_wait(r, from, text);
}

/* Without this flag Linux reports soft lockups after a pause of 20 s */
static void the_guest_learns_of_a_pause(void **state)
{
	struct rig *r = rig_new(32, 1, RAM_ANON, "host", "");
	struct run_status before;
	struct error err = { 0 };

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	assert_false(kvmclock_flags(r) & PVCLOCK_GUEST_STOPPED);

	assert_true(rig_pause(r));
	rig_run(r);
	answer_once(r, "hello pause");
	assert_true(kvmclock_flags(r) & PVCLOCK_GUEST_STOPPED);

	/* A dump, and a migration that fails */
	clear_kvmclock_flags(r);
	assert_int_equal(machine_freeze(r->m, &before, &err), 0);
	machine_thaw(r->m, &before);
	answer_once(r, "hello dump");
	assert_true(kvmclock_flags(r) & PVCLOCK_GUEST_STOPPED);
	clear_kvmclock_flags(r);
	assert_int_equal(machine_hold(r->m, &before, &err), 0);
	machine_thaw(r->m, &before);
	answer_once(r, "hello hold");
	assert_true(kvmclock_flags(r) & PVCLOCK_GUEST_STOPPED);
	rig_free(r);
}

/* A guest's clock around a pause: when it began, stood, ended, in ns */
struct pause_times {
	uint64_t guest, begin, parked, resume;
};

#define PAUSED_NS	500000000ull
#define CLOCKS_NS	5000000ull	/* between the two clocks' speeds */

static struct pause_times begin_pause(struct rig *r)
{
	return (struct pause_times){ .begin = now_ns(), .guest = rig_clock(r) };
}

static void stay_paused(struct pause_times *t)
{
	t->parked = now_ns();
	usleep(PAUSED_NS / 1000);
	t->resume = now_ns();
}

/* It neither steps back nor counts the time for which it was paused */
static void check_stood(struct rig *r, const struct pause_times *t)
{
	const uint64_t passed = rig_clock(r) - t->guest;
	const uint64_t paused = t->resume - t->parked;

	assert_in_range(passed, 0, now_ns() - t->begin - paused + CLOCKS_NS);
}

static struct rig *boot_idle(unsigned cpus)
{
	struct rig *r = rig_new(32, cpus, RAM_ANON, "host", "work=idle mib=4");

	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	return r;
}

/* kvmclock is for pauses by clients and dumps what it is in QEMU */
static void the_clock_stands_still(void **state)
{
	struct rig *r = boot_idle(2);
	struct run_status before;
	struct pause_times t;
	struct error err = { 0 };

	(void)state;
	t = begin_pause(r);
	assert_true(rig_pause(r));
	assert_true(rig_pause(r));
	stay_paused(&t);
	rig_run(r);
	check_stood(r, &t);

	t = begin_pause(r);
	assert_int_equal(machine_freeze(r->m, &before, &err), 0);
	stay_paused(&t);
	machine_thaw(r->m, &before);
	check_stood(r, &t);

	/* Paused, then dumped, then held by a migration that fails */
	t = begin_pause(r);
	assert_true(rig_pause(r));
	assert_int_equal(machine_freeze(r->m, &before, &err), 0);
	machine_thaw(r->m, &before);
	assert_int_equal(machine_hold(r->m, &before, &err), 0);
	stay_paused(&t);
	machine_thaw(r->m, &before);
	rig_run(r);
	check_stood(r, &t);
	rig_free(r);
}

/* A hand-over is no pause: the guest's clock goes on if it fails, too */
static void the_clock_goes_on_in_a_hand_over(void **state)
{
	struct rig *r = boot_idle(1);
	struct run_status before;
	struct pause_times t;
	struct error err = { 0 };

	(void)state;
	t = begin_pause(r);
	assert_int_equal(machine_hold(r->m, &before, &err), 0);
	stay_paused(&t);
	machine_thaw(r->m, &before);
	assert_true(rig_clock(r) - t.guest + CLOCKS_NS >= t.resume - t.parked);
	rig_free(r);
}

/*
 * KVM_RUN as a host that lacks memory answers it: this definition comes before
 * the C library's. @fail_runs counts down; @fail_errno is what it answers
 */
static _Atomic int fail_runs, fail_errno;

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == KVM_RUN && fail_runs > 0) {
		fail_runs--;
		errno = fail_errno;
		return -1;
	}
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static void a_transient_error_does_not_end_the_guest(void **state)
{
	struct rig *r = rig_new(32, 2, RAM_ANON, "host", "work=verify mib=4");

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "report ");
	fail_errno = ENOMEM;
	fail_runs = 20;
	while (fail_runs > 0 && machine_status(r->m).state == RUN_RUNNING) {
		assert_true(rig_pause(r));	/* it can be stopped meanwhile */
		rig_run(r);
	}
	assert_int_equal(fail_runs, 0);
	answer_once(r, "hello memory");
	fail_errno = EIO;
	fail_runs = 1;
	rig_state(r, RUN_INTERNAL_ERROR);
	rig_free(r);
}

/* A signal to a joined thread is undefined: another vCPU may still kick it */
static _Atomic bool joined, signalled;

int pthread_kill(pthread_t thread, int sig)
{
	int (*real)(pthread_t, int) =
		(int (*)(pthread_t, int))dlsym(RTLD_NEXT, "pthread_kill");

	signalled |= joined;
	return joined ? 0 : real(thread, sig);
}

static void a_joined_vcpu_gets_no_signal(void **state)
{
	struct rig *r = rig_new(16, 2, RAM_ANON, "host", "work=idle mib=4");

	(void)state;
	rig_boot(r, rig_guest());
	rig_wait(r, 0, "ready ");
	machine_halt(r->m);
	vcpu_join(&r->m->vcpu[0]);
	joined = true;
	vcpu_kick(&r->m->vcpu[0]);
	joined = false;
	assert_false(signalled);
	rig_free(r);
}

/* A guest that sleeps is idle, one that works is not: for answer_size.h */
static void idle_time_is_known(void **state)
{
	static const char *const work[] = { "work=idle period_us=1000",
					    "work=dirty" };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct rig *r = rig_new(32, 1, RAM_ANON, "host", work[i]);
		uint64_t exits = 0, idle, since, was, passed = 0;

		rig_boot(r, rig_guest());
		rig_wait(r, 0, "ready ");
		was = machine_vcpu_idle(r->m, 0, &exits);
		assert_true(was != UINT64_MAX && exits);
		since = now_ns();
		do {
			usleep(10000);
			idle = machine_vcpu_idle(r->m, 0, &exits) - was;
			passed = now_ns() - since;
		} while (passed < 300000000u ||
			 (!i && idle < 50000000u && passed < 60000000000u));
		/* A halt that has begun before counts when it ends */
		assert_true(i ? idle < passed / 10 : idle >= 50000000u);
		rig_free(r);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(under_load),
		cmocka_unit_test(asleep),
		cmocka_unit_test(paused_means_paused),
		cmocka_unit_test(a_guest_that_ended_stays_ended),
		cmocka_unit_test(freed_at_any_time),
		cmocka_unit_test(the_guest_learns_of_a_pause),
		cmocka_unit_test(the_clock_stands_still),
		cmocka_unit_test(the_clock_goes_on_in_a_hand_over),
		cmocka_unit_test(a_joined_vcpu_gets_no_signal),
		cmocka_unit_test(a_transient_error_does_not_end_the_guest),
		cmocka_unit_test(idle_time_is_known),
	};

	(void)argc;
	rig_check_kvm(argv[0]);
	return cmocka_run_group_tests_name("pause", tests, NULL, NULL);
}
