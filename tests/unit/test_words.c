// SPDX-License-Identifier: MIT
/* test_words.c - Every state has names, and they are libvirt's */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <libvirt/libvirt.h>

#include "vmm/control/words.h"

static struct domain_words words(enum run_state state, enum run_reason reason)
{
	return words_domain((struct run_status){ state, reason });
}

static void expect(enum run_state state, enum run_reason reason,
		   struct domain_words want)
{
	struct domain_words got = words(state, reason);

	assert_string_equal(got.qemu, want.qemu);
	assert_string_equal(got.state, want.state);
	assert_string_equal(got.reason, want.reason);
	assert_int_equal(got.state_value, want.state_value);
	assert_int_equal(got.reason_value, want.reason_value);
	assert_int_equal(got.running, want.running);
}

#define NAMED(s, r) "VIR_DOMAIN_" s, "VIR_DOMAIN_" s "_" r

static void postcopy_has_its_own_reasons(void **state)
{
	(void)state;
	expect(RUN_RUNNING, WHY_POSTCOPY, (struct domain_words){
	       "running", NAMED("RUNNING", "POSTCOPY"),
	       VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_POSTCOPY, true });
	expect(RUN_FINISH_MIGRATE, WHY_POSTCOPY, (struct domain_words){
	       "finish-migrate", NAMED("PAUSED", "POSTCOPY"),
	       VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_POSTCOPY, false });
	expect(RUN_PAUSED, WHY_POSTCOPY_FAILED, (struct domain_words){
	       "paused", NAMED("PAUSED", "POSTCOPY_FAILED"),
	       VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_POSTCOPY_FAILED, false });
	expect(RUN_POSTMIGRATE, WHY_POSTCOPY, (struct domain_words){
	       "postmigrate", NAMED("PAUSED", "POSTCOPY"),
	       VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_POSTCOPY, false });
	expect(RUN_POSTMIGRATE, WHY_MIGRATED, (struct domain_words){
	       "postmigrate", NAMED("SHUTOFF", "MIGRATED"),
	       VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_MIGRATED, false });
}

static void a_life_has_its_words(void **state)
{
	(void)state;
	expect(RUN_PRELAUNCH, WHY_STARTING_UP, (struct domain_words){
	       "prelaunch", NAMED("PAUSED", "STARTING_UP"),
	       VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_STARTING_UP, false });
	expect(RUN_RUNNING, WHY_BOOTED, (struct domain_words){
	       "running", NAMED("RUNNING", "BOOTED"),
	       VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED, true });
	expect(RUN_INMIGRATE, WHY_MIGRATION, (struct domain_words){
	       "inmigrate", NAMED("PAUSED", "MIGRATION"),
	       VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION, false });
	expect(RUN_PAUSED, WHY_USER, (struct domain_words){
	       "paused", NAMED("PAUSED", "USER"),
	       VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER, false });
	expect(RUN_RUNNING, WHY_MIGRATION_CANCELED, (struct domain_words){
	       "running", NAMED("RUNNING", "MIGRATION_CANCELED"),
	       VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_MIGRATION_CANCELED,
	       true });
	expect(RUN_INTERNAL_ERROR, WHY_CRASHED, (struct domain_words){
	       "internal-error", NAMED("CRASHED", "PANICKED"),
	       VIR_DOMAIN_CRASHED, VIR_DOMAIN_CRASHED_PANICKED, false });
	expect(RUN_GUEST_PANICKED, WHY_CRASHED, (struct domain_words){
	       "guest-panicked", NAMED("CRASHED", "PANICKED"),
	       VIR_DOMAIN_CRASHED, VIR_DOMAIN_CRASHED_PANICKED, false });
	expect(RUN_SHUTDOWN, WHY_SHUTDOWN, (struct domain_words){
	       "shutdown", NAMED("SHUTOFF", "SHUTDOWN"),
	       VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_SHUTDOWN, false });
}

/* A reason belongs to its state, and only "running" has running vCPUs */
static void every_pair_makes_sense(void **state)
{
	struct domain_words w;
	unsigned s, r;

	(void)state;
	for (s = 0; s < RUN_STATES; s++) {
		for (r = 0; r < RUN_REASONS; r++) {
			w = words(s, r);
			assert_non_null(w.qemu);
			assert_non_null(w.state);
			assert_int_equal(strncmp(w.reason, w.state,
						 strlen(w.state)), 0);
			assert_int_equal(w.reason[strlen(w.state)], '_');
			assert_int_not_equal(w.state_value,
					     VIR_DOMAIN_NOSTATE);
			assert_int_equal(w.running, s == RUN_RUNNING);
			assert_int_equal(w.state_value == VIR_DOMAIN_RUNNING,
					 s == RUN_RUNNING);
		}
	}
}

static void states_differ_in_qemus_words(void **state)
{
	unsigned a, b;

	(void)state;
	for (a = 0; a < RUN_STATES; a++)
		for (b = 0; b < a; b++)
			assert_string_not_equal(words(a, WHY_USER).qemu,
						words(b, WHY_USER).qemu);
}

static void nonsense_is_no_state(void **state)
{
	(void)state;
	assert_string_equal(words(RUN_STATES, WHY_USER).state,
			    "VIR_DOMAIN_NOSTATE");
	assert_string_equal(words((enum run_state)-1, WHY_USER).state,
			    "VIR_DOMAIN_NOSTATE");
	assert_string_equal(words(RUN_RUNNING, RUN_REASONS).reason,
			    "VIR_DOMAIN_RUNNING_UNKNOWN");
}

static void memory_failures_have_words(void **state)
{
	static const char *const actions[] = {
		"ignore", "inject", "fatal", "reset"
	};
	struct memory_failure_word w;
	unsigned i;

	(void)state;
	for (i = 0; i < MF_ACTIONS; i++)
		assert_string_equal(words_mf_action(i).qemu, actions[i]);
	w = words_mf_action(MF_ACTION_INJECT);
	assert_string_equal(w.libvirt,
			    "VIR_DOMAIN_EVENT_MEMORY_FAILURE_ACTION_INJECT");
	assert_int_equal(w.value,
			 VIR_DOMAIN_EVENT_MEMORY_FAILURE_ACTION_INJECT);
	w = words_mf_recipient(MF_RECIPIENT_GUEST);
	assert_string_equal(w.qemu, "guest");
	assert_int_equal(w.value,
			 VIR_DOMAIN_EVENT_MEMORY_FAILURE_RECIPIENT_GUEST);
	assert_string_equal(words_mf_recipient(MF_RECIPIENT_HYPERVISOR).qemu,
			    "hypervisor");
	assert_null(words_mf_action(MF_ACTIONS).qemu);
	assert_null(words_mf_recipient(MF_RECIPIENTS).qemu);
}

static void flags_are_libvirts(void **state)
{
	(void)state;
	assert_int_equal(words_mf_flags(false, false), 0);
	assert_int_equal(words_mf_flags(true, false),
			 VIR_DOMAIN_MEMORY_FAILURE_ACTION_REQUIRED);
	assert_int_equal(words_mf_flags(true, true),
			 VIR_DOMAIN_MEMORY_FAILURE_ACTION_REQUIRED |
			 VIR_DOMAIN_MEMORY_FAILURE_RECURSIVE);
}

static void job_keys_are_all_there(void **state)
{
	unsigned a, b;

	(void)state;
	for (a = 0; a < JOB_WORDS; a++) {
		assert_non_null(words_job(a));
		for (b = 0; b < a; b++)
			assert_string_not_equal(words_job(a), words_job(b));
	}
	assert_string_equal(words_job(JOB_MEMORY_POSTCOPY_REQS),
			    "memory_postcopy_requests");
	assert_null(words_job(JOB_WORDS));
	assert_int_equal(words_job_operation(true),
			 VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT);
	assert_int_equal(words_job_operation(false),
			 VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(postcopy_has_its_own_reasons),
		cmocka_unit_test(a_life_has_its_words),
		cmocka_unit_test(every_pair_makes_sense),
		cmocka_unit_test(states_differ_in_qemus_words),
		cmocka_unit_test(nonsense_is_no_state),
		cmocka_unit_test(memory_failures_have_words),
		cmocka_unit_test(flags_are_libvirts),
		cmocka_unit_test(job_keys_are_all_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
