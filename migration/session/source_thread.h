/* SPDX-License-Identifier: MIT */
/* source_thread.h - The session thread of a source */
#ifndef FERRY_SOURCE_THREAD_H
#define FERRY_SOURCE_THREAD_H

/** source_thread_main() - The thread; @arg: the source */
void *source_thread_main(void *arg);

#endif /* FERRY_SOURCE_THREAD_H */
