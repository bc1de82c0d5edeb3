// SPDX-License-Identifier: MIT
/* x86_board.c - The device models of an x86 machine, and which it has */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "device.h"

/* In the order of creation: the irqchip before all that raise interrupts */
static const struct device_ops *const kernel_models[] = {
	&x86_irqchip_ops, &x86_pit_ops, &x86_clock_ops,
};

static const struct device_ops *const models[] = {
	&serial_ops, &debug_exit_ops, &power_ops, &pvpanic_ops, &keyboard_ops,
};

void device_list_init(struct device_list *l)
{
	*l = (struct device_list){ 0 };
	for (unsigned i = 0; i < ARRAY_SIZE(kernel_models); i++)
		l->entry[l->n++].ops = kernel_models[i];
}

void device_list_default(struct device_list *l)
{
	device_list_init(l);
	for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
		l->entry[l->n++].ops = models[i];
}

bool device_list_has(const struct device_list *l,
		     const struct device_config *c)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->entry[i].ops == c->ops &&
		    l->entry[i].instance == c->instance)
			return true;
	return false;
}

int device_list_add(struct device_list *l, const struct device_config *c)
{
	if (device_list_has(l, c))
		return -EEXIST;
	if (l->n == DEVICES_MAX)
		return -ENOSPC;
	l->entry[l->n++] = *c;
	return 0;
}

void device_node_name(const struct device_config *c,
		      char name[DEVICE_NODE_MAX])
{
	snprintf(name, DEVICE_NODE_MAX, "%s@%" PRIx64, c->ops->name,
		 c->ops->place[c->instance].range[0].base);
}

bool device_find_node(const char *name, struct device_config *c)
{
	char other[DEVICE_NODE_MAX];

	*c = (struct device_config){ 0 };
	for (unsigned i = 0; i < ARRAY_SIZE(models); i++) {
		c->ops = models[i];
		for (c->instance = 0; c->instance < c->ops->places;
		     c->instance++) {
			device_node_name(c, other);
			if (!strcmp(other, name))
				return true;
		}
	}
	return false;
}
