// SPDX-License-Identifier: MIT
/*
 * poison-access.c - Which accesses to poison raise SIGBUS
 *
 * Man page: "Future accesses to these addresses will raise a SIGBUS signal."
 * poison-sigbus shows plain reads and writes. Here: instruction fetch, atomic
 * read-modify-write, an access of which only the end lies in the poison. A
 * prefetch is no access: it raises nothing.
 */
#include "ktest.h"

#define AR_LSB	12	/* si_addr_lsb of BUS_MCEERR_AR: log2 of the page */

/* One good page of @fill at m->addr, poison at m->addr + PAGE */
static int stage(struct mapping *m, int fill)
{
	int uffd = uffd_missing(m);

	EXPECT(0, uffd_copy(uffd, m->addr, fill));
	EXPECT(0, uffd_poison(uffd, m->addr + PAGE, PAGE));
	return uffd;
}

static void check_bus(const char *what, struct touch t,
		      const unsigned char *page)
{
	CHECK(t.signo == SIGBUS, "%s: no SIGBUS", what);
	CHECK((t.code == BUS_MCEERR_AR && t.lsb == AR_LSB) ||
	      t.code == BUS_ADRERR, "%s: si_code %d, lsb %d", what, t.code,
	      t.lsb);
	CHECK((unsigned char *)t.addr >= page &&
	      (unsigned char *)t.addr < page + PAGE, "%s: si_addr %p is not in "
	      "the poisoned page at %p", what, t.addr, (void *)page);
	NOTE("si_code %s", t.code == BUS_MCEERR_AR ? "BUS_MCEERR_AR" :
	     "BUS_ADRERR");
}

static void by_call(void *addr)
{
	union {
		void *data;
		void (*code)(void);
	} target = { .data = addr };

	target.code();
}

static void make_executable(struct mapping *m)
{
	if (mprotect(m->addr, m->len, PROT_READ | PROT_WRITE | PROT_EXEC))
		SKIP("mprotect PROT_EXEC: %m: a security policy forbids it");
}

static void fetch(struct mapping *m)
{
	stage(m, 0xc3);		/* RET, as far as the page goes */
	make_executable(m);
	CHECK(!touch_by(by_call, m->addr).signo, "a good page can't be run");
	check_bus("call", touch_by(by_call, m->addr + PAGE), m->addr + PAGE);
	check_bus("call of the page's last byte",
		  touch_by(by_call, m->addr + 2 * PAGE - 1), m->addr + PAGE);
	CHECK(!touch_by(by_call, m->addr).signo, "the good page was hit, too");
}

/* The first byte of MOV EAX, imm32 is the last of the good page */
static void fetch_across(struct mapping *m)
{
	stage(m, 0xc3);
	make_executable(m);
	m->addr[PAGE - 1] = 0xb8;
	check_bus("fetch", touch_by(by_call, m->addr + PAGE - 1),
		  m->addr + PAGE);
}

static void by_add(void *addr)
{
	__atomic_fetch_add((uint64_t *)addr, 1, __ATOMIC_SEQ_CST);
}

static void by_xadd(void *addr)
{
	uint64_t value = 1;

	__asm__ volatile("lock xaddq %0, %1"
			 : "+r"(value), "+m"(*(uint64_t *)addr) : : "memory");
}

static void by_exchange(void *addr)
{
	__atomic_exchange_n((uint32_t *)addr, 1, __ATOMIC_SEQ_CST);
}

/* It compares first, and differs: nothing is to be written */
static void by_compare(void *addr)
{
	uint64_t other = 0xdeadbeef;

	__atomic_compare_exchange_n((uint64_t *)addr, &other, 1, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void atomic(struct mapping *m)
{
	static const struct {
		const char *name;
		void (*access)(void *addr);
	} ops[] = {
		{ "atomic add", by_add }, { "lock xadd", by_xadd },
		{ "xchg", by_exchange }, { "lock cmpxchg", by_compare },
	};

	stage(m, 0);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		CHECK(!touch_by(ops[i].access, m->addr).signo,
		      "%s: SIGBUS on a good page", ops[i].name);
		check_bus(ops[i].name,
			  touch_by(ops[i].access, m->addr + PAGE + 64),
			  m->addr + PAGE);
	}
}

static void by_load(void *addr)
{
	uint64_t value;

	__asm__ volatile("movq %1, %0" : "=r"(value)
			 : "m"(*(uint64_t *)addr) : "memory");
}

static void across(struct mapping *m)
{
	stage(m, 0x42);
	CHECK(!touch_by(by_load, m->addr + PAGE - 8).signo,
	      "SIGBUS for the last 8 bytes of the good page");
	check_bus("8 bytes, the last of them in the poison",
		  touch_by(by_load, m->addr + PAGE - 7), m->addr + PAGE);
}

static void by_prefetch(void *addr)
{
	__builtin_prefetch(addr, 0, 3);
	__builtin_prefetch(addr, 1, 3);
	__builtin_prefetch(addr, 0, 0);
}

static void prefetch(struct mapping *m)
{
	int uffd = stage(m, 0x42);

	CHECK(!touch_by(by_prefetch, m->addr + PAGE).signo, "SIGBUS");
	CHECK(!touch_by(by_prefetch, m->addr + 2 * PAGE).signo,
	      "SIGBUS for a missing page");
	CHECK(uffd_quiet(uffd), "it raised a page fault event");
	CHECK(poisoned(m->addr + PAGE), "the poison is gone");
}

static const struct kcase cases[] = {
	{ "fetch", "an instruction fetch raises SIGBUS", fetch, ON_BOTH },
	{ "fetch-across", "so does one of an instruction that only ends there",
	  fetch_across, ON_BOTH },
	{ "atomic", "an atomic read-modify-write raises SIGBUS", atomic,
	  ON_BOTH },
	{ "across", "a read that only ends there raises SIGBUS, si_addr in the "
	  "poisoned page", across, ON_BOTH },
	{ "prefetch", "a prefetch raises neither SIGBUS nor a page fault event",
	  prefetch, ON_BOTH },
};

KTEST_MAIN(cases)
