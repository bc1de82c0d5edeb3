// SPDX-License-Identifier: MIT
/* test_options.c - Parsing of command lines, and errors for wrong ones */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/base/runtime.h"
#include "vmm/base/units.h"
#include "vmm/cli/usage.h"
#include "vmm/memory/ram.h"

#define WORDS_MAX 24

/* A command line as the user types it; '_' stands for an empty word */
struct line {
	char copy[400];
	char *argv[WORDS_MAX];
	int argc;
};

static void split(struct line *l, const char *text)
{
	char *word, *save;

	snprintf(l->copy, sizeof(l->copy), "ferry %s", text);
	l->argc = 0;
	for (word = strtok_r(l->copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		assert_true(l->argc < WORDS_MAX - 1);
		l->argv[l->argc++] = strcmp(word, "_") ? word : word + 1;
	}
	l->argv[l->argc] = NULL;
}

/* Parse a valid line; the next call overwrites what the result points to */
static struct options good(const char *text)
{
	static struct line l;
	struct error err = { 0 };
	struct options o;

	split(&l, text);
	if (options_parse(&o, l.argc, l.argv, &err))
		fail_msg("'%s' was refused: %s", text, err.text);
	assert_int_equal(err.code, 0);
	return o;
}

/* Parse an invalid line; the error text must contain @word */
static void bad(const char *text, int code, const char *word)
{
	struct error err = { 0 };
	struct options o;
	struct line l = { 0 };
	int rc;

	split(&l, text);
	rc = options_parse(&o, l.argc, l.argv, &err);
	if (rc != -code)
		fail_msg("'%s' gave %d and not %d (%s)", text, rc, -code,
			 err.text);
	if (!strstr(err.text, word))
		fail_msg("'%s': no '%s' in: %s", text, word, err.text);
}

static void run_has_defaults(void **state)
{
	struct options o = good("run --name src --kernel guest.elf");

	(void)state;
	assert_int_equal(o.cmd, CMD_RUN);
	assert_string_equal(o.name, "src");
	assert_string_equal(o.kernel, "guest.elf");
	assert_string_equal(o.append, "");
	assert_int_equal(o.memory, 128 * MIB);
	assert_int_equal(o.cpus, 1);
	assert_string_equal(o.ram, "anon");
	assert_string_equal(o.cpu, "host");
	assert_string_equal(o.cpu_vendor, "host");
	assert_string_equal(o.serial, "stdio");
	assert_false(o.paused);
	assert_null(o.control);
	assert_null(o.log);
}

static void run_takes_everything(void **state)
{
	struct options o = good("run --memory=1G --name a.b-c_1 --cpus 64 "
				"--ram memfd --append verify=64 --paused "
				"--serial file:out --log l --control /c.sock "
				"--kernel k");

	(void)state;
	assert_string_equal(o.name, "a.b-c_1");
	assert_int_equal(o.memory, GIB);
	assert_int_equal(o.cpus, 64);
	assert_string_equal(o.ram, "memfd");
	assert_string_equal(o.append, "verify=64");
	assert_true(o.paused);
	assert_string_equal(o.serial, "file:out");
	assert_string_equal(o.log, "l");
	assert_string_equal(o.control, "/c.sock");
	o = good("run --name a --kernel k --cpu baseline --cpu-vendor intel");
	assert_string_equal(o.cpu, "baseline");
	assert_string_equal(o.cpu_vendor, "intel");
	o = good("run --name a --kernel k --serial none");
	assert_string_equal(o.serial, "none");
}

static void run_refuses(void **state)
{
	(void)state;
	bad("run --kernel k", EINVAL, "--name NAME is missing");
	bad("run --name n", EINVAL, "--kernel FILE is missing");
	bad("run --name n --kernel _", EINVAL, "--kernel: the path is empty");
	bad("run --name a/b --kernel k", EINVAL, "'a/b'");
	bad("run --name n --kernel k --cpus 0", ERANGE, "--cpus: 0");
	bad("run --name n --kernel k --cpus 65", ERANGE, "between 1 and 64");
	bad("run --name n --kernel k --cpus two", EINVAL, "'two'");
	bad("run --name n --kernel k --memory 15M", ERANGE, "15M");
	bad("run --name n --kernel k --memory 17T", ERANGE, "17T");
	bad("run --name n --kernel k --memory 20481K", EINVAL, "whole number");
	bad("run --name n --kernel k --memory 20484K", EINVAL, "whole number");
	bad("run --name n --kernel k --ram swap", EINVAL,
	    "use anon, memfd or hugetlb");
	assert_string_equal(good("run --name n --kernel k --ram hugetlb").ram,
			    "hugetlb");
	assert_null(good("receive --name n unix:/u").ram);
	assert_string_equal(good("receive --name n --ram anon unix:/u").ram,
			    "anon");
	bad("run --name n --kernel k --ram or", EINVAL, "'or'");
	bad("run --name n --kernel k --ram anonymous", EINVAL, "'anonymous'");
	bad("run --name n --kernel k --ram ano", EINVAL, "'ano'");
	bad("run --name n --kernel k --ram _", EINVAL, "''");
	bad("run --name n --kernel k --serial file", EINVAL, "'file'");
	bad("run --name n --kernel k --ram disk", EINVAL, "'disk'");
	bad("run --name n --kernel k --cpu max", EINVAL, "host or baseline");
	bad("run --name n --kernel k --cpu-vendor via", EINVAL, "intel");
	bad("run --name n --kernel k --serial file:", EINVAL, "--serial");
	bad("run --name n --kernel k extra", EINVAL, "'extra' is one");
	bad("run --name n --kernel k --json", EINVAL, "'--json'");
}

static void receive_needs_name_and_uri(void **state)
{
	struct options o = good("receive --name dst tcp:0.0.0.0:4444");

	(void)state;
	assert_int_equal(o.cmd, CMD_RECEIVE);
	assert_string_equal(o.name, "dst");
	assert_string_equal(o.uri, "tcp:0.0.0.0:4444");
	bad("receive tcp:h:1", EINVAL, "--name NAME is missing");
	bad("receive --name dst", EINVAL, "URI is missing");
	bad("receive --name dst --memory 64M tcp:h:1", EINVAL, "--memory");
}

static void migrate_takes_name_and_uri(void **state)
{
	struct options o = good("migrate src unix:/tmp/m --json --detach");

	(void)state;
	assert_int_equal(o.cmd, CMD_MIGRATE);
	assert_string_equal(o.name, "src");
	assert_string_equal(o.uri, "unix:/tmp/m");
	assert_true(o.json);
	assert_true(o.detach);
	assert_false(o.no_poison);
	assert_true(good("migrate --no-poison src unix:/m").no_poison);
	bad("receive --name n --no-poison tcp:h:1", EINVAL, "--no-poison");

	assert_int_equal(o.connections, 0);
	o = good("migrate --downtime-limit 300 src tcp:h:1");
	assert_int_equal(o.downtime_limit, 300);
	o = good("migrate --connections 8 --bandwidth 5M src tcp:h:1");
	assert_int_equal(o.connections, 8);
	assert_int_equal(o.bandwidth, 5 << 20);
	o = good("migrate --max-bandwidth 6M --max-postcopy-bandwidth 7M s "
		 "tcp:h:1");
	assert_int_equal(o.max_bandwidth, 6 << 20);
	assert_int_equal(o.max_postcopy_bandwidth, 7 << 20);

	o = good("migrate --control /c tcp:h:1");
	assert_null(o.name);
	assert_string_equal(o.uri, "tcp:h:1");
	o = good("migrate --control /c src tcp:h:1");
	assert_string_equal(o.name, "src");
	bad("migrate --control /c src tcp:h:1 more", EINVAL, "'more' is one");

	bad("migrate", EINVAL, "NAME is missing");
	bad("migrate src", EINVAL, "the URI is missing");
	bad("migrate tcp:h:1", EINVAL, "'tcp:h:1' is not a valid");
	bad("migrate src exec:cat", EINVAL, "'exec:cat'");
	bad("migrate src tcp:h:1 more", EINVAL, "'more'");
}

static void a_paused_migration_is_continued(void **state)
{
	struct options o = good("migrate --resume src tcp:h:1");

	(void)state;
	assert_true(o.resume);
	assert_null(o.recover_automatically);
	assert_false(good("migrate src tcp:h:1").resume);
	o = good("migrate --recover-automatically no src tcp:h:1");
	assert_string_equal(o.recover_automatically, "no");
	o = good("recover dst tcp:0.0.0.0:4445");
	assert_int_equal(o.cmd, CMD_RECOVER);
	assert_string_equal(o.name, "dst");
	assert_string_equal(o.uri, "tcp:0.0.0.0:4445");
	assert_null(good("recover --control /c unix:/u").name);

	bad("migrate --recover-automatically src tcp:h:1", EINVAL,
	    "'src' is unknown; use yes or no");
	bad("migrate --recover-automatically yes", EINVAL, "NAME is missing");
	bad("recover dst", EINVAL, "the URI is missing");
	bad("recover dst tcp:h", EINVAL, "the port is missing");
	bad("recover --resume dst tcp:h:1", EINVAL, "'--resume'");
}

static void a_doubt_needs_one_decision(void **state)
{
	struct options o = good("resolve --run-here src");

	(void)state;
	assert_int_equal(o.cmd, CMD_RESOLVE);
	assert_string_equal(o.name, "src");
	assert_true(o.run_here && !o.give_up);
	o = good("resolve src --give-up");
	assert_true(o.give_up && !o.run_here);

	bad("resolve src", EINVAL, "exactly one must be chosen");
	bad("resolve --run-here --give-up src", EINVAL,
	    "exactly one must be chosen; usage: ferry resolve --run-here|");
	bad("resolve --run-here", EINVAL, "NAME is missing");
	bad("resolve --run-here src tcp:h:1", EINVAL, "'tcp:h:1' is one");
	bad("migrate --run-here src tcp:h:1", EINVAL, "'--run-here'");
}

static void uris_are_checked(void **state)
{
	(void)state;
	assert_string_equal(good("migrate s tcp:[::1]:80").uri, "tcp:[::1]:80");
	bad("migrate s tcp:", EINVAL, "the port is missing");
	bad("migrate s tcp:host", EINVAL, "the port is missing");
	bad("migrate s tcp::80", EINVAL, "names no destination host");
	bad("migrate s tcp:host:", EINVAL, "the port is missing");
	bad("migrate s unix:", EINVAL, "the path must");
}

static void dump_takes_a_file(void **state)
{
	struct options o = good("dump src core");

	(void)state;
	assert_int_equal(o.cmd, CMD_DUMP);
	assert_string_equal(o.name, "src");
	assert_string_equal(o.file, "core");
	assert_false(o.raw);
	assert_int_equal(o.size, 0);
	o = good("dump --address 4096 --size 4096 src f");
	assert_int_equal(o.address, o.size);
	o = good("dump --address 0x1000 --size 0x1000 src f");
	assert_int_equal(o.size, 4096);
	o = good("dump --raw --address 0x1000 --size 8K src f");
	assert_true(o.raw);
	assert_int_equal(o.address, 0x1000);
	assert_int_equal(o.size, 8192);
	o = good("dump --control /c f");
	assert_null(o.name);
	assert_string_equal(o.file, "f");

	bad("dump src _", EINVAL, "the path is empty");
	bad("dump src", EINVAL, "the FILE is missing");
	bad("dump", EINVAL, "NAME is missing");
	bad("dump --raw src f", EINVAL, "--address GPA is missing");
	bad("dump --size 4K src f", EINVAL, "--address GPA is missing");
	bad("dump --address 0 src f", EINVAL, "--size SIZE is missing");
	bad("dump --address 0 --size 0 src f", ERANGE, "--size");
	bad("dump src f g", EINVAL, "'g'");
}

static void poison_takes_pages(void **state)
{
	struct options o = good("poison src --address 0x12345000");

	(void)state;
	assert_int_equal(o.address, 0x12345000);
	assert_int_equal(o.count, 1);
	assert_string_equal(o.method, "simulate");
	o = good("poison src --address 4096 --count 7 --method hwpoison");
	assert_int_equal(o.address, 4096);
	assert_int_equal(o.count, 7);
	assert_string_equal(o.method, "hwpoison");
	assert_int_equal(good("poison s --address 0").address, 0);

	bad("poison src", EINVAL, "--address GPA is missing");
	bad("poison src --address here", EINVAL, "'here'");
	bad("poison src --address -1", EINVAL, "'-1'");
	bad("poison src --address 0x", EINVAL, "'0x'");
	bad("poison src --address 0x1g", EINVAL, "'0x1g'");
	bad("poison src --address 0x10000000000000000", ERANGE, "64 bits");
	bad("poison src --address 0x8000000000000000", ERANGE, "64 bits");
	bad("poison src --address 0 --count 0", ERANGE, "--count: 0");
	bad("poison src --address 0 --method magic", EINVAL, "'magic'");
}

static void simple_commands_take_a_name(void **state)
{
	static const char *const commands[] = {
		"status", "stop", "cont", "quit", "events"
	};
	char line[100];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		snprintf(line, sizeof(line), "%s src", commands[i]);
		assert_string_equal(good(line).name, "src");
		snprintf(line, sizeof(line), "%s --control /c", commands[i]);
		assert_null(good(line).name);
		bad(commands[i], EINVAL, "NAME is missing");
	}
	assert_int_equal(good("events src --count 3").count, 3);
	assert_int_equal(good("events src").count, 0);
	assert_true(good("list --json").json);
	bad("list src", EINVAL, "'src'");
}

static void web_takes_several_controls(void **state)
{
	struct options o = good("web --control a --control b --read-only");

	(void)state;
	assert_int_equal(o.cmd, CMD_WEB);
	assert_int_equal(o.controls.n, 2);
	assert_string_equal(o.controls.at[0], "a");
	assert_string_equal(o.controls.at[1], "b");
	assert_string_equal(o.listen, "127.0.0.1:8080");
	assert_true(o.read_only);
	assert_false(o.allow_remote);
	assert_null(o.replay);
	bad("web --control _", EINVAL, "empty");
	bad("web --listen a:1 --listen b:1", EINVAL, "twice");
	bad("web --control a --control b --control c --control d --control e "
	    "--control f --control g --control h --control i", EINVAL,
	    "more than 8");
	bad("web x", EINVAL, "too many");
}

static void mistakes_are_named(void **state)
{
	(void)state;
	bad("", EINVAL, "no command");
	bad("fly", EINVAL, "'fly'");
	bad("status src --jsno", EINVAL, "'--jsno'");
	bad("status src -x", EINVAL, "'-x'");
	bad("status src --json --json", EINVAL, "--json is given twice");
	bad("status src --json=1", EINVAL, "--json takes no value");
	bad("run --name a --name b", EINVAL, "--name is given twice");
	bad("run --memory", EINVAL, "--memory needs a value: SIZE");
	bad("run --c 1", EINVAL, "ambiguous option '--c'");
}

static void help_is_found(void **state)
{
	(void)state;
	assert_int_equal(good("help").cmd, CMD_HELP);
	assert_int_equal(good("--help").topic, CMDS);
	assert_int_equal(good("help").topic, CMDS);
	assert_int_equal(good("help --help").topic, CMD_HELP);
	assert_int_equal(good("help help").topic, CMD_HELP);
	assert_true(good("help --man run").man);
	assert_int_equal(good("-h").cmd, CMD_HELP);
	assert_int_equal(good("help run").topic, CMD_RUN);
	assert_int_equal(good("migrate --help").topic, CMD_MIGRATE);
	assert_int_equal(good("migrate --help").cmd, CMD_HELP);
	assert_int_equal(good("poison -h --count nonsense").topic, CMD_POISON);
	assert_int_equal(good("version").cmd, CMD_VERSION);
	assert_int_equal(good("--version").cmd, CMD_VERSION);
	bad("help fly", EINVAL, "'fly'");
	bad("help run stop", EINVAL, "'stop'");
	assert_string_equal(good("completion zsh").shell, "zsh");
	bad("completion fish", EINVAL, "bash or zsh");
}

static char *usage_of(enum subcommand cmd)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	usage_print(out, cmd);
	fclose(out);
	return text;
}

static void usage_has_every_option(void **state)
{
	const struct option_def *d, *e;
	char *text, option[40];
	uint32_t cmds;
	int cmd;

	(void)state;
	for (cmd = 0; cmd < CMDS; cmd++) {
		text = usage_of(cmd);
		for (d = option_table; d->name; d++) {
			/* --control has two rows, for different commands */
			cmds = 0;
			for (e = option_table; e->name; e++)
				cmds |= strcmp(e->name, d->name) ? 0 : e->cmds;
			snprintf(option, sizeof(option), "  --%s ", d->name);
			assert_int_equal(strstr(text, option) != NULL,
					 (cmds >> cmd & 1) != 0);
		}
		assert_true(d > option_table + 20);
		free(text);
	}
}

/* --ram accepts the names of all kinds of RAM */
static void ram_kinds_are_those_of_the_machine(void **state)
{
	enum ram_backing b;
	char line[60];

	(void)state;
	for (b = 0; b < RAM_BACKINGS; b++) {
		snprintf(line, sizeof(line), "run --name n --kernel k --ram %s",
			 ram_backing_name(b));
		good(line);
	}
}

static void usage_has_every_command(void **state)
{
	char *text = usage_of(CMDS), word[20];
	int cmd;

	(void)state;
	for (cmd = 0; cmd < CMDS; cmd++) {
		snprintf(word, sizeof(word), "\n  %s ", command_table[cmd].name);
		assert_non_null(strstr(text, word));
	}
	free(text);
}

static void usage_fits_a_terminal(void **state)
{
	char *text, *line, *save;
	int cmd;

	(void)state;
	for (cmd = 0; cmd < CMDS; cmd++) {
		text = usage_of(cmd);
		for (line = strtok_r(text, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			assert_true(strlen(line) < 80);
		free(text);
	}
}

static void sizes_are_powers_of_1024(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} sizes[] = {
		{ "64", 64 * MIB }, { "64M", 64 * MIB }, { "1G", GIB },
		{ "256MiB", 256 * MIB }, { "2g", 2 * GIB }, { "1T", GIB << 10 },
		{ "4KiB", 4096 }, { "0", 0 }, { "10MB", 10 * MIB },
		{ "10mb", 10 * MIB }, { "1.5M", 1536 * 1024 },
		{ "0.5KiB", 512 }, { "1.0000000000000000000001G", GIB },
		{ "2.25T", 9 * (GIB << 8) }, { "1.001K", 1025 },
	};
	char line[100];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(line, sizeof(line), "migrate s unix:/u --bandwidth %s",
			 sizes[i].text);
		assert_int_equal(good(line).bandwidth, sizes[i].bytes);
	}
}

static void plain_sizes_of_a_dump_are_bytes(void **state)
{
	(void)state;
	assert_int_equal(good("dump s f --address 0 --size 9").size, 9);
	assert_int_equal(good("dump s f --address 0 --size 9.0").size, 9);
	assert_int_equal(good("dump s f --address 0 --size 0XfF").size, 255);
	bad("dump s f --address 0 --size 1.5", EINVAL, "'1.5' is not a size");
	bad("dump s f --address 0 --size 0x10K", EINVAL, "'0x10K'");
	bad("dump s f --address 0 --size 1P", EINVAL, "'1P'");
	bad("dump s f --address 0 --size 17T", ERANGE, "between 1 and 16T");
}

static void wrong_sizes_are_refused(void **state)
{
	static const char *const wrong[] = {
		"", "M", "-1M", " 1M", "1 M", "1MBB", "1X", "0x10M", "1.G",
		".5G", "1.5.5G", "1B", "1.5x", "1Mi", "M1",
	};
	char *argv[] = { "ferry", "migrate", "s", "unix:/u", "--bandwidth",
			 NULL, NULL };
	struct options o;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		argv[5] = (char *)wrong[i];
		assert_int_equal(options_parse(&o, 6, argv, NULL), -EINVAL);
	}
	bad("migrate s unix:/u --bandwidth 16777216T", ERANGE, "16777216T");
	bad("migrate s unix:/u --bandwidth 99999999999999999999", ERANGE,
	    "99999999999999999999");
}

static void names_are_checked(void **state)
{
	char name[RUNTIME_NAME_MAX + 2];

	(void)state;
	assert_int_equal(runtime_check_name("a", NULL), 0);
	assert_int_equal(runtime_check_name("Web-1.example_org", NULL), 0);
	assert_int_equal(runtime_check_name("", NULL), -EINVAL);
	assert_int_equal(runtime_check_name("a b", NULL), -EINVAL);
	assert_int_equal(runtime_check_name("../x", NULL), -EINVAL);
	assert_int_equal(runtime_check_name("-x", NULL), -EINVAL);
	assert_int_equal(runtime_check_name("\xc3\xa9", NULL), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[RUNTIME_NAME_MAX] = '\0';
	assert_int_equal(runtime_check_name(name, NULL), 0);
	name[RUNTIME_NAME_MAX] = 'n';
	name[RUNTIME_NAME_MAX + 1] = '\0';
	assert_int_equal(runtime_check_name(name, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_has_defaults),
		cmocka_unit_test(run_takes_everything),
		cmocka_unit_test(run_refuses),
		cmocka_unit_test(receive_needs_name_and_uri),
		cmocka_unit_test(migrate_takes_name_and_uri),
		cmocka_unit_test(a_paused_migration_is_continued),
		cmocka_unit_test(a_doubt_needs_one_decision),
		cmocka_unit_test(uris_are_checked),
		cmocka_unit_test(poison_takes_pages),
		cmocka_unit_test(dump_takes_a_file),
		cmocka_unit_test(simple_commands_take_a_name),
		cmocka_unit_test(web_takes_several_controls),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(help_is_found),
		cmocka_unit_test(usage_has_every_option),
		cmocka_unit_test(usage_has_every_command),
		cmocka_unit_test(ram_kinds_are_those_of_the_machine),
		cmocka_unit_test(usage_fits_a_terminal),
		cmocka_unit_test(sizes_are_powers_of_1024),
		cmocka_unit_test(plain_sizes_of_a_dump_are_bytes),
		cmocka_unit_test(wrong_sizes_are_refused),
		cmocka_unit_test(names_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
