/* SPDX-License-Identifier: MIT */
/* web_page.h - The page's files, which are part of the program */
#ifndef FERRY_WEB_PAGE_H
#define FERRY_WEB_PAGE_H

#include <stddef.h>

/**
 * struct web_page_file - A file of vmm/web/page/
 * @path:	its path on the server
 * @type:	Content-Type
 * @data:	contents
 * @end:	where they end
 */
struct web_page_file {
	const char *path, *type;
	const char *data, *end;
};

/** web_page_find() - The file with a path, or NULL */
const struct web_page_file *web_page_find(const char *path);

#endif /* FERRY_WEB_PAGE_H */
