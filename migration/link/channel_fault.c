// SPDX-License-Identifier: MIT
/* channel_fault.c - A channel that fails on purpose, around another channel */

#include "channel_fault.h"

#ifdef FERRY_FAULTS

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vmm/base/log.h"

#define CHANNELS_MAX	256	/* open at the same time */
#define IOV_MOST	128	/* places of a send that is made shorter */
#define SHORT_BYTES	32u

/* FERRY_CHANNEL; 0 and false where a word is missing */
static struct {
	bool on, all, few;
	uint64_t delay_us, rate, cut, more, kill, stop;
} fault;

/**
 * struct faulty - A channel that fails
 * @in:		the channel around which it is
 * @cut:	it fails from here on
 */
struct faulty {
	struct channel in;
	_Atomic bool cut;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t operations;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct faulty *open_channel[CHANNELS_MAX];	/* under @lock */

static void take_word(const char *word)
{
	const char *value = strchr(word, '=');
	char *end = NULL;
	uint64_t n = value ? strtoull(value + 1, &end, 10) : 0;

	if (!strcmp(word, "short"))
		fault.few = true;
	else if (!strcmp(word, "all"))
		fault.all = true;
	else if (!strncmp(word, "delay=", 6))
		fault.delay_us = n;
	else if (!strncmp(word, "rate=", 5))
		fault.rate = n;
	else if (!strncmp(word, "kill=", 5))
		fault.kill = n;
	else if (!strncmp(word, "stop=", 5))
		fault.stop = n;
	else if (!strncmp(word, "cut=", 4))
		fault.cut = n;
	else
		log_line("fault: FERRY_CHANNEL has no word '%s'", word);
	if (end && *end == '+')
		fault.more = strtoull(end + 1, NULL, 10);
}

static void read_environment(void)
{
	const char *set = getenv("FERRY_CHANNEL");
	char *copy = set && *set ? strdup(set) : NULL, *next = copy;

	fault.on = copy;
	while (next)
		take_word(strsep(&next, ","));
	free(copy);
}

static struct faulty *faulty_of(const struct channel *c)
{
	return c->ctx;
}

static void cut_one(struct faulty *f)
{
	f->cut = true;
	f->in.ops->shut(&f->in);
}

static void cut_all(void)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (open_channel[i])
			cut_one(open_channel[i]);
	pthread_mutex_unlock(&lock);
}

/* Count an operation. Return: true if it is to fail */
static bool count_operation(struct faulty *f)
{
	uint64_t n = ++operations;

	if (n == fault.kill)
		raise(SIGKILL);
	if (n == fault.stop) {
		log_line("fault: operation %llu: stopped",
			 (unsigned long long)n);
		raise(SIGSTOP);
	}
	if (!fault.cut || (n != fault.cut &&
			   (!fault.more || n != fault.cut + fault.more)))
		return f->cut;
	log_line("fault: operation %llu: cut", (unsigned long long)n);
	return true;
}

static void cut_here(struct faulty *f)
{
	if (f->cut)
		return;
	if (fault.all)
		cut_all();
	else
		cut_one(f);
}

/* How many of @n bytes one call transfers */
static size_t some_bytes(size_t n)
{
	uint64_t dice = (operations + 1) * 0x9e3779b97f4a7c15ull >> 33;
	size_t limit = dice % 4 ? n : SHORT_BYTES;

	if (!fault.few || !n)
		return n;
	if (limit > n)
		limit = n;
	return 1 + (size_t)(dice / 4 % limit);
}

static void pay_delay(void)
{
	if (fault.delay_us)
		usleep((useconds_t)fault.delay_us);
}

static ssize_t pay_rate(ssize_t n)
{
	if (n > 0 && fault.rate)
		usleep((useconds_t)((uint64_t)n * 1000000 / fault.rate));
	return n;
}

static ssize_t faulty_recv(struct channel *c, void *data, size_t max,
			   bool wait)
{
	struct faulty *f = faulty_of(c);

	if (count_operation(f)) {
		cut_here(f);
		return -ECONNRESET;
	}
	pay_delay();
	return pay_rate(f->in.ops->recv(&f->in, data, some_bytes(max), wait));
}

/* Send the first @max bytes of what there is */
static ssize_t send_part(struct faulty *f, const struct iovec *iov, size_t n,
			 size_t max, bool wait)
{
	struct iovec part[IOV_MOST];
	size_t k = 0;

	for (; k < n && k < IOV_MOST && max; k++) {
		part[k] = iov[k];
		if (part[k].iov_len > max)
			part[k].iov_len = max;
		max -= part[k].iov_len;
	}
	return k ? f->in.ops->sendv(&f->in, part, k, wait) : 0;
}

static ssize_t faulty_sendv(struct channel *c, const struct iovec *iov,
			    size_t n, bool wait)
{
	struct faulty *f = faulty_of(c);
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += iov[i].iov_len;
	if (count_operation(f)) {
		if (!f->cut)
			send_part(f, iov, n, bytes / 2, false);
		cut_here(f);
		return -ECONNRESET;
	}
	pay_delay();
	if (!fault.few)
		return pay_rate(f->in.ops->sendv(&f->in, iov, n, wait));
	return pay_rate(send_part(f, iov, n, some_bytes(bytes), wait));
}

static bool faulty_pending(const struct channel *c)
{
	return channel_pending(&faulty_of(c)->in);
}

static bool faulty_ended(const struct channel *c)
{
	return faulty_of(c)->cut || channel_ended(&faulty_of(c)->in);
}

static void faulty_timeout(struct channel *c, unsigned ms)
{
	channel_set_silence(&faulty_of(c)->in, ms);
}

static void faulty_shut_in(struct channel *c)
{
	channel_shut_in(&faulty_of(c)->in);
}

static void faulty_shut(struct channel *c)
{
	channel_shut(&faulty_of(c)->in);
}

static void faulty_close(struct channel *c)
{
	struct faulty *f = faulty_of(c);

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (open_channel[i] == f)
			open_channel[i] = NULL;
	pthread_mutex_unlock(&lock);
	channel_close(&f->in);
	free(f);
	log_line("fault: %llu operations so far",
		 (unsigned long long)operations);
}

static const char *faulty_why(const struct channel *c)
{
	const struct channel *in = &faulty_of(c)->in;

	return in->ops->why ? in->ops->why(in) : NULL;
}

static void faulty_bind(const struct channel *c, const void *secret, size_t n,
			uint8_t *out)
{
	channel_bind(&faulty_of(c)->in, secret, n, out);
}

static void faulty_peer(const struct channel *c, uint8_t *out)
{
	channel_peer(&faulty_of(c)->in, out);
}

static const struct channel_ops faulty_ops = {
	.recv		= faulty_recv,
	.sendv		= faulty_sendv,
	.pending	= faulty_pending,
	.ended		= faulty_ended,
	.timeout	= faulty_timeout,
	.shut_in	= faulty_shut_in,
	.shut		= faulty_shut,
	.close		= faulty_close,
	.why		= faulty_why,
	.bind		= faulty_bind,
	.peer		= faulty_peer,
};

void channel_fault_wrap(struct channel *c)
{
	struct faulty *f;

	pthread_once(&once, read_environment);
	f = fault.on ? calloc(1, sizeof(*f)) : NULL;
	if (!f)
		return;
	f->in = *c;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		if (!open_channel[i]) {
			open_channel[i] = f;
			break;
		}
	pthread_mutex_unlock(&lock);
	c->ops = &faulty_ops;
	c->ctx = f;
}

#endif /* FERRY_FAULTS */
