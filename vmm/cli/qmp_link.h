/* SPDX-License-Identifier: MIT */
/*
 * qmp_link.h - One end of a QMP connection, as a client has it
 *
 * Messages in and out, each wait with a deadline. What they mean is
 * qmp_client.c's business.
 */
#ifndef FERRY_QMP_LINK_H
#define FERRY_QMP_LINK_H

#include <stdint.h>

#include <jansson.h>

#include "vmm/base/error.h"
#include "vmm/control/qmp.h"

#define QMP_NO_DEADLINE INT64_MAX

/**
 * struct qmp_link - A connection
 * @fd:		the socket, non-blocking, or -1
 * @timeout_ms:	how long the other end may take
 * @label:	who that is: "machine 'x'" or "the machine at PATH"
 * @buf:	what was received and not used yet
 * @len:	bytes in @buf
 * @cap:	bytes that fit
 * @frame:	how far @buf has been looked through
 */
struct qmp_link {
	int fd;
	int timeout_ms;
	char label[160];
	char *buf;
	size_t len, cap;
	struct qmp_frame frame;
};

/**
 * qmp_deadline() - When a timeout that starts now is over
 * @timeout_ms:	how long, or -1
 *
 * Return: ms of the monotonic clock, or QMP_NO_DEADLINE
 */
int64_t qmp_deadline(int timeout_ms);

/**
 * qmp_link_open() - Connect
 * @l:		zeroed but for @timeout_ms and @label; to be closed in any
 *		case
 * @path:	of the socket
 * @err:	why not; codes as for qmp_open()
 *
 * Return: 0, or -errno
 */
int qmp_link_open(struct qmp_link *l, const char *path, struct error *err);

/**
 * qmp_link_send() - Send text
 * @l:		the connection
 * @text:	whole message
 * @err:	why not
 *
 * Return: 0, -ETIMEDOUT, -ECONNRESET
 */
int qmp_link_send(struct qmp_link *l, const char *text, struct error *err);

/**
 * qmp_link_next() - Wait for the next message of any kind
 * @l:		the connection
 * @watch:	descriptor that ends the wait when readable, or -1
 * @deadline:	from qmp_deadline()
 * @msg:	where to put it (a new object); NULL unless 0 is returned
 * @err:	why not; not set for -ETIMEDOUT and -EINTR
 *
 * Return: 0, -ETIMEDOUT, -EINTR (@watch), -ECONNRESET, -EPROTO, -ENOMEM
 */
int qmp_link_next(struct qmp_link *l, int watch, int64_t deadline,
		  json_t **msg, struct error *err);

/**
 * qmp_no_answer() - Say that the other end let a deadline pass
 * @l:		the connection
 * @err:	set
 *
 * Return: -ETIMEDOUT
 */
int qmp_no_answer(const struct qmp_link *l, struct error *err);

/**
 * qmp_link_close() - Disconnect, and free the buffer
 * @l:		the connection
 */
void qmp_link_close(struct qmp_link *l);

#endif /* FERRY_QMP_LINK_H */
