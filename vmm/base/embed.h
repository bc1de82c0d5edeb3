/* SPDX-License-Identifier: MIT */
/*
 * embed.h - Files of the source tree as a part of the program
 *
 * The assembler reads them (.incbin), relative to the top of the source tree.
 * The Makefile lists them as prerequisites of the object that embeds them.
 */
#ifndef FERRY_EMBED_H
#define FERRY_EMBED_H

/* @symbol is the first byte of the file at @path, @symbol_end a '\0' after it */
#define EMBED_FILE(symbol, path)					\
	__asm__(".section .rodata\n"					\
		#symbol ":\n"						\
		".incbin \"" path "\"\n"				\
		#symbol "_end:\n"					\
		".byte 0\n"						\
		".previous\n");						\
	extern const char symbol[] __attribute__((visibility("hidden"))); \
	extern const char symbol##_end[] __attribute__((visibility("hidden")))

#endif /* FERRY_EMBED_H */
