/* SPDX-License-Identifier: MIT */
/*
 * device_env.h - What a machine provides to its devices
 *
 * A device knows nothing of struct machine. Interrupts, access to guest RAM
 * and notifications of the machine all go through this struct, so that a unit
 * test can run a device on an environment of its own, without KVM.
 */
#ifndef FERRY_DEVICE_ENV_H
#define FERRY_DEVICE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kvm;

/**
 * struct device_env - Environment of the devices of one machine
 * @ctx:	first argument of every function
 * @kvm:	the VM, for devices that KVM emulates, irqfd and ioeventfd; NULL
 *		in unit tests
 * @irq:	set the level of interrupt line @irq
 * @read:	copy @len bytes of guest RAM at @gpa to @to. 0; -ERANGE if not
 *		all of it is RAM; -EHWPOISON if a page is lost, which has then
 *		been entered into the poison list and reported; -errno. Blocks
 *		while the page is missing (postcopy)
 * @write:	copy to guest RAM; returns as @read. Every write of a device to
 *		RAM goes through here, so that the machine can track it
 * @output:	the guest wrote bytes to its serial port
 * @frozen:	the machine is held because its state is being or has been saved:
 *		input that a device accepts now would be lost
 * @guest_exit:	the guest ends the machine, with a status (0 - 255)
 * @guest_reset: the guest requests a reset
 * @guest_panicked: the guest's kernel panicked and stays so: the machine pauses
 * @guest_crash_loaded: the guest's kernel panicked and runs its crash kernel
 *
 * Every function may be called from any thread, with the device's lock held.
 * None waits for a vCPU or for another device.
 */
struct device_env {
	void *ctx;
	struct kvm *kvm;
	void (*irq)(void *ctx, unsigned irq, bool level);
	int (*read)(void *ctx, uint64_t gpa, void *to, size_t len);
	int (*write)(void *ctx, uint64_t gpa, const void *from, size_t len);
	void (*output)(void *ctx, const uint8_t *data, size_t n);
	bool (*frozen)(void *ctx);
	void (*guest_exit)(void *ctx, int status);
	void (*guest_reset)(void *ctx);
	void (*guest_panicked)(void *ctx);
	void (*guest_crash_loaded)(void *ctx);
};

#endif /* FERRY_DEVICE_ENV_H */
