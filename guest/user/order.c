// SPDX-License-Identifier: MIT
/*
 * order.c - Orders in which to visit pages: each one once in a pass
 */
#include "work.h"

/**
 * order_init() - Begin an order
 * @o:		order
 * @n:		number of positions, at least 1
 * @kind:	one after another; every options.stride-th, then those between;
 *		or as a linear congruential generator of full period comes by
 *		them (its numbers that are n or more are passed over)
 */
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

/**
 * order_next() - The position to visit, and step to the next
 * @o:		order
 *
 * Return: 0 to n - 1; after n calls each was given once, and it starts again
 */
uint64_t order_next(struct order *o)
{
	uint64_t at = o->at;

	if (o->random) {
		do {
			o->at = (o->at * o->mul + o->add) & o->mask;
		} while (o->at >= o->n);
		return at;
	}
	o->at += o->step;
	if (o->at >= o->n) {
		o->start = (o->start + 1) % o->step;
		o->at = o->start;
	}
	return at;
}
