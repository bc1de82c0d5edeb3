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
#include "vmm/base/log.h"
#include "vmm/base/loop.h"
#include "vmm/boot/boot.h"
#include "vmm/console/chardev.h"
#include "vmm/console/chardev_socket.h"
#include "vmm/control/control.h"
#include "vmm/control/qmp.h"
#include "vmm/control/words.h"
#include "vmm/machine/inject.h"

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
	/* Also for a machine whose images a migration has brought */
	if (m)
		boot_attach(m);
	pthread_mutex_lock(&h->lock);
	h->machine = m;
	pthread_mutex_unlock(&h->lock);
}

static json_t *poison_json(struct machine *m)
{
	json_t *list = json_array();
	struct poison *p;
	int n = poison_copy(machine_poison(m), &p);

	for (int i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:I, s:I, s:b}",
			"address", (json_int_t)p[i].gpa,
			"size", (json_int_t)p[i].size,
			"delivered", p[i].delivered));
	if (n > 0)
		free(p);
	return list;
}

static int cmd_status(struct host *h, json_t *args, json_t **ret,
		      struct error *err)
{
	struct machine *m = h->machine;
	struct run_status s = { RUN_INMIGRATE, WHY_STARTING_UP };
	struct domain_words w;

	(void)args;
	(void)err;
	if (m)
		s = machine_status(m);
	w = words_domain(s);
	*ret = json_pack("{s:s, s:b, s:s, s:s, s:{s:s, s:i, s:s, s:i}}",
		"status", w.qemu, "running", w.running, "name", h->name,
		"side", h->side, "libvirt",
		"state", w.state, "state-value", w.state_value,
		"reason", w.reason, "reason-value", w.reason_value);
	if (m) {
		json_object_set_new(*ret, "memory",
				    json_integer((json_int_t)machine_ram(m)->size));
		json_object_set_new(*ret, "cpus",
				    json_integer(machine_config(m)->cpus));
		json_object_set_new(*ret, "poisoned", poison_json(m));
	}
	return 0;
}

static int need_machine(struct host *h, struct error *err)
{
	return h->machine ? 0 : error_set(err, ENODEV,
		"no guest has arrived at this machine yet");
}

/* stop and cont are for a guest that runs on this machine */
static int need_own_guest(struct host *h, struct error *err)
{
	struct run_status s;
	int rc = need_machine(h, err);

	if (rc)
		return rc;
	s = machine_status(h->machine);
	if ((s.state == RUN_RUNNING || s.state == RUN_PAUSED ||
	     s.state == RUN_PRELAUNCH || s.state == RUN_GUEST_PANICKED) &&
	    !machine_held(h->machine))
		return 0;
	return error_set(err, EBUSY,
		"the guest can't be stopped or resumed here now: it is in state '%s'",
		words_domain(s).qemu);
}

static int cmd_stop(struct host *h, json_t *args, json_t **ret,
		    struct error *err)
{
	int rc = need_own_guest(h, err);

	(void)args;
	(void)ret;
	if (rc || machine_status(h->machine).state != RUN_RUNNING)
		return rc;
	return machine_pause(h->machine, RUN_PAUSED, WHY_USER, err);
}

static int cmd_cont(struct host *h, json_t *args, json_t **ret,
		    struct error *err)
{
	int rc = need_own_guest(h, err);

	(void)args;
	(void)ret;
	if (!rc && machine_status(h->machine).state != RUN_RUNNING)
		rc = machine_run(h->machine, WHY_UNPAUSED, err);
	return rc;
}

static int cmd_system_reset(struct host *h, json_t *args, json_t **ret,
			    struct error *err)
{
	int rc = need_machine(h, err);

	(void)args;
	(void)ret;
	return rc ? rc : host_system_reset(h, err);
}

static int cmd_powerdown(struct host *h, json_t *args, json_t **ret,
			 struct error *err)
{
	int rc = need_own_guest(h, err);

	(void)args;
	(void)ret;
	if (!rc)
		rc = machine_power_button(h->machine, err);
	if (!rc)
		control_event(h->control, "POWERDOWN", NULL);
	return rc;
}

static int cmd_quit(struct host *h, json_t *args, json_t **ret,
		    struct error *err)
{
	(void)args;
	(void)ret;
	(void)err;
	host_end(h, false, "host-qmp-quit", 0);
	return 0;
}

static int cmd_poison(struct host *h, json_t *args, json_t **ret,
		      struct error *err)
{
	json_t *count = json_object_get(args, "count");
	json_t *word = json_object_get(args, "method");
	uint64_t gpa = (uint64_t)json_integer_value(
				json_object_get(args, "address"));
	json_int_t n = count ? json_integer_value(count) : 1, done;
	enum inject_method method;
	int rc = need_machine(h, err);

	if (!rc && (n < 1 || n > POISON_MAX))
		rc = error_set(err, EINVAL, "count must be 1 to %u",
			       POISON_MAX);
	if (!rc)
		rc = inject_method_find(word ? json_string_value(word)
					     : "simulate", &method,
				       err);
	for (done = 0; !rc && done < n; done++)
		rc = inject_poison(h->machine, gpa +
				   (uint64_t)done * machine_ram(h->machine)->page_size,
				   &method, err);
	if (rc && done > 1)
		error_prefix(err, "after %lld of %lld pages",
			     (long long)done - 1, (long long)n);
	if (!rc)
		*ret = json_pack("{s:I, s:I, s:s}", "poisoned", n,
				 "address", (json_int_t)gpa,
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
	int rc = need_machine(h, err);

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
LOCKED(cmd_stop)
LOCKED(cmd_cont)
LOCKED(cmd_system_reset)
LOCKED(cmd_powerdown)
LOCKED(cmd_quit)
LOCKED(cmd_poison)
LOCKED(cmd_name)
LOCKED(cmd_cpus)
LOCKED(cmd_chardev)

static const struct control_command commands[] = {
	{ "query-status", "", .fn = locked_cmd_status },
	{ "query-name", "", .fn = locked_cmd_name },
	{ "query-cpus-fast", "", .fn = locked_cmd_cpus },
	{ "query-chardev", "", .fn = locked_cmd_chardev },
	{ "stop", "", .fn = locked_cmd_stop },
	{ "cont", "", .fn = locked_cmd_cont },
	{ "system_reset", "", .fn = locked_cmd_system_reset },
	{ "system_powerdown", "", .fn = locked_cmd_powerdown },
	{ "quit", "", .fn = locked_cmd_quit },
	{ "ferry-poison", "address:i ?count:i ?method:s",
	  .fn = locked_cmd_poison },
	{ 0 }
};

void host_register(struct host *h)
{
	control_add(h->control, commands, h);
}
