// SPDX-License-Identifier: MIT
/* web_action.c - What a page may ask for: checked, and as a QMP command */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "vmm/base/units.h"
#include "vmm/client/qmp_client.h"
#include "web_action.h"

/* Members of the body, as bits */
enum {
	M_ID = 1, M_TO = 2, M_URI = 4, M_TEXT = 8, M_WORK = 16, M_ADDRESS = 32,
	M_COUNT = 64, M_BANDWIDTH = 128, M_MEMORY = 256, M_CPUS = 512,
	M_PASSES = 1024,
};

#define AT(member) offsetof(struct web_action, member)
#define SIZE(member) sizeof(((struct web_action *)0)->member)

static const struct {
	const char *name;
	unsigned bit;
	size_t at, size;	/* @size 0: a number from @min to @max */
	int64_t min, max;
} members[] = {
	{ "id", M_ID, AT(id), SIZE(id), 0, 0 },
	{ "to", M_TO, AT(to), SIZE(to), 0, 0 },
	{ "uri", M_URI, AT(uri), SIZE(uri), 0, 0 },
	{ "text", M_TEXT, AT(text), SIZE(text), 0, 0 },
	{ "work", M_WORK, AT(work), SIZE(work), 0, 0 },
	{ "passes", M_PASSES, AT(passes), SIZE(passes), 0, 0 },
	{ "address", M_ADDRESS, AT(address), 0, 0, INT64_MAX },
	{ "count", M_COUNT, AT(count), 0, 1, 4096 },
	{ "bandwidth", M_BANDWIDTH, AT(bandwidth), 0, 0, INT64_MAX },
	{ "memory", M_MEMORY, AT(memory), 0, 16, 32 * 1024 },
	{ "cpus", M_CPUS, AT(cpus), 0, 1, 16 },
};

/* By enum web_action_kind: members that must be there, and those that may */
static const struct {
	const char *name, *command;
	unsigned needs, may;
} actions[WEB_ACTIONS] = {
	[ACT_DEMO]	= { "demo", NULL, 0, M_MEMORY | M_CPUS | M_WORK },
	[ACT_END_DEMO]	= { "end-demo", NULL, 0, 0 },
	[ACT_TYPE]	= { "type", NULL, M_ID | M_TEXT, 0 },
	[ACT_MIGRATE]	= { "migrate", "migrate", M_ID,
			    M_TO | M_URI | M_BANDWIDTH | M_PASSES },
	[ACT_POSTCOPY]	= { "postcopy", "migrate-start-postcopy", M_ID, 0 },
	[ACT_BANDWIDTH]	= { "bandwidth", "migrate-set-parameters",
			    M_ID | M_BANDWIDTH, 0 },
	[ACT_CUT]	= { "cut", "migrate-pause", M_ID, 0 },
	[ACT_RECOVER]	= { "recover", "migrate", M_ID, M_URI },
	[ACT_POISON]	= { "poison", "ferry-poison", M_ID | M_ADDRESS,
			    M_COUNT },
	[ACT_STOP]	= { "stop", "stop", M_ID, 0 },
	[ACT_CONT]	= { "cont", "cont", M_ID, 0 },
	[ACT_QUIT]	= { "quit", "quit", M_ID, 0 },
};

static const char *const works[] = { "dirty", "verify", "walk", "idle" };

static int kind_find(json_t *body, enum web_action_kind *kind,
		     struct error *err)
{
	const char *name = json_string_value(json_object_get(body, "action"));

	for (unsigned i = 0; name && i < WEB_ACTIONS; i++)
		if (!strcmp(actions[i].name, name)) {
			*kind = i;
			return 0;
		}
	return error_set(err, EINVAL, "no action '%.40s'", name ? name : "");
}

static int store_text(char *to, size_t size, const char *name,
		      const json_t *value, struct error *err)
{
	const char *text = json_string_value(value);

	/* A string may contain \u0000 */
	if (!text || strlen(text) != json_string_length(value) ||
	    strlen(text) >= size)
		return error_set(err, EINVAL, "'%s' must be a text of less than "
				 "%zu bytes", name, size);
	strcpy(to, text);
	return 0;
}

/* @i: in members */
static int store_member(struct web_action *a, size_t i, const json_t *value,
			struct error *err)
{
	char *to = (char *)a + members[i].at;
	int64_t n;

	if (members[i].size)
		return store_text(to, members[i].size, members[i].name, value,
				  err);
	n = json_integer_value(value);
	if (!json_is_integer(value) || n < members[i].min ||
	    n > members[i].max)
		return error_set(err, EINVAL, "'%s' must be a number from %lld "
				 "to %lld", members[i].name,
				 (long long)members[i].min,
				 (long long)members[i].max);
	*(int64_t *)(void *)to = n;
	return 0;
}

static int read_members(json_t *body, struct web_action *a, struct error *err)
{
	const unsigned needs = actions[a->kind].needs;
	const unsigned may = actions[a->kind].may | needs;
	unsigned count = 1, bit;
	json_t *value;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(members) && !rc; i++) {
		bit = members[i].bit;
		value = json_object_get(body, members[i].name);
		count += value != NULL;
		if (value && !(may & bit))
			rc = error_set(err, EINVAL, "'%s' has no '%s'",
				       actions[a->kind].name, members[i].name);
		else if (value)
			rc = store_member(a, i, value, err);
		else if (needs & bit)
			rc = error_set(err, EINVAL, "'%s' needs '%s'",
				       actions[a->kind].name, members[i].name);
	}
	if (!rc && count != json_object_size(body))
		rc = error_set(err, EINVAL, "the action has unknown members");
	return rc;
}

/* The workload becomes a boot argument: only known words */
static int check_work(const struct web_action *a, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(works); i++)
		if (!strcmp(works[i], a->work))
			return 0;
	return error_set(err, EINVAL, "'work' must be dirty, verify, walk or "
			 "idle");
}

int web_action_parse(json_t *body, struct web_action *a, struct error *err)
{
	int rc;

	*a = (struct web_action){ .work = "dirty", .count = 1, .memory = 256,
				  .bandwidth = -1, .cpus = 2 };
	rc = kind_find(body, &a->kind, err);
	if (!rc)
		rc = read_members(body, a, err);
	if (!rc)
		rc = check_work(a, err);
	return rc;
}

/* Return: migration parameters that the page has chosen; NULL: none */
static json_t *parameters_json(const struct web_action *a)
{
	json_t *o = a->bandwidth < 0 && !*a->passes ? NULL : json_object();

	if (a->bandwidth >= 0) {
		json_object_set_new(o, "max-postcopy-bandwidth",
				    json_integer(a->bandwidth));
		json_object_set_new(o, "max-bandwidth",
				    json_integer(a->bandwidth));
	}
	if (*a->passes)
		json_object_set_new(o, "ferry-precopy-passes",
				    json_string(a->passes));
	return o;
}

const char *web_action_command(const struct web_action *a, const char *uri,
			       json_t **args)
{
	*args = NULL;
	if (a->kind == ACT_MIGRATE)
		*args = json_pack("{s:s, s:o*}", "uri", uri,
				  "ferry-parameters", parameters_json(a));
	else if (a->kind == ACT_RECOVER)
		*args = json_pack("{s:s, s:b}", "uri", uri, "resume", 1);
	else if (a->kind == ACT_BANDWIDTH)
		*args = parameters_json(a);
	else if (a->kind == ACT_POISON)
		*args = json_pack("{s:I, s:I}", "address",
				  (json_int_t)a->address, "count",
				  (json_int_t)a->count);
	return actions[a->kind].command;
}

int web_action_ms(const struct web_action *a)
{
	if (a->kind != ACT_POISON)
		return QMP_TIMEOUT_MS;
	return QMP_TIMEOUT_MS + (int)a->count * QMP_POISON_MS;
}
