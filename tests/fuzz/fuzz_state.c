// SPDX-License-Identifier: MIT
/*
 * fuzz_state.c - State that a peer sends, as far as Ferry itself checks it
 *
 * The first byte chooses the parser: parts in parts, the poison list, device
 * sections, latency statistics. KVM checks what is handed to KVM.
 */

#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "migration/query.h"
#include "vmm/base/bytes.h"
#include "vmm/devices/bus.h"
#include "vmm/memory/poison.h"

/* Parts in parts never reach outside of the one that they are in */
static void nested(struct reader *r, unsigned depth)
{
	while (!r->failed && r->pos < r->len) {
		const uint8_t *from = r->data + r->pos;
		struct reader part = get_part(r);

		CHECK(r->pos <= r->len);
		if (part.failed) {
			CHECK(r->failed && !part.len);
			return;
		}
		CHECK(part.data >= from + 4 &&
		      part.data + part.len == r->data + r->pos);
		if (depth < 20)
			nested(&part, depth + 1);
		get_u64(&part);
		CHECK(part.pos <= part.len);
	}
}

/* Every byte of the entry is in the list, with the entry's flag */
static void check_listed(struct poison_list *l, const struct poison *p)
{
	struct poison first, last;

	CHECK(poison_find(l, p->gpa, &first));
	CHECK(poison_find(l, p->gpa + p->size - 1, &last));
	CHECK(first.gpa == last.gpa && first.delivered == p->delivered);
}

/* The list merges neighbours: it may be shorter, but covers the same bytes */
static void poison_again(const struct poison *p, int n)
{
	struct poison_list l;
	struct error err = { 0 };
	struct writer w = { 0 };
	uint64_t bytes = 0;
	struct poison *out;
	struct reader r;
	int kept;

	poison_init(&l);
	for (int i = 0; i < n; i++)
		CHECK(poison_add(&l, &p[i]) == 1);
	kept = poison_copy(&l, &out);
	CHECK(kept <= n && !kept == !n);
	poison_save(out, (size_t)kept, &w);
	free(out);
	r = (struct reader){ .data = w.data, .len = w.len };
	CHECK(poison_parse(&r, &out, &err) == kept && reader_done(&r));
	for (int i = 0; i < kept; i++)
		bytes += out[i].size;
	for (int i = 0; i < n; i++) {
		check_listed(&l, &p[i]);
		bytes -= p[i].size;
	}
	CHECK(!bytes);
	free(out);
	writer_free(&w);
	poison_fini(&l);
}

static void poison(struct reader *r)
{
	struct error err = { 0 };
	struct poison *p;
	int n = poison_parse(r, &p, &err);

	if (n < 0) {
		CHECK((n == -EBADMSG || n == -ENOMEM) && !p && err.text[0]);
		return;
	}
	poison_again(p, n);
	free(p);
}

static void ignore_irq(void *ctx, unsigned irq, bool level)
{
	(void)ctx;
	(void)irq;
	(void)level;
}

/* The devices whose state is not KVM's to check */
static void open_bus(struct bus *b)
{
	const struct device_env env = { .irq = ignore_irq };
	struct device_list all, l = { 0 };
	struct error err = { 0 };

	device_list_default(&all);
	for (unsigned i = 0; i < all.n; i++)
		if (all.entry[i].ops->compatible)
			CHECK(!device_list_add(&l, &all.entry[i]));
	CHECK(!bus_create(b, &l, &env, &err));
}

/* What is accepted is saved as the same bytes */
static void devices(struct reader *r)
{
	const uint8_t *from = r->data + r->pos;
	struct error err = { 0 };
	struct writer w = { 0 };
	struct bus b;
	int rc;

	open_bus(&b);
	rc = bus_load(&b, r, &err);
	CHECK(!rc || (rc == -EBADMSG && err.text[0]));
	if (!rc) {
		CHECK(!bus_save(&b, &w, &err));
		CHECK(from + w.len == r->data + r->pos);
		CHECK(!memcmp(w.data, from, w.len));
	}
	writer_free(&w);
	bus_destroy(&b);
}

static void ignore_status(void *ctx, enum progress_status status)
{
	(void)ctx;
	(void)status;
}

static void latency(struct reader *r)
{
	static struct progress p;
	json_t *info;

	memset(&p, 0, sizeof(p));
	progress_init(&p, ignore_status, NULL);
	progress_begin(&p, true);
	p.vcpus = 2;
	CHECK(progress_get_latency(&p, r) <= 0);
	info = query_migrate(&p);
	CHECK(info);
	json_decref(info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = { .data = data, .len = size };

	switch (get_u8(&r) % 4) {
	case 0:
		nested(&r, 0);
		break;
	case 1:
		poison(&r);
		break;
	case 2:
		devices(&r);
		break;
	default:
		latency(&r);
	}
	return 0;
}

static void seed_parts(struct writer *w)
{
	size_t a = put_open(w), b = put_open(w);

	put_bytes(w, "inner", 5);
	put_close(w, b);
	put_close(w, a);
	put_close(w, put_open(w));
}

static void seed_poison(struct writer *w)
{
	put_u32(w, 3);
	for (unsigned k = 1; k < 4; k++) {
		put_u64(w, k * 0x2000);
		put_u64(w, 0x1000);
		put_u8(w, k & 1);
	}
}

static void seed_devices(struct writer *w)
{
	struct bus b;

	open_bus(&b);
	CHECK(!bus_save(&b, w, NULL));
	bus_destroy(&b);
}

static void seed_latency(struct writer *w)
{
	put_u32(w, 2);
	for (unsigned k = 0; k < 4 * 5; k++)
		put_u64(w, 1000 * k);
}

size_t fuzz_seed(unsigned i, uint8_t *to)
{
	static void (*const make[])(struct writer *) = {
		seed_parts, seed_poison, seed_devices, seed_latency,
	};
	struct writer w = { 0 };
	size_t n;

	if (i >= ARRAY_SIZE(make))
		return 0;
	put_u8(&w, (uint8_t)i);
	make[i](&w);
	n = w.len;
	memcpy(to, w.data, n);
	writer_free(&w);
	return n;
}
