/* SPDX-License-Identifier: MIT */
/*
 * arch.h - What an architecture provides to vmm/machine/ (private)
 *
 * The common files of vmm/machine/ use no register and no instruction set.
 * Each architecture implements the functions below in files named for it
 * (x86_*.c), and provides beside them:
 *
 *   x86_arch.h		struct arch_machine, struct arch_undo
 *   x86_config.[ch]	struct arch_config; machine_config_host() and
 *			machine_config_check() of machine_config.h
 *   x86_description.c	arch_description_put(), arch_description_parse() of
 *			description_walk.h
 *   x86_start.[ch]	vCPU 0's registers at the entry of a kernel
 *   x86_registers.[ch]	a vCPU's registers, for dumps
 *   vmm/boot/		arch_boot.h: arch_boot_start()
 *   vmm/dump/		arch_core.h: registers as notes of a core file
 *   vmm/cpu/		encodings, without I/O
 *
 * A second architecture is a second set of these files.
 */
#ifndef FERRY_ARCH_H
#define FERRY_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "machine_private.h"
#include "x86_arch.h"

struct hot_list;
struct vcpu;

/**
 * arch_machine_init() - Prepare the architecture's part of a machine
 * @m:		the machine, whose KVM is open and which has no vCPU yet
 * @err:	the reason on failure
 *
 * Return: 0, -errno
 */
int arch_machine_init(struct machine *m, struct error *err);

/** arch_machine_fini() - Free it; accepts one that was never prepared */
void arch_machine_fini(struct machine *m);

/**
 * arch_devices_loaded() - Use the state that the devices have loaded
 * @m:		the machine, whose vCPUs load theirs next
 */
void arch_devices_loaded(struct machine *m);

/**
 * arch_clock_stop() - Let the guest's clock stand still from now on
 * @m:		the machine, with lock held and all vCPUs parked
 */
void arch_clock_stop(struct machine *m);

/**
 * arch_clock_start() - Let the guest's clock go on, if it stands still
 * @m:		the machine, with lock held and all vCPUs parked
 */
void arch_clock_start(struct machine *m);

/**
 * arch_vcpu_init() - Configure a new vCPU: features, error reporting
 * @v:		the vCPU, which has KVM's descriptor and no thread yet
 * @err:	the reason on failure
 *
 * Return: 0, -errno
 */
int arch_vcpu_init(struct vcpu *v, struct error *err);

/**
 * arch_vcpu_save() - Append the complete state of a vCPU
 * @v:		the vCPU, parked
 * @w:		where to
 * @err:	the reason on failure
 *
 * Return: 0, -errno
 */
int arch_vcpu_save(struct vcpu *v, struct writer *w, struct error *err);

/**
 * arch_vcpu_load() - Take over the state of a vCPU
 * @v:		the vCPU, never run
 * @r:		where from
 * @err:	the reason on failure; names what KVM refused
 *
 * Return: 0, -EBADMSG, -errno
 */
int arch_vcpu_load(struct vcpu *v, struct reader *r, struct error *err);

/**
 * arch_vcpu_reset() - Take over a vCPU's initial state; its clock continues
 * @v:		the vCPU, parked
 * @r:		where from
 * @err:	the reason on failure
 *
 * Return: 0, -EBADMSG, -errno
 */
int arch_vcpu_reset(struct vcpu *v, struct reader *r, struct error *err);

/**
 * arch_vcpu_resume() - Notify the guest that the vCPU was stopped for a time
 * @v:		this thread's vCPU, which enters the guest next
 *
 * Without it the guest's watchdogs count the pause as time in which the guest
 * made no progress. No effect on a guest that does not use the host's clock.
 */
void arch_vcpu_resume(struct vcpu *v);

/**
 * arch_vcpu_exit() - Handle an exit that only this architecture has
 * @v:		this thread's vCPU
 *
 * Sets @v->io_pending where KVM completes the exit at the next entry. While
 * @v->undoing is set the exit has no effect on devices.
 *
 * Return: false if the exit reason is not one of the architecture's
 */
bool arch_vcpu_exit(struct vcpu *v);

/** arch_vcpu_pc() - Address of the next instruction, 0 if KVM fails */
uint64_t arch_vcpu_pc(struct vcpu *v);

/**
 * arch_vcpu_fetch_gpa() - Guest-physical address of the next instruction
 * @v:		this thread's vCPU
 * @gpa:	filled in
 *
 * Return: false if the guest's page tables do not map it
 */
bool arch_vcpu_fetch_gpa(struct vcpu *v, uint64_t *gpa);

/**
 * arch_vcpu_retry() - Prepare a vCPU to repeat the instruction that failed
 * @v:		this thread's vCPU
 *
 * Drops the exception that KVM has pending for the failure. An error report
 * that is pending stays.
 *
 * Return: false if KVM fails
 */
bool arch_vcpu_retry(struct vcpu *v);

/**
 * arch_vcpu_undo_begin() - Record what a read may change
 * @v:		this thread's vCPU, before KVM completes the read
 * @u:		filled in
 *
 * Return: 0, -errno
 */
int arch_vcpu_undo_begin(struct vcpu *v, struct arch_undo *u);

/**
 * arch_vcpu_undo_end() - Restore what arch_vcpu_undo_begin() recorded
 * @v:		this thread's vCPU, after KVM completed the read
 * @u:		the record
 *
 * Return: 0, -errno
 */
int arch_vcpu_undo_end(struct vcpu *v, const struct arch_undo *u);

/* What is reported to the guest */
enum arch_report {
	ARCH_REPORT_CONSUMED,	/* this vCPU touched the page */
	ARCH_REPORT_FOUND,	/* the host found it before a touch */
	ARCH_REPORT_BROADCAST,	/* another vCPU has received a report */
};

enum arch_reported {
	ARCH_REPORTED,
	ARCH_REPORT_OFF,	/* the guest has not enabled the reports */
	ARCH_REPORT_BUSY,	/* it is still handling an earlier one, or
				 * (not for ARCH_REPORT_CONSUMED) KVM delivers
				 * another event to it: ask again */
	ARCH_REPORT_FAILED,	/* KVM failed: @v->report_errno */
};

/**
 * arch_vcpu_report() - Report a memory error to the guest
 * @v:		this thread's vCPU, or a parked one
 * @what:	the kind of report
 * @gpa:	guest-physical address of the first lost byte
 * @lsb:	log2 of the number of bytes that are lost
 * @others:	set to true if the architecture informs the other vCPUs too
 *		(ARCH_REPORT_BROADCAST); only if ARCH_REPORTED is returned
 *
 * Return: the result; nothing has changed unless it is ARCH_REPORTED
 */
enum arch_reported arch_vcpu_report(struct vcpu *v, enum arch_report what,
				    uint64_t gpa, unsigned lsb, bool *others);

/* What the guest must enable, for messages */
extern const char arch_report_off[];

/* How it shows that it handles one, for messages */
extern const char arch_report_busy[];

/* KVM's call for a report, for messages */
extern const char arch_report_call[];

/**
 * arch_vcpu_hot_pages() - List the pages that a vCPU touches first
 * @v:		the vCPU, parked
 * @l:		hot_list_add() appends to it
 */
void arch_vcpu_hot_pages(struct vcpu *v, struct hot_list *l);

#endif /* FERRY_ARCH_H */
