/* SPDX-License-Identifier: MIT */
/* units.h - Sizes of memory, and the length of an array */
#ifndef FERRY_UNITS_H
#define FERRY_UNITS_H

#define KIB	(1ull << 10)
#define MIB	(1ull << 20)
#define GIB	(1ull << 30)
#define TIB	(1ull << 40)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif /* FERRY_UNITS_H */
