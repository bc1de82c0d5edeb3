/* SPDX-License-Identifier: MIT */
/*
 * host.h - Process-wide state: the machine (NULL on a destination until its
 * description arrives), its control server, its console
 *
 * Connects the machine with its control commands and events, its serial port
 * with the console, and its end with the exit status of the process.
 */
#ifndef FERRY_HOST_H
#define FERRY_HOST_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm/machine/machine.h"

/* Time in which a repeated request to end is taken for a decision, in ms */
#define HOST_INSIST_MS	10000

struct chardev;
struct chardev_socket;
struct control;
struct host_work;
struct loop;

/**
 * struct host - Process-wide state
 * @name:	machine's name
 * @loop:	main thread's loop
 * @control:	QMP server
 * @console:	host's end of the serial port
 * @terminals:	console socket for further terminals, or NULL
 * @work:	runs commands that take too long for the main thread
 * @side:	"none", "source" or "destination": this machine's role in a
 *		migration, a literal
 * @no_reboot:	a reset ends each machine that runs, or once ran, here
 * @ram:	kind of RAM for a guest that arrives (enum ram_backing); -1: the
 *		same as the source's
 * @ending:	host_end() was called
 * @refused_ms:	when host_ask_end() last refused, monotonic; 0: never
 * @shown:	1 if the last status event was RESUME, 0 if STOP, -1 if none
 * @failures:	memory failures so far, by origin and action
 * @lock:	while it is held, @machine is not freed; does not protect the
 *		machine's own state
 * @machine:	the machine, or NULL
 */
struct host {
	const char *name;
	struct loop *loop;
	struct control *control;
	struct chardev *console;
	struct chardev_socket *terminals;
	struct host_work *work;
	_Atomic(const char *) side;
	bool no_reboot;
	int ram;
	_Atomic bool ending;
	uint64_t refused_ms;
	_Atomic int shown;
	_Atomic uint64_t failures[MEMORY_FAILURE_ORIGINS][MEMORY_FAILURE_ACTIONS];
	pthread_mutex_t lock;
	struct machine *machine;
};

/**
 * host_observer() - The observer for a machine of this process
 * @h:		the host
 *
 * Return: argument for machine_new()
 */
struct machine_observer host_observer(struct host *h);

/**
 * host_set_machine() - Publish a machine to the control commands
 * @h:		the host
 * @m:		the machine, which the caller owns; NULL withdraws it
 *
 * When it returns, no command uses the previous machine any more.
 */
void host_set_machine(struct host *h, struct machine *m);

/**
 * host_end() - Report the end of the machine (event SHUTDOWN), and end the loop
 * @h:		the host
 * @guest:	the guest asked for it
 * @reason:	QEMU's ShutdownCause, e.g. "host-signal"
 * @status:	exit status of the process
 *
 * Any thread. Only the first call has an effect. Every end of a machine that is
 * not a crash of the process comes through here, so that a client can tell an
 * end from a lost connection.
 */
void host_end(struct host *h, bool guest, const char *reason, int status);

/**
 * host_check_end() - Would the end of this process end a guest elsewhere?
 * @h:		the host
 * @err:	the cause of a refusal
 *
 * A guest that was handed over needs its source until the last page was sent.
 *
 * Return: 0, -EBUSY
 */
int host_check_end(struct host *h, struct error *err);

/**
 * host_ask_end() - End as host_end(), unless host_check_end() refuses
 * @h:		the host
 * @reason:	QEMU's ShutdownCause
 * @status:	exit status of the process
 *
 * A refusal is logged. A second request within HOST_INSIST_MS after a refusal
 * ends the machine in any case. Main thread only.
 */
void host_ask_end(struct host *h, const char *reason, int status);

/**
 * host_register() - Register the control commands of a machine
 * @h:		the host, whose control is open
 */
void host_register(struct host *h);

#endif /* FERRY_HOST_H */
