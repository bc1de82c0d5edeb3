// SPDX-License-Identifier: MIT
/*
 * test_main_thread.c - What migration.c does not do in the main thread
 *
 * The commands of migration.c on a real control socket, with a fake machine.
 * Functions that may take longer than some milliseconds are wrapped: they note
 * the thread that called them. The name service answers when the test says so.
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
#define NOWHERE		"unix:/nowhere/at/all"

/* How often a function ran, and how often in the main thread */
struct calls {
	_Atomic unsigned all, in_main;
};

static struct calls source_frees, recovers, resolves, lookups, waits;
static pthread_t main_thread;
static _Atomic bool hanging;

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
	(void)s;
	(void)run_here;
	(void)err;
	note_call(&resolves);
	return 0;
}

int __real_resolve_tcp(struct socket_peer *p, const struct socket_wait *w,
		       struct error *err);
int __wrap_resolve_tcp(struct socket_peer *p, const struct socket_wait *w,
		       struct error *err);
int __wrap_resolve_tcp(struct socket_peer *p, const struct socket_wait *w,
		       struct error *err)
{
	note_call(&waits);
	return __real_resolve_tcp(p, w, err);
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

/* @memory: of its machine; 0: it has none */
static void start(struct process *p, uint64_t memory)
{
	const struct machine_observer none = { 0 };
	struct machine_config cfg;
	struct error err = { 0 };

	if (memory) {
		fake_config(&cfg, memory, 1, RAM_ANON);
		p->host.machine = machine_new(&cfg, &none, &err);
		if (!p->host.machine)
			fail_msg("%s", err.text);
	}
	assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
	p->a = connect_client(p);
	p->b = connect_client(p);
}

static int tear_down(void **state)
{
	struct process *p = *state;

	qmp_close(p->a);
	qmp_close(p->b);
	p->host.ending = true;
	loop_stop(p->host.loop, 0);
	pthread_join(p->thread, NULL);
	migration_free(p->mig);
	machine_free(p->host.machine);
	control_close(p->host.control);
	loop_free(p->host.loop);
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

static void *incoming(void *arg)
{
	struct process *p = arg;

	assert_int_equal(execute(p->a, "migrate-incoming",
				 json_pack("{s:s}", "uri", "tcp:slow:1")),
			 -EREMOTEIO);
	return NULL;
}

static void others_are_served_while_a_name_is_resolved(void **state)
{
	struct process *p = *state;
	pthread_t thread;

	hanging = true;
	start(p, 0);
	assert_int_equal(pthread_create(&thread, NULL, incoming, p), 0);
	while (!lookups.all)
		usleep(1000);
	assert_int_equal(execute(p->b, "query-migrate", NULL), 0);
	assert_true(hanging);
	hanging = false;
	pthread_join(thread, NULL);
	assert_int_equal(waits.all, 1);
	assert_int_equal(waits.in_main, 0);
}

static void a_destinations_commands_run_elsewhere(void **state)
{
	struct process *p = *state;
	char uri[80];

	start(p, 0);
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

static void a_former_session_is_freed_elsewhere(void **state)
{
	struct process *p = *state;

	start(p, 16 * MIB);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(execute(p->a, "migrate",
					 json_pack("{s:s}", "uri", NOWHERE)),
				 0);
		wait_status(p->b, "failed");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			others_are_served_while_a_name_is_resolved, set_up,
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
