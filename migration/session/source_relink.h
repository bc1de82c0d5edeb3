/* SPDX-License-Identifier: MIT */
/* source_relink.h - What a source does in the stages of a further link */
#ifndef FERRY_SOURCE_RELINK_H
#define FERRY_SOURCE_RELINK_H

#include "source.h"

int source_redial(struct source *s, struct error *err);
int source_report(struct source *s, struct error *err);
int source_reattach(struct source *s, struct error *err);
int source_recommit(struct source *s, struct error *err);

/**
 * source_begin_link() - Open the main connection of another link
 * @s:		it; the former link is closed
 * @err:	why not
 *
 * Return: 0, -ECANCELED (the phase does not allow one any more), as
 *	   source_greet()
 */
int source_begin_link(struct source *s, struct error *err);

#endif /* FERRY_SOURCE_RELINK_H */
