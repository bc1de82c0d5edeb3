// SPDX-License-Identifier: MIT
/* description_walk.c - Read a machine's description */

#include <errno.h>
#include <string.h>

#include <libfdt.h>

#include "description_walk.h"

int walk_refuse(struct walk *w, const char *prop, const char *why)
{
	return error_set(w->err, ENOTSUP, "machine description: %s%s%s: %s",
			 w->path, prop ? ", property " : "",
			 prop ? prop : "", why);
}

int walk_enter(struct walk *w, const char *path)
{
	w->path = path;
	w->node = fdt_path_offset(w->fdt, path);
	return w->node < 0 ? walk_refuse(w, NULL, "the node is missing") : 0;
}

const void *walk_get(struct walk *w, const char *prop, int *len)
{
	const void *p = fdt_getprop(w->fdt, w->node, prop, len);

	if (!p)
		walk_refuse(w, prop, "it is missing");
	return p;
}

const char *walk_get_string(struct walk *w, const char *prop)
{
	int len;
	const char *s = walk_get(w, prop, &len);

	if (!s)
		return NULL;
	if (len > 0 && strnlen(s, (size_t)len) == (size_t)len - 1)
		return s;
	walk_refuse(w, prop, "it is not one string");
	return NULL;
}

int walk_expect_string(struct walk *w, const char *prop, const char *want)
{
	const char *s = walk_get_string(w, prop);

	if (s && strcmp(s, want))
		return walk_refuse(w, prop, "this version can't build that");
	return s ? 0 : -ENOTSUP;
}

int walk_get_cell(struct walk *w, const char *prop, uint32_t *v)
{
	int len;
	const fdt32_t *p = walk_get(w, prop, &len);

	if (!p)
		return -ENOTSUP;
	if (len != 4)
		return walk_refuse(w, prop, "it is not one cell");
	*v = fdt32_to_cpu(*p);
	return 0;
}
