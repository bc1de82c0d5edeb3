// SPDX-License-Identifier: MIT
/*
 * order.c - Orders in which to visit pages: each page once in a pass
 */
#include "order.h"

void order_init(struct order *o, uint64_t n, enum order_kind kind)
{
	*o = (struct order){ .n = n, .step = 1 };
	if (kind == ORDER_STRIDE)
		o->step = options.stride < n ? options.stride : n;
	if (kind != ORDER_RANDOM)
		return;
	o->random = true;
	while (o->mask < n - 1)
		o->mask = o->mask << 1 | 1;
	/* Full period modulo 2^k: multiplier 1 mod 4, increment odd */
	o->mul = 0x5851f42d4c957f2dULL;
	o->add = options.seed << 1 | 1;
}

void order_next(struct order *o)
{
	if (o->random) {
		do {
			o->at = (o->at * o->mul + o->add) & o->mask;
		} while (o->at >= o->n);
		return;
	}
	o->at += o->step;
	if (o->at >= o->n) {
		o->start = (o->start + 1) % o->step;
		o->at = o->start;
	}
}
