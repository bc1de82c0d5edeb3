// SPDX-License-Identifier: MIT
/* test_loop.c - Calls keep their order, none is lost, the first stop wins */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <event2/event.h>

#include <cmocka.h>

#include "vmm/base/loop.h"

#define THREADS 4
#define POSTS 5000

/* Filled in by calls on the loop's thread only */
struct record {
	struct loop *loop;
	int next[THREADS];
	int total;
	int wrong;
	bool done;
};

/* One call: the nth of a thread */
struct call {
	struct record *record;
	int thread, n;
};

static void count_call(void *arg)
{
	struct call *c = arg;
	struct record *r = c->record;

	if (r->next[c->thread]++ != c->n)
		r->wrong++;
	if (++r->total == THREADS * POSTS)
		loop_stop(r->loop, 7);
	free(c);
}

static void post_call(struct record *r, int thread, int n)
{
	struct call *c = malloc(sizeof(*c));

	if (!c)
		abort();
	*c = (struct call){ .record = r, .thread = thread, .n = n };
	if (loop_post(r->loop, count_call, c))
		abort();
}

struct poster {
	pthread_t id;
	struct record *record;
	int thread;
};

static void *post_many(void *arg)
{
	struct poster *p = arg;
	int n;

	for (n = 0; n < POSTS; n++)
		post_call(p->record, p->thread, n);
	return NULL;
}

static void posts_of_a_thread_keep_their_order(void **state)
{
	struct record r = { .loop = *state };
	struct poster p[THREADS];
	int i;

	for (i = 0; i < THREADS; i++) {
		p[i] = (struct poster){ .record = &r, .thread = i };
		assert_int_equal(pthread_create(&p[i].id, NULL, post_many,
						&p[i]), 0);
	}
	assert_int_equal(loop_run(r.loop), 7);
	for (i = 0; i < THREADS; i++)
		pthread_join(p[i].id, NULL);

	assert_int_equal(r.total, THREADS * POSTS);
	assert_int_equal(r.wrong, 0);
}

static void stop_before_run_ends_it_at_once(void **state)
{
	loop_stop(*state, 3);
	assert_int_equal(loop_run(*state), 3);
}

static void first_stop_wins(void **state)
{
	loop_stop(*state, 1);
	loop_stop(*state, 2);
	assert_int_equal(loop_run(*state), 1);
	assert_int_equal(loop_run(*state), 1);
}

static void stop_five(void *arg)
{
	loop_stop(arg, 5);
}

static void a_posted_call_can_stop_it(void **state)
{
	assert_int_equal(loop_post(*state, stop_five, *state), 0);
	assert_int_equal(loop_run(*state), 5);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct record *r = arg;

	(void)fd;
	(void)what;
	r->done = true;
	loop_stop(r->loop, 6);
}

static void post_again(void *arg)
{
	struct record *r = arg;

	r->total++;
	if (!r->done)
		loop_post(r->loop, post_again, r);
}

/* A call that always posts itself must not keep the timer from running */
static void posts_do_not_starve_events(void **state)
{
	static struct record r;		/* the last call comes in teardown */
	const struct timeval soon = { .tv_usec = 20000 };
	struct event *timer = evtimer_new(loop_base(*state), on_timer, &r);

	assert_non_null(timer);
	r.loop = *state;
	evtimer_add(timer, &soon);
	post_again(&r);
	assert_int_equal(loop_run(r.loop), 6);
	assert_true(r.total > 1);
	event_free(timer);
}

static void count_one(void *arg)
{
	struct record *r = arg;

	r->total++;
}

static void post_one(void *arg)
{
	struct record *r = arg;

	assert_int_equal(loop_post(r->loop, count_one, r), 0);
}

static void late_posts_run_when_freed(void **state)
{
	struct error err = { 0 };
	struct record r = { .loop = loop_new(&err) };

	(void)state;
	assert_non_null(r.loop);
	loop_stop(r.loop, 0);
	loop_run(r.loop);
	assert_int_equal(loop_post(r.loop, count_one, &r), 0);
	assert_int_equal(loop_post(r.loop, post_one, &r), 0);
	assert_int_equal(r.total, 0);
	loop_free(r.loop);
	assert_int_equal(r.total, 2);	/* also what a late post posts */
}

static void null_can_be_freed(void **state)
{
	(void)state;
	loop_free(NULL);
}

static int setup(void **state)
{
	struct error err = { 0 };

	*state = loop_new(&err);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	loop_free(*state);
	return 0;
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(posts_of_a_thread_keep_their_order),
		LOOP_TEST(stop_before_run_ends_it_at_once),
		LOOP_TEST(first_stop_wins),
		LOOP_TEST(a_posted_call_can_stop_it),
		LOOP_TEST(posts_do_not_starve_events),
		cmocka_unit_test(late_posts_run_when_freed),
		cmocka_unit_test(null_can_be_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
