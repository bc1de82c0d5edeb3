/* SPDX-License-Identifier: MIT */
/*
 * log.h - Messages to the user, one line each
 *
 * A line goes to standard error, with "ferry: " or the machine's name in
 * front, and to the log file if there is one, there with the time (UTC, RFC 3339)
 * before the name. Standard error has no time: it is for a person, or for a
 * journal that adds its own. log_line() may be called by any
 * thread, but not by a signal handler, and preserves errno.
 *
 * Until log_start(), log_line() writes the line itself. From then on it puts
 * the line into a queue that a thread writes, so that a pipe that nothing
 * reads or a disk that hangs never blocks the caller, which may be a thread
 * that serves page faults. log_line() then takes no lock, makes no blocking
 * system call and allocates nothing. A line that finds the queue full is
 * dropped; the next line that is written there is preceded by the number of
 * lines dropped.
 */
#ifndef FERRY_LOG_H
#define FERRY_LOG_H

/* Lines that wait for standard error, and for the log file, at most */
#define LOG_QUEUE	512

/* Time that log_stop() waits for these lines to be written, in ms */
#define LOG_FLUSH_MS	2000

/**
 * log_open() - Set the prefix of each line, and open the log file
 * @name:	machine's name, or NULL for the prefix "ferry: "
 * @path:	file to append the same lines to, or NULL
 *
 * To be called before other threads exist.
 *
 * Return: 0, or -errno if @path can't be opened
 */
int log_open(const char *name, const char *path);

/**
 * log_start() - Start the threads that write lines for log_line()
 *
 * A child process of fork(2) has no such threads: there, log_line() writes
 * directly again.
 *
 * Return: 0, -errno: then log_line() goes on writing directly
 */
int log_start(void);

/**
 * log_share() - Standard error is the terminal on which the guest prints
 *
 * From now on, a message that would continue an unfinished line of the guest
 * begins on a new one.
 */
void log_share(void);

/**
 * log_shared_output() - Note what the guest printed on that terminal
 * @last:	its last byte
 */
void log_shared_output(char last);

/**
 * log_stop() - Write the lines that are queued, and end the threads
 *
 * Waits LOG_FLUSH_MS at most for each of standard error and the log file; one
 * that does not take its lines by then is not written to again. To be called
 * when no other thread calls log_line(); does nothing without log_start().
 */
void log_stop(void);

/**
 * log_line() - Print one line
 * @fmt:	printf format, without newline
 */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* FERRY_LOG_H */
