/* SPDX-License-Identifier: MIT */
/*
 * web_demo.h - The demonstration: a test guest and a waiting destination
 *
 * Two child processes of this program. They end with it, however it ends.
 */
#ifndef FERRY_WEB_DEMO_H
#define FERRY_WEB_DEMO_H

#include "vmm/base/error.h"
#include "web_action.h"

struct web;

/**
 * web_demo_start() - Start the two machines; those of the last one end
 * @w:		the process
 * @a:		ACT_DEMO: memory, vCPUs, workload
 * @err:	why not
 *
 * Return: 0, -ENOENT (there is no test guest), -errno
 */
int web_demo_start(struct web *w, const struct web_action *a,
		   struct error *err);

/** web_demo_uri() - Where a machine of the demonstration waits, or NULL */
const char *web_demo_uri(const struct web *w, const char *id);

/** web_demo_end() - End its machines, if there are any, and wait for that */
void web_demo_end(struct web *w);

#endif /* FERRY_WEB_DEMO_H */
