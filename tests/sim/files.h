/* SPDX-License-Identifier: MIT */
/*
 * files.h - Virtual descriptors: eventfds here, sockets in network.c
 *
 * Their numbers begin at FILE_FIRST; a smaller number is the real process's.
 * One object (files_changed) is awaited by all that wait for a descriptor.
 */
#ifndef FERRY_TESTS_SIM_FILES_H
#define FERRY_TESTS_SIM_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "sched.h"

#define FILE_FIRST	100000
#define FILES_MAX	200

struct sock;

/**
 * struct file - A descriptor
 * @used:	it is open
 * @side:	the side that opened it
 * @nonblock:	O_NONBLOCK
 * @count:	of an eventfd
 * @sock:	of a socket, else NULL
 */
struct file {
	bool used, nonblock;
	enum side side;
	uint64_t count;
	struct sock *sock;
};

extern const char files_changed;

/** file_open() - A new descriptor. Return: its number, or -1 with errno */
int file_open(struct sock *sock, bool nonblock);

/** file_of() - A descriptor of the side that asks; reports a wrong one */
struct file *file_of(int fd);

/** files_count() - Number of descriptors that a side has open */
unsigned files_count(enum side side);

/** files_close_all() - Close those of a side that has crashed */
void files_close_all(enum side side);

/** files_relabel() - Descriptors of a side are the other side's from now on */
void files_relabel(enum side from, enum side to);

/** files_forget() - Forget all of them, after a run */
void files_forget(void);

#endif /* FERRY_TESTS_SIM_FILES_H */
