// SPDX-License-Identifier: MIT
/*
 * libfuzzer.c - What a fuzzer linked with libFuzzer can do besides
 *
 *	fuzz_NAME --seeds DIRECTORY	write the seeds there
 */

#include <string.h>
#include <unistd.h>

#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* Not by exit(): libFuzzer would take that for a failure */
	if (*argc == 3 && !strcmp((*argv)[1], "--seeds"))
		_exit(fuzz_write_seeds((*argv)[2]));
	return 0;
}
