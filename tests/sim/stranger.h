/* SPDX-License-Identifier: MIT */
/*
 * stranger.h - Connections that are not the source's
 *
 * A stranger connects to the destination's listener, says what its kind says,
 * and stays for a while. It has seen each HELLO that has passed on the network.
 */
#ifndef FERRY_TESTS_SIM_STRANGER_H
#define FERRY_TESTS_SIM_STRANGER_H

#include <stdbool.h>

/**
 * enum stranger - What it does
 * @STRANGER_SILENT: nothing, or a part of a HELLO
 * @STRANGER_GARBAGE: sends random bytes
 * @STRANGER_GUESSES: resumes a session with the right name and another secret
 * @STRANGER_RESUMES: resumes a session that does not exist
 * @STRANGER_JOINS: joins the session with another secret
 * @STRANGER_MIGRATES: begins a session of its own
 * @STRANGER_REPLAYS: repeats a HELLO of the source
 */
enum stranger {
	STRANGER_SILENT, STRANGER_GARBAGE, STRANGER_GUESSES, STRANGER_RESUMES,
	STRANGER_JOINS, STRANGER_MIGRATES, STRANGER_REPLAYS, STRANGERS
};

/** stranger_name() - "is silent" and so on */
const char *stranger_name(enum stranger kind);

/** stranger_is_harmless() - Must a session that it meets not notice it? */
bool stranger_is_harmless(enum stranger kind);

/** stranger_come() - Start one */
void stranger_come(enum stranger kind);

/** strangers_port() - Where the destination listens */
void strangers_port(unsigned port);

#endif /* FERRY_TESTS_SIM_STRANGER_H */
