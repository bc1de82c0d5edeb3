/* SPDX-License-Identifier: MIT */
/*
 * order.h - Orders in which to visit pages: each page once in a pass
 */
#ifndef GUEST_USER_ORDER_H
#define GUEST_USER_ORDER_H

#include "options.h"

/**
 * struct order - An order of positions 0 to @n - 1
 * @n:		positions
 * @at:		the current one
 * @step, @start: in sequence or with a stride
 * @mask, @mul, @add: linear congruential generator
 * @random:	uses the generator
 */
struct order {
	uint64_t n, at, step, start;
	uint64_t mask, mul, add;
	bool random;
};

/**
 * order_init() - Begin an order
 * @o:		order
 * @n:		number of positions, at least 1
 * @kind:	in sequence; every options.stride-th, then those between; or by
 *		a linear congruential generator of full period, whose numbers
 *		from n up are skipped
 */
void order_init(struct order *o, uint64_t n, enum order_kind kind);

/**
 * order_next() - Advance to the next position
 * @o:		order; after n calls it has visited each position, and repeats
 */
void order_next(struct order *o);

#endif
