// SPDX-License-Identifier: MIT
/*
 * control_dispatch.c - From the text of a QMP command to its answer
 *
 * A client starts in negotiation mode, where qmp_capabilities is the only
 * command; any other is CommandNotFound, as in QEMU. Afterwards
 * qmp_capabilities is CommandNotFound, and the others exist. Each message gets
 * exactly one answer, and no message ends the connection.
 */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_dispatch.h"
#include "qmp.h"

/* Context of the built-in commands */
struct session {
	const struct dispatch *d;
	struct dispatch_client *from;
};

static int cmd_capabilities(void *ctx, json_t *args, json_t **ret,
			    struct error *err)
{
	struct session *s = ctx;

	(void)ret;
	if (json_array_size(json_object_get(args, "enable")))
		return error_set(err, EINVAL, "'enable' names capabilities "
				 "that the greeting did not offer");
	s->from->ready = true;
	return 0;
}

static int cmd_query_version(void *ctx, json_t *args, json_t **ret,
			     struct error *err)
{
	(void)ctx;
	(void)args;
	(void)err;
	*ret = qmp_version();
	return 0;
}

static int cmd_query_commands(void *ctx, json_t *args, json_t **ret,
			      struct error *err);

static const struct control_command builtins[] = {
	{ "qmp_capabilities",	"?enable:o",	.fn = cmd_capabilities },
	{ "query-commands",	NULL,		.fn = cmd_query_commands },
	{ "query-version",	NULL,		.fn = cmd_query_version },
	{ 0 }
};

static void list_names(json_t *list, const struct control_command *c)
{
	for (; c->name; c++)
		json_array_append_new(list, json_pack("{s:s}", "name",
						      c->name));
}

static int cmd_query_commands(void *ctx, json_t *args, json_t **ret,
			      struct error *err)
{
	const struct session *s = ctx;

	(void)args;
	(void)err;
	*ret = json_array();
	list_names(*ret, builtins);
	for (unsigned i = 0; i < s->d->count; i++)
		list_names(*ret, s->d->tables[i].list);
	return 0;
}

void dispatch_add(struct dispatch *d, const struct control_command *table,
		  void *ctx)
{
	assert(d->count < DISPATCH_TABLES);
	d->tables[d->count].list = table;
	d->tables[d->count].ctx = ctx;
	d->count++;
}

static const struct control_command *
table_find(const struct control_command *c, const char *name)
{
	for (; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

static const struct control_command *
command_find(struct session *s, const char *name, void **ctx)
{
	const struct control_command *c = table_find(builtins, name);

	*ctx = s;
	for (unsigned i = 0; !c && i < s->d->count; i++) {
		c = table_find(s->d->tables[i].list, name);
		*ctx = s->d->tables[i].ctx;
	}
	return c;
}

/**
 * struct arg - One argument of a specification
 * @name:	start of its name, not terminated
 * @len:	of the name
 * @type:	's', 'i', 'b' or 'o'
 * @optional:	may be missing
 */
struct arg {
	const char *name;
	size_t len;
	char type;
	bool optional;
};

/* Take the first argument off a specification. Return: false at its end */
static bool arg_next(const char **spec, struct arg *arg)
{
	const char *p = *spec + strspn(*spec, " ");

	if (!*p)
		return false;

	arg->optional = *p == '?';
	arg->name = p + arg->optional;
	arg->len = strcspn(arg->name, ":");
	arg->type = arg->name[arg->len] ? arg->name[arg->len + 1] : '\0';
	*spec = p + strcspn(p, " ");
	return true;
}

static bool arg_known(const char *spec, const char *name)
{
	struct arg arg;

	while (arg_next(&spec, &arg))
		if (strlen(name) == arg.len && !memcmp(name, arg.name, arg.len))
			return true;
	return false;
}

static int arg_unknown(const char *spec, const char *name, struct error *err)
{
	char list[200] = "";
	struct arg arg;
	size_t n = 0;

	while (arg_next(&spec, &arg) && n < sizeof(list))
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s'%.*s'",
				      n ? ", " : "", (int)arg.len, arg.name);

	if (!n)
		return error_set(err, EINVAL, "unknown argument '%.64s': "
				 "this command takes none", name);
	return error_set(err, EINVAL, "unknown argument '%.64s': "
			 "this command takes %s", name, list);
}

static bool arg_fits(char type, const json_t *value)
{
	switch (type) {
	case 's':
		return json_is_string(value);
	case 'i':
		return json_is_integer(value);
	case 'b':
		return json_is_boolean(value);
	case 'o':
		return json_is_object(value) || json_is_array(value);
	default:
		return false;
	}
}

static const char *arg_type_name(char type)
{
	switch (type) {
	case 's':
		return "a string";
	case 'i':
		return "an integer";
	case 'b':
		return "true or false";
	default:
		return "an object or an array";
	}
}

static int arg_check(const struct arg *arg, json_t *args, struct error *err)
{
	char name[64];
	json_t *value;

	snprintf(name, sizeof(name), "%.*s", (int)arg->len, arg->name);
	value = json_object_get(args, name);
	if (!value && arg->optional)
		return 0;
	if (!value)
		return error_set(err, EINVAL, "argument '%s' is missing "
				 "(%s)", name, arg_type_name(arg->type));
	if (!arg_fits(arg->type, value))
		return error_set(err, EINVAL, "argument '%s' must be %s", name,
				 arg_type_name(arg->type));
	return 0;
}

int dispatch_check_args(const char *spec, json_t *args, struct error *err)
{
	const char *rest, *name;
	struct arg arg;
	json_t *value;
	int rc;

	if (!spec)
		spec = "";

	json_object_foreach(args, name, value)
		if (!arg_known(spec, name))
			return arg_unknown(spec, name, err);

	for (rest = spec; arg_next(&rest, &arg); ) {
		rc = arg_check(&arg, args, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* Start a command that is answered later. Return: 0, -errno */
static int command_start(struct dispatch_client *from,
			 const struct control_command *c, void *ctx,
			 json_t *args, json_t *id, struct error *err)
{
	struct control_later *l = malloc(sizeof(*l));
	int rc;

	if (!l)
		return error_set(err, ENOMEM, "out of memory for the command");
	*l = from->later;
	/* A copy: another thread must not share a reference with the message */
	l->id = id ? json_deep_copy(id) : NULL;
	rc = c->start(ctx, args, l, err);
	if (rc) {
		json_decref(l->id);
		free(l);
		return rc;
	}
	from->owed = l;
	return 0;
}

/* Return: the answer; NULL if it follows later */
static json_t *command_run(struct session *s, const char *name, json_t *args,
			   json_t *id)
{
	void *ctx;
	const struct control_command *c = command_find(s, name, &ctx);
	struct error err = { 0 };
	json_t *ret = NULL;

	if (!c) {
		error_set(&err, ENOENT, "unknown command '%.64s'; "
			  "query-commands lists the commands", name);
		return qmp_error(QMP_COMMAND_NOT_FOUND, err.text, id);
	}

	if (!dispatch_check_args(c->args, args, &err)) {
		if (c->start &&
		    !command_start(s->from, c, ctx, args, id, &err))
			return NULL;
		if (!c->start && !c->fn(ctx, args, &ret, &err))
			return qmp_return(ret, id);
	}

	json_decref(ret);
	return qmp_error(QMP_GENERIC_ERROR,
			 err.code ? err.text : "the command failed", id);
}

json_t *dispatch_late(struct control_later *l)
{
	json_t *reply = l->err.code
		? qmp_error(QMP_GENERIC_ERROR, l->err.text, l->id)
		: qmp_return(json_incref(l->ret), l->id);

	json_decref(l->ret);
	json_decref(l->id);
	free(l);
	return reply;
}

/* Does the negotiation allow this command now? Return: 0, -EPERM */
static int check_mode(const struct session *s, const char *name,
		      struct error *err)
{
	bool negotiates = !strcmp(name, "qmp_capabilities");

	if (!s->from->ready && !negotiates)
		return error_set(err, EPERM, "the first command must be "
				 "qmp_capabilities");
	if (s->from->ready && negotiates)
		return error_set(err, EPERM, "qmp_capabilities was sent "
				 "already");
	return 0;
}

static int check_message(json_t *msg, struct error *err)
{
	json_t *args = json_object_get(msg, "arguments");
	const char *key;
	json_t *value;

	if (!json_is_object(msg))
		return error_set(err, EINVAL, "a command must be an object");
	json_object_foreach(msg, key, value)
		if (strcmp(key, "execute") && strcmp(key, "arguments") &&
		    strcmp(key, "id"))
			return error_set(err, EINVAL, "unknown member '%.64s' "
					 "in the command", key);
	if (!json_is_string(json_object_get(msg, "execute")))
		return error_set(err, EINVAL, "the command must have a member "
				 "'execute' that is a string");
	if (args && !json_is_object(args))
		return error_set(err, EINVAL, "'arguments' must be an object");
	return 0;
}

static json_t *message_run(struct session *s, json_t *msg)
{
	json_t *id = json_object_get(msg, "id");
	json_t *args, *reply;
	struct error err = { 0 };
	const char *name;

	if (check_message(msg, &err))
		return qmp_error(QMP_GENERIC_ERROR, err.text, id);

	name = json_string_value(json_object_get(msg, "execute"));
	if (check_mode(s, name, &err))
		return qmp_error(QMP_COMMAND_NOT_FOUND, err.text, id);

	args = json_object_get(msg, "arguments");
	args = args ? json_incref(args) : json_object();
	reply = command_run(s, name, args, id);
	json_decref(args);
	return reply;
}

json_t *dispatch_message(const struct dispatch *d,
			 struct dispatch_client *from, const char *text,
			 size_t len)
{
	struct session s = { .d = d, .from = from };
	struct error err = { 0 };
	json_error_t why;
	json_t *msg, *reply;

	msg = qmp_parse(text, len, &why);
	if (!msg) {
		error_set(&err, EINVAL, "invalid JSON: %s", why.text);
		return qmp_error(QMP_GENERIC_ERROR, err.text, NULL);
	}
	reply = message_run(&s, msg);
	json_decref(msg);
	return reply;
}
