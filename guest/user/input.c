// SPDX-License-Identifier: MIT
/*
 * input.c - Lines that arrive on the serial port, polled by vCPU 0
 *
 * vCPU 0 polls every POLL_US, and every POLL_SOON_US while a line arrives.
 */
#include "../console.h"
#include "clock.h"
#include "input.h"

#define POLL_US		20000
#define POLL_SOON_US	500
#define INPUT_MAX	256

static uint64_t next_poll;		/* TSC */
static char input[INPUT_MAX];
static uint32_t input_len;
static bool input_any;			/* this poll has read something */

/* Return: true when @ch completes a line */
static bool input_append(char ch)
{
	if (ch == '\n') {
		input[input_len] = 0;
		input_len = 0;
		return true;
	}
	if (ch != '\r' && input_len < INPUT_MAX - 1)
		input[input_len++] = ch;
	return false;
}

char *input_line(void)
{
	int ch;

	if ((int64_t)(tsc() - next_poll) < 0)
		return NULL;
	while ((ch = console_getc()) >= 0) {
		input_any = true;
		if (input_append(ch))
			return input;
	}
	next_poll = tsc() + clock_ticks(input_any || input_len ?
					POLL_SOON_US : POLL_US);
	input_any = false;
	return NULL;
}

uint64_t input_deadline(void)
{
	return next_poll;
}
