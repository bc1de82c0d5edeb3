// SPDX-License-Identifier: MIT
/* rig.c - A machine with an observer, for tests */

#include <fcntl.h>
#include <libgen.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"
#include "vmm/cpu/x86_regs.h"
#include "vmm/boot/boot.h"
#include "vmm/cpu/x86_cpuid.h"
#include "vmm/machine/vcpu.h"

static char guest_path[4096], ring0_path[4096];

void rig_check_kvm(const char *argv0)
{
	const char *guest = getenv("FERRY_GUEST");
	char dir[4000];
	int fd;

	snprintf(dir, sizeof(dir), "%s", argv0);
	dirname(dir);
	snprintf(ring0_path, sizeof(ring0_path), "%s/ring0.elf", dir);
	if (guest)
		snprintf(guest_path, sizeof(guest_path), "%s", guest);
	else
		snprintf(guest_path, sizeof(guest_path),
			 "%s/../../guest.elf", dir);

	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		printf("skip: cannot open /dev/kvm: %m\n");
		exit(77);
	}
	close(fd);
}

const char *rig_guest(void)
{
	return guest_path;
}

const char *rig_ring0(void)
{
	return ring0_path;
}

static void on_status(void *ctx, struct run_status s)
{
	struct rig *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->status = s;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void on_failure(void *ctx, const struct memory_failure *f)
{
	struct rig *r = ctx;

	pthread_mutex_lock(&r->lock);
	if (r->failures < RIG_FAILURES)
		r->failure[r->failures++] = *f;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void on_exit_status(void *ctx, int status)
{
	struct rig *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->exited = true;
	r->exit_status = status;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void on_panic(void *ctx, bool paused)
{
	struct rig *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->panics += paused;
	r->crash_loads += !paused;
	pthread_mutex_unlock(&r->lock);
}

static void on_reset(void *ctx)
{
	struct rig *r = ctx;

	pthread_mutex_lock(&r->lock);
	r->resets_asked++;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void on_was_reset(void *ctx, enum reset_cause cause)
{
	struct rig *r = ctx;

	r->was_reset = cause;
}

static void on_output(void *ctx, const uint8_t *data, size_t n)
{
	struct rig *r = ctx;

	pthread_mutex_lock(&r->lock);
	if (r->len + n >= r->cap) {
		r->cap = 2 * (r->cap + n) + 1;
		r->out = realloc(r->out, r->cap);
		if (!r->out)
			abort();
	}
	for (size_t i = 0; i < n; i++) {
		r->out[r->len++] = (char)data[i];
		r->lines += data[i] == '\n';
	}
	r->out[r->len] = 0;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

struct machine_observer rig_observer(struct rig *r)
{
	return (struct machine_observer){
		.ctx = r, .status = on_status, .failure = on_failure,
		.exit = on_exit_status, .panic = on_panic,
		.reset = on_reset, .was_reset = on_was_reset,
		.output = on_output,
	};
}

struct rig *rig_new(unsigned mib, unsigned cpus, enum ram_backing backing,
		    const char *vendor, const char *args)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct error err = { 0 };

	assert_non_null(r);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	r->out = calloc(1, 1);
	r->cfg.memory = mib * MIB;
	r->cfg.cpus = cpus;
	r->cfg.backing = backing;
	device_list_default(&r->cfg.devices);
	device_list_add(&r->cfg.devices,
			&(struct device_config){ .ops = &debug_exit_ops });
	/* The test guest reports each second; the last value of an argument has
	 * effect. Other images take their arguments as they are
	 */
	snprintf(r->cfg.bootargs, sizeof(r->cfg.bootargs), "%s%s",
		 strstr(args, "work=") ? "interval_ms=1000 " : "", args);
	if (machine_config_host(&r->cfg, "host", vendor, &err))
		fail_msg("%s", err.text);
	return r;
}

void rig_build(struct rig *r)
{
	struct machine_observer obs = rig_observer(r);
	struct error err = { 0 };

	r->m = machine_new(&r->cfg, &obs, &err);
	if (!r->m)
		fail_msg("%s", err.text);
}

void rig_boot(struct rig *r, const char *image)
{
	struct error err = { 0 };

	rig_build(r);
	if (boot_load(r->m, image, NULL, &err))
		fail_msg("%s", err.text);
	rig_run(r);
}

void rig_run(struct rig *r)
{
	struct error err = { 0 };

	if (machine_run(r->m, WHY_UNPAUSED, &err))
		fail_msg("%s", err.text);
}

void rig_free(struct rig *r)
{
	machine_free(r->m);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r->out);
	free(r);
}

static struct timespec deadline(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += RIG_SECONDS;
	return t;
}

/* Wait, under the lock, for a change. What for is named if none comes */
static void next_change(struct rig *r, const struct timespec *until,
			const char *what)
{
	size_t from;
	int rc = pthread_cond_timedwait(&r->changed, &r->lock, until);

	if (!rc)
		return;
	from = r->len > 1500 ? r->len - 1500 : 0;
	print_error("the guest's output ends in:\n%s\n", r->out + from);
	pthread_mutex_unlock(&r->lock);
	fail_msg("waited %d s without result for %s", RIG_SECONDS, what);
}

void rig_type(struct rig *r, const char *line)
{
	size_t n = strlen(line) + 1, done = 0;
	char text[1024];

	assert_true(n < sizeof(text));
	snprintf(text, sizeof(text), "%s\n", line);
	for (int ms = 0; done < n; ms++) {
		done += machine_serial_input(r->m, (uint8_t *)text + done,
					     n - done);
		if (ms > RIG_SECONDS * 1000)
			fail_msg("the guest doesn't read its serial port");
		usleep(1000);
	}
}

size_t rig_wait(struct rig *r, size_t from, const char *text)
{
	struct timespec until = deadline();
	const char *at;
	size_t where;

	pthread_mutex_lock(&r->lock);
	while (!(at = strstr(r->out + from, text)) || !strchr(at, '\n'))
		next_change(r, &until, text);
	where = (size_t)(at - r->out);
	pthread_mutex_unlock(&r->lock);
	return where;
}

void rig_lines(struct rig *r, unsigned n)
{
	struct timespec until = deadline();

	pthread_mutex_lock(&r->lock);
	while (r->lines < n && !r->exited)
		next_change(r, &until, "another line");
	pthread_mutex_unlock(&r->lock);
}

int rig_exit(struct rig *r)
{
	struct timespec until = deadline();
	int status;

	pthread_mutex_lock(&r->lock);
	while (!r->exited)
		next_change(r, &until, "the guest's end");
	status = r->exit_status;
	pthread_mutex_unlock(&r->lock);
	return status;
}

void rig_state(struct rig *r, enum run_state state)
{
	struct timespec until = deadline();

	pthread_mutex_lock(&r->lock);
	while (r->status.state != state)
		next_change(r, &until, "a run state");
	pthread_mutex_unlock(&r->lock);
}

struct memory_failure rig_failure(struct rig *r, unsigned n)
{
	struct timespec until = deadline();
	struct memory_failure f;

	assert_true(n < RIG_FAILURES);
	pthread_mutex_lock(&r->lock);
	while (r->failures <= n)
		next_change(r, &until, "a memory failure");
	f = r->failure[n];
	pthread_mutex_unlock(&r->lock);
	return f;
}

uint64_t rig_number(struct rig *r, size_t at, const char *key)
{
	char want[40], *p, *end;
	uint64_t v = 0;

	snprintf(want, sizeof(want), " %s=", key);
	pthread_mutex_lock(&r->lock);
	p = strstr(r->out + at, want);
	end = strchr(r->out + at, '\n');
	if (p && p < end)
		v = strtoull(p + strlen(want), NULL, 0);
	pthread_mutex_unlock(&r->lock);
	if (!p || p >= end)
		fail_msg("no '%s' in the line at %zu", want, at);
	return v;
}

/* SDM vol. 1, 13.4: where in an XSAVE area what is, beside CPUID's own */
#define XSAVE_FCW	0
#define XSAVE_MXCSR	24
#define XSAVE_XMM	160
#define XSAVE_XMM_BYTES	256
#define XSAVE_BV	512
#define XFEATURE_AVX	2
#define XFEATURE_PKRU	9

static void put_le(uint8_t *to, uint64_t v, unsigned bytes)
{
	memcpy(to, &v, bytes);
}

/* KVM wants a component named in XSTATE_BV, else it is in its first state */
static void fill_component(struct kvm_cpuid_table *t, uint8_t *area,
			   unsigned component, unsigned seed)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, 0xd, component);

	for (uint32_t i = 0; e && i < e->eax; i++)
		area[e->ebx + i] = i < 4 || component == XFEATURE_AVX ?
				   (uint8_t)(seed * 16 + component + i) : 0;
}

static void fill_xsave(struct vcpu *v)
{
	struct machine *m = v->m;
	const struct kvm_cpuid_entry2 *e = cpuid_find(&m->cfg.arch.cpuid, 0xd, 0);
	const uint64_t all = e ? e->eax : 0;
	uint64_t used = 3 | (all & (1 << XFEATURE_AVX | 1 << XFEATURE_PKRU));
	struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs = { { .value = all } } };
	uint8_t *area = calloc(1, m->kvm.xsave_size);

	assert_non_null(area);
	put_le(area + XSAVE_FCW, 0x27f, 2);
	put_le(area + XSAVE_MXCSR, 0x1fa0, 4);
	put_le(area + XSAVE_BV, used, 8);
	for (unsigned i = 0; i < XSAVE_XMM_BYTES; i++)
		area[XSAVE_XMM + i] = (uint8_t)(v->index * 16 + i + 1);
	for (unsigned i = XFEATURE_AVX; i <= XFEATURE_PKRU; i++)
		if (used & 1u << i)
			fill_component(&m->cfg.arch.cpuid, area, i, v->index);
	if (all)
		assert_int_equal(ioctl(v->fd, KVM_SET_XCRS, &x), 0);
	assert_int_equal(ioctl(v->fd, KVM_SET_XSAVE, area), 0);
	free(area);
}

void rig_fill_registers(struct rig *r)
{
	for (unsigned i = 0; i < r->m->cfg.cpus; i++) {
		struct vcpu *v = &r->m->vcpu[i];
		struct kvm_debugregs d = {
			.db = { 0x1000 + i, 0x2000 + i, 0x3000 + i, 0x4000 + i },
			.dr6 = 0xffff0ff1, .dr7 = 0x400,
		};
		struct {		/* struct kvm_msrs with one entry */
			uint32_t nmsrs, pad;
			struct kvm_msr_entry entry;
		} q = { .nmsrs = 1, .entry = { .index = MSR_KERNEL_GS_BASE,
					       .data = 0x123456789000 + i } };

		fill_xsave(v);
		assert_int_equal(ioctl(v->fd, KVM_SET_DEBUGREGS, &d), 0);
		assert_int_equal(ioctl(v->fd, KVM_SET_MSRS, &q), 1);
	}
}

bool rig_pause(struct rig *r)
{
	struct error err = { 0 };
	int rc = machine_pause(r->m, RUN_PAUSED, WHY_USER, &err);

	if (rc && rc != -ECANCELED)
		fail_msg("%s", err.text);
	return !rc;
}

void rig_save(struct machine *m, struct writer *w)
{
	struct error err = { 0 };

	if (machine_save(m, w, &err))
		fail_msg("%s", err.text);
}

uint64_t rig_clock(struct rig *r)
{
	struct kvm_clock_data c = { 0 };

	assert_int_equal(ioctl(r->m->kvm.vm, KVM_GET_CLOCK, &c), 0);
	return c.clock;
}
