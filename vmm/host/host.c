// SPDX-License-Identifier: MIT
/* host.c - The observer and the control commands of this process's machine */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "host_reset.h"
#include "host_work.h"
#include "vmm/base/clock.h"
#include "vmm/base/log.h"
#include "vmm/base/loop.h"
#include "vmm/boot/boot.h"
#include "vmm/console/chardev.h"
#include "vmm/console/chardev_socket.h"
#include "vmm/control/control.h"
#include "vmm/control/qmp.h"
#include "vmm/control/words.h"
#include "vmm/machine/inject.h"
#include "vmm/machine/machine_reset.h"

#define POISON_LISTED	1024	/* ranges in the answer to query-status */

static void on_status(void *ctx, struct run_status s)
{
	struct domain_words w = words_domain(s);
	struct host *h = ctx;

	if (s.state == RUN_POSTMIGRATE ||
	    (s.state == RUN_FINISH_MIGRATE && s.reason == WHY_POSTCOPY))
		chardev_socket_leave(h->terminals);
	/* No event for a new reason alone: query-status reports it */
	if (atomic_exchange(&h->shown, w.running) == w.running)
		return;
	control_event(h->control, w.running ? "RESUME" : "STOP",
		json_pack("{s:s, s:{s:s, s:i, s:s, s:i}}",
			  "status", w.qemu, "libvirt",
			  "state", w.state, "state-value", w.state_value,
			  "reason", w.reason, "reason-value", w.reason_value));
}

static enum mf_action mf_action(const struct memory_failure *f)
{
	switch (f->action) {
	case MF_INJECTED:
		return MF_ACTION_INJECT;
	case MF_FATAL:
		return MF_ACTION_FATAL;
	default:
		return MF_ACTION_IGNORE;
	}
}

/* For the user: what happened, and which party knows */
static const char *failure_text(const struct memory_failure *f)
{
	switch (f->action) {
	case MF_INJECTED:
		return f->required ?
			"the guest accessed this memory, which is lost, and received a machine check" :
			"the host lost this memory, and the guest was notified before it accessed it";
	case MF_FATAL:
		return "the guest accessed this memory, which is lost, but can't receive a machine check: the guest was stopped";
	default:
		return "this memory is lost; the guest has not accessed it, and is not notified yet";
	}
}

static void on_failure(void *ctx, const struct memory_failure *f)
{
	struct memory_failure_word a = words_mf_action(mf_action(f)), r;
	struct host *h = ctx;

	r = words_mf_recipient(f->action == MF_NOTED ? MF_RECIPIENT_HYPERVISOR
						     : MF_RECIPIENT_GUEST);
	h->failures[f->origin][f->action] += 1 + f->repeats;
	log_line("memory failure at 0x%llx, %llu bytes: %s",
		 (unsigned long long)f->gpa, (unsigned long long)f->size,
		 failure_text(f));
	if (f->repeats)
		log_line("the guest has accessed lost pages %llu more times since the last such line",
			 (unsigned long long)f->repeats);
	control_event(h->control, "MEMORY_FAILURE",
		json_pack("{s:s, s:s, s:{s:b, s:b}, s:I, s:I, s:I, s:s, s:{s:s, s:s, s:i}}",
			  "recipient", r.qemu, "action", a.qemu, "flags",
			  "action-required", f->required,
			  "recursive", f->recursive,
			  "address", (json_int_t)f->gpa,
			  "size", (json_int_t)f->size,
			  "repeats", (json_int_t)f->repeats,
			  "side", h->side, "libvirt",
			  "recipient", r.libvirt, "action", a.libvirt,
			  "flags", words_mf_flags(f->required, f->recursive)));
}

void host_end(struct host *h, bool guest, const char *reason, int status)
{
	if (atomic_exchange(&h->ending, true))
		return;
	control_event(h->control, "SHUTDOWN",
		json_pack("{s:b, s:s, s:i}", "guest", guest,
			  "reason", reason, "exit-status", status));
	loop_stop(h->loop, status);
}

int host_check_end(struct host *h, struct error *err)
{
	struct run_status s = { 0 };
	bool left;

	pthread_mutex_lock(&h->lock);
	if (h->machine)
		s = machine_status(h->machine);
	left = h->machine && (s.state == RUN_FINISH_MIGRATE ||
			      s.state == RUN_POSTMIGRATE);
	pthread_mutex_unlock(&h->lock);
	if (!left || (s.reason != WHY_POSTCOPY &&
		      s.reason != WHY_POSTCOPY_FAILED))
		return 0;
	return error_set(err, EBUSY,
		"the guest runs on the destination, but still needs pages that only this machine has: its end would end the guest (`ferry quit --force` does that, or QMP's quit with \"ferry-force\": true)");
}

void host_ask_end(struct host *h, const char *reason, int status)
{
	const uint64_t now = now_ms();
	struct error err = { 0 };

	if (!host_check_end(h, &err) ||
	    (h->refused_ms && now - h->refused_ms < HOST_INSIST_MS)) {
		host_end(h, false, reason, status);
		return;
	}
	h->refused_ms = now;
	log_line("this machine was asked to end, but goes on: %s; a second request within %d s ends it, too",
		 err.text, HOST_INSIST_MS / 1000);
}

static void on_exit_status(void *ctx, int status)
{
	host_end(ctx, true, "guest-shutdown", status);
}

/* QEMU's events, without QEMU's "info", which pvpanic can't carry */
static void on_panic(void *ctx, bool paused)
{
	struct host *h = ctx;

	log_line("the guest's kernel panicked%s", paused ?
		 "; the guest is paused" : ", and handles it itself (kdump)");
	control_event(h->control,
		      paused ? "GUEST_PANICKED" : "GUEST_CRASHLOADED",
		      json_pack("{s:s}", "action", paused ? "pause" : "run"));
}

static void on_output(void *ctx, const uint8_t *data, size_t n)
{
	struct host *h = ctx;

	chardev_write(h->console, data, n);
	chardev_socket_write(h->terminals, data, n);
}

struct machine_observer host_observer(struct host *h)
{
	return (struct machine_observer){
		.ctx = h, .status = on_status, .failure = on_failure,
		.exit = on_exit_status, .reset = host_reset_asked,
		.was_reset = host_was_reset, .panic = on_panic,
		.output = on_output,
	};
}

void host_set_machine(struct host *h, struct machine *m)
{
	struct machine *before;

	/* Also for a machine whose images a migration has brought */
	if (m)
		boot_attach(m);
	if (m && h->no_reboot)
		machine_set_no_reboot(m);
	pthread_mutex_lock(&h->lock);
	before = h->machine;
	h->machine = m;
	pthread_mutex_unlock(&h->lock);
	/* A `stop` may wait for a vCPU that waits for a page */
	if (before && !m && host_work_busy(h->work))
		machine_halt(before);
	host_work_wait(h->work);
}

/* Bounded: it is made by the thread that serves all clients */
static int add_poison(json_t *status, struct machine *m, struct error *err)
{
	json_t *list;
	struct poison p[POISON_LISTED];
	struct poison_sum sum;

	if (poison_head(machine_poison(m), p, POISON_LISTED, &sum))
		return error_set(err, ENOMEM,
				 "out of memory for the list of lost memory");
	list = json_array();
	for (size_t i = 0; i < sum.ranges && i < POISON_LISTED; i++)
		json_array_append_new(list, json_pack("{s:I, s:I, s:b}",
			"address", (json_int_t)p[i].gpa,
			"size", (json_int_t)p[i].size,
			"delivered", p[i].delivered));
	json_object_set_new(status, "poisoned", list);
	json_object_set_new(status, "poisoned-bytes",
			    json_integer((json_int_t)sum.bytes));
	if (sum.ranges > POISON_LISTED)
		json_object_set_new(status, "poisoned-unlisted",
				    json_integer((json_int_t)sum.ranges -
						 POISON_LISTED));
	return 0;
}

/* Memory failures so far, by origin and QEMU's action */
static json_t *failures_json(const struct host *h)
{
	static const char *const origins[MEMORY_FAILURE_ORIGINS] = {
		[MF_BY_ACCESS] = "access", [MF_BY_COMMAND] = "command",
		[MF_BY_HOST] = "host", [MF_BY_READ] = "read",
		[MF_BY_PEER] = "peer",
	};
	json_t *list = json_array();

	for (unsigned o = 0; o < MEMORY_FAILURE_ORIGINS; o++)
		for (unsigned a = 0; a < MEMORY_FAILURE_ACTIONS; a++) {
			struct memory_failure f = { .action = a };
			const char *action = words_mf_action(mf_action(&f)).qemu;

			if (h->failures[o][a])
				json_array_append_new(list, json_pack(
					"{s:s, s:s, s:I}", "origin", origins[o],
					"action", action, "count",
					(json_int_t)h->failures[o][a]));
		}
	return list;
}

static int cmd_status(struct host *h, json_t *args, json_t **ret,
		      struct error *err)
{
	struct machine *m = h->machine;
	struct run_status s = { RUN_INMIGRATE, WHY_STARTING_UP };
	struct domain_words w;
	int rc = 0;

	(void)args;
	if (m)
		s = machine_status(m);
	w = words_domain(s);
	*ret = json_pack("{s:s, s:b, s:s, s:s, s:o, s:I, s:{s:s, s:i, s:s, s:i}}",
		"status", w.qemu, "running", w.running, "name", h->name,
		"side", h->side, "memory-failures", failures_json(h),
		"events-lost", (json_int_t)control_events_lost(h->control),
		"libvirt",
		"state", w.state, "state-value", w.state_value,
		"reason", w.reason, "reason-value", w.reason_value);
	if (m) {
		json_object_set_new(*ret, "memory",
				    json_integer((json_int_t)machine_ram(m)->size));
		json_object_set_new(*ret, "cpus",
				    json_integer(machine_config(m)->cpus));
		rc = add_poison(*ret, m, err);
	}
	return rc;
}

static int need_machine(const struct machine *m, struct error *err)
{
	return m ? 0 : error_set(err, ENODEV,
		"no guest has arrived at this machine yet");
}

/* stop and cont are for a guest that runs on this machine */
static int need_own_guest(struct machine *m, struct error *err)
{
	struct run_status s;
	int rc = need_machine(m, err);

	if (rc)
		return rc;
	s = machine_status(m);
	if ((s.state == RUN_RUNNING || s.state == RUN_PAUSED ||
	     s.state == RUN_PRELAUNCH || s.state == RUN_GUEST_PANICKED) &&
	    !machine_held(m))
		return 0;
	return error_set(err, EBUSY,
		"the guest can't be stopped or resumed here now: it is in state '%s'",
		words_domain(s).qemu);
}

/* Waits for the vCPUs, up to GATE_DEADLINE_MS if one waits for a page */
static int work_stop(void *ctx, struct machine *m, json_t *args,
		     json_t **ret, struct error *err)
{
	int rc = need_own_guest(m, err);

	(void)ctx;
	(void)args;
	(void)ret;
	if (rc || machine_status(m).state != RUN_RUNNING)
		return rc;
	return machine_pause(m, RUN_PAUSED, WHY_USER, err);
}

/* In the same thread as work_stop(), so that they keep their order */
static int work_cont(void *ctx, struct machine *m, json_t *args,
		     json_t **ret, struct error *err)
{
	int rc = need_own_guest(m, err);

	(void)ctx;
	(void)args;
	(void)ret;
	if (!rc && machine_status(m).state != RUN_RUNNING)
		rc = machine_run(m, WHY_UNPAUSED, err);
	return rc;
}

static int cmd_system_reset(struct host *h, json_t *args, json_t **ret,
			    struct error *err)
{
	int rc = need_machine(h->machine, err);

	(void)args;
	(void)ret;
	return rc ? rc : host_system_reset(h, err);
}

static int cmd_powerdown(struct host *h, json_t *args, json_t **ret,
			 struct error *err)
{
	int rc = need_own_guest(h->machine, err);

	(void)args;
	(void)ret;
	if (!rc)
		rc = machine_power_button(h->machine, err);
	if (!rc)
		control_event(h->control, "POWERDOWN", NULL);
	return rc;
}

static int cmd_quit(void *ctx, json_t *args, json_t **ret, struct error *err)
{
	struct host *h = ctx;
	int rc = 0;

	(void)ret;
	if (!json_is_true(json_object_get(args, "ferry-force")))
		rc = host_check_end(h, err);
	if (rc)
		return rc;
	host_end(h, false, "host-qmp-quit", 0);
	return 0;
}

/* Each page costs some system calls, and there may be many */
static int poison_pages(struct host *h, struct machine *m, json_t *args,
			enum inject_method *method, struct error *err)
{
	json_t *count = json_object_get(args, "count");
	const uint64_t gpa = (uint64_t)json_integer_value(
				json_object_get(args, "address"));
	const json_int_t n = count ? json_integer_value(count) : 1;
	json_int_t done = 0;
	int rc = 0;

	if (n < 1 || n > POISON_MAX)
		return error_set(err, EINVAL, "count must be 1 to %u",
				 POISON_MAX);
	for (; !rc && done < n && !h->ending; done++)
		rc = inject_poison(m, gpa + (uint64_t)done *
				   machine_ram(m)->page_size, method, err);
	if (!rc && done < n)
		rc = error_set(err, ECANCELED, "the machine is ending");
	if (rc && done > 1)
		error_prefix(err, "after %lld of %lld pages",
			     (long long)done - 1, (long long)n);
	return rc;
}

static int work_poison(void *ctx, struct machine *m, json_t *args,
		       json_t **ret, struct error *err)
{
	json_t *count = json_object_get(args, "count");
	json_t *word = json_object_get(args, "method");
	enum inject_method method;
	int rc = need_machine(m, err);

	if (!rc)
		rc = inject_method_find(word ? json_string_value(word)
					     : "simulate", &method,
				       err);
	if (!rc)
		rc = poison_pages(ctx, m, args, &method, err);
	if (!rc)
		*ret = json_pack("{s:I, s:I, s:s}", "poisoned",
			count ? json_integer_value(count) : 1, "address",
			json_integer_value(json_object_get(args, "address")),
			"method", inject_method_name(method));
	return rc;
}

static int cmd_name(struct host *h, json_t *args, json_t **ret,
		    struct error *err)
{
	(void)args;
	(void)err;
	*ret = json_pack("{s:s}", "name", h->name);
	return 0;
}

/* As in QEMU: the path of the console socket */
static int cmd_chardev(struct host *h, json_t *args, json_t **ret,
		       struct error *err)
{
	char name[2 * PATH_MAX] = "null", here[PATH_MAX] = "";
	const char *path;

	(void)args;
	(void)err;
	if (h->terminals) {
		/* The client may have another current directory */
		path = chardev_socket_path(h->terminals);
		if (*path != '/' && !getcwd(here, sizeof(here)))
			*here = '\0';
		snprintf(name, sizeof(name), "unix:%s%s%s", here,
			 *here ? "/" : "", path);
	}
	*ret = json_pack("[{s:s, s:o, s:b}]", "label", "console",
			 "filename", qmp_string(name), "frontend-open", 1);
	return 0;
}

static int cmd_cpus(struct host *h, json_t *args, json_t **ret,
		    struct error *err)
{
	int rc = need_machine(h->machine, err);

	(void)args;
	if (rc)
		return rc;
	*ret = json_array();
	for (unsigned i = 0; i < machine_config(h->machine)->cpus; i++)
		json_array_append_new(*ret, json_pack("{s:i, s:I, s:s}",
			"cpu-index", i,
			"thread-id", (json_int_t)machine_vcpu_tid(h->machine, i),
			"target", "x86_64"));
	return 0;
}

/* Commands hold the lock, so that the machine is not freed while they use it */
#define LOCKED(fn) \
static int locked_##fn(void *ctx, json_t *args, json_t **ret, \
		       struct error *err) \
{ \
	struct host *h = ctx; \
	int rc; \
	\
	pthread_mutex_lock(&h->lock); \
	rc = fn(h, args, ret, err); \
	pthread_mutex_unlock(&h->lock); \
	return rc; \
}

LOCKED(cmd_status)
LOCKED(cmd_system_reset)
LOCKED(cmd_powerdown)
LOCKED(cmd_name)
LOCKED(cmd_cpus)
LOCKED(cmd_chardev)

/* These take too long for the main thread */
#define WORK(fn) \
static int start_##fn(void *ctx, json_t *args, struct control_later *later, \
		      struct error *err) \
{ \
	struct host *h = ctx; \
	\
	return host_work_add(h->work, fn, h, args, later, err); \
}

WORK(work_stop)
WORK(work_cont)
WORK(work_poison)

static const struct control_command commands[] = {
	{ "query-status", "", .fn = locked_cmd_status },
	{ "query-name", "", .fn = locked_cmd_name },
	{ "query-cpus-fast", "", .fn = locked_cmd_cpus },
	{ "query-chardev", "", .fn = locked_cmd_chardev },
	{ "stop", "", .start = start_work_stop },
	{ "cont", "", .start = start_work_cont },
	{ "system_reset", "", .fn = locked_cmd_system_reset },
	{ "system_powerdown", "", .fn = locked_cmd_powerdown },
	{ "quit", "?ferry-force:b", .fn = cmd_quit },
	{ "ferry-poison", "address:i ?count:i ?method:s",
	  .start = start_work_poison },
	{ 0 }
};

void host_register(struct host *h)
{
	control_add(h->control, commands, h);
}
