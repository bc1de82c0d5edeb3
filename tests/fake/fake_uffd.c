// SPDX-License-Identifier: MIT
/*
 * fake_uffd.c - userfaultfd, as far as Ferry uses it
 *
 * The descriptor is an eventfd, readable while an access waits whose event was
 * not read. RAM is registered with one descriptor at a time.
 */

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake_ram_private.h"
#include "vmm/base/page.h"
#include "vmm/memory/ram_huge.h"
#include "vmm/memory/uffd.h"

#define READ_MAX	64

/* Of the linker's --wrap */
int __wrap_uffd_open(bool need_poison, struct error *err);
int __wrap_uffd_has_poison(void);
int __wrap_uffd_register(int fd, void *addr, size_t len, int mode,
			 struct error *err);
int __wrap_uffd_unregister(int fd, void *addr, size_t len);
int __wrap_uffd_copy(int fd, void *dst, const void *src, size_t len,
		     size_t *done);
int __wrap_uffd_zero(int fd, void *dst, size_t len, size_t *done);
int __wrap_uffd_poison(int fd, void *dst, size_t len, size_t *done);
int __wrap_uffd_move(int fd, void *dst, void *src, size_t len, size_t *done);
void __wrap_uffd_wake(int fd, void *addr, size_t len);
int __wrap_uffd_read(int fd, struct uffd_fault *out, int max);

int __wrap_uffd_open(bool need_poison, struct error *err)
{
	int rc = fake_fails(FAKE_UFFD_OPEN), fd;

	(void)need_poison;
	if (rc)
		return error_set(err, rc, "cannot open a userfaultfd: %s",
				 strerrordesc_np(rc));
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return fd >= 0 ? fd : error_set(err, errno, "userfaultfd: %s",
					strerrordesc_np(errno));
}

int __wrap_uffd_has_poison(void)
{
	return 1;
}

static size_t page_at(const struct fake_ram *f, const void *addr)
{
	return (size_t)((const uint8_t *)addr - f->base) / GUEST_PAGE_SIZE;
}

int __wrap_uffd_register(int fd, void *addr, size_t len, int mode,
			 struct error *err)
{
	struct fake_ram *f = fake_ram_at(addr);
	int rc = fake_fails(FAKE_UFFD_REGISTER);

	(void)mode;
	if (!rc && (!f || (f->uffd >= 0 && f->uffd != fd)))
		rc = EBUSY;
	if (rc)
		return error_set(err, rc, "UFFDIO_REGISTER: %s",
				 strerrordesc_np(rc));
	pthread_mutex_lock(&f->lock);
	f->uffd = fd;
	memset(f->registered + page_at(f, addr), true, len / GUEST_PAGE_SIZE);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

void fake_ram_unregister(struct fake_ram *f, size_t page, size_t n)
{
	memset(f->registered + page, false, n);
	fake_ram_wake(f, page, n);
}

int __wrap_uffd_unregister(int fd, void *addr, size_t len)
{
	struct fake_ram *f = fake_ram_at(addr);
	int rc = fake_fails(FAKE_UFFD_UNREGISTER);

	(void)fd;
	if (rc || !f)
		return rc ? -rc : -EINVAL;
	pthread_mutex_lock(&f->lock);
	fake_ram_unregister(f, page_at(f, addr), len / GUEST_PAGE_SIZE);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

void fake_ram_closed(int fd)
{
	struct fake_ram *f = fake_ram_of_uffd(fd);

	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	fake_ram_unregister(f, 0, f->n);
	f->uffd = -1;
	pthread_mutex_unlock(&f->lock);
}

/* The smallest part that can be placed at a page: GUEST_PAGE_SIZE, RAM_HUGE */
static size_t unit_pages(const struct fake_ram *f, size_t page)
{
	return ram_is_huge(f->ram, page * GUEST_PAGE_SIZE) ? HUGE_PAGES : 1;
}

static void place_unit(struct fake_ram *f, size_t page, size_t n,
		       const uint8_t *src)
{
	uint8_t *to = f->base + page * GUEST_PAGE_SIZE;

	for (size_t i = 0; i < n; i++) {
		if (f->page[page + i] == FAKE_LOST)
			fake_fault("page %zu: UFFDIO_COPY or UFFDIO_ZEROPAGE erased its poison",
				   page + i);
		if (fake_host.placed)
			fake_host.placed(fake_host.ctx, page + i,
					 src ? src + i * GUEST_PAGE_SIZE
					     : NULL);
	}
	if (src)
		memcpy(to, src, n * GUEST_PAGE_SIZE);
	else
		memset(to, 0, n * GUEST_PAGE_SIZE);
	memset(f->page + page, FAKE_PRESENT, n);
	fake_ram_wake(f, page, n);
}

/* One step of a placing ioctl. Return: 0, -errno */
static int place_step(struct fake_ram *f, int fd, size_t page, size_t n,
		      const uint8_t *src)
{
	if (f->uffd != fd || !f->registered[page])
		return -ENOENT;
	if (f->page[page] == FAKE_PRESENT || f->page[page] == FAKE_WALLED)
		return -EEXIST;
	place_unit(f, page, n, src);
	return 0;
}

/* The lock is taken for each page: others run between two of them */
static int place_pages(int fd, void *dst, const uint8_t *src, size_t len,
		       size_t *done)
{
	struct fake_ram *f = fake_ram_at(dst);
	int rc = 0;

	*done = 0;
	if (!f)
		return -EINVAL;
	while (*done < len && !rc) {
		size_t page = page_at(f, (uint8_t *)dst + *done);
		size_t unit = unit_pages(f, page), bytes;

		bytes = unit * GUEST_PAGE_SIZE;
		if (page % unit || len - *done < bytes)
			return -EINVAL;
		pthread_mutex_lock(&f->lock);
		rc = place_step(f, fd, page, unit, src ? src + *done : NULL);
		pthread_mutex_unlock(&f->lock);
		*done += rc ? 0 : bytes;
	}
	return rc;
}

int __wrap_uffd_copy(int fd, void *dst, const void *src, size_t len,
		     size_t *done)
{
	int rc = fake_fails(FAKE_UFFD_COPY);

	*done = 0;
	return rc ? -rc : place_pages(fd, dst, src, len, done);
}

int __wrap_uffd_zero(int fd, void *dst, size_t len, size_t *done)
{
	int rc = fake_fails(FAKE_UFFD_ZERO);

	*done = 0;
	return rc ? -rc : place_pages(fd, dst, NULL, len, done);
}

static bool is_empty(const struct fake_ram *f, size_t page, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (f->page[page + i] != FAKE_MISSING)
			return false;
	return true;
}

/* A huge page as one, or one page. Return: 0, -errno */
static int move_step(struct fake_ram *f, int fd, size_t page, size_t left,
		     const uint8_t *src, size_t *n)
{
	*n = page % HUGE_PAGES || left < HUGE_PAGES ||
	     !is_empty(f, page, HUGE_PAGES) ? 1 : HUGE_PAGES;
	if (f->uffd != fd || !f->registered[page])
		return -ENOENT;
	if (f->page[page] != FAKE_MISSING)
		return -EEXIST;
	place_unit(f, page, *n, src);
	return 0;
}

int __wrap_uffd_move(int fd, void *dst, void *src, size_t len, size_t *done)
{
	struct fake_ram *f = fake_ram_at(dst);
	int rc = -fake_fails(FAKE_UFFD_MOVE);

	*done = 0;
	if (!f)
		return -EINVAL;
	while (*done < len && !rc) {
		uint8_t *from = (uint8_t *)src + *done;
		size_t n;

		pthread_mutex_lock(&f->lock);
		rc = move_step(f, fd, page_at(f, (uint8_t *)dst + *done),
			       (len - *done) / GUEST_PAGE_SIZE, from, &n);
		if (!rc) {
			memset(from, 0, n * GUEST_PAGE_SIZE);
			*done += n * GUEST_PAGE_SIZE;
		}
		pthread_mutex_unlock(&f->lock);
	}
	return rc;
}

static int poison_step(struct fake_ram *f, int fd, size_t page)
{
	if (f->uffd != fd || !f->registered[page])
		return -ENOENT;
	if (ram_is_huge(f->ram, page * GUEST_PAGE_SIZE))
		return -EINVAL;
	if (f->page[page] != FAKE_MISSING)
		return -EEXIST;
	f->page[page] = FAKE_LOST;
	fake_ram_wake(f, page, 1);
	return 0;
}

int __wrap_uffd_poison(int fd, void *dst, size_t len, size_t *done)
{
	struct fake_ram *f = fake_ram_at(dst);
	int rc = -fake_fails(FAKE_UFFD_POISON);

	*done = 0;
	if (!f)
		return -EINVAL;
	while (*done < len && !rc) {
		pthread_mutex_lock(&f->lock);
		rc = poison_step(f, fd, page_at(f, (uint8_t *)dst + *done));
		pthread_mutex_unlock(&f->lock);
		*done += rc ? 0 : GUEST_PAGE_SIZE;
	}
	return rc;
}

void __wrap_uffd_wake(int fd, void *addr, size_t len)
{
	struct fake_ram *f = fake_ram_at(addr);

	(void)fd;
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	fake_ram_wake(f, page_at(f, addr), len / GUEST_PAGE_SIZE);
	pthread_mutex_unlock(&f->lock);
}

static bool take_event(struct fake_ram *f, struct uffd_fault *out)
{
	for (struct fake_waiter *w = f->waiters; w; w = w->next) {
		if (w->was_read || w->woken)
			continue;
		w->was_read = true;
		*out = (struct uffd_fault){
			.addr = (uintptr_t)f->base + w->page * GUEST_PAGE_SIZE,
			.tid = w->tid,
		};
		return true;
	}
	return false;
}

int __wrap_uffd_read(int fd, struct uffd_fault *out, int max)
{
	struct fake_ram *f = fake_ram_of_uffd(fd);
	int rc = -fake_fails(FAKE_UFFD_READ), n = 0;
	uint64_t events;

	if (rc || !f)
		return rc;
	if (max > READ_MAX)
		max = READ_MAX;
	pthread_mutex_lock(&f->lock);
	while (n < max && take_event(f, &out[n]))
		n++;
	/* All were read: not readable any more */
	if (n < max && read(fd, &events, sizeof(events)) < 0 &&
	    errno != EAGAIN)
		n = -errno;
	pthread_mutex_unlock(&f->lock);
	return n;
}
