/* SPDX-License-Identifier: MIT */
/*
 * target_connect.h - Wait for and close the connections of a destination's link;
 * the threads that use them
 */
#ifndef FERRY_TARGET_CONNECT_H
#define FERRY_TARGET_CONNECT_H

#include "target.h"

/** target_welcome() - Answer a HELLO. Return: 0, -errno */
int target_welcome(struct target *t, enum wire_role role, unsigned i,
		   struct error *err);

/** target_open_link() - The other connections, and the receive threads */
int target_open_link(struct target *t, struct error *err);

/** target_attach() - Stage: the same, and the fault thread */
int target_attach(struct target *t, struct error *err);

/** target_end_link() - End all threads that use the link, and close it */
void target_end_link(struct target *t);

/**
 * target_leave_link() - End the threads of a lost link but for the fault thread
 * @t:		it, parked; the session thread. RAM and the table stay
 */
void target_leave_link(struct target *t);

#endif /* FERRY_TARGET_CONNECT_H */
