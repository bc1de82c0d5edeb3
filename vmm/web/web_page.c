// SPDX-License-Identifier: MIT
/* web_page.c - The page's files, which are part of the program */

#include <string.h>

#include "web_page.h"
#include "vmm/base/embed.h"

#define PAGE_FILE(symbol, name)	EMBED_FILE(file_##symbol, "vmm/web/page/" name)

PAGE_FILE(index, "index.html");
PAGE_FILE(style, "style.css");
PAGE_FILE(chart, "chart.js");
PAGE_FILE(map, "map.js");
PAGE_FILE(model, "model.js");
PAGE_FILE(net, "net.js");
PAGE_FILE(page, "page.js");
PAGE_FILE(panels, "panels.js");
PAGE_FILE(player, "player.js");
PAGE_FILE(side, "side.js");

#define HTML	"text/html; charset=utf-8"
#define CSS	"text/css; charset=utf-8"
#define SCRIPT	"text/javascript; charset=utf-8"

static const struct web_page_file files[] = {
	{ "/", HTML, file_index, file_index_end },
	{ "/style.css", CSS, file_style, file_style_end },
	{ "/chart.js", SCRIPT, file_chart, file_chart_end },
	{ "/map.js", SCRIPT, file_map, file_map_end },
	{ "/model.js", SCRIPT, file_model, file_model_end },
	{ "/net.js", SCRIPT, file_net, file_net_end },
	{ "/page.js", SCRIPT, file_page, file_page_end },
	{ "/panels.js", SCRIPT, file_panels, file_panels_end },
	{ "/player.js", SCRIPT, file_player, file_player_end },
	{ "/side.js", SCRIPT, file_side, file_side_end },
};

const struct web_page_file *web_page_find(const char *path)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!strcmp(files[i].path, path))
			return &files[i];
	return NULL;
}
