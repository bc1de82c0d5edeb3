// SPDX-License-Identifier: MIT
/* options_set.c - What each option's value means */

#include <errno.h>
#include <string.h>

#include "options_set.h"
#include "options_value.h"

#define EVENTS_MAX UINT32_MAX
#define PAGES_MAX (RAM_SIZE_MAX / 4096)

int options_set_name(struct options *o, const char *name, struct error *err)
{
	if (!name_valid(name))
		return error_set(err, EINVAL, "'%.80s' is no name for a "
				 "machine; use 1 to %d letters, digits, '.', "
				 "'_' or '-', and no '-' in front", name,
				 NAME_MAX_LEN);
	o->name = name;
	return 0;
}

/**
 * set_memory() - Store the size of RAM
 * @o:		the options
 * @text:	what the user typed
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL, -ERANGE
 */
static int set_memory(struct options *o, const char *text, struct error *err)
{
	int rc = parse_size("--memory", text, &o->memory, err);

	if (rc)
		return rc;
	if (o->memory < RAM_SIZE_MIN || o->memory > RAM_SIZE_MAX)
		return error_set(err, ERANGE, "--memory: %.64s is not between "
				 "16M and 16T", text);
	if (o->memory % MIB)
		return error_set(err, EINVAL, "--memory: %.64s is no whole "
				 "number of MiB", text);
	return 0;
}

/**
 * set_cpus() - Store the number of vCPUs
 * @o:		the options
 * @text:	what the user typed
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL, -ERANGE
 */
static int set_cpus(struct options *o, const char *text, struct error *err)
{
	uint64_t n;
	int rc = parse_count("--cpus", text, CPUS_MAX, &n, err);

	if (!rc)
		o->cpus = n;
	return rc;
}

/**
 * set_size() - Store how much to dump
 * @o:		the options
 * @text:	what the user typed
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL, -ERANGE
 */
static int set_size(struct options *o, const char *text, struct error *err)
{
	int rc = parse_size("--size", text, &o->size, err);

	return rc || o->size ? rc : error_set(err, ERANGE, "--size: it must "
					      "not be 0");
}

/**
 * set_count() - Store a number of pages or events
 * @o:		the options
 * @text:	what the user typed
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL, -ERANGE
 */
static int set_count(struct options *o, const char *text, struct error *err)
{
	return parse_count("--count", text,
			   o->cmd == CMD_EVENTS ? EVENTS_MAX : PAGES_MAX,
			   &o->count, err);
}

/**
 * set_ram() - Store the kind of RAM
 * @o:		the options
 * @text:	what the user typed
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL
 */
static int set_ram(struct options *o, const char *text, struct error *err)
{
	if (ram_backing_find(text, &o->ram))
		return error_set(err, EINVAL, "--ram: '%.64s' is unknown; use "
				 "anon, memfd or hugetlb", text);
	o->ram_given = true;
	return 0;
}

/**
 * set_serial() - Store where the serial port goes
 * @o:		the options
 * @text:	what the user typed
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL
 */
static int set_serial(struct options *o, const char *text, struct error *err)
{
	if (!strcmp(text, "stdio")) {
		o->serial = SERIAL_STDIO;
	} else if (!strcmp(text, "none")) {
		o->serial = SERIAL_NONE;
	} else if (!strncmp(text, "file:", 5) && text[5]) {
		o->serial = SERIAL_FILE;
		o->serial_path = text + 5;
	} else {
		return error_set(err, EINVAL, "--serial: '%.64s' is unknown; "
				 "use stdio, none or file:PATH", text);
	}
	return 0;
}

/**
 * set_method() - Store how to poison
 * @o:		the options
 * @text:	what the user typed
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL
 */
static int set_method(struct options *o, const char *text, struct error *err)
{
	if (strcmp(text, "auto") && strcmp(text, "hwpoison") &&
	    strcmp(text, "simulate"))
		return error_set(err, EINVAL, "--method: '%.64s' is unknown; "
				 "use auto, hwpoison or simulate", text);
	o->method = text;
	return 0;
}

/**
 * set_cpu() - Take --cpu
 * @o:		where it goes
 * @text:	what was given
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL
 */
static int set_cpu(struct options *o, const char *text, struct error *err)
{
	if (strcmp(text, "host") && strcmp(text, "baseline"))
		return error_set(err, EINVAL, "--cpu: '%.64s' is unknown; use "
				 "host or baseline", text);
	o->cpu = text;
	return 0;
}

/**
 * set_cpu_vendor() - Take --cpu-vendor
 * @o:		where it goes
 * @text:	what was given
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL
 */
static int set_cpu_vendor(struct options *o, const char *text,
			  struct error *err)
{
	if (strcmp(text, "host") && strcmp(text, "amd") &&
	    strcmp(text, "intel"))
		return error_set(err, EINVAL, "--cpu-vendor %s: there are "
				 "host, amd and intel", text);
	o->cpu_vendor = text;
	return 0;
}

/**
 * set_path() - Store a path
 * @def:	the option
 * @where:	where to
 * @text:	what the user typed
 * @err:	what is wrong with it
 *
 * Return: 0, -EINVAL
 */
static int set_path(const struct option_def *def, const char **where,
		    const char *text, struct error *err)
{
	if (!*text)
		return error_set(err, EINVAL, "--%s: the path is empty",
				 def->name);
	*where = text;
	return 0;
}

/**
 * set_flag() - Take an option without a value
 * @o:		where it goes
 * @id:		which; any other is none of these
 */
static void set_flag(struct options *o, enum option_id id)
{
	if (id == OPT_RAW)
		o->raw = true;
	else if (id == OPT_PAUSED)
		o->paused = true;
	else if (id == OPT_NO_REBOOT)
		o->no_reboot = true;
	else if (id == OPT_NO_POISON)
		o->no_poison = true;
	else if (id == OPT_DETACH)
		o->detach = true;
	else if (id == OPT_JSON)
		o->json = true;
}

int options_set(struct options *o, const struct option_def *def,
		const char *text, struct error *err)
{
	switch (def->id) {
	case OPT_NAME:
		return options_set_name(o, text, err);
	case OPT_MEMORY:
		return set_memory(o, text, err);
	case OPT_CPUS:
		return set_cpus(o, text, err);
	case OPT_KERNEL:
		return set_path(def, &o->kernel, text, err);
	case OPT_INITRD:
		return set_path(def, &o->initrd, text, err);
	case OPT_RAM:
		return set_ram(o, text, err);
	case OPT_CPU:
		return set_cpu(o, text, err);
	case OPT_CPU_VENDOR:
		return set_cpu_vendor(o, text, err);
	case OPT_SERIAL:
		return set_serial(o, text, err);
	case OPT_LOG:
		return set_path(def, &o->log, text, err);
	case OPT_CONTROL:
		return set_path(def, &o->control, text, err);
	case OPT_ADDRESS:
		return parse_address("--address", text, &o->address, err);
	case OPT_SIZE:
		return set_size(o, text, err);
	case OPT_COUNT:
		return set_count(o, text, err);
	case OPT_METHOD:
		return set_method(o, text, err);
	case OPT_APPEND:
		o->append = text;
		return 0;
	case OPT_BANDWIDTH:
		return parse_size("--bandwidth", text, &o->bandwidth, err);
	case OPT_CONNECTIONS:
		return parse_count("--connections", text, CONNECTIONS_MAX,
				   &o->connections, err);
	default:
		set_flag(o, def->id);
		return 0;
	}
}
