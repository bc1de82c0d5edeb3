/* SPDX-License-Identifier: MIT */
/*
 * tool.h - Existing programs that check memory
 */
#ifndef GUEST_LINUX_TOOL_H
#define GUEST_LINUX_TOOL_H

/**
 * tool_start() - Run a packed program, print what it prints
 * @name:	"stress-ng" or "memtester"
 */
void tool_start(const char *name);

/** tool_stop() - Interrupt all; each then prints "tool name=… status=…" */
void tool_stop(void);

#endif
