/* SPDX-License-Identifier: MIT */
/*
 * device_list.h - Which devices a machine has
 *
 * A machine's configuration holds a list of them. The machine's description is
 * written from that list, and a destination reads its list from the description.
 * To add a model, add it to the table in x86_board.c.
 */
#ifndef FERRY_DEVICE_LIST_H
#define FERRY_DEVICE_LIST_H

#include "device.h"

#define DEVICES_MAX	32	/* of one machine */

/**
 * struct device_model - An entry of the table of models
 * @ops:	the model
 * @standard:	every machine without options has instance 0 of it
 */
struct device_model {
	const struct device_ops *ops;
	bool standard;
};

/**
 * device_models - All models of this architecture, ended by an @ops of NULL
 *
 * In order of creation: the irqchip before all that raise interrupts. A model
 * without a description node is standard.
 */
extern const struct device_model device_models[];

/**
 * struct device_config - One device that a machine is to have
 * @ops:	model
 * @instance:	number; selects the place
 * @backend:	what the device works on at the host's side: defined by the model,
 *		not part of the machine's description; NULL if it needs nothing
 */
struct device_config {
	const struct device_ops *ops;
	unsigned instance;
	void *backend;
};

/**
 * struct device_list - All devices that a machine is to have
 * @n:		how many
 * @entry:	the devices, in the order in which they are created, saved, loaded
 */
struct device_list {
	unsigned n;
	struct device_config entry[DEVICES_MAX];
};

/**
 * device_list_init() - A list of the devices that have no description node
 * @l:		the list, overwritten: what KVM emulates in every machine
 */
void device_list_init(struct device_list *l);

/**
 * device_list_default() - The devices of a machine without options
 * @l:		the list, overwritten: instance 0 of each standard model
 */
void device_list_default(struct device_list *l);

/**
 * device_list_add() - Append a device
 * @l:		the list
 * @c:		the device; copied
 *
 * Return: 0, -ENOSPC (DEVICES_MAX), -EEXIST (this instance is in the list)
 */
int device_list_add(struct device_list *l, const struct device_config *c);

/** device_list_has() - Is this instance of a model in the list? */
bool device_list_has(const struct device_list *l,
		     const struct device_config *c);

#define DEVICE_NODE_MAX	40	/* length of a description node's name, with the 0 */

/**
 * device_node_name() - The name of a device's node in the description
 * @c:		the device, whose model has a @compatible
 * @name:	filled in: the model's name, "@", and its first address in hex
 */
void device_node_name(const struct device_config *c,
		      char name[DEVICE_NODE_MAX]);

/**
 * device_find_node() - The device that a description node stands for
 * @name:	of the node
 * @c:		filled in, without backend
 *
 * Return: true, or false if no model of this program has that node
 */
bool device_find_node(const char *name, struct device_config *c);

/* The models */
extern const struct device_ops x86_irqchip_ops, x86_pit_ops, x86_clock_ops;
extern const struct device_ops serial_ops, debug_exit_ops, power_ops;
extern const struct device_ops pvpanic_ops, keyboard_ops;

#endif /* FERRY_DEVICE_LIST_H */
