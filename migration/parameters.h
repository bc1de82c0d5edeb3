/* SPDX-License-Identifier: MIT */
/*
 * parameters.h - migrate-set-parameters and query-migrate-parameters
 *
 * QEMU's names where QEMU has the parameter; what only Ferry has begins with
 * "ferry-". Limits of waits (session.h) are in ms.
 */
#ifndef FERRY_PARAMETERS_H
#define FERRY_PARAMETERS_H

#include <jansson.h>

#include "migration/session/session.h"

/**
 * struct parameters - Of all migrations of this process
 * @bandwidth:	limit of the push, bytes per second; 0 for none. Has effect at
 *		once
 * @pass_bandwidth: limit of precopy passes, as @bandwidth
 * @connections: push connections, from the next migration on
 * @passes:	precopy passes, or PASSES_AUTO; from the next migration on
 * @limits:	of waits; for waits that begin after a change
 * @tls:	for sessions that begin after a change
 */
struct parameters {
	uint64_t bandwidth, pass_bandwidth;
	unsigned connections, passes;
	struct session_limits limits;
	struct tls_config tls;
};

/* Arguments of migrate-set-parameters, for struct control_command */
#define PARAMETERS_ARGS \
	"?max-bandwidth:i ?max-postcopy-bandwidth:i ?multifd-channels:i " \
	"?downtime-limit:i " \
	"?ferry-connect-timeout:i ?ferry-hello-timeout:i " \
	"?ferry-build-timeout:i ?ferry-silence-timeout:i " \
	"?ferry-answer-timeout:i ?ferry-last-pages-timeout:i " \
	"?ferry-beat-interval:i ?ferry-dead-peer-timeout:i " \
	"?ferry-confirm-timeout:i ?ferry-precopy-passes:s " \
	"?ferry-tls-dir:s ?tls-hostname:s ?ferry-require-tls:b"

/** parameters_init() - The defaults */
void parameters_init(struct parameters *p);

/**
 * parameters_set() - Change those that are named; all or none
 * @p:		the parameters
 * @args:	of migrate-set-parameters, types already checked
 * @err:	why not
 *
 * Return: 0, -EINVAL
 */
int parameters_set(struct parameters *p, json_t *args, struct error *err);

/** parameters_json() - What query-migrate-parameters returns: a new object */
json_t *parameters_json(const struct parameters *p);

#endif /* FERRY_PARAMETERS_H */
