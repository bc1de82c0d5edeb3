/* SPDX-License-Identifier: MIT */
/*
 * job.h - How a migration is going: state, times, counts
 *
 * One for each process, written by the threads of its side and read by
 * query-migrate. Counters are atomic; the rest is under the lock.
 */
#ifndef FERRY_JOB_H
#define FERRY_JOB_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "migration/pages/page_stats.h"
#include "migration/wire/wire.h"
#include "vmm/base/bytes.h"
#include "vmm/base/clock.h"
#include "vmm/base/error.h"
#include "vmm/base/uri.h"
#include "vmm/machine/machine.h"

struct control;

/*
 * QEMU's MigrationStatus, as far as it applies. What each permits:
 * NONE	a migration may be started
 * SETUP	the guest runs at home; may be cancelled
 * DEVICE	the guest is paused; may be cancelled
 * POSTCOPY	handed over; can't be cancelled any more
 * PAUSED	handed over, connection lost; nothing is thrown away
 * the rest	over: another may be started, unless the guest is gone
 */
enum job_status {
	JOB_NONE, JOB_SETUP, JOB_DEVICE, JOB_POSTCOPY, JOB_PAUSED,
	JOB_COMPLETED, JOB_FAILED, JOB_CANCELLED, JOB_STATUSES
};

/* Where demand latency is counted when the kernel doesn't name the vCPU */
#define JOB_OTHER	PAGE_STATS_OTHER
#define JOB_LATENCIES	(PAGE_STATS_VCPUS + 1)
_Static_assert(PAGE_STATS_VCPUS == MACHINE_CPUS_MAX, "one for each vCPU");
#define JOB_STAGES	16

/**
 * struct job - See above
 * @control:	told of changes of the status
 * @lock:	protects what is not atomic
 * @status:	where it is
 * @outgoing:	this is the source
 * @stage:	name of the current stage, a literal
 * @stages:	when each began, ns
 * @why:	what went wrong, if something did
 * @start, @pause, @run, @end: monotonic times, ns; 0 if not yet
 * @pages_total: of RAM
 * @page_size:	bytes
 * @vcpus:	how many there are
 * @stats:	pages, bytes, latencies
 * @id:		of the migration, in hexadecimal
 * @arrived:	of the one that brought the guest here; kept when it leaves
 * @uri:	where it goes to, or where it arrives
 * @peer:	a source's copy of both, sent by the destination at the end
 * @has_peer:	@peer is filled in
 */
struct job {
	struct control *control;
	pthread_mutex_t lock;
	enum job_status status;
	bool outgoing;
	const char *stage;
	char id[2 * WIRE_ID + 1], arrived[2 * WIRE_ID + 1], uri[URI_TEXT];
	struct error why;
	_Atomic uint64_t start, pause, run, end;
	uint64_t pages_total;
	uint32_t page_size;
	unsigned vcpus;

	struct page_stats stats;

	struct { const char *name; uint64_t start; } stages[JOB_STAGES];
	unsigned stages_n;

	struct latency peer[JOB_LATENCIES + 1];
	bool has_peer;
};

/** job_init() - None yet */
void job_init(struct job *j, struct control *control);

/**
 * job_begin() - A new one
 * @j:		the job
 * @outgoing:	the guest leaves
 *
 * Forgets all of the last one. The status is SETUP afterwards.
 */
void job_begin(struct job *j, bool outgoing);

/**
 * job_name() - Say which migration it is
 * @j:		the job
 * @id:		WIRE_ID bytes, the same on both sides
 * @uri:	where to, or where at
 */
void job_name(struct job *j, const uint8_t *id, const struct uri *uri);

/**
 * job_machine() - Say what machine it is about
 * @j:		the job
 * @m:		the machine
 */
void job_machine(struct job *j, const struct machine *m);

/**
 * job_set() - Change the status, and tell clients
 * @j:		the job
 * @status:	the new one
 * @why:	what went wrong, or NULL
 */
void job_set(struct job *j, enum job_status status, const struct error *why);

/**
 * job_blame() - Note what went wrong, before any thread shows that it did
 * @j:		the job
 * @why:	the cause
 *
 * For several threads that meet the end of one connection: the first blames,
 * and whichever is first with job_set() then shows that cause.
 */
void job_blame(struct job *j, const struct error *why);

/** job_get() - The status now */
enum job_status job_get(struct job *j);

/** job_stage() - Begin a stage; @name is a literal */
void job_stage(struct job *j, const char *name);

/** job_ended() - Is a status one that lets another migration start? */
bool job_ended(enum job_status status);

/**
 * job_put_latency() - Append demand latencies, for the source
 * @j:		a destination's job
 * @w:		to where
 */
void job_put_latency(const struct job *j, struct writer *w);

/**
 * job_get_latency() - Read what job_put_latency() wrote
 * @j:		a source's job
 * @r:		from where
 *
 * Return: 0, -EBADMSG
 */
int job_get_latency(struct job *j, struct reader *r);

/**
 * job_json() - What query-migrate returns
 * @j:		the job
 *
 * Return: new object
 */
json_t *job_json(struct job *j);

#endif /* FERRY_JOB_H */
