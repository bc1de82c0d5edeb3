// SPDX-License-Identifier: MIT
/*
 * bench-limits: how fast bytes come out of a loopback TCP connection, and how
 * fast they can be placed as pages while they come
 *
 * A child process writes; this process reads. The clock starts when the child
 * is told to go and stops when the last byte was read (or placed).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench-limits.h"

/* Memory placed in one pipeline run */
#define PIPELINE_SIZE	(256 * MIB)

static void sender(int fd, const char *buf, uint64_t total)
{
	char go;

	if (recv(fd, &go, 1, 0) != 1)
		_exit(1);
	for (; total; total -= CHUNK)
		write_all(fd, buf, CHUNK);
	_exit(0);
}

/* Start the child that sends @total bytes of 0x5a, once told to */
static pid_t start_sender(int cpu, uint64_t total, int *sock)
{
	char *buf = map_filled(CHUNK);
	int sv[2];
	pid_t pid;

	stream_pair(true, sv);
	pid = fork_child();
	if (!pid) {
		close(sv[0]);
		pin(cpu);
		memset(buf, 0x5a, CHUNK);
		sender(sv[1], buf, total);
	}
	close(sv[1]);
	munmap(buf, CHUNK);
	*sock = sv[0];
	return pid;
}

/* CPU of the sending or receiving side, for a placement */
static int side(const struct bench *b, bool pinned, int n)
{
	return pinned ? b->cpu[n] : ANY_CPU;
}

static double loopback_run(const struct bench *b, bool pinned, uint64_t total)
{
	char *buf = map_filled(CHUNK);
	uint64_t left = total, t0;
	int sock;
	pid_t pid = start_sender(side(b, pinned, 1), total, &sock);

	progress();
	pin(side(b, pinned, 0));
	t0 = now_ns();
	write_all(sock, "", 1);
	while (left) {
		ssize_t n = recv(sock, buf, CHUNK, 0);

		if (n <= 0)
			die("loopback: the sender is gone");
		left -= n;
	}
	t0 = now_ns() - t0;
	pin(ANY_CPU);
	reap_child(pid);
	close(sock);
	munmap(buf, CHUNK);
	return (double)total / t0;
}

/**
 * bench_loopback() - TCP over 127.0.0.1, 256 KiB at a time
 * @b:		What is asked for
 *
 * Adds "loopback_gb_s": {"unpinned", "pinned_apart"}, 10^9 bytes a second.
 */
void bench_loopback(const struct bench *b)
{
	uint64_t total = (b->quick ? 256 : 2048) * MIB;
	struct spread unpinned = {}, pinned = {};
	int run;

	section("loopback TCP bandwidth, GB/s");
	loopback_run(b, false, 128 * MIB);
	for (run = 0; run < b->runs; run++) {
		spread_add(&unpinned, loopback_run(b, false, total));
		if (b->ncpus > 1)
			spread_add(&pinned, loopback_run(b, true, total));
	}
	json_open("loopback_gb_s");
	json_spread("unpinned", &unpinned);
	if (pinned.n)
		json_spread("pinned_apart", &pinned);
	else
		json_unavailable("pinned_apart", "needs two CPUs");
	json_close();
}

/* Read the whole stream and place it, a chunk at a time */
static void place_stream(int sock, struct arena *a, char *buf)
{
	size_t off;

	for (off = 0; off < a->size; off += CHUNK) {
		size_t in;
		int64_t n;

		if (recv(sock, buf, CHUNK, MSG_WAITALL) != (ssize_t)CHUNK)
			die("pipeline: the sender is gone");
		for (in = 0; in < CHUNK; in += n) {
			n = uffd_copy(a->uffd, a->mem + off + in, buf + in,
				      CHUNK - in);
			if (n <= 0)
				die("UFFDIO_COPY: %s", strerror(-n));
		}
	}
}

static double pipeline_run(const struct bench *b, bool pinned,
			   struct arena *a)
{
	char *buf = map_filled(CHUNK);
	int sock;
	pid_t pid = start_sender(side(b, pinned, 1), a->size, &sock);
	uint64_t t0;

	arena_empty(a);
	warm_pages(a->size);
	progress();
	pin(side(b, pinned, 0));
	t0 = now_ns();
	write_all(sock, "", 1);
	place_stream(sock, a, buf);
	t0 = now_ns() - t0;
	pin(ANY_CPU);
	if (a->mem[0] != 0x5a || a->mem[a->size - 1] != 0x5a)
		die("pipeline: the pages placed are not those sent");
	reap_child(pid);
	close(sock);
	munmap(buf, CHUNK);
	return (double)a->size / t0;
}

static void bench_pipeline_of(const struct bench *b, const char *name,
			      enum backing backing)
{
	size_t size = b->quick ? PIPELINE_SIZE / 2 : PIPELINE_SIZE;
	struct spread unpinned = {}, pinned = {};
	struct arena a;
	int run, rc;

	rc = arena_open(&a, backing, size, backing == BACK_MEMFD ?
			UFFD_FEATURE_MISSING_SHMEM : 0,
			UFFDIO_REGISTER_MODE_MISSING);
	if (rc) {
		json_unavailable(name, strerror(-rc));
		return;
	}
	pipeline_run(b, false, &a);
	for (run = 0; run < b->runs; run++) {
		spread_add(&unpinned, pipeline_run(b, false, &a));
		if (b->ncpus > 1)
			spread_add(&pinned, pipeline_run(b, true, &a));
	}
	arena_close(&a);
	json_open(name);
	json_spread("unpinned", &unpinned);
	if (pinned.n)
		json_spread("pinned_apart", &pinned);
	else
		json_unavailable("pinned_apart", "needs two CPUs");
	json_close();
}

/**
 * bench_pipeline() - Read from TCP and place with UFFDIO_COPY, one thread
 * @b:		What is asked for
 *
 * Adds "pipeline_gb_s": {"anon", "memfd"}, each {"unpinned", "pinned_apart"}.
 */
void bench_pipeline(const struct bench *b)
{
	section("TCP to UFFDIO_COPY in 256 KiB chunks, one thread, GB/s");
	json_open("pipeline_gb_s");
	bench_pipeline_of(b, "anon", BACK_ANON);
	bench_pipeline_of(b, "memfd", BACK_MEMFD);
	json_close();
}
