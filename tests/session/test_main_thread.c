// SPDX-License-Identifier: MIT
/*
 * test_main_thread.c - What migration.c does not do in the main thread
 *
 * The commands of migration.c on a real control socket, with a fake machine.
 * Functions that may take longer than some milliseconds are wrapped: they note
 * the thread that called them. The name service, and some of them, return when
 * the test says so.
 */

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/unit.h"
#include "migration/link/resolve.h"
#include "migration/migration.h"
#include "migration/session/source.h"
#include "migration/session/target.h"
#include "tests/fake/fake_machine.h"
#include "vmm/base/loop.h"
#include "vmm/client/qmp_client.h"
#include "vmm/control/control.h"
#include "vmm/host/host.h"

#define ANSWER_MS	30000
#define NAME_MS		120000	/* for a name: nobody waits so long */
#define NOWHERE		"unix:/nowhere/at/all"

/* How often a function ran, and how often in the main thread */
struct calls {
	_Atomic unsigned all, in_main;
};

static struct calls source_frees, recovers, resolves, lookups, waits;
static _Atomic unsigned lookups_over;
static _Atomic int wait_rc;		/* of the last wait for a name */
static pthread_t main_thread;
static _Atomic bool hanging;		/* the name service, the decision */
static _Atomic bool recover_hangs;	/* until the process ends */
static struct host *_Atomic host;
static struct source *_Atomic in_use;
static _Atomic bool freed_in_use;

static void note_call(struct calls *c)
{
	if (pthread_equal(pthread_self(), main_thread))
		c->in_main++;
	c->all++;
}

void __real_source_free(struct source *s);
void __wrap_source_free(struct source *s);
void __wrap_source_free(struct source *s)
{
	freed_in_use |= s == in_use;
	__real_source_free(s);
	note_call(&source_frees);
}

int __wrap_target_recover(struct target *t, const struct uri *uri,
			  struct error *err);
int __wrap_target_recover(struct target *t, const struct uri *uri,
			  struct error *err)
{
	(void)t;
	(void)uri;
	(void)err;
	note_call(&recovers);
	while (recover_hangs && !host->ending)
		usleep(1000);
	return 0;
}

int __wrap_target_resolve(struct target *t, bool run_here, struct error *err);
int __wrap_target_resolve(struct target *t, bool run_here, struct error *err)
{
	(void)t;
	(void)run_here;
	(void)err;
	note_call(&resolves);
	return 0;
}

int __wrap_source_resolve(struct source *s, bool run_here, struct error *err);
int __wrap_source_resolve(struct source *s, bool run_here, struct error *err)
{
	(void)run_here;
	(void)err;
	in_use = s;
	note_call(&resolves);
	while (hanging)
		usleep(1000);
	in_use = NULL;
	return 0;
}

int __real_resolve_tcp(struct socket_peer *p, const struct socket_wait *w,
		       struct error *err);
int __wrap_resolve_tcp(struct socket_peer *p, const struct socket_wait *w,
		       struct error *err);
int __wrap_resolve_tcp(struct socket_peer *p, const struct socket_wait *w,
		       struct error *err)
{
	struct socket_wait longer = *w;

	longer.ms = NAME_MS;
	note_call(&waits);
	wait_rc = __real_resolve_tcp(p, &longer, err);
	return wait_rc;
}

int getaddrinfo(const char *node, const char *service,
		const struct addrinfo *hints, struct addrinfo **res)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)res;
	note_call(&lookups);
	while (hanging)
		usleep(1000);
	lookups_over++;
	return EAI_NONAME;
}

/* The parts of host.c that migration.c uses */
void host_set_machine(struct host *h, struct machine *m)
{
	(void)h;
	(void)m;
}

struct machine_observer host_observer(struct host *h)
{
	return (struct machine_observer){ .ctx = h };
}

/* A process with a control socket; @a and @b are its clients */
struct process {
	struct host host;
	struct migration *mig;
	pthread_t thread;
	char dir[40], path[60];
	struct qmp_client *a, *b;
};

static void *serve(void *arg)
{
	struct process *p = arg;

	main_thread = pthread_self();
	loop_run(p->host.loop);
	return NULL;
}

static struct qmp_client *connect_client(const struct process *p)
{
	struct error err = { 0 };
	struct qmp_client *q = qmp_open(NULL, p->path, ANSWER_MS, &err);

	if (!q)
		fail_msg("%s", err.text);
	return q;
}

static int set_up(void **state)
{
	struct process *p = calloc(1, sizeof(*p));
	struct error err = { 0 };

	assert_non_null(p);
	memset((void *)&source_frees, 0, sizeof(source_frees));
	memset((void *)&recovers, 0, sizeof(recovers));
	memset((void *)&resolves, 0, sizeof(resolves));
	memset((void *)&lookups, 0, sizeof(lookups));
	memset((void *)&waits, 0, sizeof(waits));
	hanging = recover_hangs = freed_in_use = false;
	lookups_over = 0;
	host = &p->host;
	strcpy(p->dir, "/tmp/ferry-test.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/c", p->dir);
	p->host.name = "test";
	p->host.side = "none";
	p->host.ram = -1;
	pthread_mutex_init(&p->host.lock, NULL);
	p->host.loop = loop_new(&err);
	p->host.control = control_open(p->host.loop, p->path, &err);
	if (!p->host.control)
		fail_msg("%s", err.text);
	p->mig = migration_new(&p->host, &err);
	assert_non_null(p->mig);
	*state = p;
	return 0;
}

static void add_machine(struct process *p)
{
	const struct machine_observer none = { 0 };
	struct machine_config cfg;
	struct error err = { 0 };
	struct machine *m;

	fake_config(&cfg, 16 * MIB, 1, RAM_ANON);
	m = machine_new(&cfg, &none, &err);
	if (!m)
		fail_msg("%s", err.text);
	pthread_mutex_lock(&p->host.lock);
	p->host.machine = m;
	pthread_mutex_unlock(&p->host.lock);
}

static void start(struct process *p)
{
	assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
	p->a = connect_client(p);
	p->b = connect_client(p);
}

/* As main.c does after `quit`. Answers that are owed are sent */
static void end_process(struct process *p)
{
	p->host.ending = true;
	loop_stop(p->host.loop, 0);
	pthread_join(p->thread, NULL);
	migration_free(p->mig);
	machine_free(p->host.machine);
	control_close(p->host.control);
	loop_free(p->host.loop);
	p->host.loop = NULL;
}

static int tear_down(void **state)
{
	struct process *p = *state;

	hanging = false;
	if (p->host.loop)
		end_process(p);
	while (lookups_over < lookups.all)
		usleep(1000);
	qmp_close(p->a);
	qmp_close(p->b);
	unlink(p->path);
	rmdir(p->dir);
	free(p);
	return 0;
}

static int execute(struct qmp_client *q, const char *command, json_t *args)
{
	struct error err = { 0 };

	return qmp_execute(q, command, args, NULL, &err);
}

static void wait_status(struct qmp_client *q, const char *wanted)
{
	struct error err = { 0 };
	json_t *ret;
	bool is;

	do {
		usleep(1000);
		assert_int_equal(qmp_execute(q, "query-migrate", NULL, &ret,
					     &err), 0);
		is = !strcmp(json_string_value(json_object_get(ret, "status")),
			     wanted);
		json_decref(ret);
	} while (!is);
}

/* A command whose answer is late; of the process's first client */
struct late_command {
	struct process *p;
	const char *name, *key, *value;
	int rc;
	pthread_t thread;
};

static void *execute_late(void *arg)
{
	struct late_command *c = arg;

	c->rc = execute(c->p->a, c->name,
			json_pack("{s:s}", c->key, c->value));
	return NULL;
}

/* Returns when @called counts that the command has come as far as that */
static void begin_late(struct late_command *c, const struct calls *called)
{
	const unsigned before = called->all;

	assert_int_equal(pthread_create(&c->thread, NULL, execute_late, c), 0);
	while (called->all == before)
		usleep(1000);
}

static int end_late(struct late_command *c)
{
	pthread_join(c->thread, NULL);
	return c->rc;
}

#define LATE(p, name, key, value) \
	(struct late_command){ (p), (name), (key), (value), 0, 0 }
#define SLOW_NAME(p)	LATE(p, "migrate-incoming", "uri", "tcp:slow:1")

static void others_are_served_while_a_name_is_resolved(void **state)
{
	struct process *p = *state;
	struct late_command c = SLOW_NAME(p);
	int query, decision;

	hanging = true;
	start(p);
	begin_late(&c, &lookups);
	query = execute(p->b, "query-migrate", NULL);
	/* Refused, as there is nothing to decide */
	decision = execute(p->b, "ferry-resolve",
			   json_pack("{s:s}", "action", "give-up"));
	hanging = false;
	assert_int_equal(end_late(&c), -EREMOTEIO);
	assert_int_equal(query, 0);
	assert_int_equal(decision, -EREMOTEIO);
	assert_int_equal(wait_rc, -EHOSTUNREACH);
	assert_int_equal(waits.all, 1);
	assert_int_equal(waits.in_main, 0);
}

static void the_end_does_not_wait_for_a_name(void **state)
{
	struct process *p = *state;
	struct late_command c = SLOW_NAME(p);

	hanging = true;
	start(p);
	begin_late(&c, &lookups);
	end_process(p);
	assert_int_equal(end_late(&c), -EREMOTEIO);
	assert_int_equal(wait_rc, -ECANCELED);
}

static void a_destinations_commands_run_elsewhere(void **state)
{
	struct process *p = *state;
	char uri[80];

	start(p);
	snprintf(uri, sizeof(uri), "unix:%s/m", p->dir);
	assert_int_equal(execute(p->a, "migrate-incoming",
				 json_pack("{s:s}", "uri", uri)), 0);
	assert_int_equal(execute(p->b, "migrate-incoming",
				 json_pack("{s:s}", "uri", uri)), -EREMOTEIO);
	assert_int_equal(execute(p->a, "migrate-recover",
				 json_pack("{s:s}", "uri", uri)), 0);
	assert_int_equal(execute(p->a, "ferry-resolve",
				 json_pack("{s:s}", "action", "give-up")), 0);
	assert_int_equal(recovers.all, 1);
	assert_int_equal(recovers.in_main, 0);
	assert_int_equal(resolves.all, 1);
	assert_int_equal(resolves.in_main, 0);
}

/* Of the second client */
static void migrate_in_vain(struct process *p)
{
	assert_int_equal(execute(p->b, "migrate",
				 json_pack("{s:s}", "uri", NOWHERE)), 0);
	wait_status(p->b, "failed");
}

static void a_former_session_is_freed_elsewhere(void **state)
{
	struct process *p = *state;

	add_machine(p);
	start(p);
	for (unsigned i = 0; i < 3; i++) {
		migrate_in_vain(p);
		/* The status comes before the thread's end */
		while (source_frees.all < i)
			usleep(1000);
	}
	assert_int_equal(execute(p->a, "ferry-resolve",
				 json_pack("{s:s}", "action", "give-up")), 0);
	assert_int_equal(resolves.all, 1);
	assert_int_equal(resolves.in_main, 0);
	assert_int_equal(source_frees.in_main, 0);
}

/* An operator decides about a session that a next `migrate` replaces */
static void a_session_in_use_is_not_freed(void **state)
{
	struct process *p = *state;
	struct late_command c = LATE(p, "ferry-resolve", "action", "give-up");

	hanging = true;
	add_machine(p);
	start(p);
	migrate_in_vain(p);
	begin_late(&c, &resolves);
	migrate_in_vain(p);
	migrate_in_vain(p);
	/* The second session */
	while (!source_frees.all)
		usleep(1000);
	hanging = false;
	assert_int_equal(end_late(&c), 0);
	assert_false(freed_in_use);
	/* The first one */
	while (source_frees.all < 2)
		usleep(1000);
	assert_int_equal(source_frees.in_main, 0);
}

/* The background thread has not come to the former sessions when it ends */
static void sessions_that_wait_are_freed_at_the_end(void **state)
{
	struct process *p = *state;
	struct late_command c = LATE(p, "migrate-recover", "uri", NOWHERE);
	char uri[80];

	start(p);
	snprintf(uri, sizeof(uri), "unix:%s/m", p->dir);
	assert_int_equal(execute(p->a, "migrate-incoming",
				 json_pack("{s:s}", "uri", uri)), 0);
	add_machine(p);
	recover_hangs = true;
	begin_late(&c, &recovers);
	for (unsigned i = 0; i < 3; i++)
		migrate_in_vain(p);
	assert_int_equal(source_frees.all, 0);
	end_process(p);
	assert_int_equal(end_late(&c), 0);
	assert_int_equal(source_frees.all, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			others_are_served_while_a_name_is_resolved, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			the_end_does_not_wait_for_a_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_session_in_use_is_not_freed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			sessions_that_wait_are_freed_at_the_end, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_destinations_commands_run_elsewhere, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_former_session_is_freed_elsewhere, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
