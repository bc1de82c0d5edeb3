// SPDX-License-Identifier: MIT
/*
 * test_uffd.c - Registered memory that does not offer what Ferry needs
 *
 * No kernel at hand withholds UFFDIO_POISON from a range. So the test stands
 * between Ferry and the kernel: its own ioctl() takes bits out of what
 * UFFDIO_API and UFFDIO_REGISTER return.
 */

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit.h"

#include "vmm/base/page.h"
#include "vmm/memory/uffd.h"

#define PAGE		GUEST_PAGE_SIZE
#define OP_POISON	8			/* _UFFDIO_POISON, Linux 6.6 */
#define FEATURE_POISON	((uint64_t)1 << 14)
#define BIT(op)		((uint64_t)1 << (op))
#define ALL		(BIT(_UFFDIO_WAKE) | BIT(_UFFDIO_COPY) | \
			 BIT(_UFFDIO_ZEROPAGE) | BIT(_UFFDIO_CONTINUE) | \
			 BIT(OP_POISON))

/* What the kernel is made to withhold */
static uint64_t hide_features, hide_ioctls;

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int rc;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	rc = (int)syscall(SYS_ioctl, fd, request, arg);
	if (!rc && request == UFFDIO_API)
		((struct uffdio_api *)arg)->features &= ~hide_features;
	if (!rc && request == UFFDIO_REGISTER)
		((struct uffdio_register *)arg)->ioctls &= ~hide_ioctls;
	return rc;
}

static void mask_decides(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(uffd_check_ioctls(ALL, UFFD_MISSING | UFFD_MINOR,
					   true, &err), 0);
	assert_int_equal(uffd_check_ioctls(ALL & ~BIT(_UFFDIO_CONTINUE),
					   UFFD_MISSING, true, &err), 0);
	assert_int_equal(uffd_check_ioctls(ALL & ~BIT(_UFFDIO_ZEROPAGE),
					   UFFD_MISSING, true, &err), 0);
	assert_int_equal(uffd_check_ioctls(ALL & ~BIT(OP_POISON),
					   UFFD_MISSING, false, &err), 0);
	assert_int_equal(uffd_check_ioctls(ALL & ~BIT(_UFFDIO_COPY),
					   UFFD_MINOR, true, &err), 0);
	assert_int_equal(err.code, 0);
}

static void missing_operation_is_named(void **state)
{
	static const struct {
		unsigned op;
		const char *name;
	} ops[] = {
		{ OP_POISON, "UFFDIO_POISON" }, { _UFFDIO_COPY, "UFFDIO_COPY" },
		{ _UFFDIO_CONTINUE, "UFFDIO_CONTINUE" },
		{ _UFFDIO_WAKE, "UFFDIO_WAKE" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct error err = { 0 };
		int rc = uffd_check_ioctls(ALL & ~BIT(ops[i].op),
					   UFFD_MISSING | UFFD_MINOR, true,
					   &err);

		assert_refused(rc, ENOTSUP, err, ops[i].name);
		assert_refused(rc, ENOTSUP, err, "--ram");
	}
}

/** struct range - Memory and a userfaultfd for it */
struct range {
	int fd;
	void *addr;
};

static struct range range_new(bool need_poison)
{
	struct error err = { 0 };
	struct range r = { .fd = uffd_open(need_poison, &err) };

	if (r.fd < 0)
		fail_msg("%s", err.text);
	r.addr = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(r.addr, MAP_FAILED);
	return r;
}

static void range_free(struct range *r)
{
	close(r->fd);
	munmap(r->addr, PAGE);
	hide_features = 0;
	hide_ioctls = 0;
}

static void register_refuses_without_poison(void **state)
{
	struct range r = range_new(true);
	struct error err = { 0 };
	size_t done;

	(void)state;
	hide_ioctls = BIT(OP_POISON);
	assert_refused(uffd_register(r.fd, r.addr, PAGE, UFFD_MISSING, &err),
		       ENOTSUP, err, "UFFDIO_POISON");
	/* And the range is not left registered: a touch would wait for ever */
	assert_int_equal(uffd_zero(r.fd, r.addr, PAGE, &done), -ENOENT);
	range_free(&r);
}

static void register_refuses_without_copy(void **state)
{
	struct range r = range_new(true);
	struct error err = { 0 };

	(void)state;
	hide_ioctls = BIT(_UFFDIO_COPY);
	assert_refused(uffd_register(r.fd, r.addr, PAGE, UFFD_MISSING, &err),
		       ENOTSUP, err, "UFFDIO_COPY");
	range_free(&r);
}

/* Linux before 6.6: a destination that can't poison still can take a guest */
static void register_accepts_an_older_kernel(void **state)
{
	struct error err = { 0 };
	struct range r;
	size_t done;

	(void)state;
	hide_features = FEATURE_POISON;
	hide_ioctls = BIT(OP_POISON);
	r = range_new(false);
	assert_int_equal(uffd_register(r.fd, r.addr, PAGE, UFFD_MISSING, &err),
			 0);
	assert_int_equal(uffd_zero(r.fd, r.addr, PAGE, &done), 0);
	range_free(&r);
}

static void register_accepts_this_kernel(void **state)
{
	struct range r = range_new(true);
	struct error err = { 0 };
	size_t done;

	(void)state;
	assert_int_equal(uffd_register(r.fd, r.addr, PAGE, UFFD_MISSING, &err),
			 0);
	assert_int_equal(uffd_poison(r.fd, r.addr, PAGE, &done), 0);
	range_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mask_decides),
		cmocka_unit_test(missing_operation_is_named),
		cmocka_unit_test(register_refuses_without_poison),
		cmocka_unit_test(register_refuses_without_copy),
		cmocka_unit_test(register_accepts_an_older_kernel),
		cmocka_unit_test(register_accepts_this_kernel),
	};

	return cmocka_run_group_tests_name("uffd", tests, NULL, NULL);
}
