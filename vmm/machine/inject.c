// SPDX-License-Identifier: MIT
/*
 * inject.c - Make guest memory unreadable, as failing hardware would
 *
 * The simulated way must never show the guest a page of zeroes between the
 * moment when the page is dropped and the moment when it is poisoned. So the
 * page is first registered for missing (memfd: also minor) faults: a vCPU that
 * touches it between the two waits, and UFFDIO_POISON wakes it into a SIGBUS.
 * The marker survives unregistering (tests/kernel/simulate.c).
 *
 * While a migration has registered RAM, its hook decides (ram_hook.h), since
 * the migration must also keep late copies away from the poison.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "inject.h"
#include "machine_private.h"
#include "vcpu.h"
#include "vmm/base/page.h"
#include "vmm/memory/ram_huge.h"
#include "vmm/memory/sigbus.h"
#include "vmm/memory/uffd.h"

static const char *const method_names[] = {
	[INJECT_AUTO]		= "auto",
	[INJECT_HWPOISON]	= "hwpoison",
	[INJECT_SIMULATE]	= "simulate",
};

const char *inject_method_name(enum inject_method method)
{
	return method_names[method];
}

int inject_method_find(const char *name, enum inject_method *method,
		       struct error *err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(method_names); i++) {
		if (strcmp(name, method_names[i]))
			continue;
		*method = (enum inject_method)i;
		return 0;
	}
	return error_set(err, EINVAL,
		"no method '%s': auto, hwpoison or simulate", name);
}

static int replace_by_marker(struct machine *m, uint64_t offset,
			     struct error *err)
{
	const int mode = m->ram.backing == RAM_MEMFD ?
			 UFFD_MISSING | UFFD_MINOR : UFFD_MISSING;
	void *page = m->ram.base + offset;
	size_t size = m->ram.page_size, done;
	int rc;

	rc = uffd_register(m->poison_uffd, page, size, mode, err);
	if (rc)
		return rc;
	if (madvise(page, size, MADV_DONTNEED)) {
		rc = error_set(err, errno, "cannot drop the page: %s",
			       strerrordesc_np(errno));
	} else {
		rc = uffd_poison(m->poison_uffd, page, size, &done);
		/* The page is dropped without a marker: the guest would read
		 * zeroes, so it must not continue
		 */
		if (rc) {
			machine_crash(m);
			error_set(err, -rc, "UFFDIO_POISON at 0x%llx: %s",
				(unsigned long long)ram_gpa(&m->ram, offset),
				uffd_cause(rc));
		}
	}
	uffd_unregister(m->poison_uffd, page, size);
	return rc;
}

/*
 * Replace the huge page by small ones, one of them a marker. A vCPU that
 * touches it meanwhile waits; the file keeps the contents until all small pages
 * are filled.
 */
static int replace_in_huge(struct machine *m, uint64_t offset,
			   struct error *err)
{
	const uint64_t start = offset - offset % RAM_HUGE;
	void *page = m->ram.base + start;
	bool lost[HUGE_PAGES] = { false };
	uint8_t *data = malloc(RAM_HUGE);
	int rc;

	if (!data)
		return error_set(err, ENOMEM, "out of memory");
	rc = uffd_register(m->poison_uffd, page, RAM_HUGE,
			   UFFD_MISSING | UFFD_MINOR, err);
	if (!rc && madvise(page, RAM_HUGE, MADV_DONTNEED))
		rc = error_set(err, errno, "cannot unmap the page: %s",
			       strerrordesc_np(errno));
	for (size_t i = 0; i < HUGE_PAGES && !rc; i++) {
		ssize_t n = ram_read_around(&m->ram,
					    start + i * GUEST_PAGE_SIZE,
					    data + i * GUEST_PAGE_SIZE,
					    GUEST_PAGE_SIZE);

		lost[i] = !n;
		if (n < 0)
			rc = error_set(err, ENOTSUP,
				"this kernel can't read huge pages from their file: Linux 6.6 or newer is needed");
	}
	lost[(offset - start) / GUEST_PAGE_SIZE] = true;
	if (!rc)
		rc = ram_split(&m->ram, start, data, lost, m->poison_uffd,
			       err);
	/* ram_split() replaced the registered mapping; if it failed, the huge
	 * page is still there and registered
	 */
	if (rc)
		uffd_unregister(m->poison_uffd, page, RAM_HUGE);
	uffd_wake(m->poison_uffd, page, RAM_HUGE);
	free(data);
	return rc;
}

static int simulate(struct machine *m, uint64_t offset, struct error *err)
{
	int rc;

	if (m->poison_uffd < 0) {
		rc = uffd_open(true, err);
		if (rc < 0)
			return rc;
		m->poison_uffd = rc;
	}
	return ram_is_huge(&m->ram, offset) ? replace_in_huge(m, offset, err)
					    : replace_by_marker(m, offset, err);
}

/*
 * MADV_HWPOISON also raises a SIGBUS (action required) on the calling thread,
 * which has not touched the page: discard it
 */
static int lose_page(void *page, size_t size)
{
	struct sigbus expected = { 0 }, *before = sigbus_watch(&expected);
	int rc = madvise(page, size, MADV_HWPOISON) ? -errno : 0;

	sigbus_watch(before);
	return rc;
}

static int hwpoison(struct machine *m, uint64_t offset, struct error *err)
{
	void *page = m->ram.base + offset;
	size_t size = m->ram.page_size;
	int rc;

	/* An untouched page may be the zero page that all processes share */
	rc = madvise(page, size, MADV_POPULATE_WRITE) ? -errno : 0;
	if (!rc)
		rc = lose_page(page, size);
	if (!rc)
		return 0;
	if (rc == -EPERM)
		return error_set(err, EPERM,
			"MADV_HWPOISON needs CAP_SYS_ADMIN: run the machine as root, or use --method simulate");
	if (rc == -EINVAL)
		return error_set(err, ENOTSUP,
			"this kernel has no CONFIG_MEMORY_FAILURE, so it can't poison real memory: use --method simulate");
	return error_set(err, -rc, "MADV_HWPOISON: %s", strerrordesc_np(-rc));
}

/* Try one method. The migration's hook decides first */
static int try_method(struct machine *m, uint64_t offset,
		      enum inject_method method, struct error *err)
{
	bool marker = method == INJECT_SIMULATE;
	struct ram_hook hook = ram_hook_begin(m);
	int rc = hook.poison ? hook.poison(hook.ctx, offset, marker, err)
			     : RAM_HOOK_PASS;

	if (rc == RAM_HOOK_PASS) {
		rc = marker ? simulate(m, offset, err)
			    : hwpoison(m, offset, err);
		if (hook.done)
			hook.done(hook.ctx, offset);
	}
	ram_hook_end(m);
	return rc;
}

static int try_methods(struct machine *m, uint64_t offset,
		       enum inject_method *method, struct error *err)
{
	struct error why = { 0 };
	int rc;

	if (*method == INJECT_AUTO) {
		rc = try_method(m, offset, INJECT_HWPOISON, &why);
		*method = rc == -EPERM || rc == -ENOTSUP ? INJECT_SIMULATE
							 : INJECT_HWPOISON;
		if (*method == INJECT_HWPOISON)
			return rc ? error_set(err, -rc, "%s", why.text) : 0;
	}
	return try_method(m, offset, *method, err);
}

static int poison_page(struct machine *m, uint64_t gpa,
		       enum inject_method *method, struct error *err)
{
	struct memory_failure f = { .action = MF_NOTED,
				    .origin = MF_BY_COMMAND };
	struct poison p = { 0 };
	uint64_t offset;
	int rc;

	if (!ram_offset(&m->ram, gpa, 1, &offset))
		return error_set(err, ERANGE,
			"0x%llx is not RAM of this guest (it has %llu MiB)",
			(unsigned long long)gpa,
			(unsigned long long)(m->ram.size / MIB));
	if (poison_find(&m->poison, gpa, NULL))
		return error_set(err, EEXIST, "0x%llx is poisoned already",
				 (unsigned long long)gpa);

	offset &= ~(uint64_t)(m->ram.page_size - 1);
	rc = try_methods(m, offset, method, err);
	if (rc)
		return rc;
	p.gpa = f.gpa = ram_gpa(&m->ram, offset);
	p.size = f.size = m->ram.page_size;
	/* A vCPU that touched it just now may have entered it already */
	rc = poison_add(&m->poison, &p);
	if (rc > 0)
		machine_failure(m, &f);
	return rc < 0 ? error_set(err, -rc, "out of memory") : 0;
}

int inject_poison(struct machine *m, uint64_t gpa,
		  enum inject_method *method, struct error *err)
{
	bool resetting;
	int rc;

	/* A reset holds inject_lock for as long as it takes to drop RAM */
	pthread_mutex_lock(&m->lock);
	resetting = m->resetting;
	pthread_mutex_unlock(&m->lock);
	if (resetting)
		return error_set(err, EBUSY, "the guest is being reset");
	pthread_mutex_lock(&m->inject_lock);
	rc = poison_page(m, gpa, method, err);
	pthread_mutex_unlock(&m->inject_lock);
	return rc;
}

void inject_drain(struct machine *m)
{
	pthread_mutex_lock(&m->inject_lock);
	pthread_mutex_unlock(&m->inject_lock);
}

void inject_found(struct machine *m, const struct sigbus *s)
{
	struct memory_failure f = { .action = MF_NOTED,
				    .origin = MF_BY_HOST };
	struct poison p = { .report = true };
	uint64_t offset;

	if (!ram_from_hva(&m->ram, s->addr, &offset))
		return;
	p.size = f.size = 1ull << s->lsb;
	p.gpa = f.gpa = ram_gpa(&m->ram, offset & ~(p.size - 1));
	if (poison_add(&m->poison, &p) > 0)
		machine_failure(m, &f);
}

bool inject_report(struct machine *m)
{
	/* A guest that was migrated learns of the page when it touches it */
	if (machine_ended(m) || machine_status(m).state == RUN_POSTMIGRATE ||
	    !poison_unreported(&m->poison, NULL))
		return false;
	m->vcpu[0].asked |= VCPU_ASK_OPTIONAL;
	vcpu_kick(&m->vcpu[0]);
	return true;
}
