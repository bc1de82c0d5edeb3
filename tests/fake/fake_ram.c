// SPDX-License-Identifier: MIT
/* fake_ram.c - Guest RAM without the kernel's part */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_ram_private.h"
#include "vmm/base/page.h"
#include "vmm/memory/ram_holes.h"
#include "vmm/memory/ram_huge.h"

/* Of the linker's --wrap */
int __wrap_ram_create(struct ram *ram, uint64_t size, enum ram_backing backing,
		      struct error *err);
int __wrap_ram_wall(struct ram *ram, uint64_t offset, size_t len);
void __wrap_ram_destroy(struct ram *ram);
int __wrap_ram_renew(struct ram *ram, struct error *err);
int __wrap_ram_copy_out(const struct ram *ram, uint64_t offset, void *to,
			size_t len, size_t *done);
int __wrap_ram_holes(const struct ram *ram, uint64_t from, uint64_t to,
		     ram_extent_fn *fn, void *ctx);
int __wrap_ram_holes_left(const struct ram *ram, const struct ram_extent *hole,
			  size_t n, ram_extent_fn *fn, void *ctx);
int __wrap_ram_split(struct ram *ram, uint64_t offset, const uint8_t *data,
		     const bool *lost, int uffd, struct error *err);
int __wrap_ram_drop(struct ram *ram, uint64_t offset, size_t len,
		    struct error *err);
int __wrap_ram_write(const struct ram *ram, uint64_t gpa, const void *from,
		     size_t len);
int __wrap_madvise(void *addr, size_t len, int advice);
int __real_madvise(void *addr, size_t len, int advice);

static struct fake_ram rams[FAKE_RAMS];

struct fake_ram *fake_ram_find(const struct ram *ram)
{
	for (unsigned i = 0; i < FAKE_RAMS; i++)
		if (rams[i].ram == ram)
			return &rams[i];
	return NULL;
}

struct fake_ram *fake_ram_at(const void *addr)
{
	for (unsigned i = 0; i < FAKE_RAMS; i++)
		if (rams[i].ram && (const uint8_t *)addr >= rams[i].base &&
		    (const uint8_t *)addr < rams[i].base +
					    rams[i].n * GUEST_PAGE_SIZE)
			return &rams[i];
	return NULL;
}

struct fake_ram *fake_ram_of_uffd(int fd)
{
	for (unsigned i = 0; i < FAKE_RAMS; i++)
		if (rams[i].ram && rams[i].uffd == fd)
			return &rams[i];
	return NULL;
}

static int allocate_ram(struct fake_ram *f, struct ram *ram)
{
	f->n = ram->size / GUEST_PAGE_SIZE;
	f->base = aligned_alloc(RAM_HUGE, ram->size + RAM_HUGE -
					  ram->size % RAM_HUGE);
	f->page = calloc(f->n, sizeof(*f->page));
	f->registered = calloc(f->n, sizeof(*f->registered));
	if (ram->backing == RAM_HUGETLB)
		ram->small = calloc(ram->size / RAM_HUGE, 1);
	if (f->base && f->page && f->registered &&
	    (ram->small || ram->backing != RAM_HUGETLB))
		return 0;
	free(f->base);
	free(f->page);
	free(f->registered);
	free(ram->small);
	ram->small = NULL;
	return -ENOMEM;
}

int __wrap_ram_create(struct ram *ram, uint64_t size, enum ram_backing backing,
		      struct error *err)
{
	struct fake_ram *f = fake_ram_find(NULL);
	int rc = fake_fails(FAKE_RAM_CREATE);

	*ram = (struct ram){
		.size = size, .backing = backing, .memfd = -1,
		.pagemap = -1, .page_size = GUEST_PAGE_SIZE,
		.unit = backing == RAM_HUGETLB ? RAM_HUGE : GUEST_PAGE_SIZE,
	};
	if (!f || !size || size % ram->unit)
		return error_set(err, EINVAL, "no such fake RAM");
	if (!rc)
		rc = -allocate_ram(f, ram);
	if (rc)
		return error_set(err, rc, "cannot map RAM: %s",
				 strerrordesc_np(rc));
	ram->base = f->base;
	ram->regions = ram_layout(size, ram->region);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	f->uffd = -1;
	f->ram = ram;
	return 0;
}

void __wrap_ram_destroy(struct ram *ram)
{
	struct fake_ram *f = ram->base ? fake_ram_find(ram) : NULL;

	if (f) {
		if (f->waiters)
			fake_fault("RAM is unmapped while page %zu is awaited",
				   f->waiters->page);
		pthread_mutex_destroy(&f->lock);
		pthread_cond_destroy(&f->changed);
		free(f->base);
		free(f->page);
		free(f->registered);
		*f = (struct fake_ram){ .uffd = -1 };
	}
	free(ram->small);
	*ram = (struct ram){ .memfd = -1, .pagemap = -1 };
}

void fake_ram_forget(struct ram *ram)
{
	struct fake_ram *f = fake_ram_find(ram);

	if (f)
		*f = (struct fake_ram){ .uffd = -1 };
}

void fake_ram_forget_all(void)
{
	for (unsigned i = 0; i < FAKE_RAMS; i++)
		rams[i] = (struct fake_ram){ .uffd = -1 };
}

enum fake_page fake_ram_page(const struct ram *ram, size_t page)
{
	return (enum fake_page)fake_ram_find(ram)->page[page];
}

bool fake_ram_registered(const struct ram *ram, size_t page)
{
	return fake_ram_find(ram)->registered[page];
}

unsigned fake_ram_waits(const struct ram *ram)
{
	unsigned n = 0;

	for (struct fake_waiter *w = fake_ram_find(ram)->waiters; w;
	     w = w->next)
		n++;
	return n;
}

/* ---- Accesses ---- */

void fake_ram_wake(struct fake_ram *f, size_t page, size_t n)
{
	for (struct fake_waiter *w = f->waiters; w; w = w->next)
		if (w->page >= page && w->page - page < n)
			w->woken = true;
	pthread_cond_broadcast(&f->changed);
}

static void waiter_remove(struct fake_ram *f, struct fake_waiter *w)
{
	struct fake_waiter **at = &f->waiters;

	while (*at && *at != w)
		at = &(*at)->next;
	if (*at)
		*at = w->next;
}

/* The kernel queues an event, and the thread sleeps until it is woken */
static void wait_for_page(struct fake_ram *f, const struct fake_access *a)
{
	struct fake_waiter w = { .page = a->page, .tid = a->tid };
	struct fake_waiter **at = &f->waiters;
	uint64_t one = 1;

	while (*at)
		at = &(*at)->next;
	*at = &w;
	if (write(f->uffd, &one, sizeof(one)) < 0)
		fake_fault("the fake userfaultfd is not open");
	while (!w.woken)
		pthread_cond_wait(&f->changed, &f->lock);
	waiter_remove(f, &w);
}

static void use_page(struct fake_ram *f, const struct fake_access *a)
{
	static uint8_t zeroes[GUEST_PAGE_SIZE];
	uint8_t *at = f->base + a->page * GUEST_PAGE_SIZE;
	const size_t first = a->page - a->page % HUGE_PAGES;

	if (f->page[a->page] == FAKE_MISSING && a->write) {
		/* Of a huge page all appears at once */
		if (ram_is_huge(f->ram, a->page * GUEST_PAGE_SIZE)) {
			memset(f->base + first * GUEST_PAGE_SIZE, 0, RAM_HUGE);
			memset(f->page + first, FAKE_PRESENT, HUGE_PAGES);
		} else {
			memset(at, 0, GUEST_PAGE_SIZE);
			f->page[a->page] = FAKE_PRESENT;
		}
	}
	if (a->fn)
		a->fn(a->ctx, f->page[a->page] == FAKE_MISSING ? zeroes : at);
}

static int access_locked(struct fake_ram *f, const struct fake_access *a)
{
	for (;;) {
		switch (f->page[a->page]) {
		case FAKE_LOST:
			return -EHWPOISON;
		case FAKE_WALLED:
			return -EFAULT;
		case FAKE_MISSING:
			if (f->registered[a->page]) {
				wait_for_page(f, a);
				continue;
			}
			use_page(f, a);
			return 0;
		default:
			use_page(f, a);
			return 0;
		}
	}
}

int fake_ram_access(struct ram *ram, const struct fake_access *a)
{
	struct fake_ram *f = fake_ram_find(ram);
	int rc;

	pthread_mutex_lock(&f->lock);
	rc = access_locked(f, a);
	pthread_mutex_unlock(&f->lock);
	return rc;
}

static void copy_page(void *ctx, uint8_t *page)
{
	memcpy(ctx, page, GUEST_PAGE_SIZE);
}

int __wrap_ram_copy_out(const struct ram *ram, uint64_t offset, void *to,
			size_t len, size_t *done)
{
	struct fake_ram *f = fake_ram_find(ram);
	int rc = -fake_fails(FAKE_RAM_READ);

	if (offset % GUEST_PAGE_SIZE || len % GUEST_PAGE_SIZE)
		fake_fault("ram_copy_out() of a part of a page");
	pthread_mutex_lock(&f->lock);
	for (*done = 0; *done < len && !rc; ) {
		struct fake_access a = {
			.page = (offset + *done) / GUEST_PAGE_SIZE,
			.fn = copy_page, .ctx = (uint8_t *)to + *done,
		};

		rc = access_locked(f, &a);
		/* ram_copy.c: a wall is as good as poison */
		if (rc == -EFAULT)
			rc = -EHWPOISON;
		if (!rc)
			*done += GUEST_PAGE_SIZE;
		if (!rc && fake_host.copied)
			fake_host.copied(fake_host.ctx, a.page);
	}
	pthread_mutex_unlock(&f->lock);
	return rc;
}

void fake_ram_lose(struct ram *ram, size_t page)
{
	struct fake_ram *f = fake_ram_find(ram);
	const size_t first = page - page % HUGE_PAGES;

	pthread_mutex_lock(&f->lock);
	if (ram_is_huge(ram, page * GUEST_PAGE_SIZE)) {
		/* As inject.c: small pages replace it */
		for (size_t i = first; i < first + HUGE_PAGES; i++) {
			if (f->page[i] == FAKE_PRESENT)
				continue;
			memset(f->base + i * GUEST_PAGE_SIZE, 0,
			       GUEST_PAGE_SIZE);
			f->page[i] = FAKE_PRESENT;
		}
		ram->small[page / HUGE_PAGES] = 1;
	}
	f->page[page] = FAKE_LOST;
	fake_ram_wake(f, page, 1);
	pthread_mutex_unlock(&f->lock);
}

int __wrap_ram_renew(struct ram *ram, struct error *err)
{
	struct fake_ram *f = fake_ram_find(ram);
	int rc = fake_fails(FAKE_RAM_RENEW);

	if (rc)
		return error_set(err, rc, "cannot drop RAM: %s",
				 strerrordesc_np(rc));
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->n; i++) {
		if (f->registered[i])
			fake_fault("RAM is dropped while page %zu may be missing",
				   i);
		f->page[i] = FAKE_MISSING;
	}
	if (ram->small)
		memset(ram->small, 0, ram->size / RAM_HUGE);
	ram->walled = false;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

int __wrap_ram_drop(struct ram *ram, uint64_t offset, size_t len,
		    struct error *err)
{
	struct fake_ram *f = fake_ram_find(ram);
	const size_t first = offset / GUEST_PAGE_SIZE;
	int rc = fake_fails(FAKE_RAM_DROP);

	if (offset % ram->unit || len % ram->unit)
		fake_fault("a part of page %zu is dropped", first);
	if (rc)
		return error_set(err, rc, "cannot drop pages: %s",
				 strerrordesc_np(rc));
	pthread_mutex_lock(&f->lock);
	for (size_t i = first; i < first + len / GUEST_PAGE_SIZE; i++) {
		if (f->page[i] != FAKE_PRESENT)
			fake_fault("page %zu is dropped, and is not there", i);
		f->page[i] = FAKE_MISSING;
		/* Mapped anew */
		if (ram->small)
			f->registered[i] = false;
	}
	pthread_mutex_unlock(&f->lock);
	return 0;
}

/* Only of a page that a precopy pass has brought: it must not wait */
int __wrap_ram_write(const struct ram *ram, uint64_t gpa, const void *from,
		     size_t len)
{
	struct fake_ram *f = fake_ram_find(ram);
	int rc = -fake_fails(FAKE_RAM_WRITE);
	uint64_t offset;
	size_t page;

	if (rc)
		return rc;
	if (!ram_offset(ram, gpa, len, &offset))
		return -ERANGE;
	page = offset / GUEST_PAGE_SIZE;
	pthread_mutex_lock(&f->lock);
	for (size_t i = page; i < page + len / GUEST_PAGE_SIZE; i++)
		if (f->page[i] != FAKE_PRESENT)
			fake_fault("page %zu is overwritten, and is not there",
				   i);
	memcpy(f->base + offset, from, len);
	for (size_t i = 0; i < len / GUEST_PAGE_SIZE && fake_host.placed; i++)
		fake_host.placed(fake_host.ctx, page + i, (const uint8_t *)from +
				 i * GUEST_PAGE_SIZE);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

int __wrap_ram_wall(struct ram *ram, uint64_t offset, size_t len)
{
	struct fake_ram *f = fake_ram_find(ram);
	int rc = -fake_fails(FAKE_RAM_WALL);

	if (rc)
		return rc;
	pthread_mutex_lock(&f->lock);
	ram->walled = true;
	memset(f->page + offset / GUEST_PAGE_SIZE, FAKE_WALLED,
	       len / GUEST_PAGE_SIZE);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

/* ---- Holes ---- */

static size_t run_of_holes(struct fake_ram *f, size_t page, size_t end)
{
	size_t n = 0;

	pthread_mutex_lock(&f->lock);
	while (page + n < end && f->page[page + n] == FAKE_MISSING)
		n++;
	pthread_mutex_unlock(&f->lock);
	return n;
}

int __wrap_ram_holes(const struct ram *ram, uint64_t from, uint64_t to,
		     ram_extent_fn *fn, void *ctx)
{
	struct fake_ram *f = fake_ram_find(ram);
	const size_t end = to / GUEST_PAGE_SIZE;
	int rc = -fake_fails(FAKE_RAM_HOLES);

	for (size_t i = from / GUEST_PAGE_SIZE, n; i < end && !rc;
	     i += n ? n : 1) {
		n = run_of_holes(f, i, end);
		if (n)
			rc = fn(ctx, i * GUEST_PAGE_SIZE, n * GUEST_PAGE_SIZE);
	}
	return rc;
}

int __wrap_ram_holes_left(const struct ram *ram, const struct ram_extent *hole,
			  size_t n, ram_extent_fn *fn, void *ctx)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = __wrap_ram_holes(ram, hole[i].offset,
				      hole[i].offset + hole[i].len, fn, ctx);
	return rc;
}

/* ---- Parts of huge pages; what the kernel is asked besides ---- */

int __wrap_ram_split(struct ram *ram, uint64_t offset, const uint8_t *data,
		     const bool *lost, int uffd, struct error *err)
{
	struct fake_ram *f = fake_ram_find(ram);
	const size_t first = offset / GUEST_PAGE_SIZE;
	int rc = fake_fails(FAKE_RAM_SPLIT);

	(void)uffd;
	if (rc)
		return error_set(err, rc, "cannot split a huge page: %s",
				 strerrordesc_np(rc));
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < HUGE_PAGES; i++) {
		if (f->page[first + i] != FAKE_MISSING)
			fake_fault("page %zu is replaced while it is there",
				   first + i);
		memcpy(f->base + (first + i) * GUEST_PAGE_SIZE,
		       data + i * GUEST_PAGE_SIZE, GUEST_PAGE_SIZE);
		f->page[first + i] = lost[i] ? FAKE_LOST : FAKE_PRESENT;
		if (!lost[i] && fake_host.placed)
			fake_host.placed(fake_host.ctx, first + i,
					 data + i * GUEST_PAGE_SIZE);
		f->registered[first + i] = false;
	}
	ram->small[offset / RAM_HUGE] = 1;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

int __wrap_madvise(void *addr, size_t len, int advice)
{
	struct fake_ram *f = fake_ram_at(addr);
	size_t first;

	if (!f)
		return __real_madvise(addr, len, advice);
	errno = fake_fails(FAKE_MADVISE);
	if (errno)
		return -1;
	if (advice != MADV_DONTNEED)
		return 0;
	first = (size_t)((uint8_t *)addr - f->base) / GUEST_PAGE_SIZE;
	pthread_mutex_lock(&f->lock);
	memset(f->page + first, FAKE_MISSING, len / GUEST_PAGE_SIZE);
	pthread_mutex_unlock(&f->lock);
	return 0;
}
