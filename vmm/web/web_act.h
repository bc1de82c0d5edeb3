/* SPDX-License-Identifier: MIT */
/* web_act.h - Requests that need an answer of a machine */
#ifndef FERRY_WEB_ACT_H
#define FERRY_WEB_ACT_H

#include "web_private.h"

/** web_act() - POST /api/act: an action (web_action.h) */
web_handler web_act;

/** web_act_pages() - GET /api/pages?id=…: query-ferry-pages of one machine */
web_handler web_act_pages;

#endif /* FERRY_WEB_ACT_H */
