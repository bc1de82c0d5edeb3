/* SPDX-License-Identifier: MIT */
/*
 * network.h - Virtual TCP between the two sides
 *
 * Each connection has a delay, its own buffers, and keeps its bytes in order;
 * between connections there is no order. What goes wrong is decided by plan.c:
 * the network tells it each message that passes, by connection, direction and
 * number, and each byte of it can be the last that arrives.
 */
#ifndef FERRY_TESTS_SIM_NETWORK_H
#define FERRY_TESTS_SIM_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migration/wire/wire.h"
#include "sched.h"

struct sock;
struct plan_cut;

/**
 * struct network_shape - Of all connections
 * @latency:	one way, ns
 * @jitter:	added to it at random, up to this, ns
 * @buffer:	bytes that a connection holds in one direction
 * @piece:	most bytes that one call moves; 0 for no limit
 */
struct network_shape {
	uint64_t latency, jitter;
	size_t buffer, piece;
};

/** network_begin() - No connections; the shape of those to come */
void network_begin(const struct network_shape *shape);

/** network_reshape() - The shape of connections, from now on */
void network_reshape(const struct network_shape *shape);

/** network_calm() - A fast network, on which everything passes, from now on */
void network_calm(void);

/** network_progress() - Connections whose time has come are established */
void network_progress(void);

/** network_stop() - No bytes pass until a virtual time, ns; NEVER */
void network_stop(uint64_t until);

/** network_cut() - A connection with this role breaks, if there is one */
void network_cut(enum wire_role role, const struct plan_cut *cut);

/** network_role_name() - "main", "demand", "push" */
const char *network_role_name(enum wire_role role);

/** network_stall_side() - A host vanishes: its connections stall for ever */
void network_stall_side(enum side side);

/**
 * network_heard() - A HELLO that has passed, for one that listened to it
 * @hello:	filled in: a random one of the last few
 *
 * Return: false: there was none
 */
bool network_heard(struct wire_hello *hello);

/** network_last() - When bytes were sent last, ns */
uint64_t network_last(void);

/** network_connections() - Connections that one side or the other has open */
unsigned network_connections(void);

/**
 * sock_poll() - What poll() reports for a socket
 * @s:		the socket
 * @next:	lowered to when that may change by time alone
 *
 * Return: POLLIN and so on
 */
short sock_poll(struct sock *s, uint64_t *next);

/** sock_relabel() - Its process is that of the other side from now on */
void sock_relabel(struct sock *s, enum side side);

/** sock_close() - Its descriptor was closed */
void sock_close(struct sock *s);

#endif /* FERRY_TESTS_SIM_NETWORK_H */
