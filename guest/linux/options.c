// SPDX-License-Identifier: MIT
/* options.c - Kernel arguments for this init: ferry.KEY=VALUE */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "say.h"

struct options options = {
	.victims = 16, .touch_ms = 0, .kmsg = 4,
	.stress_mib = 32, .memtester_mib = 8,
};

static const char *const work_names[WORKS] = {
	[WORK_VERIFY] = "verify", [WORK_VICTIM] = "victim",
	[WORK_CACHE] = "cache", [WORK_CLOCK] = "clock", [WORK_KMSG] = "kmsg",
	[WORK_STRESS] = "stress-ng", [WORK_MEMTESTER] = "memtester",
	[WORK_SHELL] = "shell",
};

static bool work_add(const char *name)
{
	for (unsigned i = 0; i < WORKS; i++) {
		if (strcmp(name, work_names[i]))
			continue;
		options.works |= 1u << i;
		return true;
	}
	return false;
}

static bool works_set(char *list)
{
	char *rest = NULL;

	options.works = 0;
	for (char *w = strtok_r(list, ",", &rest); w;
	     w = strtok_r(NULL, ",", &rest))
		if (!work_add(w))
			return false;
	return true;
}

static bool number_set(uint64_t *to, uint64_t min, uint64_t max,
		       const char *text)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno || !*text || *text == '-' || *end || v < min || v > max)
		return false;
	*to = v;
	return true;
}

/* Return: NULL, or the reason of the error */
static const char *option_set(const char *key, char *value)
{
	static const struct {
		const char *key;
		uint64_t *to, min, max;
	} numbers[] = {
		{ "mib", &options.mib, 1, 1 << 24 },
		{ "threads", &options.threads, 1, THREADS_MAX },
		{ "seed", &options.seed, 0, ~0ull },
		{ "hold", &options.hold, 0, 1 },
		{ "interval_ms", &options.interval_ms, 0, 3600000 },
		{ "victims", &options.victims, 1, 65536 },
		{ "touch_ms", &options.touch_ms, 0, 3600000 },
		{ "kmsg", &options.kmsg, 0, 7 },
		{ "mce_poll_s", &options.mce_poll_s, 0, 3600 },
		{ "stress_mib", &options.stress_mib, 1, 1 << 24 },
		{ "memtester_mib", &options.memtester_mib, 1, 1 << 24 },
	};

	if (!strcmp(key, "work"))
		return works_set(value) ? NULL : "bad-value";
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (!strcmp(key, numbers[i].key))
			return number_set(numbers[i].to, numbers[i].min,
					  numbers[i].max, value) ?
			       NULL : "bad-value";
	return "unknown-key";
}

int options_parse(char *line)
{
	char *rest = NULL;

	options.works = 1u << WORK_VERIFY | 1u << WORK_CLOCK |
			1u << WORK_KMSG;
	for (char *word = strtok_r(line, " \n", &rest); word;
	     word = strtok_r(NULL, " \n", &rest)) {
		char *value = strchr(word, '=');
		const char *reason;

		if (strncmp(word, "ferry.", 6) || !value)
			continue;
		*value++ = '\0';
		reason = option_set(word + 6, value);
		if (reason) {
			say("error arg=%s reason=%s", word, reason);
			return -1;
		}
	}
	return 0;
}
