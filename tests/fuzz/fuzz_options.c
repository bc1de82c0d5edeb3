// SPDX-License-Identifier: MIT
/*
 * fuzz_options.c - Arbitrary command lines
 *
 * The input is the arguments, each ended by a newline. Accepted values must be
 * within their limits.
 */

#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "vmm/base/limits.h"
#include "vmm/base/runtime.h"
#include "vmm/base/uri.h"
#include "vmm/cli/options.h"
#include "vmm/memory/ram.h"

#define ARGS_MAX 24

/* A URI that the parser accepts must be accepted again where it is used */
static void check_uri(const char *text)
{
	struct error err = { 0 };
	struct uri u;

	CHECK(!uri_parse(text, &u, &err));
}

static void check_options(const struct options *o)
{
	enum ram_backing b;

	CHECK(o->cmd < CMDS && command_table[o->cmd].name);
	if (o->name)
		CHECK(!runtime_check_name(o->name, NULL));
	if (o->cmd == CMD_MIGRATE || o->cmd == CMD_RECEIVE ||
	    o->cmd == CMD_RECOVER)
		check_uri(o->uri);
	if (o->cmd == CMD_RESOLVE)
		CHECK(o->run_here != o->give_up);
	if (o->cmd == CMD_RUN) {
		CHECK(o->cpus >= 1 && o->cpus <= MACHINE_CPUS_MAX);
		CHECK(o->memory >= RAM_SIZE_MIN && o->memory <= RAM_SIZE_MAX);
		CHECK(o->memory % MIB == 0);
		CHECK(!ram_backing_find(o->ram, &b) && o->kernel && o->append);
	}
	if (o->cmd == CMD_POISON)
		CHECK(o->count && o->method);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[ARGS_MAX + 2] = { (char *)"ferry" }, *p, *copy;
	struct error err = { 0 };
	struct options o;
	int argc = 1, rc;

	copy = malloc(size + 1);
	CHECK(copy);
	memcpy(copy, data, size);
	copy[size] = 0;
	for (p = copy; p < copy + size && argc <= ARGS_MAX;
	     p += strlen(p) + 1) {
		char *end = strchr(p, '\n');

		if (end)
			*end = 0;
		argv[argc++] = p;
	}
	rc = options_parse(&o, argc, argv, &err);
	CHECK(rc <= 0 && !rc == !err.code && (!rc || err.text[0]));
	if (!rc)
		check_options(&o);
	free(copy);
	return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	static const char *const seeds[] = {
		"run\n--name\nn\n--memory\n512M\n--cpus\n4\n--kernel\nk\n",
		"run\n--name=n\n--kernel=k\n--append\na b\n--ram\nmemfd\n",
		"run\n--name=n\n--kernel=k\n--cpu-vendor\namd\n--paused\n",
		"run\n--name=n\n--kernel=k\n--serial\nfile:/x\n--log\n/y\n",
		"receive\n--name\nn\ntcp:[::1]:4444\n--serial=none\n",
		"migrate\nn\nunix:/run/x\n--json\n--detach\n",
		"poison\nn\n--address\n0x500000\n--count\n16\n",
		"poison\nn\n--address\n4096\n--method\nsimulate\n",
		"status\n--control\n/run/c\n--json\n",
		"events\nn\n--count\n3\n",
		"help\nmigrate\n",
		"run\n--help\n",
		"--version\n",
		NULL
	};

	return fuzz_text_seed(seeds, i, to);
}
