/* SPDX-License-Identifier: MIT */
/*
 * web.h - `ferry web`: a page that shows this host's machines and migrations
 *
 * One process. It follows each machine over QMP, in a thread for each, and
 * serves one page to browsers; docs/web.md describes both.
 */
#ifndef FERRY_WEB_H
#define FERRY_WEB_H

#include <stdbool.h>

#define WEB_CONTROLS	8	/* --control options */

/**
 * struct web_config - What the command line chose
 * @listen:	HOST:PORT
 * @replay:	recording to show instead of machines, or NULL
 * @control:	control sockets to follow beside those of `ferry list`
 * @controls:	how many
 * @read_only:	the page can change nothing
 * @allow_remote: @listen need not be a loopback address
 * @demo:	start a test guest and a waiting destination at once
 */
struct web_config {
	const char *listen, *replay;
	const char *control[WEB_CONTROLS];
	unsigned controls;
	bool read_only, allow_remote, demo;
};

/**
 * web_main() - Serve the page until SIGINT, SIGTERM or SIGHUP
 * @config:	outlives the call
 *
 * Prints the page's address on standard output.
 *
 * Return: exit status
 */
int web_main(const struct web_config *config);

#endif /* FERRY_WEB_H */
