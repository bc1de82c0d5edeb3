// SPDX-License-Identifier: MIT
/*
 * args.c - Boot arguments: key=value words, separated by spaces
 */
#include "user.h"
#include "work.h"

#define WORD_MAX	64

struct options options = {
	.interval_ms = 1000, .stride = 16, .period_us = 10000, .cpus = 1,
};

struct choice {
	const char *key;
	uint64_t *value;
	uint64_t min, max;
};

static bool set_order(const char *value)
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

static bool set_work(const char *value)
{
	uint64_t i;

	for (i = 0; i < WORKS; i++) {
		if (!text_equal(value, works[i]->name))
			continue;
		options.work = i;
		return true;
	}
	return false;
}

static bool set_number(const struct choice *c, const char *value)
{
	uint64_t v;

	if (!text_number(value, &v) || v < c->min || v > c->max)
		return false;
	*c->value = v;
	return true;
}

/* Return: NULL, or what is wrong */
static const char *set(struct options *o, const char *key, const char *value)
{
	const struct choice numbers[] = {
		{ "mib", &o->mib, 1, 1 << 20 },
		{ "vcpus", &o->vcpus, 1, CPUS_MAX },
		{ "cpus", &o->cpus, 1, CPUS_MAX },
		{ "seed", &o->seed, 0, ~0ULL },
		{ "interval_ms", &o->interval_ms, 1, 3600000 },
		{ "rate", &o->rate, 0, 1000000000 },
		{ "stride", &o->stride, 1, 1 << 28 },
		{ "period_us", &o->period_us, 1, 3600000000 },
		{ "passes", &o->passes, 0, ~0ULL },
		{ "hold", &o->hold, 0, 1 },
		{ "share", &o->share, 0, 1 },
	};
	uint64_t i;

	if (text_equal(key, "work"))
		return set_work(value) ? NULL : "bad-value";
	if (text_equal(key, "order"))
		return set_order(value) ? NULL : "bad-value";
	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (text_equal(key, numbers[i].key))
			return set_number(&numbers[i], value) ?
			       NULL : "bad-value";
	return "unknown-key";
}

/* Copy one word, split at its first '='. Return: the rest of the text */
static const char *next_word(const char *s, char *word, const char **value)
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

/**
 * args_parse() - Read the command line
 * @o:		options, holding the defaults
 * @cmdline:	text
 * @l:		where an error is said
 *
 * Return: 0, -1 after an error line
 */
int args_parse(struct options *o, const char *cmdline, struct line *l)
{
	char word[WORD_MAX];
	const char *value, *wrong;

	for (;;) {
		cmdline = next_word(cmdline, word, &value);
		if (!word[0])
			return 0;
		wrong = set(o, word, value);
		if (!wrong)
			continue;
		line_begin(l, "error arg=");
		line_text(l, word);
		line_text(l, "=");
		line_text(l, value);
		line_str(l, "reason", wrong);
		line_end(l);
		return -1;
	}
}
