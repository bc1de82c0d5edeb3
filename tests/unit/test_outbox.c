// SPDX-License-Identifier: MIT
/* test_outbox.c - Requests wait in order, and come out byte by byte */

#include "unit.h"

#include "migration/pages/outbox.h"

static struct outbox box;
static const struct around none;

static void requests_come_out_in_order(void **state)
{
	uint8_t got[3 * WIRE_HEADER];
	struct error err = { 0 };
	size_t n, have = 0;

	(void)state;
	box = (struct outbox){ 0 };
	outbox_request(&box, 0x1000, 1, (struct around){ 1, 510 });
	outbox_request(&box, 0x200000, 64, none);
	outbox_request(&box, 0x5000, 2, none);
	while (have < sizeof(got)) {
		const uint8_t *p = outbox_pending(&box, &n);

		assert_int_equal(n, sizeof(got) - have);
		got[have++] = *p;
		outbox_sent(&box, 1);
	}
	outbox_pending(&box, &n);
	assert_int_equal(n, 0);
	for (unsigned i = 0; i < 3; i++) {
		static const struct wire_msg want[] = {
			{ WIRE_MSG_REQUEST, 0, 0x1000, 1, 1, 510 },
			{ WIRE_MSG_REQUEST, 0, 0x200000, 64, 0, 0 },
			{ WIRE_MSG_REQUEST, 0, 0x5000, 2, 0, 0 },
		};
		struct wire_msg m;

		assert_int_equal(wire_get(got + i * WIRE_HEADER, &m, &err),
				 0);
		assert_int_equal(m.type, want[i].type);
		assert_int_equal(m.a, want[i].a);
		assert_int_equal(m.b, want[i].b);
		assert_int_equal(m.before, want[i].before);
		assert_int_equal(m.after, want[i].after);
	}
}

/* @n bytes, the first of which is byte @out of requests for page 0, 1, 2 ... */
static void assert_requests(const uint8_t *p, size_t n, uint64_t out)
{
	uint8_t want[WIRE_HEADER];

	for (uint64_t i = out; i < out + n; i++) {
		const struct wire_msg m = {
			.type = WIRE_MSG_REQUEST, .b = 1,
			.a = i / WIRE_HEADER * WIRE_PAGE,
		};

		if (i == out || i % WIRE_HEADER == 0)
			wire_put(want, &m);
		if (p[i - out] != want[i % WIRE_HEADER])
			fail_msg("byte %zu is wrong", (size_t)i);
	}
}

/* Room is what can be appended, whatever was sent of the first message */
static void it_is_bounded_and_never_overflows(void **state)
{
	uint64_t seed = 7, in = 0, out = 0;
	const uint8_t *p;
	size_t n;

	(void)state;
	box = (struct outbox){ 0 };
	assert_int_equal(outbox_room(&box), OUTBOX_MAX);
	for (unsigned round = 0; round < 20000; round++) {
		size_t room = outbox_room(&box);

		for (size_t k = dice(&seed) % 300; k && room; k--, room--) {
			outbox_request(&box, in / WIRE_HEADER * WIRE_PAGE, 1,
				       none);
			in += WIRE_HEADER;
		}
		assert_true(box.to <= sizeof(box.data));
		p = outbox_pending(&box, &n);
		assert_int_equal(n, in - out);
		assert_requests(p, n < 100 ? n : 100, out);
		n = n ? dice(&seed) % (n + 1) : 0;
		outbox_sent(&box, n);
		out += n;
	}
	assert_true(in > 100 * sizeof(box.data));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_come_out_in_order),
		cmocka_unit_test(it_is_bounded_and_never_overflows),
	};

	return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
