// SPDX-License-Identifier: MIT
/*
 * control_client.c - The connections of a control socket
 *
 * Input is split into messages (qmp.c), each is answered (control_dispatch.c),
 * and the answers queue in the client's output buffer: a client may send many
 * commands before it reads. While an answer is owed (control_answer()), further
 * messages wait in the input buffer. After MESSAGES_PER_TURN of them the loop
 * serves the other clients before this one goes on.
 *
 * Events are kept in one list for all clients. Each client has a pointer to the
 * next event that it lacks, and takes events only while little of its output is
 * unwritten. So a burst of events reaches a client as fast as the client reads;
 * the list is bounded, and when it is full, a client that still lacks the
 * oldest event is disconnected.
 *
 * Only the callback that works on a client, at its end, or the function that
 * walks the list frees the client; the functions they call set @dead.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>

#include "control_client.h"
#include "qmp.h"
#include "vmm/base/log.h"
#include "vmm/base/loop.h"
#include "vmm/base/unix_listener.h"

#define MESSAGE_MAX	(64 * 1024)
#define BACKLOG_MAX	(4 * 1024 * 1024)
#define EVENT_BYTES_MAX	(8 * 1024 * 1024)
#define MESSAGES_PER_TURN 16
#define AHEAD_MAX	(256 * 1024)	/* output that delays events */

/* Time that a client may take to read its last answer before the disconnect */
static const struct timeval closing_time = { .tv_sec = 10 };

/* An event that a client lacks; @text is a whole line */
struct sent_event {
	TAILQ_ENTRY(sent_event) link;
	size_t len;
	char *text;
};

/**
 * struct client - One connection
 * @link:	in the set's list
 * @set:	all clients
 * @bev:	the connection
 * @frame:	parser's position in the next message
 * @from:	the dispatcher's state of this client
 * @next:	first event that it lacks, or NULL
 * @turn:	its next messages are run
 * @behind:	@turn is to come
 * @ended:	the client shut down its writing side while an answer was owed, or
 *		a message was waiting for its turn
 * @closing:	disconnected when its output is written
 * @dead:	disconnected when no function works on it any more
 */
struct client {
	TAILQ_ENTRY(client) link;
	struct clients *set;
	struct bufferevent *bev;
	struct qmp_frame frame;
	struct dispatch_client from;
	struct sent_event *next;
	struct event *turn;
	bool behind;
	bool ended;
	bool closing;
	bool dead;
};

static void client_free(struct client *cl)
{
	if (cl->from.owed)
		cl->from.owed->client = NULL;
	TAILQ_REMOVE(&cl->set->list, cl, link);
	cl->set->count--;
	event_free(cl->turn);
	bufferevent_free(cl->bev);
	free(cl);
}

static void client_give_up(struct client *cl, const char *why)
{
	if (!cl->dead)
		log_line("a control client was disconnected: %s", why);
	cl->dead = true;
}

/*
 * Queue an answer. Output that was queued before is limited, not the answer, so
 * that one long answer disconnects no client. Takes over the reference; @reply
 * is NULL if memory ran out.
 */
static void client_reply(struct client *cl, json_t *reply)
{
	struct evbuffer *out = bufferevent_get_output(cl->bev);
	char *text = qmp_text(reply);

	if (evbuffer_get_length(out) > BACKLOG_MAX)
		client_give_up(cl, "it does not read its answers");
	else if (!text || evbuffer_add(out, text, strlen(text)))
		client_give_up(cl, "out of memory");
	free(text);
	json_decref(reply);
}

/* Queue the events that the client lacks, up to @ahead bytes of output */
static void client_take_events(struct client *cl, size_t ahead)
{
	struct evbuffer *out = bufferevent_get_output(cl->bev);

	while (cl->next && !cl->dead && !cl->closing &&
	       evbuffer_get_length(out) < ahead) {
		if (evbuffer_add(out, cl->next->text, cl->next->len))
			client_give_up(cl, "out of memory");
		cl->next = TAILQ_NEXT(cl->next, link);
	}
}

/* Disconnect the client once its output is written */
static void client_finish(struct client *cl)
{
	struct evbuffer *out = bufferevent_get_output(cl->bev);

	cl->closing = true;
	cl->next = NULL;
	if (!evbuffer_get_length(out))
		cl->dead = true;
	bufferevent_disable(cl->bev, EV_READ);
	bufferevent_set_timeouts(cl->bev, NULL, &closing_time);
}

/* Run the first message. Return: false if none is complete */
static bool client_message(struct client *cl)
{
	struct evbuffer *in = bufferevent_get_input(cl->bev);
	size_t len = evbuffer_get_length(in), end;
	const char *text = (const char *)evbuffer_pullup(in, -1);

	end = text ? qmp_frame_next(&cl->frame, text, len) : 0;
	if (end > MESSAGE_MAX || (!end && len > MESSAGE_MAX)) {
		client_reply(cl, qmp_error(QMP_GENERIC_ERROR,
			     "the command is longer than 64 KiB: disconnecting",
			     NULL));
		client_finish(cl);
		return false;
	}
	if (!end)
		return false;

	if (!qmp_blank(text, end)) {
		json_t *reply = dispatch_message(cl->set->dispatch, &cl->from,
						 text, end);

		if (!cl->from.owed)
			client_reply(cl, reply);
	}
	evbuffer_drain(in, end);
	return true;
}

/* Run complete messages, unless an answer is owed. May free @cl */
static void client_work(struct client *cl)
{
	static const struct timeval now;
	unsigned n = 0;

	while (!cl->dead && !cl->closing && !cl->from.owed && !cl->set->last &&
	       n < MESSAGES_PER_TURN && client_message(cl))
		n++;
	cl->behind = n == MESSAGES_PER_TURN && !event_add(cl->turn, &now);
	if (cl->ended && !cl->from.owed && !cl->behind && !cl->closing)
		client_finish(cl);
	if (cl->dead)
		client_free(cl);
}

static void client_on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	client_work(arg);
}

static void client_on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	client_work(arg);
}

static void client_on_answer(void *arg)
{
	struct control_later *l = arg;
	struct client *cl = l->client;
	json_t *reply = dispatch_late(l);

	if (!cl) {
		json_decref(reply);
		return;
	}
	cl->from.owed = NULL;
	client_reply(cl, reply);
	client_work(cl);
}

/* All output was written */
static void client_on_write(struct bufferevent *bev, void *arg)
{
	struct client *cl = arg;

	(void)bev;
	client_take_events(cl, AHEAD_MAX);
	if (cl->closing || cl->dead)
		client_free(cl);
}

static void client_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *cl = arg;

	(void)bev;
	/* It shut down its writing side, and may still read: a pipe to nc */
	if ((what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING)) {
		cl->ended = true;
		if (!cl->from.owed && !cl->behind)
			client_finish(cl);
	} else {
		cl->dead = true;
	}
	if (cl->dead)
		client_free(cl);
}

static struct client *client_new(struct clients *set, int fd)
{
	struct client *cl = calloc(1, sizeof(*cl));

	if (cl)
		cl->bev = bufferevent_socket_new(loop_base(set->loop), fd,
						 BEV_OPT_CLOSE_ON_FREE);
	if (cl)
		cl->turn = evtimer_new(loop_base(set->loop), client_on_turn, cl);
	if (!cl || !cl->bev || !cl->turn) {
		if (cl && cl->bev)
			bufferevent_free(cl->bev);
		else
			evutil_closesocket(fd);
		if (cl && cl->turn)
			event_free(cl->turn);
		free(cl);
		return NULL;
	}
	cl->set = set;
	cl->from.later = (struct control_later){
		.loop = set->loop, .client = cl, .done = client_on_answer,
	};
	TAILQ_INSERT_TAIL(&set->list, cl, link);
	set->count++;
	return cl;
}

void clients_init(struct clients *set, struct loop *loop,
		  const struct dispatch *dispatch)
{
	*set = (struct clients){ .loop = loop, .dispatch = dispatch };
	TAILQ_INIT(&set->list);
	TAILQ_INIT(&set->events);
}

/* A client waits for the greeting: it receives this error in its place */
static void refuse_client(int fd)
{
	struct error err = { 0 };
	json_t *reply;
	char *text;

	error_set(&err, EBUSY, "%d control clients are connected already, and "
		  "no more are served", CLIENTS_MAX);
	log_line("a connection was closed: %s", err.text);
	reply = qmp_error(QMP_GENERIC_ERROR, err.text, NULL);
	text = qmp_text(reply);
	if (text && send(fd, text, strlen(text),
			 MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_line("the reason could not be sent: %m");
	free(text);
	json_decref(reply);
	evutil_closesocket(fd);
}

void clients_add(struct clients *set, int fd)
{
	struct client *cl;

	if (set->count >= CLIENTS_MAX) {
		refuse_client(fd);
		return;
	}
	cl = client_new(set, fd);
	if (!cl) {
		log_line("out of memory: a control client was disconnected");
		return;
	}

	bufferevent_setcb(cl->bev, client_on_read, client_on_write,
			  client_on_event, cl);
	/* More than MESSAGE_MAX, to detect a message that is too long */
	bufferevent_setwatermark(cl->bev, EV_READ, 0, 2 * MESSAGE_MAX);
	bufferevent_enable(cl->bev, EV_READ | EV_WRITE);
	client_reply(cl, qmp_greeting());
	if (cl->dead)
		client_free(cl);
}

static void free_oldest_event(struct clients *set)
{
	struct sent_event *e = TAILQ_FIRST(&set->events);

	TAILQ_REMOVE(&set->events, e, link);
	set->event_bytes -= e->len;
	free(e->text);
	free(e);
}

/* Free the events that no client lacks, and clients that exceed the limit */
static void trim_events(struct clients *set)
{
	struct client *cl, *after;
	struct sent_event *oldest;

	while ((oldest = TAILQ_FIRST(&set->events))) {
		bool full = set->event_bytes > EVENT_BYTES_MAX, used = false;

		for (cl = TAILQ_FIRST(&set->list); cl; cl = after) {
			after = TAILQ_NEXT(cl, link);
			if (cl->next == oldest && full)
				client_give_up(cl, "it does not read its "
					       "events");
			if (cl->dead)
				client_free(cl);
			else if (cl->next == oldest)
				used = true;
		}
		if (used)
			return;
		free_oldest_event(set);
	}
}

void clients_tell(struct clients *set, char *text)
{
	struct sent_event *e = calloc(1, sizeof(*e));
	struct client *cl;

	if (!e) {
		log_line("out of memory: an event is lost");
		free(text);
		return;
	}
	e->text = text;
	e->len = strlen(text);
	set->event_bytes += e->len;
	TAILQ_INSERT_TAIL(&set->events, e, link);
	for (cl = TAILQ_FIRST(&set->list); cl; cl = TAILQ_NEXT(cl, link)) {
		if (cl->from.ready && !cl->closing && !cl->next)
			cl->next = e;
		client_take_events(cl, AHEAD_MAX);
	}
	trim_events(set);
}

void clients_close(struct clients *set)
{
	struct client *cl;

	while ((cl = TAILQ_FIRST(&set->list))) {
		client_take_events(cl, SIZE_MAX);
		unix_flush(cl->bev);
		client_free(cl);
	}
	while (!TAILQ_EMPTY(&set->events))
		free_oldest_event(set);
}
