/* SPDX-License-Identifier: MIT */
/*
 * log.h - Lines for the person at the terminal
 *
 * Standard error, one line a call, "ferry: " (or the machine's name) in
 * front. Preserves errno. Safe from any thread.
 */
#ifndef FERRY_LOG_H
#define FERRY_LOG_H

/**
 * log_open() - Set what stands in front of each line, and keep a copy
 * @name:	machine's name, or NULL for plain "ferry: "
 * @path:	file to append the same lines to, or NULL
 *
 * Return: 0, or -errno if @path can't be opened
 */
int log_open(const char *name, const char *path);

/**
 * log_line() - Print one line
 * @fmt:	printf format, without newline
 */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* FERRY_LOG_H */
