// SPDX-License-Identifier: MIT
/* capabilities.c - QEMU's migration capabilities, and two of Ferry's own */

#include <errno.h>
#include <string.h>

#include "capabilities.h"
#include "vmm/base/units.h"

/* QEMU's capabilities, with the value that each has here; it can't be changed */
static const struct {
	const char *name;
	bool on;
} fixed[] = {
	{ "postcopy-ram", true }, { "postcopy-preempt", true },
	{ "zero-blocks", true }, { "events", true },
	{ "xbzrle", false }, { "compress", false }, { "multifd", true },
	{ "release-ram", false }, { "auto-converge", false },
	{ "return-path", true },
};

static const char *name_of(json_t *c)
{
	return json_string_value(json_object_get(c, "capability"));
}

static int check_one(json_t *c, struct error *err)
{
	const char *name = name_of(c);
	json_t *state = json_object_get(c, "state");

	if (!name || !json_is_boolean(state))
		return error_set(err, EINVAL,
			"each capability needs a name 'capability' and a boolean 'state'");
	if (!strcmp(name, CAPABILITY_POISON) ||
	    !strcmp(name, CAPABILITY_AUTOMATIC))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		if (strcmp(name, fixed[i].name))
			continue;
		if (json_is_true(state) == fixed[i].on)
			return 0;
		return error_set(err, ENOTSUP,
			"capability '%s' is always %s here", name,
			fixed[i].on ? "on" : "off");
	}
	return error_set(err, EINVAL, "no capability '%.60s'", name);
}

int capabilities_check(json_t *list, struct error *err)
{
	json_t *c;
	size_t i;
	int rc = 0;

	if (!json_is_array(list))
		return error_set(err, EINVAL,
				 "'capabilities' must be an array");
	json_array_foreach(list, i, c)
		rc = rc ? rc : check_one(c, err);
	return rc;
}

bool capabilities_get(json_t *list, const char *name, bool *on)
{
	bool found = false;
	json_t *c;
	size_t i;

	json_array_foreach(list, i, c) {
		if (strcmp(name_of(c), name))
			continue;
		*on = json_is_true(json_object_get(c, "state"));
		found = true;
	}
	return found;
}

static void append(json_t *list, const char *name, bool on)
{
	json_array_append_new(list, json_pack("{s:s, s:b}", "capability", name,
					      "state", (int)on));
}

json_t *capabilities_json(bool poison, bool automatic)
{
	json_t *list = json_array();

	append(list, CAPABILITY_POISON, poison);
	append(list, CAPABILITY_AUTOMATIC, automatic);
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		append(list, fixed[i].name, fixed[i].on);
	return list;
}
