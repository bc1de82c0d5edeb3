// SPDX-License-Identifier: MIT
/*
 * test_shown.c - What each phase shows is what docs/failure.md says it shows
 *
 * The tables of phases in docs/failure.md have a column "status". Each session
 * is put into each phase, and shows it; its words are compared with the column.
 * Runs in the top directory of the project.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/unit.h"
#include "migration/query.h"
#include "migration/session/source.h"
#include "migration/session/target.h"
#include "tests/fake/fake_machine.h"

#define DOCUMENT	"docs/failure.md"
#define LINE_MAX_LEN	1024
#define COLUMNS		4
#define RAM_BYTES	(16 * MIB)
#define AFTER		", after REPORT "
#define DURING		", during precopy passes "

static struct progress progress;
static struct session_env env;
static struct session_limits limits;

static void ignore_side(void *ctx, const char *side)
{
	(void)ctx;
	(void)side;
}

static void ignore_status(void *ctx, enum progress_status status)
{
	(void)ctx;
	(void)status;
}

static int set_up(void **state)
{
	(void)state;
	env = (struct session_env){ .set_side = ignore_side };
	session_limits_init(&limits);
	progress_init(&progress, ignore_status, NULL);
	return 0;
}

static struct machine *new_machine(void)
{
	const struct machine_observer none = { 0 };
	struct machine_config cfg;
	struct error err = { 0 };
	struct machine *m;

	fake_config(&cfg, RAM_BYTES, 1, RAM_ANON);
	m = machine_new(&cfg, &none, &err);
	if (!m)
		fail_msg("%s", err.text);
	return m;
}

/* ---- The document ---- */

/* Split a line of a table; false if it is none */
static bool split_row(char *line, char *cell[COLUMNS])
{
	char *save = NULL;

	for (unsigned i = 0; i < COLUMNS; i++) {
		char *text = strtok_r(i ? NULL : line, "|", &save);

		if (!text)
			return false;
		while (*text == ' ')
			text++;
		for (size_t n = strlen(text); n && text[n - 1] == ' '; n--)
			text[n - 1] = 0;
		cell[i] = text;
	}
	return true;
}

/* The last column of a phase's row in a table of the document */
static void find_status(const char *table, const char *phase, char *to)
{
	char line[LINE_MAX_LEN], begin[64], *cell[COLUMNS];
	FILE *f = fopen(DOCUMENT, "r");
	bool inside = false, found = false;

	if (!f)
		fail_msg("there is no %s here", DOCUMENT);
	snprintf(begin, sizeof(begin), "<!-- generated: %s -->", table);
	while (!found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "<!--", 4))
			inside = !strcmp(line, begin);
		if (inside && *line == '|' && split_row(line, cell) &&
		    !strcmp(cell[0], phase)) {
			snprintf(to, LINE_MAX_LEN, "%s", cell[COLUMNS - 1]);
			found = true;
		}
	}
	fclose(f);
	if (!found)
		fail_msg("%s: no phase '%s' in the table %s", DOCUMENT, phase,
			 table);
}

/* Does a phase show nothing of its own? */
static bool is_unchanged(const char *said)
{
	return !strcmp(said, "–") ||
	       !strcmp(said, "none, or that of the last attempt");
}

/*
 * @said: of the document. @second: the second status that it may name applies:
 * REPORT has passed, or precopy passes have begun
 */
static void check_status(const char *side, const char *phase, const char *said,
			 bool second, enum progress_status before)
{
	static const char *const separator[] = { AFTER, DURING };
	const char *shown = query_status_name(progress_get(&progress));
	size_t n = strlen(said);

	if (is_unchanged(said)) {
		said = query_status_name(before);
		n = strlen(said);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(separator); i++) {
		const char *at = strstr(said, separator[i]);

		if (!at)
			continue;
		n = (size_t)(at - said);
		if (second) {
			said = at + strlen(separator[i]);
			n = strlen(said);
		}
		break;
	}
	if (strlen(shown) != n || strncmp(shown, said, n))
		fail_msg("%s, phase %s%s: shows %s, %s says %.*s", side, phase,
			 second ? ", the second" : "", shown, DOCUMENT,
			 (int)n, said);
}

/* ---- The sessions ---- */

static void check_source(struct source *s, unsigned phase)
{
	const char *name = source_phase_name(phase);
	char said[LINE_MAX_LEN];

	find_status("source-phases", name, said);
	for (unsigned reported = 0; reported < 2; reported++) {
		progress_set(&progress, PROGRESS_CANCELLED);
		s->reported = s->passing = reported;
		s->se.phase = phase;
		session_show(&s->se);
		check_status("source", name, said, reported,
			     PROGRESS_CANCELLED);
	}
}

static void each_phase_of_the_source(void **state)
{
	struct machine *m = new_machine();
	struct error err = { 0 };
	struct uri uri;
	struct source *s;

	(void)state;
	assert_int_equal(uri_parse("unix:/nowhere", &uri, &err), 0);
	s = source_new(m, &uri, &env, &limits, &progress, &err);
	assert_non_null(s);
	for (unsigned i = 0; i < SOURCE_PHASES; i++)
		check_source(s, i);
	s->se.phase = SOURCE_SETUP;
	source_free(s);
	machine_free(m);
}

/*
 * Of the linker's --wrap: the session thread waits for a source here, and is
 * not told of the phases that the test shows
 */
static _Atomic bool is_waiting, may_go_on;

unsigned __wrap_session_wait(struct session *se, session_phase_fn *parked);
unsigned __real_session_wait(struct session *se, session_phase_fn *parked);

unsigned __wrap_session_wait(struct session *se, session_phase_fn *parked)
{
	is_waiting = true;
	while (!may_go_on)
		usleep(1000);
	return __real_session_wait(se, parked);
}

static void check_target(struct target *t, unsigned phase)
{
	const char *name = target_phase_name(phase);
	char said[LINE_MAX_LEN];

	find_status("destination-phases", name, said);
	for (unsigned passing = 0; passing < 2; passing++) {
		progress_set(&progress, PROGRESS_CANCELLED);
		t->passing = passing;
		t->se.phase = phase;
		session_show(&t->se);
		check_status("destination", name, said, passing,
			     PROGRESS_CANCELLED);
	}
}

static void each_phase_of_the_destination(void **state)
{
	char path[] = "/tmp/ferry-test-shown-XXXXXX", text[64];
	struct machine *m = new_machine();
	struct error err = { 0 };
	struct target *t;
	struct uri uri;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(text, sizeof(text), "unix:%s/s", path);
	assert_int_equal(uri_parse(text, &uri, &err), 0);
	t = target_new(&uri, &env, &limits, &progress, &err);
	if (!t)
		fail_msg("%s", err.text);
	while (!is_waiting)
		usleep(1000);
	t->m = m;
	for (unsigned i = 0; i < TARGET_PHASES; i++)
		check_target(t, i);
	t->se.phase = TARGET_LISTENING;
	t->m = NULL;
	may_go_on = true;
	target_free(t);
	machine_free(m);
	assert_int_equal(rmdir(path), 0);
}

static _Atomic bool is_inside, begins;
static enum progress_status came[8];
static unsigned comes;

/* The failure's report is slow; a client has seen it by query-migrate */
static void note_status(void *ctx, enum progress_status status)
{
	(void)ctx;
	if (status == PROGRESS_FAILED) {
		is_inside = true;
		while (!begins)
			usleep(1000);
		usleep(100000);
	}
	came[comes++] = status;
}

static void *report_failure(void *arg)
{
	progress_set(arg, PROGRESS_FAILED);
	return NULL;
}

static void statuses_are_reported_in_order(void **state)
{
	struct progress p;
	pthread_t t;

	(void)state;
	progress_init(&p, note_status, NULL);
	progress_begin(&p, true);
	assert_int_equal(pthread_create(&t, NULL, report_failure, &p), 0);
	while (!is_inside)
		usleep(1000);
	begins = true;
	progress_begin(&p, true);
	pthread_join(t, NULL);
	assert_int_equal(comes, 3);
	assert_int_equal(came[0], PROGRESS_SETUP);
	assert_int_equal(came[1], PROGRESS_FAILED);
	assert_int_equal(came[2], PROGRESS_SETUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_phase_of_the_source, set_up),
		cmocka_unit_test_setup(each_phase_of_the_destination, set_up),
		cmocka_unit_test(statuses_are_reported_in_order),
	};

	return cmocka_run_group_tests_name("shown", tests, NULL, NULL);
}
