/* SPDX-License-Identifier: MIT */
/*
 * host.h - What one ferry process has: a machine, or the hope of one
 *
 * Ties the machine to what people see of it: control events, the serial
 * port's other end, the exit status. On a destination there is no machine
 * until its description has arrived.
 */
#ifndef FERRY_HOST_H
#define FERRY_HOST_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm/machine/machine.h"

struct chardev;
struct chardev_socket;
struct control;
struct loop;

/**
 * struct host - This process
 * @name:	the machine's name
 * @loop:	main thread's loop
 * @control:	QMP server
 * @console:	serial port's other end
 * @terminals:	and those that are attached to it; NULL if there can be none
 * @side:	"none", "source" or "destination": this machine's part in a
 *		migration, a literal
 * @no_reboot:	a reset ends the machine
 * @ram:	kind of RAM for a guest that arrives (enum ram_backing), or -1: as
 *		where it comes from
 * @shown:	1 if the last status event was RESUME, 0 if STOP, -1 if none was
 * @lock:	protects @machine: that it is there, not what it does
 * @machine:	or NULL
 */
struct host {
	const char *name;
	struct loop *loop;
	struct control *control;
	struct chardev *console;
	struct chardev_socket *terminals;
	_Atomic(const char *) side;
	bool no_reboot;
	int ram;
	_Atomic int shown;
	pthread_mutex_t lock;
	struct machine *machine;
};

/**
 * host_observer() - What a machine of this process should report to
 * @h:		the host
 *
 * Return: the observer for machine_new()
 */
struct machine_observer host_observer(struct host *h);

/**
 * host_set_machine() - Show a machine, or NULL for none any more
 * @h:		the host
 * @m:		the machine; the caller keeps its ownership
 *
 * Returns only when no command uses the machine before it any more.
 */
void host_set_machine(struct host *h, struct machine *m);

/**
 * host_register() - Add the commands that every machine has
 * @h:		the host, whose control is open
 */
void host_register(struct host *h);

/** host_reset_asked() - The observer's reset(); @ctx is the host */
void host_reset_asked(void *ctx);

/** host_was_reset() - The observer's was_reset(); @ctx is the host */
void host_was_reset(void *ctx, enum reset_cause cause);

/**
 * host_system_reset() - Reset the guest, or end the machine if that is wanted
 * @h:		the host, locked, with a machine
 * @err:	why not
 *
 * While the guest's memory is still arriving it stands still until all is
 * there, and is reset then.
 *
 * Return: 0, -EBUSY (it is not this machine's), -errno
 */
int host_system_reset(struct host *h, struct error *err);

#endif /* FERRY_HOST_H */
