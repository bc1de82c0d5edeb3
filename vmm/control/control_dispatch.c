// SPDX-License-Identifier: MIT
/*
 * control_dispatch.c - From the text of a QMP command to its answer
 *
 * A client starts in negotiation, where qmp_capabilities is the only command
 * that exists; every other is CommandNotFound, as in QEMU. From then on it is
 * the other way round. Whatever a client sends gets exactly one answer, and
 * none of it ends the connection.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control_args.h"
#include "control_dispatch.h"
#include "qmp.h"

/**
 * struct session - What the built-in commands get as their context
 * @d:		all commands
 * @from:	the client that asks
 */
struct session {
	const struct dispatch *d;
	struct dispatch_client *from;
};

static int do_capabilities(void *ctx, json_t *args, json_t **ret,
			   struct error *err)
{
	struct session *s = ctx;

	(void)ret;
	if (json_array_size(json_object_get(args, "enable")))
		return error_set(err, EINVAL, "'enable' asks for capabilities "
				 "that the greeting did not offer");
	s->from->ready = true;
	return 0;
}

static int do_query_version(void *ctx, json_t *args, json_t **ret,
			    struct error *err)
{
	(void)ctx;
	(void)args;
	(void)err;
	*ret = qmp_version();
	return 0;
}

static int do_query_commands(void *ctx, json_t *args, json_t **ret,
			     struct error *err);

static const struct control_command builtins[] = {
	{ "qmp_capabilities",	"?enable:o",	.fn = do_capabilities },
	{ "query-commands",	NULL,		.fn = do_query_commands },
	{ "query-version",	NULL,		.fn = do_query_version },
	{ 0 }
};

/**
 * list_names() - Append the names of a table
 * @list:	JSON array
 * @c:		the table
 */
static void list_names(json_t *list, const struct control_command *c)
{
	for (; c->name; c++)
		json_array_append_new(list, json_pack("{s:s}", "name",
						      c->name));
}

static int do_query_commands(void *ctx, json_t *args, json_t **ret,
			     struct error *err)
{
	const struct session *s = ctx;
	unsigned i;

	(void)args;
	(void)err;
	*ret = json_array();
	list_names(*ret, builtins);
	for (i = 0; i < s->d->count; i++)
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

/**
 * table_find() - Look a command up in one table
 * @c:		the table
 * @name:	what the client asks for
 *
 * Return: the command, or NULL
 */
static const struct control_command *
table_find(const struct control_command *c, const char *name)
{
	for (; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/**
 * command_find() - Look a command up
 * @s:		the session
 * @name:	what the client asks for
 * @ctx:	set to what is to be handed to it
 *
 * Return: the command, or NULL
 */
static const struct control_command *
command_find(struct session *s, const char *name, void **ctx)
{
	const struct control_command *c = table_find(builtins, name);
	unsigned i;

	*ctx = s;
	for (i = 0; !c && i < s->d->count; i++) {
		c = table_find(s->d->tables[i].list, name);
		*ctx = s->d->tables[i].ctx;
	}
	return c;
}

/**
 * command_start() - Begin a command that is answered later
 * @from:	the client
 * @c:		the command
 * @ctx:	handed to it
 * @args:	its arguments, an object
 * @id:		its id, or NULL
 * @err:	why not
 *
 * Return: 0, -errno
 */
static int command_start(struct dispatch_client *from,
			 const struct control_command *c, void *ctx,
			 json_t *args, json_t *id, struct error *err)
{
	struct control_later *l = malloc(sizeof(*l));
	int rc;

	if (!l)
		return error_set(err, ENOMEM, "no memory for the command");
	*l = from->later;
	/* Its own: the worker's thread must not share it with the message */
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

/**
 * command_run() - Run one command
 * @s:		the session
 * @name:	what the client asks for
 * @args:	its arguments, an object
 * @id:		its id, or NULL
 *
 * Return: the answer; NULL if it comes later
 */
static json_t *command_run(struct session *s, const char *name, json_t *args,
			   json_t *id)
{
	void *ctx;
	const struct control_command *c = command_find(s, name, &ctx);
	struct error err = { 0 };
	json_t *ret = NULL;

	if (!c) {
		error_set(&err, ENOENT, "there is no command '%.64s'; "
			  "query-commands lists those there are", name);
		return qmp_error(QMP_COMMAND_NOT_FOUND, err.text, id);
	}

	if (!control_args_check(c->args, args, &err)) {
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

/**
 * session_allows() - Is this the time for a command?
 * @s:		the session
 * @name:	the command
 * @err:	why not
 *
 * Return: 0, -EPERM
 */
static int session_allows(const struct session *s, const char *name,
			  struct error *err)
{
	bool negotiates = !strcmp(name, "qmp_capabilities");

	if (!s->from->ready && !negotiates)
		return error_set(err, EPERM, "say qmp_capabilities before any "
				 "other command");
	if (s->from->ready && negotiates)
		return error_set(err, EPERM, "qmp_capabilities was said "
				 "already");
	return 0;
}

/**
 * message_check() - Check the form of a message
 * @msg:	parsed JSON of any kind
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL
 */
static int message_check(json_t *msg, struct error *err)
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

/**
 * message_run() - Check a message, and run it
 * @s:		the session
 * @msg:	parsed JSON of any kind
 *
 * Return: the answer
 */
static json_t *message_run(struct session *s, json_t *msg)
{
	json_t *id = json_object_get(msg, "id");
	json_t *args, *reply;
	struct error err = { 0 };
	const char *name;

	if (message_check(msg, &err))
		return qmp_error(QMP_GENERIC_ERROR, err.text, id);

	name = json_string_value(json_object_get(msg, "execute"));
	if (session_allows(s, name, &err))
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

	msg = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
			 &why);
	if (!msg) {
		error_set(&err, EINVAL, "invalid JSON: %s", why.text);
		return qmp_error(QMP_GENERIC_ERROR, err.text, NULL);
	}
	reply = message_run(&s, msg);
	json_decref(msg);
	return reply;
}
