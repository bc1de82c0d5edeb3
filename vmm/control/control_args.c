// SPDX-License-Identifier: MIT
/* control_args.c - Does a command's "arguments" object fit? */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "control_args.h"

/**
 * struct arg - One argument of a specification
 * @name:	where its name starts, not terminated
 * @len:	of the name
 * @type:	's', 'i', 'b' or 'o'
 * @optional:	may be left out
 */
struct arg {
	const char *name;
	size_t len;
	char type;
	bool optional;
};

/**
 * arg_next() - Take the next argument off a specification
 * @spec:	what is left of it; moved on
 * @arg:	filled in
 *
 * Return: false if there is none left
 */
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

/**
 * arg_known() - Look an argument up
 * @spec:	whole specification
 * @name:	what the client called it
 *
 * Return: true if the command takes it
 */
static bool arg_known(const char *spec, const char *name)
{
	struct arg arg;

	while (arg_next(&spec, &arg))
		if (strlen(name) == arg.len && !memcmp(name, arg.name, arg.len))
			return true;
	return false;
}

/**
 * args_unknown() - Refuse an argument that the command does not take
 * @spec:	whole specification
 * @name:	what the client called it
 * @err:	set
 *
 * Return: -EINVAL
 */
static int args_unknown(const char *spec, const char *name, struct error *err)
{
	char list[200] = "";
	struct arg arg;
	size_t n = 0;

	while (arg_next(&spec, &arg) && n < sizeof(list))
		n += snprintf(list + n, sizeof(list) - n, "%s'%.*s'",
			      n ? ", " : "", (int)arg.len, arg.name);

	if (!n)
		return error_set(err, EINVAL, "unknown argument '%.64s': "
				 "this command takes none", name);
	return error_set(err, EINVAL, "unknown argument '%.64s': "
			 "this command takes %s", name, list);
}

/**
 * arg_fits() - Compare types
 * @type:	of the specification
 * @value:	what the client gave
 *
 * Return: true if @value is of that type
 */
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

/**
 * type_name() - A type in words
 * @type:	of the specification
 *
 * Return: literal with its article
 */
static const char *type_name(char type)
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

/**
 * arg_check() - Check one argument of the specification
 * @arg:	which
 * @args:	what the client gave
 * @err:	what is wrong
 *
 * Return: 0, -EINVAL
 */
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
				 "(%s)", name, type_name(arg->type));
	if (!arg_fits(arg->type, value))
		return error_set(err, EINVAL, "argument '%s' must be %s", name,
				 type_name(arg->type));
	return 0;
}

int control_args_check(const char *spec, json_t *args, struct error *err)
{
	const char *rest, *name;
	struct arg arg;
	json_t *value;
	int rc;

	if (!spec)
		spec = "";

	json_object_foreach(args, name, value)
		if (!arg_known(spec, name))
			return args_unknown(spec, name, err);

	for (rest = spec; arg_next(&rest, &arg); ) {
		rc = arg_check(&arg, args, err);
		if (rc)
			return rc;
	}
	return 0;
}
