/* SPDX-License-Identifier: MIT */
/*
 * web_metrics.h - The state of machines as metrics for Prometheus (pure)
 */
#ifndef FERRY_WEB_METRICS_H
#define FERRY_WEB_METRICS_H

#include <stdio.h>

#include <jansson.h>

enum metrics_format {
	METRICS_OPENMETRICS,	/* OpenMetrics 1.0 */
	METRICS_TEXT,		/* Prometheus' text format 0.0.4 */
};

/**
 * metrics_write() - Write all metrics
 * @out:	receives the text
 * @machines:	array of objects: "id", and as far as they are known "machine"
 *		(what query-status returned) and "migration" (query-migrate).
 *		Members that are missing, or of another type, are left out
 * @format:	how
 */
void metrics_write(FILE *out, json_t *machines, enum metrics_format format);

/**
 * metrics_format_for() - The format that a client accepts
 * @accept:	its header Accept, or NULL
 */
enum metrics_format metrics_format_for(const char *accept);

/** metrics_type() - The Content-Type of a format */
const char *metrics_type(enum metrics_format format);

#endif /* FERRY_WEB_METRICS_H */
