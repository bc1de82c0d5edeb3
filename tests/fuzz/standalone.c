// SPDX-License-Identifier: MIT
/*
 * standalone.c - A driver for the fuzzers without libFuzzer, reproducible
 *
 *	fuzz_NAME [--corpus DIRECTORY] [ITERATIONS [SEED]]
 *					20000 and 1 by default; at most 20 s
 *	fuzz_NAME --file FILE...	try these inputs
 *	fuzz_NAME --seeds DIRECTORY	write the seeds there
 *
 * First each seed and each file of the corpus is tried as it is. Then every
 * input is one of these, with a few changes of the kinds that break parsers:
 * bits, bytes, numbers at their limits, pieces removed, duplicated or taken
 * from another seed. When an input crashes the program, it prints the name of
 * the file, or the seed and the iteration: these two reproduce the crash.
 */

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define SEEDS_MAX	4096
#define ITERATIONS	20000
#define LOOP_SECONDS	20	/* a slow fuzzer does fewer iterations */

static struct {
	uint8_t *data;
	size_t n;
	char *name;	/* of the file, or NULL */
} seeds[SEEDS_MAX];

static unsigned seed_count;
static uint64_t state;
static unsigned long iteration, first_state;
static const char *file;	/* that is being tried, or NULL */

/* Weak: NULL without a sanitizer */
void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static void print_iteration(void)
{
	char text[512];
	int n = file ? snprintf(text, sizeof(text), "file %.400s\n", file)
		     : snprintf(text, sizeof(text),
				"iteration %lu of seed %lu\n", iteration,
				first_state);

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
	size_t at = random_below(n + 1), len, start;

	if (!seeds[from].n)
		return n;
	start = random_below(seeds[from].n);
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

/* Return: iterations done */
static unsigned long mutation_loop(unsigned long iterations)
{
	static uint8_t buf[FUZZ_INPUT_MAX];
	time_t end;

	for (unsigned i = 0; i < seed_count; i++) {
		file = seeds[i].name;
		try_input(seeds[i].data, seeds[i].n);
	}
	file = NULL;
	end = time(NULL) + LOOP_SECONDS;
	for (iteration = 1; iteration <= iterations && time(NULL) < end;
	     iteration++) {
		unsigned from = (unsigned)random_below(seed_count);
		size_t n = seeds[from].n;

		memcpy(buf, seeds[from].data, n);
		for (uint64_t k = 1 + random_below(6); k; k--)
			n = mutate(buf, n);
		try_input(buf, n);
	}
	return iteration - 1;
}

static void add_seed(const uint8_t *data, size_t n, const char *name)
{
	CHECK(seed_count < SEEDS_MAX && n <= FUZZ_INPUT_MAX);
	seeds[seed_count].data = malloc(n ? n : 1);
	seeds[seed_count].name = name ? strdup(name) : NULL;
	CHECK(seeds[seed_count].data && (!name || seeds[seed_count].name));
	memcpy(seeds[seed_count].data, data, n);
	seeds[seed_count++].n = n;
}

static void make_seeds(void)
{
	static uint8_t buf[FUZZ_INPUT_MAX];
	size_t n;

	while ((n = fuzz_seed(seed_count, buf)))
		add_seed(buf, n, NULL);
	CHECK(seed_count);
}

/* Return: bytes of the file, at most FUZZ_INPUT_MAX; -1 and a message */
static long read_file(const char *path, uint8_t *buf)
{
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(buf, 1, FUZZ_INPUT_MAX, f) : 0;
	bool failed = !f || ferror(f);

	if (failed)
		perror(path);
	if (f)
		fclose(f);
	return failed ? -1 : (long)n;
}

static int try_file(const char *path)
{
	static uint8_t buf[FUZZ_INPUT_MAX];
	long n = read_file(path, buf);

	file = path;
	if (n >= 0)
		try_input(buf, (size_t)n);
	return n < 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* In the order of names: an iteration is then the same on each machine */
static int add_corpus(const char *dir)
{
	static uint8_t buf[FUZZ_INPUT_MAX];
	struct dirent **entry;
	int n = scandir(dir, &entry, visible, by_name), rc = n < 0;

	if (n < 0)
		perror(dir);
	for (int i = 0; i < n; i++) {
		char path[4096];
		long len;

		snprintf(path, sizeof(path), "%s/%s", dir, entry[i]->d_name);
		len = read_file(path, buf);
		if (len >= 0)
			add_seed(buf, (size_t)len, path);
		rc |= len < 0;
		free(entry[i]);
	}
	if (n >= 0)
		free(entry);
	return rc;
}

static void free_seeds(void)
{
	for (unsigned i = 0; i < seed_count; i++) {
		free(seeds[i].data);
		free(seeds[i].name);
	}
}

static int mutation_main(int argc, char **argv)
{
	unsigned long n = ITERATIONS;
	int from = 1;

	if (argc > 2 && !strcmp(argv[1], "--corpus")) {
		if (add_corpus(argv[2]))
			return 1;
		from = 3;
	}
	if (argc > from)
		n = strtoul(argv[from], NULL, 10);
	first_state = argc > from + 1 ? strtoul(argv[from + 1], NULL, 10) : 1;
	state = (first_state << 1 | 1) * 0x9e3779b97f4a7c15;
	n = mutation_loop(n);
	printf("ok %u seeds and files, then %lu inputs of seed %lu\n",
	       seed_count, n, first_state);
	return 0;
}

int main(int argc, char **argv)
{
	int rc = 0;

	install_handlers();
	make_seeds();
	if (argc > 2 && !strcmp(argv[1], "--seeds"))
		rc = fuzz_write_seeds(argv[2]);
	else if (argc > 2 && !strcmp(argv[1], "--file"))
		for (int i = 2; i < argc; i++)
			rc |= try_file(argv[i]);
	else
		rc = mutation_main(argc, argv);
	free_seeds();
	return rc;
}
