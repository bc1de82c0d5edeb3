// SPDX-License-Identifier: MIT
/* x86_cpuid_compare.c - Find what a guest's processor has and a host lacks */

#include <stdarg.h>
#include <stdio.h>

#include "x86_cpuid.h"

#define FEATURES_MORE	", and 999 more"	/* room to count the rest */

/* The text of cpuid_lacks(). @more counts items that did not fit */
struct lack_list {
	char *text;
	size_t size, len;
	unsigned items, more;
};

__attribute__((format(printf, 2, 3)))
static void lack_add(struct lack_list *l, const char *fmt, ...)
{
	char item[128];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(item, sizeof(item), fmt, ap);
	va_end(ap);
	l->items++;
	if (l->more || n < 0 ||
	    l->len + (size_t)n + sizeof(FEATURES_MORE) > l->size) {
		l->more++;
		return;
	}
	l->len += (size_t)snprintf(l->text + l->len, l->size - l->len, "%s",
				   item);
}

static void lack_finish(struct lack_list *l)
{
	if (l->more)
		snprintf(l->text + l->len, l->size - l->len, ", and %u more",
			 l->more < 999 ? l->more : 999);
}

static const struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid_table *t,
					   uint32_t function, uint32_t index)
{
	static const struct kvm_cpuid_entry2 none;
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, function, index);

	return e ? e : &none;
}

static uint32_t value(const struct kvm_cpuid_entry2 *e, enum cpuid_reg reg)
{
	switch (reg) {
	case CPUID_EAX:
		return e->eax;
	case CPUID_EBX:
		return e->ebx;
	case CPUID_ECX:
		return e->ecx;
	default:
		return e->edx;
	}
}

/* The text before a register's bits: "; CPUID 0x7 EBX: " */
static void lack_head(const struct lack_list *l, const struct cpuid_word *w,
		      char *text, size_t size)
{
	static const char reg[CPUID_REGS][4] = { "EAX", "EBX", "ECX", "EDX" };
	char index[16] = "";

	if (w->index)
		snprintf(index, sizeof(index), ".%u", w->index);
	snprintf(text, size, "%sCPUID 0x%x%s %s: ", l->items ? "; " : "",
		 w->leaf, index, reg[w->reg]);
}

/*
 * AMD's leaf 0x80000001 repeats these features of leaf 1 in EDX (APM vol. 3).
 * Intel's has them clear, whatever the processor has
 */
#define REPEATED	0x0183f3ffu

static uint32_t offered(const struct cpuid_word *w,
			struct kvm_cpuid_table *have)
{
	uint32_t v = value(leaf(have, w->leaf, w->index), w->reg);

	if (w->leaf == 0x80000001 && w->reg == CPUID_EDX)
		v |= leaf(have, 1, 0)->edx & REPEATED;
	return v;
}

static void check_word(struct lack_list *l, const struct cpuid_word *w,
		       struct kvm_cpuid_table *want,
		       struct kvm_cpuid_table *have)
{
	uint32_t lack = value(leaf(want, w->leaf, w->index), w->reg) &
			~offered(w, have);
	char before[48];

	lack_head(l, w, before, sizeof(before));
	for (unsigned bit = 0; bit < 32; bit++) {
		if (!(lack & 1u << bit))
			continue;
		if (w->name[bit])
			lack_add(l, "%s%s (bit %u)", before, w->name[bit], bit);
		else
			lack_add(l, "%sbit %u", before, bit);
		snprintf(before, sizeof(before), ", ");
	}
}

/* Without the leaf the width is 36 or 32 (AMD APM vol. 3) */
static unsigned address_width(struct kvm_cpuid_table *t, unsigned shift,
		      unsigned otherwise)
{
	unsigned bits = leaf(t, 0x80000008, 0)->eax >> shift & 0xff;

	return bits ? bits : otherwise;
}

static void check_width(struct lack_list *l, const char *what, unsigned want,
			unsigned have)
{
	if (want > have)
		lack_add(l, "%sCPUID 0x80000008 EAX: %s addresses of %u bits, where this host has %u",
		    l->items ? "; " : "", what, want, have);
}

/* KVM's area has the layout of the host's processor */
static void check_xsave(struct lack_list *l, struct kvm_cpuid_table *want,
			struct kvm_cpuid_table *have)
{
	uint32_t both = leaf(want, 0xd, 0)->eax & leaf(have, 0xd, 0)->eax;

	for (unsigned i = 2; i < 32; i++) {
		const struct kvm_cpuid_entry2 *w = leaf(want, 0xd, i);
		const struct kvm_cpuid_entry2 *h = leaf(have, 0xd, i);

		if (!(both & 1u << i) ||
		    (w->eax == h->eax && w->ebx == h->ebx))
			continue;
		lack_add(l, "%sCPUID 0xd.%u: %s has %u bytes at %u in the XSAVE area, where this host has %u at %u",
		    l->items ? "; " : "", i, cpuid_xsave_name(i), w->eax,
		    w->ebx, h->eax, h->ebx);
	}
}

static void check_number(struct lack_list *l, const char *what,
			 uint32_t want, uint32_t have)
{
	if (want > have)
		lack_add(l, "%sCPUID 0xa: %s %u, where this host has %u",
			 l->items ? "; " : "", what, want, have);
}

/*
 * Architectural performance monitoring (SDM vol. 2, leaf 0xA). EBX: a bit that
 * is clear is an event that can be counted, for the first EAX 31:24 bits
 */
static void check_pmu(struct lack_list *l, struct kvm_cpuid_table *want,
		      struct kvm_cpuid_table *have)
{
	const struct kvm_cpuid_entry2 *w = leaf(want, 0xa, 0);
	const struct kvm_cpuid_entry2 *h = leaf(have, 0xa, 0);
	const uint32_t known_w = (uint32_t)((1ull << (w->eax >> 24 & 31)) - 1);
	const uint32_t known_h = (uint32_t)((1ull << (h->eax >> 24 & 31)) - 1);
	const uint32_t events = known_w & ~w->ebx & ~(known_h & ~h->ebx);

	if (!(w->eax & 0xff))
		return;
	check_number(l, "version", w->eax & 0xff, h->eax & 0xff);
	check_number(l, "counters", w->eax >> 8 & 0xff, h->eax >> 8 & 0xff);
	check_number(l, "bits of a counter", w->eax >> 16 & 0xff,
		     h->eax >> 16 & 0xff);
	check_number(l, "fixed counters", w->edx & 0x1f, h->edx & 0x1f);
	check_number(l, "bits of a fixed counter", w->edx >> 5 & 0xff,
		     h->edx >> 5 & 0xff);
	if (events)
		lack_add(l, "%sCPUID 0xa EBX: events 0x%x",
			 l->items ? "; " : "", events);
	if (w->ecx & ~h->ecx)
		lack_add(l, "%sCPUID 0xa ECX: fixed counters 0x%x",
			 l->items ? "; " : "", w->ecx & ~h->ecx);
}

bool cpuid_lacks(struct kvm_cpuid_table *want, struct kvm_cpuid_table *have,
		 char *text, size_t size)
{
	struct lack_list l = { .text = text, .size = size };

	text[0] = 0;
	for (const struct cpuid_word *w = cpuid_words; w->leaf; w++)
		check_word(&l, w, want, have);
	check_width(&l, "physical", address_width(want, 0, 36),
		    address_width(have, 0, 36));
	check_width(&l, "linear", address_width(want, 8, 32),
		    address_width(have, 8, 32));
	check_xsave(&l, want, have);
	check_pmu(&l, want, have);
	lack_finish(&l);
	return l.items;
}

#define ARCH_CAP_RSBA		(1ull << 2)
#define ARCH_CAP_RRSBA		(1ull << 19)
#define PERF_CAP_LBR_FMT	0x3full
#define PERF_CAP_PEBS_FMT	0xf00ull

uint64_t arch_capabilities_lack(uint64_t want, uint64_t have)
{
	const uint64_t bugs = ARCH_CAP_RSBA | ARCH_CAP_RRSBA;

	return (want & ~have & ~bugs) | (have & ~want & bugs);
}

static uint64_t format_lack(uint64_t want, uint64_t have, uint64_t mask)
{
	return want & mask ? (want ^ have) & mask : 0;
}

uint64_t perf_capabilities_lack(uint64_t want, uint64_t have)
{
	const uint64_t formats = PERF_CAP_LBR_FMT | PERF_CAP_PEBS_FMT;

	return (want & ~have & ~formats) |
	       format_lack(want, have, PERF_CAP_LBR_FMT) |
	       format_lack(want, have, PERF_CAP_PEBS_FMT);
}
