/* SPDX-License-Identifier: MIT */
/* version.h - Which Ferry this is */
#ifndef FERRY_VERSION_H
#define FERRY_VERSION_H

#define FERRY_VERSION_MAJOR 0
#define FERRY_VERSION_MINOR 1
#define FERRY_VERSION_MICRO 0

#define FERRY_VERSION_STR2(a, b, c) #a "." #b "." #c
#define FERRY_VERSION_STR1(a, b, c) FERRY_VERSION_STR2(a, b, c)
#define FERRY_VERSION                                                        \
	FERRY_VERSION_STR1(FERRY_VERSION_MAJOR, FERRY_VERSION_MINOR,         \
			   FERRY_VERSION_MICRO)

#endif /* FERRY_VERSION_H */
