// SPDX-License-Identifier: MIT
/* test_web_metrics.c - The state of machines as metrics for Prometheus */

#include <stdlib.h>

#include "unit.h"

#include "vmm/web/web_metrics.h"

static const char sample[] =
	"[{\"id\": \"src\", \"followed\": true, \"machine\": {"
	"  \"status\": \"running\", \"memory\": 268435456, \"cpus\": 2,"
	"  \"poisoned\": [{\"address\": 0, \"size\": 4096}],"
	"  \"poisoned-bytes\": 12288, \"poisoned-unlisted\": 1,"
	"  \"events-lost\": 3, \"memory-failures\": ["
	"   {\"origin\": \"peer\", \"action\": \"ignore\", \"count\": 2}]},"
	" \"migration\": {\"status\": \"postcopy-active\","
	"  \"ram\": {\"remaining\": 40960, \"page-size\": 4096,"
	"   \"postcopy-requests\": 7},"
	"  \"ferry\": {\"side\": \"destination\","
	"   \"pages\": {\"demand\": 5, \"push\": 6, \"zero\": 7,"
	"    \"poison\": 1},"
	"   \"bytes-by-kind\": {\"demand\": 100, \"push\": 200,"
	"    \"control\": 30},"
	"   \"connections\": [{\"name\": \"main\", \"sent\": 11,"
	"     \"received\": 12}, {\"name\": \"push-0\", \"sent\": 13},"
	"    {\"sent\": 9}, 7],"
	"   \"precopy\": {\"passes\": 2, \"dirty\": 77},"
	"   \"recoveries\": 1, \"stage-ms\": {\"setup\": 1.5},"
	"   \"downtime-ms\": 0.25, \"demand-latency-us\": {\"sum\": 150.5,"
	"    \"buckets\": [{\"below\": 16.384, \"count\": 1},"
	"     {\"below\": 32.768, \"count\": 2}, {\"count\": 4}]}}}},"
	" {\"id\": \"a\\\"b\\\\c\\nd\", \"followed\": false}]";

/* Also of a text that is no JSON: no machine */
static char *written(const char *json, enum metrics_format format)
{
	json_t *machines = json_loads(json, JSON_DECODE_ANY, NULL);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	metrics_write(out, machines, format);
	fclose(out);
	json_decref(machines);
	return text;
}

static bool holds(const char *text, const char *part)
{
	if (!text)
		abort();
	return strstr(text, part);
}

static void has_line(const char *text, const char *line)
{
	char whole[300];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (!holds(text, whole))
		fail_msg("no line '%s' in:\n%s", line, text);
}

static void has_not(const char *text, const char *word)
{
	if (holds(text, word))
		fail_msg("'%s' in:\n%s", word, text);
}

static void samples_have_values(void **state)
{
	static const char *const lines[] = {
		"ferry_machine_state{machine=\"src\",state=\"running\"} 1",
		"ferry_machine_state{machine=\"src\",state=\"paused\"} 0",
		"ferry_machine_memory_bytes{machine=\"src\"} 268435456",
		"ferry_machine_poisoned_bytes{machine=\"src\"} 12288",
		"ferry_memory_failures_total{machine=\"src\",origin=\"peer\","
			"action=\"ignore\"} 2",
		"ferry_events_dropped_total{machine=\"src\"} 3",
		"ferry_migration_state{machine=\"src\",side=\"destination\","
			"state=\"postcopy-active\"} 1",
		"ferry_migration_pages{machine=\"src\",side=\"destination\","
			"state=\"present\"} 11",
		"ferry_migration_pages{machine=\"src\",side=\"destination\","
			"state=\"missing\"} 10",
		"ferry_migration_bytes_total{machine=\"src\","
			"side=\"destination\",kind=\"push\","
			"direction=\"received\"} 200",
		"ferry_migration_bytes_total{machine=\"src\","
			"side=\"destination\",kind=\"control\","
			"direction=\"sent\"} 30",
		"ferry_migration_connection_bytes_total{machine=\"src\","
			"side=\"destination\",connection=\"main\","
			"direction=\"received\"} 12",
		"ferry_migration_connection_bytes_total{machine=\"src\","
			"side=\"destination\",connection=\"push-0\","
			"direction=\"sent\"} 13",
		"ferry_migration_stage_duration_seconds{machine=\"src\","
			"side=\"destination\",stage=\"setup\"} 0.0015",
		"ferry_migration_downtime_seconds{machine=\"src\","
			"side=\"destination\"} 0.00025",
		"ferry_migration_precopy_passes_total{machine=\"src\","
			"side=\"destination\"} 2",
		"ferry_migration_precopy_dirty_pages{machine=\"src\","
			"side=\"destination\"} 77",
		"ferry_migration_recoveries_total{machine=\"src\","
			"side=\"destination\"} 1",
	};
	char *text = written(sample, METRICS_TEXT);

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		has_line(text, lines[i]);
	free(text);
}

static void histograms_are_cumulative(void **state)
{
#define NAME	"ferry_migration_demand_latency_seconds"
#define WHO	"machine=\"src\",side=\"destination\""
	char *text = written(sample, METRICS_TEXT);

	(void)state;
	has_line(text, "# TYPE " NAME " histogram");
	has_line(text, NAME "_bucket{" WHO ",le=\"1.6384e-05\"} 1");
	has_line(text, NAME "_bucket{" WHO ",le=\"3.2768e-05\"} 3");
	has_line(text, NAME "_bucket{" WHO ",le=\"+Inf\"} 7");
	has_line(text, NAME "_count{" WHO "} 7");
	has_line(text, NAME "_sum{" WHO "} 0.0001505");
	free(text);
}

static void names_are_escaped(void **state)
{
	char *text = written(sample, METRICS_TEXT);

	(void)state;
	has_line(text, "ferry_machine_up{machine=\"src\"} 1");
	has_line(text, "ferry_machine_up{machine=\"a\\\"b\\\\c\\nd\"} 0");
	free(text);
}

static void formats_differ_in_counters(void **state)
{
	char *open = written(sample, METRICS_OPENMETRICS);
	char *text = written(sample, METRICS_TEXT);

	(void)state;
	has_line(open, "# TYPE ferry_migration_bytes counter");
	has_line(open, "# UNIT ferry_migration_bytes bytes");
	has_line(text, "# TYPE ferry_migration_bytes_total counter");
	has_not(text, "UNIT");
	has_not(text, "EOF");
	assert_string_equal(open + strlen(open) - 6, "# EOF\n");
	free(open);
	free(text);
}

static void what_is_missing_is_left_out(void **state)
{
	static const char *const odd[] = {
		"[]", "[{}]", "[{\"id\": 5}]", "{}", "7", "[[], 3, null]",
		"[{\"id\": \"x\", \"machine\": {\"status\": 7, \"poisoned\": 1,"
		" \"memory\": \"much\", \"memory-failures\": [1, {}]}}]",
		"[{\"id\": \"x\", \"migration\": {\"status\": null, \"ram\": [],"
		" \"ferry\": {\"side\": 1, \"stage-ms\": {\"a\": \"b\"},"
		" \"demand-latency-us\": {\"buckets\": {}}}}}]",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		char *text = written(odd[i], METRICS_OPENMETRICS);

		assert_string_equal(text, "# EOF\n");
		free(text);
	}
}

static void clients_choose_the_format(void **state)
{
	(void)state;
	assert_int_equal(metrics_format_for(NULL), METRICS_OPENMETRICS);
	assert_int_equal(metrics_format_for("*/*"), METRICS_OPENMETRICS);
	assert_int_equal(metrics_format_for("application/openmetrics-text;"
		"version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
		METRICS_OPENMETRICS);
	assert_int_equal(metrics_format_for("text/plain;version=0.0.4"),
			 METRICS_TEXT);
	assert_int_equal(metrics_format_for("text/html,*/*;q=0.8"),
			 METRICS_TEXT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_have_values),
		cmocka_unit_test(histograms_are_cumulative),
		cmocka_unit_test(names_are_escaped),
		cmocka_unit_test(formats_differ_in_counters),
		cmocka_unit_test(what_is_missing_is_left_out),
		cmocka_unit_test(clients_choose_the_format),
	};

	return cmocka_run_group_tests_name("web_metrics", tests, NULL, NULL);
}
