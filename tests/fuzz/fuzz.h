/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - What each fuzzer gives to its driver
 *
 * The driver is standalone.c, a seeded loop that runs with any compiler, or
 * libFuzzer with libfuzzer.c (see tests/Makefile.inc).
 */
#ifndef FERRY_TESTS_FUZZ_H
#define FERRY_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_INPUT_MAX	(48u << 10)

/* Ends the program if what must hold for every input does not */
#define CHECK(what) do { \
	if (!(what)) { \
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, \
			#what); \
		abort(); \
	} \
} while (0)

/**
 * LLVMFuzzerTestOneInput() - Try one input
 * @data:	the bytes
 * @size:	how many
 *
 * Return: 0
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/**
 * fuzz_seed() - An input that is as it should be, to start from
 * @i:		which
 * @to:		where to put it, FUZZ_INPUT_MAX bytes
 *
 * Return: its length, 0 if there is no @i-th
 */
size_t fuzz_seed(unsigned i, uint8_t *to);

/**
 * fuzz_text_seed() - For a fuzzer whose inputs are text: its fuzz_seed()
 * @seeds:	the texts, the last one NULL
 * @i:		which
 * @to:		where to put it, without its terminator
 *
 * Return: as fuzz_seed()
 */
size_t fuzz_text_seed(const char *const *seeds, unsigned i, uint8_t *to);

/**
 * fuzz_write_seeds() - Write each seed to a file, for libFuzzer
 * @dir:	a directory
 *
 * Return: 0; 1 after a message
 */
int fuzz_write_seeds(const char *dir);

#endif /* FERRY_TESTS_FUZZ_H */
