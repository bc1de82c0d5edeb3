// SPDX-License-Identifier: MIT
/*
 * web_page.c - The page's files, which are part of the program
 *
 * The assembler reads them (.incbin), relative to the top of the source tree.
 * The Makefile lists them as prerequisites of this file's object.
 */

#include <string.h>

#include "web_page.h"

#define PAGE_FILE(symbol, name)						\
	__asm__(".section .rodata\n"					\
		"page_" #symbol ":\n"					\
		".incbin \"vmm/web/page/" name "\"\n"			\
		"page_" #symbol "_end:\n"				\
		".byte 0\n"						\
		".previous\n");						\
	extern const char page_##symbol[] __attribute__((visibility("hidden"))); \
	extern const char page_##symbol##_end[] __attribute__((visibility("hidden")))

PAGE_FILE(index, "index.html");
PAGE_FILE(style, "style.css");
PAGE_FILE(script, "page.js");

#define HTML	"text/html; charset=utf-8"
#define CSS	"text/css; charset=utf-8"
#define SCRIPT	"text/javascript; charset=utf-8"

static const struct web_page_file files[] = {
	{ "/", HTML, page_index, page_index_end },
	{ "/style.css", CSS, page_style, page_style_end },
	{ "/page.js", SCRIPT, page_script, page_script_end },
};

const struct web_page_file *web_page_find(const char *path)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!strcmp(files[i].path, path))
			return &files[i];
	return NULL;
}
