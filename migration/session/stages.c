// SPDX-License-Identifier: MIT
/* stages.c - The two tables that both sides of a migration walk through */

#include <stddef.h>

#include "images.h"
#include "source_connect.h"
#include "source_precopy.h"
#include "source_relink.h"
#include "source_stages.h"
#include "source_zero_list.h"
#include "stages.h"
#include "target_connect.h"
#include "target_load.h"
#include "target_relink.h"
#include "target_stages.h"

const struct stage stages[] = {
	/* The guest runs on the source; a failure ends the session */
	{ "hello",	source_hello,		target_hello },
	{ "describe",	source_describe,	target_build },
	{ "attach",	source_attach,		target_attach },
	{ "images",	source_images,		target_images },
	{ "scan",	source_scan,		target_zero_list },
	{ "precopy",	source_precopy,		target_precopy },

	/* The guest is held; a failure resumes it on the source */
	{ "pause",	source_hold,		NULL },
	{ "state",	source_state,		target_state },
	{ "zero",	source_zero,		target_written_list },
	{ "discard",	source_discard,		target_discard },
	{ "poison",	source_poison,		target_poison_list },
	{ "prepare",	source_prepare,		target_prepare },

	/* The point of no return is in here: source_commit() */
	{ "commit",	source_commit,		target_commit },

	/* The guest runs at the destination; a failure is postcopy-paused */
	{ "pages",	source_push,		target_receive },
	{ "finish",	source_finish,		target_finish },
	{ NULL,		NULL,			NULL },
};

const struct stage resume_stages[] = {
	/* No page is sent; a failure means that the session is paused still */
	{ "redial",	source_redial,		target_rejoin },
	{ "report",	source_report,		target_report },
	{ "reattach",	source_reattach,	target_reattach },

	/* COMMIT, if the destination has not received it */
	{ "recommit",	source_recommit,	target_recommit },

	{ "pages",	source_push,		target_receive },
	{ "finish",	source_finish,		target_finish },
	{ NULL,		NULL,			NULL },
};
