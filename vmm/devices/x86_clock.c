// SPDX-License-Identifier: MIT
/* x86_clock.c - kvmclock, and what the TSCs have to follow */

#include <sys/ioctl.h>

#include "device.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/kvm/kvm.h"
#include "x86_clock.h"

/**
 * struct clock - State of the device
 * @clock:	what was loaded, in ns
 * @host_tsc:	the saving host's TSC with it, or 0
 * @stopped:	the clock stands still, although KVM's goes on
 * @at:		where it stands, in ns
 */
struct clock {
	uint64_t clock, host_tsc;
	bool stopped;
	uint64_t at;
};

void x86_clock_stop(struct device *clock)
{
	struct clock *state = clock->state;
	struct kvm_clock_data c = { 0 };

	if (state->stopped)
		return;
	state->stopped = !ioctl(clock->env->kvm->vm, KVM_GET_CLOCK, &c);
	state->at = c.clock;
}

void x86_clock_start(struct device *clock)
{
	struct clock *state = clock->state;
	struct kvm_clock_data c = { .clock = state->at };

	if (state->stopped && ioctl(clock->env->kvm->vm, KVM_SET_CLOCK, &c))
		log_line("the guest's clock has advanced while the guest was paused: KVM_SET_CLOCK: %m");
	state->stopped = false;
}

static int clock_save(struct device *d, struct writer *w, struct error *err)
{
	const struct clock *state = d->state;
	struct kvm_clock_data c = { 0 };
	int rc = KVM_CALL(d->env->kvm->vm, KVM_GET_CLOCK, &c, err);

	if (rc < 0)
		return rc;
	if (state->stopped) {
		c.clock = state->at;
		c.flags &= ~(uint32_t)KVM_CLOCK_REALTIME;
	}
	put_u64(w, c.clock);
	put_u64(w, c.flags & KVM_CLOCK_REALTIME ? c.realtime : 0);
	put_u64(w, c.flags & KVM_CLOCK_HOST_TSC ? c.host_tsc : 0);
	return 0;
}

int64_t x86_clock_away(uint64_t saved_ns, uint64_t now_ns)
{
	const int64_t away = (int64_t)(now_ns - saved_ns);

	return away >= 0 && away <= X86_CLOCK_AWAY_MAX_NS ? away : -1;
}

/* Can the real time that has passed be taken from the two hosts' clocks? */
static bool is_plausible(uint64_t saved_ns)
{
	const uint64_t now = clock_ns(CLOCK_REALTIME);

	if (x86_clock_away(saved_ns, now) >= 0)
		return true;
	log_line("this host's wall clock is %.3f s ahead of the source's when the guest's state is loaded, which is more than a hand-over takes, or less than nothing: the guest's clock stands still for the hand-over instead (is NTP running on both hosts?)",
		 (double)(int64_t)(now - saved_ns) / 1e9);
	return false;
}

static int clock_load(struct device *d, struct reader *r, struct error *err)
{
	struct kvm_clock_data c = { .clock = get_u64(r) };
	struct clock *state = d->state;
	uint64_t host_tsc;

	c.realtime = get_u64(r);
	host_tsc = get_u64(r);
	if (r->failed)
		return 0;		/* bus_load() reports the length */
	if (c.realtime && d->env->kvm->clock_realtime &&
	    is_plausible(c.realtime))
		c.flags = KVM_CLOCK_REALTIME;
	*state = (struct clock){
		.clock = c.clock, .host_tsc = host_tsc,
		.stopped = !c.flags, .at = c.clock,
	};
	return KVM_CALL(d->env->kvm->vm, KVM_SET_CLOCK, &c, err);
}

bool x86_clock_tsc_shift(struct device *clock, uint32_t tsc_khz,
			 uint64_t *shift)
{
	const struct clock *was = clock->state;
	struct kvm_clock_data now = { 0 };
	__int128 passed;

	*shift = 0;
	if (!was->host_tsc ||
	    ioctl(clock->env->kvm->vm, KVM_GET_CLOCK, &now) ||
	    !(now.flags & KVM_CLOCK_HOST_TSC))
		return false;
	passed = (__int128)(now.clock - was->clock) * tsc_khz / 1000000;
	*shift = was->host_tsc + (uint64_t)passed - now.host_tsc;
	return true;
}

static const struct device_place clock_place[1];

const struct device_ops x86_clock_ops = {
	.name = "clock",
	.version = 1,
	.size = sizeof(struct clock),
	.place = clock_place,
	.places = ARRAY_SIZE(clock_place),
	.lasting = true,
	.save = clock_save,
	.load = clock_load,
};
