// SPDX-License-Identifier: MIT
/* device_list.c - Which devices a machine has */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "device_list.h"

void device_list_init(struct device_list *l)
{
	*l = (struct device_list){ 0 };
	for (const struct device_model *m = device_models; m->ops; m++)
		if (!m->ops->compatible)
			l->entry[l->n++].ops = m->ops;
}

void device_list_default(struct device_list *l)
{
	*l = (struct device_list){ 0 };
	for (const struct device_model *m = device_models; m->ops; m++)
		if (m->standard)
			l->entry[l->n++].ops = m->ops;
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

	for (const struct device_model *m = device_models; m->ops; m++) {
		if (!m->ops->compatible)
			continue;
		*c = (struct device_config){ .ops = m->ops };
		for (; c->instance < m->ops->places; c->instance++) {
			device_node_name(c, other);
			if (!strcmp(other, name))
				return true;
		}
	}
	return false;
}
