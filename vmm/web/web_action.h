/* SPDX-License-Identifier: MIT */
/*
 * web_action.h - What a page may ask for: checked, and as a QMP command (pure)
 */
#ifndef FERRY_WEB_ACTION_H
#define FERRY_WEB_ACTION_H

#include <stdint.h>

#include <jansson.h>

#include "vmm/base/error.h"

#define ACTION_WORD	16
#define ACTION_TEXT	1024
#define ACTION_URI	272

enum web_action_kind {
	ACT_DEMO,		/* start a guest and a waiting destination */
	ACT_END_DEMO,
	ACT_TYPE,		/* input for a guest */
	ACT_MIGRATE, ACT_POSTCOPY, ACT_BANDWIDTH, ACT_CUT, ACT_RECOVER,
	ACT_POISON,
	ACT_STOP, ACT_CONT, ACT_QUIT,
	WEB_ACTIONS
};

/**
 * struct web_action - An action, checked
 * @kind:	what to do
 * @id:		on which machine; "" for a demonstration
 * @to:		migrate: machine of the demonstration to go to, or ""
 * @uri:	migrate, recover: the address, or ""
 * @text:	type: the input
 * @work:	demo: the guest's workload
 * @passes:	migrate: precopy passes, as the machine takes them; "": as it is
 * @address:	poison: guest-physical
 * @count:	poison: pages, 1 or more
 * @bandwidth:	bytes per second, 0: no limit; -1: as it is
 * @memory:	demo: MiB
 * @cpus:	demo
 */
struct web_action {
	enum web_action_kind kind;
	char id[108], to[108], uri[ACTION_URI], text[ACTION_TEXT];
	char work[ACTION_WORD], passes[ACTION_WORD];
	int64_t address, count, bandwidth, memory, cpus;
};

/**
 * web_action_parse() - Check the body of a request
 * @body:	an object, not trusted
 * @a:		filled in
 * @err:	what is wrong
 *
 * Return: 0, -EINVAL
 */
int web_action_parse(json_t *body, struct web_action *a, struct error *err);

/**
 * web_action_command() - The QMP command of an action
 * @a:		the action
 * @uri:	migrate, recover: where to
 * @args:	set to its arguments, a new reference or NULL
 *
 * Return: its name, a literal; NULL if the action is not one command
 */
const char *web_action_command(const struct web_action *a, const char *uri,
			       json_t **args);

/** web_action_ms() - Time that a machine may take for the command, ms */
int web_action_ms(const struct web_action *a);

#endif /* FERRY_WEB_ACTION_H */
