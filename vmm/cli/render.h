/* SPDX-License-Identifier: MIT */
/*
 * render.h - Text made of a JSON value by a template (pure)
 *
 *	{PATH}		a member: a string, or a number without decimals. PATH
 *			is names with dots between them, e.g. ram.total
 *	{PATH,W.D}	W columns wide (-W: left-aligned), with D decimals
 *	{PATH/U}	in units of U: K (KiB), P (pages of 4 KiB), M (MiB),
 *			B (megabits as megabytes). x: hexadecimal; s: an "s"
 *			unless the number is 1; another U follows the number
 *	{PATH!}		counts as missing also if it is 0 or false
 *	[TEXT]		TEXT, unless a member in it is missing
 *	<PATH:TEXT>	TEXT once for each element of an array
 *
 * They are combined in this order: {PATH!,W.D/U}. A TEXT may contain all of
 * these, but for a second <>. A missing member is empty text, or 0 if D or U
 * says that it is a number.
 */
#ifndef FERRY_RENDER_H
#define FERRY_RENDER_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

/**
 * render() - Print a value
 * @out:	receives the text
 * @template:	as above; from the program, never from a peer
 * @value:	the object whose members the template names
 */
void render(FILE *out, const char *template, json_t *value);

/**
 * render_find() - A member somewhere inside an object
 * @value:	the object, or NULL
 * @path:	as in a template
 *
 * Return: borrowed reference, or NULL if there is no such member
 */
json_t *render_find(json_t *value, const char *path);

/** render_text() - The string that render_find() finds, or "" */
const char *render_text(json_t *value, const char *path);

/** render_is() - Does render_find() find this string? */
bool render_is(json_t *value, const char *path, const char *text);

#endif /* FERRY_RENDER_H */
