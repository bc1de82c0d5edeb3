// SPDX-License-Identifier: MIT
/*
 * options.c - Boot arguments: key=value words, separated by spaces
 */
#include "../console.h"
#include "../layout.h"
#include "options.h"

#define WORD_MAX	64

struct options options = {
	.stride = 16, .period_us = 10000, .cpus = 1, .part = 1,
};

static const struct option_number {
	const char *key;
	uint64_t *value;
	uint64_t min, max;
} option_numbers[] = {
	{ "mib", &options.mib, 1, 1 << 20 },
	{ "vcpus", &options.vcpus, 1, CPUS_MAX },
	{ "cpus", &options.cpus, 1, CPUS_MAX },
	{ "seed", &options.seed, 0, ~0ULL },
	{ "interval_ms", &options.interval_ms, 0, 3600000 },
	{ "rate", &options.rate, 0, 1000000000 },
	{ "stride", &options.stride, 1, 1 << 28 },
	{ "period_us", &options.period_us, 1, 3600000000 },
	{ "passes", &options.passes, 0, ~0ULL },
	{ "hold", &options.hold, 0, 1 },
	{ "share", &options.share, 0, 1 },
	{ "part", &options.part, 1, 1024 },
};

static bool order_choose(const char *value)
{
	static const char *const names[] = {
		[ORDER_SEQ] = "seq", [ORDER_STRIDE] = "stride",
		[ORDER_RANDOM] = "random",
	};
	uint64_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!text_equal(value, names[i]))
			continue;
		options.order = i;
		return true;
	}
	return false;
}

static bool number_set(const struct option_number *n, const char *value)
{
	uint64_t v;

	if (!text_number(value, &v) || v < n->min || v > n->max)
		return false;
	*n->value = v;
	return true;
}

/* Return: NULL, or the reason of the error */
static const char *option_set(const char *key, const char *value,
			      bool (*choose_work)(const char *name))
{
	uint64_t i;

	if (text_equal(key, "work"))
		return choose_work(value) ? NULL : "bad-value";
	if (text_equal(key, "order"))
		return order_choose(value) ? NULL : "bad-value";
	for (i = 0; i < sizeof(option_numbers) / sizeof(*option_numbers); i++)
		if (text_equal(key, option_numbers[i].key))
			return number_set(&option_numbers[i], value) ?
			       NULL : "bad-value";
	return "unknown-key";
}

/* Copy one word, split at its first '='. Return: the rest of the text */
static const char *word_next(const char *s, char *word, const char **value)
{
	uint64_t n = 0;

	*value = "";
	while (*s == ' ')
		s++;
	for (; *s && *s != ' '; s++) {
		if (n == WORD_MAX - 1)
			continue;
		word[n] = *s;
		if (*s == '=' && !**value) {
			word[n] = 0;
			*value = word + n + 1;
		}
		n++;
		word[n] = 0;
	}
	word[n] = 0;
	return s;
}

int options_parse(const char *cmdline, bool (*choose_work)(const char *name),
		  struct line *l)
{
	char word[WORD_MAX];
	const char *value, *reason;

	for (;;) {
		cmdline = word_next(cmdline, word, &value);
		if (!word[0])
			return 0;
		reason = option_set(word, value, choose_work);
		if (!reason)
			continue;
		line_begin(l, "error arg=");
		line_text(l, word);
		line_text(l, "=");
		line_text(l, value);
		line_str(l, "reason", reason);
		console_print(l);
		return -1;
	}
}
