// SPDX-License-Identifier: MIT
/*
 * poison-enomem.c - ENOMEM: no memory for page tables
 *
 * Man page: "Allocating memory for page table entries failed."
 *
 * Forced in a memory control group of the test's own. Page tables are charged
 * to the group; poison needs one page table for each 2 MiB, and no other
 * memory. A process in the group, with all of its own memory locked, poisons a
 * large range until it reaches the limit. Control groups of version 1 have a
 * switch that turns the OOM killer off; in version 2 the process exempts itself
 * from it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ktest.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif

#define RANGE	(1UL << 30)		/* 512 page tables: 2 MiB */
#define LIMIT	"1048576"

static const struct group_kind {
	const char *root;
	const char *limit;
	const char *oom_file;
	const char *oom_text;
} kinds[] = {
	{ "/sys/fs/cgroup", "memory.max", "/proc/self/oom_score_adj",
	  "-1000" },
	{ "/sys/fs/cgroup/memory", "memory.limit_in_bytes",
	  "memory.oom_control", "1" },
};

static int put(const char *dir, const char *name, const char *text)
{
	char path[256];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : dir,
		 name[0] == '/' ? "" : "/", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static const struct group_kind *group_create(char *dir, size_t size)
{
	char limit[256];

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct group_kind *k = &kinds[i];

		snprintf(dir, size, "%s/ferry-enomem-%d", k->root, getpid());
		if (mkdir(dir, 0755))
			continue;
		snprintf(limit, sizeof(limit), "%s/%s", dir, k->limit);
		if (!access(limit, W_OK))
			return k;
		rmdir(dir);
	}
	return NULL;
}

/* In the group. Counts bytes until an error other than EAGAIN */
static void exhaust(int uffd, unsigned char *addr)
{
	size_t done = 0;
	bool again = false;
	int rc = 0;

	while (done < RANGE) {
		int64_t updated = 0;

		rc = uffd_poison_mode(uffd, addr + done, RANGE - done, 0,
				      &updated);
		if (updated > 0)
			done += (size_t)updated;
		if (rc != -EAGAIN)
			break;
		again = true;
	}
	if (!rc)
		SKIP("the group's limit was not met: is cgroup.memory=nokmem "
		     "set, or kernel memory not charged?");
	CHECK(rc == -ENOMEM, "after %zu bytes: %s", done, strerror(-rc));
	NOTE("after %zu MiB%s", done >> 20, again ? ", EAGAIN first" : "");
}

/* In the group at its limit: a page fault would block for ever */
static void group_enter(const struct group_kind *k, const char *dir)
{
	char pid[16];
	int rc;

	snprintf(pid, sizeof(pid), "%d", getpid());
	rc = put(dir, k->oom_file, k->oom_text);
	if (rc)
		SKIP("cannot turn the OOM killer off: %s: %s", k->oom_file,
		     strerror(-rc));
	rc = put(dir, "cgroup.procs", pid);
	if (!rc)
		rc = put(dir, k->limit, LIMIT);
	if (rc)
		SKIP("cannot enter %s with a limit: %s", dir, strerror(-rc));
}

static void member(const struct group_kind *k, const char *dir,
		   struct mapping *m)
{
	int flags = m->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	int uffd = uffd_open(O_NONBLOCK, 0);
	unsigned char *addr;

	alarm(CASE_SECONDS / 2);
	CHECK(!munmap(m->addr, m->len), "munmap: %m");
	CHECK(!mlockall(MCL_CURRENT), "mlockall: %m");
	CHECK(m->fd < 0 || !ftruncate(m->fd, RANGE), "ftruncate: %m");
	addr = mmap(NULL, RANGE, PROT_READ | PROT_WRITE,
		    flags | MAP_NORESERVE, m->fd, 0);
	CHECK(addr != MAP_FAILED, "mmap: %m");
	EXPECT(0, uffd_register(uffd, addr, RANGE,
				UFFDIO_REGISTER_MODE_MISSING, NULL));
	group_enter(k, dir);
	exhaust(uffd, addr);
	_exit(KTEST_OK);
}

static void limited(struct mapping *m)
{
	const struct group_kind *k;
	siginfo_t si;
	char dir[128];
	pid_t pid;

	if (SANITIZED)
		SKIP("AddressSanitizer's shadow memory cannot be locked");
	k = group_create(dir, sizeof(dir));
	if (!k)
		SKIP("no memory control group can be made under "
		     "/sys/fs/cgroup: run as root, with the groups mounted");
	pid = fork();
	if (!pid)
		member(k, dir, m);
	if (pid > 0)
		waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
	for (int i = 0; i < 50 && rmdir(dir); i++)
		ktest_rest();
	CHECK(access(dir, F_OK), "%s cannot be removed", dir);
	CHECK(pid > 0, "fork: %m");
	ktest_reap(pid);
}

static const struct kcase cases[] = {
	{ "limit", "ENOMEM at the limit of the memory control group", limited,
	  ON_BOTH },
};

KTEST_MAIN(cases)
