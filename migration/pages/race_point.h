/* SPDX-License-Identifier: MIT */
/*
 * race_point.h - Moments between two atomic operations at which another thread
 * may act
 *
 * A unit test defines RACE_POINT() and includes the .c file, and so chooses
 * what happens at that moment: a race that a guard decides is then tested each
 * time, and not by chance. Otherwise it is nothing.
 */
#ifndef FERRY_RACE_POINT_H
#define FERRY_RACE_POINT_H

#ifndef RACE_POINT
#define RACE_POINT(name)	((void)0)
#endif

#endif /* FERRY_RACE_POINT_H */
