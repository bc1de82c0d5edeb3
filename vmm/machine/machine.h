/* SPDX-License-Identifier: MIT */
/*
 * machine.h - A virtual machine: RAM, vCPUs, devices
 *
 * struct machine is opaque outside vmm/machine/. This header has its creation,
 * its state, and access to its parts; it includes the rest of the public
 * interface: configuration (machine_config.h), notifications
 * (machine_observer.h), run control (machine_run.h), and the hook for a
 * migration (ram_hook.h). Beside these, machine_reset.h, machine_images.h,
 * inject.h, hot.h and description.h are public.
 *
 * vmm/machine/ does not depend on migration/.
 */
#ifndef FERRY_MACHINE_H
#define FERRY_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "machine_config.h"
#include "machine_observer.h"
#include "machine_run.h"
#include "ram_hook.h"
#include "vmm/base/bytes.h"
#include "vmm/base/error.h"
#include "vmm/memory/poison.h"
#include "vmm/memory/ram.h"

struct machine;

/**
 * machine_new() - Build a machine whose vCPUs wait at the gate
 * @cfg:	what to build it from; copied
 * @obs:	receives its notifications; copied
 * @err:	the reason on failure
 *
 * Return: the machine, or NULL
 */
struct machine *machine_new(const struct machine_config *cfg,
			    const struct machine_observer *obs,
			    struct error *err);

/** machine_free() - End the vCPU threads and free everything; accepts NULL */
void machine_free(struct machine *m);

/** machine_config() - What the machine was built from */
const struct machine_config *machine_config(const struct machine *m);

/** machine_ram() - The machine's RAM */
struct ram *machine_ram(struct machine *m);

/** machine_poison() - The list of lost memory; safe from any thread */
struct poison_list *machine_poison(struct machine *m);

/**
 * machine_description() - The flattened description
 * @m:		the machine, which keeps ownership
 * @size:	set to its bytes
 *
 * Return: the tree that description_build() made of machine_config()
 */
const void *machine_description(const struct machine *m, size_t *size);

/**
 * machine_vcpu_tid() - The kernel's number of a vCPU's thread
 * @m:		the machine
 * @index:	number of the vCPU, below cpus
 *
 * Return: thread ID; 0 until the thread has started
 */
pid_t machine_vcpu_tid(const struct machine *m, unsigned index);

/**
 * machine_vcpu_blocking() - Is a vCPU blocked in the kernel at this moment?
 * @m:		the machine
 * @index:	number of the vCPU
 *
 * Halted, or waiting for a page. From KVM's statistics, so any thread may ask
 * while the vCPU is in KVM_RUN.
 *
 * Return: true if it is; false also where KVM does not tell
 */
bool machine_vcpu_blocking(const struct machine *m, unsigned index);

/**
 * machine_vcpu_idle() - How long has a vCPU been halted, in all?
 * @m:		the machine
 * @index:	number of the vCPU
 * @exits:	set to how often it has left the guest
 *
 * As machine_vcpu_blocking(). A wait for a page does not count, and a halt counts
 * when it ends.
 *
 * Return: ns; UINT64_MAX where KVM does not tell
 */
uint64_t machine_vcpu_idle(const struct machine *m, unsigned index,
			   uint64_t *exits);

/**
 * machine_power_button() - Ask the guest to shut down, by its power button
 * @m:		the machine
 *
 * @err:	the cause of a failure
 *
 * A paused guest notices when it runs again.
 *
 * Return: 0, or as power_button()
 */
int machine_power_button(struct machine *m, struct error *err);

/**
 * machine_serial_input() - Send bytes to the guest's serial port
 * @m:		the machine
 * @data:	the bytes
 * @n:		how many
 *
 * Return: number of bytes that the port accepted; 0 while the machine is held
 */
size_t machine_serial_input(struct machine *m, const uint8_t *data, size_t n);

/**
 * machine_save() - Append all state except RAM
 * @m:		the machine, paused
 * @w:		where to
 * @err:	the reason on failure
 *
 * Return: 0, -errno
 */
int machine_save(struct machine *m, struct writer *w, struct error *err);

/**
 * machine_load() - Take over all state except RAM
 * @m:		the machine, never run
 * @r:		where from
 * @err:	the reason on failure
 *
 * KVM may access guest RAM (kvmclock), so the pages that have not arrived must
 * be served meanwhile.
 *
 * Return: 0, -EBADMSG, -errno
 */
int machine_load(struct machine *m, struct reader *r, struct error *err);

/**
 * machine_lost() - The VMM itself read memory that is lost
 * @m:		the machine
 * @gpa:	guest-physical address
 * @size:	bytes
 *
 * Enters it into the poison list and notifies the observer, unless the list
 * has it already or a reset has replaced the page meanwhile.
 */
void machine_lost(struct machine *m, uint64_t gpa, uint64_t size);

/** machine_failure() - Notify the observer of a memory error */
void machine_failure(struct machine *m, const struct memory_failure *f);

/**
 * machine_failure_again() - The same, for a page that was reported before
 * @m:		the machine
 * @f:		the error
 *
 * A guest decides how often it accesses a lost page: the number of
 * notifications is limited (flood.h), and the rest is counted in @repeats of a
 * later one.
 */
void machine_failure_again(struct machine *m, const struct memory_failure *f);

/** machine_flush_failures() - Notify of what is counted, if anything is */
void machine_flush_failures(struct machine *m);

#endif /* FERRY_MACHINE_H */
