/* SPDX-License-Identifier: MIT */
/*
 * command.h - The commands that arrive on the console
 */
#ifndef GUEST_LINUX_COMMAND_H
#define GUEST_LINUX_COMMAND_H

/**
 * command_run() - Run one command
 * @line:	the line without its newline, which is modified
 */
void command_run(char *line);

#endif
