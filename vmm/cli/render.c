// SPDX-License-Identifier: MIT
/* render.c - Text made of a JSON value by a template (pure) */

#include <stdlib.h>
#include <string.h>

#include "render.h"
#include "vmm/base/units.h"

#define NAME_MAX_LEN 63		/* of a path, and of each name in it */

json_t *render_find(json_t *value, const char *path)
{
	char name[NAME_MAX_LEN + 1];
	int len;

	while (value && sscanf(path, "%63[^.]%n", name, &len) == 1) {
		value = json_object_get(value, name);
		path += len + (path[len] == '.');
	}
	return value;
}

const char *render_text(json_t *value, const char *path)
{
	const char *text = json_string_value(render_find(value, path));

	return text ? text : "";
}

bool render_is(json_t *value, const char *path, const char *text)
{
	return !strcmp(render_text(value, path), text);
}

static void format_number(char *to, size_t size, json_t *member, int digits,
			  char unit)
{
	static const struct { char letter; double of; } units[] = {
		{ 'K', KIB }, { 'P', 4 * KIB }, { 'M', MIB }, { 'B', 8 },
		{ '\0', 1 },
	};
	double number = json_number_value(member);

	for (unsigned i = 0; i < ARRAY_SIZE(units); i++)
		if (units[i].letter == unit) {
			snprintf(to, size, "%.*f", digits,
				 number / units[i].of);
			return;
		}
	if (unit == 'x')
		snprintf(to, size, "0x%llx", json_integer_value(member));
	else if (unit == 's')
		snprintf(to, size, "%s", number == 1 ? "" : "s");
	else
		snprintf(to, size, "%.*f%c", digits, number, unit);
}

/* Print what follows a '{' at *at. Return: false if it is missing */
static bool render_member(FILE *out, const char **at, json_t *value)
{
	char path[NAME_MAX_LEN + 1] = "", number[64] = "", unit = '\0';
	int width = 0, digits = -1, n = 0;
	const char *p = *at, *text;
	bool not_zero;
	json_t *member;

	sscanf(p, "%63[^!,/}]%n", path, &n);
	p += n;
	not_zero = *p == '!';
	p += not_zero;
	if (sscanf(p, ",%d%n", &width, &n) == 1)
		p += n;
	if (sscanf(p, ".%d%n", &digits, &n) == 1)
		p += n;
	if (sscanf(p, "/%c%n", &unit, &n) == 1)
		p += n;
	*at = p + (*p == '}');

	member = render_find(value, path);
	text = json_string_value(member);
	if (!text && (unit || digits >= 0 || json_is_number(member)))
		format_number(number, sizeof(number), member,
			      digits < 0 ? 0 : digits, unit);
	fprintf(out, "%*s", width, text ? text : number);
	return member && (!not_zero || json_is_true(member) ||
			  json_number_value(member) != 0);
}

static bool render_part(FILE *out, const char **at, char end, json_t *value);

/* What follows a '[': printed as a whole, or not at all */
static void render_section(FILE *out, const char **at, json_t *value)
{
	char *text = NULL;
	size_t size;
	FILE *part = open_memstream(&text, &size);
	bool complete = part && render_part(part, at, ']', value);

	if (part)
		fclose(part);
	if (complete)
		fputs(text, out);
	free(text);
}

/* What follows a '<' */
static void render_each(FILE *out, const char **at, json_t *value)
{
	char path[NAME_MAX_LEN + 1] = "";
	const char *text, *end = strchrnul(*at, '>');
	json_t *element;
	size_t i;
	int n = 0;

	sscanf(*at, "%63[^:]:%n", path, &n);
	json_array_foreach(render_find(value, path), i, element) {
		text = *at + n;
		render_part(out, &text, '>', element);
	}
	*at = end + (*end == '>');
}

/* Print up to @end, and step over it. Return: false if a member is missing */
static bool render_part(FILE *out, const char **at, char end, json_t *value)
{
	bool complete = true;
	char c;

	while ((c = **at)) {
		(*at)++;
		if (c == end)
			break;
		if (c == '{')
			complete = render_member(out, at, value) && complete;
		else if (c == '[')
			render_section(out, at, value);
		else if (c == '<')
			render_each(out, at, value);
		else
			fputc(c, out);
	}
	return complete;
}

void render(FILE *out, const char *template, json_t *value)
{
	render_part(out, &template, '\0', value);
}
