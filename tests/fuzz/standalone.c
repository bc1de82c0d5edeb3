// SPDX-License-Identifier: MIT
/*
 * standalone.c - A mutation loop for the fuzzers, reproducible
 *
 *	fuzz_NAME [ITERATIONS [SEED]]	200000 and 1 by default
 *	fuzz_NAME --file FILE...	try these inputs
 *	fuzz_NAME --seeds DIRECTORY	write the seeds there, for libFuzzer
 *
 * Every input is one of the fuzzer's seeds, with a few changes of the kinds
 * that break parsers: bits, bytes, numbers at their limits, pieces removed,
 * duplicated or taken from another seed. When an input crashes the program, it
 * prints the seed and the iteration: these two reproduce the crash.
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

/* Weak: NULL without a sanitizer */
void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static void print_iteration(void)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "iteration %lu of seed %lu\n",
			 iteration, first_state);

	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(1);
}

static void on_signal(int sig)
{
	print_iteration();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void install_handlers(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE };

	signal(SIGABRT, on_signal);
	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(print_iteration);
		return;
	}
	for (unsigned i = 0; i < 3; i++)
		signal(signals[i], on_signal);
}

/* Marsaglia, "Xorshift RNGs" */
static uint64_t random_below(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static uint64_t boundary_value(void)
{
	static const uint64_t special[] = {
		0, 1, 2, 4, 0x7f, 0x80, 0xff, 0xfff, 0x1000, 0x7fff, 0xffff,
		0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff, 0x100000000,
		INT64_MAX, UINT64_MAX - 0xfff, UINT64_MAX,
	};
	const size_t n = sizeof(special) / sizeof(special[0]);
	uint64_t v = special[random_below(n)];

	return random_below(3) ? v : v + random_below(5) - 2;
}

/* A number of 1, 2, 4 or 8 bytes, in either byte order, at a random place */
static void put_boundary_value(uint8_t *p, size_t n)
{
	size_t size = 1u << random_below(4), at;
	uint64_t v = boundary_value();
	bool big = random_below(2);

	if (n < size)
		return;
	at = random_below(n - size + 1);
	for (size_t i = 0; i < size; i++, v >>= 8)
		p[at + (big ? size - 1 - i : i)] = (uint8_t)v;
}

static size_t remove_piece(uint8_t *p, size_t n)
{
	size_t at = random_below(n), len = 1 + random_below(n - at);

	memmove(p + at, p + at + len, n - at - len);
	return n - len;
}

static size_t insert_piece(uint8_t *p, size_t n)
{
	unsigned from = (unsigned)random_below(seed_count);
	size_t at = random_below(n + 1), len;
	size_t start = random_below(seeds[from].n);

	len = 1 + random_below(seeds[from].n - start);
	if (random_below(4))
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
		return insert_piece(p, n);
	switch (random_below(8)) {
	case 0:
		p[random_below(n)] ^= (uint8_t)(1u << random_below(8));
		return n;
	case 1:
		p[random_below(n)] = (uint8_t)random_below(256);
		return n;
	case 2:
		return random_below(n + 1);
	case 3:
		return remove_piece(p, n);
	case 4:
	case 5:
		return insert_piece(p, n);
	default:
		put_boundary_value(p, n);
		return n;
	}
}

/* Each input in memory of its exact size: a sanitizer then sees overruns */
static void try_input(const uint8_t *p, size_t n)
{
	uint8_t *exact = malloc(n ? n : 1);

	CHECK(exact);
	memcpy(exact, p, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

static void mutation_loop(unsigned long iterations)
{
	static uint8_t buf[FUZZ_INPUT_MAX];

	for (unsigned i = 0; i < seed_count; i++)
		try_input(seeds[i].data, seeds[i].n);
	for (iteration = 1; iteration <= iterations; iteration++) {
		unsigned from = (unsigned)random_below(seed_count);
		size_t n = seeds[from].n;

		memcpy(buf, seeds[from].data, n);
		for (uint64_t k = 1 + random_below(6); k; k--)
			n = mutate(buf, n);
		try_input(buf, n);
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
	try_input(buf, fread(buf, 1, sizeof(buf), f));
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

	install_handlers();
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
		mutation_loop(n);
		printf("%lu inputs, seed %lu: nothing broke\n", n,
		       first_state);
	}
	free_seeds();
	return rc;
}
