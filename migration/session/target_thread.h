/* SPDX-License-Identifier: MIT */
/* target_thread.h - The session thread of a destination */
#ifndef FERRY_TARGET_THREAD_H
#define FERRY_TARGET_THREAD_H

/** target_thread_main() - The thread; @arg: the target */
void *target_thread_main(void *arg);

#endif /* FERRY_TARGET_THREAD_H */
