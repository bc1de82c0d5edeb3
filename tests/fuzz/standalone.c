// SPDX-License-Identifier: MIT
/*
 * standalone.c - A mutation loop for the fuzzers, reproducible
 *
 *	fuzz_NAME [ITERATIONS [SEED]]	200000 and 1 by default
 *	fuzz_NAME --file FILE...	try these inputs
 *	fuzz_NAME --seeds DIRECTORY	write the seeds there, for libFuzzer
 *
 * Every input is one of the fuzzer's seeds, or a piece of one, with a few
 * changes of the kinds that break parsers: bits, bytes, numbers at their limits,
 * pieces cut out, doubled, or taken from another seed. When one is too much,
 * the seed and the iteration are printed: run it again with these two.
 */

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define SEEDS_MAX	64

static struct {
	uint8_t *data;
	size_t n;
} seeds[SEEDS_MAX];

static unsigned seed_count;
static uint64_t state;
static unsigned long iteration, first_state;

/* Weak: only there with a sanitizer */
void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static void say_where(void)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "iteration %lu of seed %lu\n",
			 iteration, first_state);

	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(1);
}

static void on_signal(int sig)
{
	say_where();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void tell_of_crashes(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE };

	signal(SIGABRT, on_signal);
	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(say_where);
		return;
	}
	for (unsigned i = 0; i < 3; i++)
		signal(signals[i], on_signal);
}

/* Marsaglia, "Xorshift RNGs" */
static uint64_t dice(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static uint64_t limit(void)
{
	static const uint64_t special[] = {
		0, 1, 2, 4, 0x7f, 0x80, 0xff, 0xfff, 0x1000, 0x7fff, 0xffff,
		0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff, 0x100000000,
		INT64_MAX, UINT64_MAX - 0xfff, UINT64_MAX,
	};
	uint64_t v = special[dice(sizeof(special) / sizeof(special[0]))];

	return dice(3) ? v : v + dice(5) - 2;
}

/* A number of 1, 2, 4 or 8 bytes in either order, somewhere */
static void put_limit(uint8_t *p, size_t n)
{
	size_t size = 1u << dice(4), at;
	uint64_t v = limit();
	bool big = dice(2);

	if (n < size)
		return;
	at = dice(n - size + 1);
	for (size_t i = 0; i < size; i++, v >>= 8)
		p[at + (big ? size - 1 - i : i)] = (uint8_t)v;
}

static size_t cut_out(uint8_t *p, size_t n)
{
	size_t at = dice(n), len = 1 + dice(n - at);

	memmove(p + at, p + at + len, n - at - len);
	return n - len;
}

static size_t put_in(uint8_t *p, size_t n)
{
	unsigned from = (unsigned)dice(seed_count);
	size_t at = dice(n + 1), start = dice(seeds[from].n), len;

	len = 1 + dice(seeds[from].n - start);
	if (dice(4))
		len = len > 16 ? 1 + len % 16 : len;
	if (n + len > FUZZ_INPUT_MAX)
		return n;
	memmove(p + at + len, p + at, n - at);
	memcpy(p + at, seeds[from].data + start, len);
	return n + len;
}

static size_t mutate(uint8_t *p, size_t n)
{
	if (!n)
		return put_in(p, n);
	switch (dice(8)) {
	case 0:
		p[dice(n)] ^= (uint8_t)(1u << dice(8));
		return n;
	case 1:
		p[dice(n)] = (uint8_t)dice(256);
		return n;
	case 2:
		return dice(n + 1);
	case 3:
		return cut_out(p, n);
	case 4:
	case 5:
		return put_in(p, n);
	default:
		put_limit(p, n);
		return n;
	}
}

/* Each input in memory of just its size, so that an overrun is seen */
static void try(const uint8_t *p, size_t n)
{
	uint8_t *exact = malloc(n ? n : 1);

	CHECK(exact);
	memcpy(exact, p, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

static void loop(unsigned long iterations)
{
	static uint8_t buf[FUZZ_INPUT_MAX];

	for (unsigned i = 0; i < seed_count; i++)
		try(seeds[i].data, seeds[i].n);
	for (iteration = 1; iteration <= iterations; iteration++) {
		unsigned from = (unsigned)dice(seed_count);
		size_t n = seeds[from].n;

		memcpy(buf, seeds[from].data, n);
		for (uint64_t k = 1 + dice(6); k; k--)
			n = mutate(buf, n);
		try(buf, n);
	}
}

static void make_seeds(void)
{
	static uint8_t buf[FUZZ_INPUT_MAX];
	size_t n;

	while (seed_count < SEEDS_MAX && (n = fuzz_seed(seed_count, buf))) {
		CHECK(n <= FUZZ_INPUT_MAX);
		seeds[seed_count].data = malloc(n);
		CHECK(seeds[seed_count].data);
		memcpy(seeds[seed_count].data, buf, n);
		seeds[seed_count++].n = n;
	}
	CHECK(seed_count);
}

static int write_seeds(const char *dir)
{
	for (unsigned i = 0; i < seed_count; i++) {
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/seed-%u", dir, i);
		f = fopen(path, "wb");
		if (!f || fwrite(seeds[i].data, 1, seeds[i].n, f) !=
			  seeds[i].n || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

static int try_file(const char *path)
{
	static uint8_t buf[FUZZ_INPUT_MAX];
	FILE *f = fopen(path, "rb");

	if (!f) {
		perror(path);
		return 1;
	}
	try(buf, fread(buf, 1, sizeof(buf), f));
	fclose(f);
	return 0;
}

static void free_seeds(void)
{
	for (unsigned i = 0; i < seed_count; i++)
		free(seeds[i].data);
}

int main(int argc, char **argv)
{
	unsigned long n = 200000;
	int rc = 0;

	tell_of_crashes();
	make_seeds();
	if (argc > 2 && !strcmp(argv[1], "--seeds")) {
		rc = write_seeds(argv[2]);
	} else if (argc > 2 && !strcmp(argv[1], "--file")) {
		for (int i = 2; i < argc; i++)
			rc |= try_file(argv[i]);
	} else {
		if (argc > 1)
			n = strtoul(argv[1], NULL, 10);
		first_state = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
		state = (first_state << 1 | 1) * 0x9e3779b97f4a7c15;
		loop(n);
		printf("%lu inputs, seed %lu: nothing broke\n", n,
		       first_state);
	}
	free_seeds();
	return rc;
}
