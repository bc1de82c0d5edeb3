// SPDX-License-Identifier: MIT
/*
 * main.c - The ferry program
 *
 * "web" serves a page about the machines of this host (web.h). "run" and
 * "receive" start a machine: event loop, control server, console, machine, and
 * migration, which only this file connects with the machine. Every other
 * subcommand is a client of a machine's control socket (cli.h).
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "vmm/base/log.h"
#include "vmm/base/loop.h"
#include "vmm/base/runtime.h"
#include "vmm/base/runtime_link.h"
#include "vmm/base/sandbox.h"
#include "vmm/base/units.h"
#include "vmm/boot/boot.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/options.h"
#include "vmm/console/chardev.h"
#include "vmm/console/chardev_socket.h"
#include "vmm/control/control.h"
#include "vmm/host/host.h"
#include "vmm/host/host_dump.h"
#include "vmm/host/host_work.h"
#include "vmm/kvm/kvm.h"
#include "vmm/machine/inject.h"
#include "vmm/memory/sigbus.h"
#include "vmm/memory/uffd.h"
#include "vmm/web/web.h"

#include "migration/migration.h"

#define EXIT_USAGE	2

/* Signals that end a machine, which then removes its sockets */
static const int end_signals[] = { SIGTERM, SIGINT };

/* State of run and receive */
struct process {
	struct host host;
	struct migration *migration;
	struct host_dump *dumper;
	struct runtime_link link;	/* with --control */
	struct machine *machine;	/* built by run; freed at the end */
	int sigbus_fd;
	struct event *sigbus, *tell, *hangup, *ends[ARRAY_SIZE(end_signals)];
};

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	host_ask_end(arg, "host-signal", 128 + (int)sig);
}

/* A lost terminal is no reason to stop a guest */
static void on_hangup(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	log_line("the terminal is gone (SIGHUP): the guest goes on without it; `ferry quit` ends it");
}

static void on_sigbus(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;
	struct host *h = &p->host;
	struct sigbus s;

	(void)what;
	pthread_mutex_lock(&h->lock);
	while (read(fd, &s, sizeof(s)) == sizeof(s))
		if (h->machine)
			inject_found(h->machine, &s);
	pthread_mutex_unlock(&h->lock);
	event_active(p->tell, EV_TIMEOUT, 0);
}

/* Reports one lost page to the guest; repeats until all are reported */
static void on_tell(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval again = { .tv_sec = 1 };
	struct process *p = arg;
	struct host *h = &p->host;

	(void)fd;
	(void)what;
	pthread_mutex_lock(&h->lock);
	if (h->machine && inject_report(h->machine))
		event_add(p->tell, &again);
	pthread_mutex_unlock(&h->lock);
}

static size_t on_typed(void *ctx, const uint8_t *data, size_t n)
{
	struct host *h = ctx;
	size_t taken = 0;

	pthread_mutex_lock(&h->lock);
	if (h->machine)
		taken = machine_serial_input(h->machine, data, n);
	pthread_mutex_unlock(&h->lock);
	return taken;
}

static void on_quit(void *ctx)
{
	host_ask_end(ctx, "host-ui", 0);
}

/* Without a console socket the machine runs nevertheless */
static void open_terminals(struct host *h, const char *control)
{
	char path[RUNTIME_PATH_MAX];
	struct error err = { 0 };

	if (!runtime_console(control, path, sizeof(path), &err))
		h->terminals = chardev_socket_open(h->loop, path, &err);
	if (!h->terminals)
		log_line("no console socket, so `ferry console` can't attach: %s", err.text);
	else
		chardev_socket_listen(h->terminals, on_typed, h);
}

/* Without a link, the machine can still be reached by --control */
static void link_name(struct process *p, const struct options *o)
{
	struct error err = { 0 };

	if (runtime_link_create(&p->link, o->name, o->control, &err))
		log_line("`ferry list` will not show this machine: %s",
			 err.text);
}

static int open_control(struct process *p, const struct options *o,
			struct error *err)
{
	char path[RUNTIME_PATH_MAX];
	const char *control = o->control ? o->control : path;
	int rc = 0;

	if (!o->control)
		rc = runtime_path(o->name, path, sizeof(path), err);
	if (rc)
		return rc;
	runtime_link_clear(o->name);
	p->host.control = control_open(p->host.loop, control, err);
	if (!p->host.control)
		return -err->code;
	if (o->control)
		link_name(p, o);
	open_terminals(&p->host, control);
	return 0;
}

/* nohup(1) has SIGHUP ignored, a shell SIGINT for what runs in its background */
static bool is_ignored(int sig)
{
	struct sigaction sa;

	return !sigaction(sig, NULL, &sa) && sa.sa_handler == SIG_IGN;
}

static int watch_signal(struct process *p, int sig, event_callback_fn fn,
			struct event **event, struct error *err)
{
	if (is_ignored(sig))
		return 0;
	*event = evsignal_new(loop_base(p->host.loop), sig, fn, &p->host);
	if (!*event || event_add(*event, NULL))
		return error_set(err, ENOMEM, "out of memory for events");
	return 0;
}

static int watch_signals(struct process *p, struct error *err)
{
	struct event_base *base = loop_base(p->host.loop);
	int rc;

	p->sigbus_fd = sigbus_install(err);
	if (p->sigbus_fd < 0)
		return p->sigbus_fd;
	p->sigbus = event_new(base, p->sigbus_fd, EV_READ | EV_PERSIST,
			      on_sigbus, p);
	p->tell = evtimer_new(base, on_tell, p);
	if (!p->sigbus || !p->tell || event_add(p->sigbus, NULL))
		return error_set(err, ENOMEM, "out of memory for events");
	rc = watch_signal(p, SIGHUP, on_hangup, &p->hangup, err);
	for (unsigned i = 0; i < ARRAY_SIZE(end_signals) && !rc; i++)
		rc = watch_signal(p, end_signals[i], on_signal, &p->ends[i],
				  err);
	return rc;
}

static int open_process(struct process *p, const struct options *o,
			struct error *err)
{
	struct host *h = &p->host;
	enum ram_backing backing;
	int rc;

	h->name = o->name ? o->name : "guest";
	h->side = "none";
	h->no_reboot = o->no_reboot;
	h->shown = -1;
	h->ram = ram_backing_find(o->ram ? o->ram : "", &backing) ?
		 -1 : (int)backing;
	pthread_mutex_init(&h->lock, NULL);
	rc = log_open(h->name, o->log);
	if (rc)
		return error_set(err, -rc, "cannot open log %s: %s", o->log,
				 strerrordesc_np(-rc));
	rc = log_start();
	if (rc)
		return error_set(err, -rc, "cannot start the log thread: %s",
				 strerrordesc_np(-rc));
	h->loop = loop_new(err);
	if (!h->loop)
		return -err->code;
	rc = watch_signals(p, err);
	if (!rc)
		rc = open_control(p, o, err);
	if (rc)
		return rc;
	h->console = chardev_open(h->loop, o->serial, err);
	if (!h->console)
		return -err->code;
	h->work = host_work_new(h, "commands", err);
	if (!h->work)
		return -err->code;
	host_register(h);
	p->dumper = host_dump_new(h, err);
	if (!p->dumper)
		return -err->code;
	p->migration = migration_new(h, err);
	return p->migration ? migration_set_tls(p->migration, o->tls_dir,
						o->require_tls, err)
			    : -err->code;
}

static void free_event(struct event *e)
{
	if (e)
		event_free(e);
}

/*
 * Migration before machine: vCPUs may wait for pages that it receives. Migration
 * before the thread for commands: its threads call host_set_machine(), too.
 */
static void close_process(struct process *p)
{
	struct host *h = &p->host;

	host_set_machine(h, NULL);
	host_dump_free(p->dumper);
	migration_free(p->migration);
	host_work_free(h->work);
	machine_free(p->machine);
	chardev_socket_close(h->terminals);
	runtime_link_remove(&p->link);
	control_close(h->control);
	free_event(p->sigbus);
	free_event(p->tell);
	free_event(p->hangup);
	for (unsigned i = 0; i < ARRAY_SIZE(end_signals); i++)
		free_event(p->ends[i]);
	chardev_close(h->console);
	loop_free(h->loop);
}

static int start_guest(struct process *p, const struct options *o,
		       struct error *err)
{
	struct machine_observer obs = host_observer(&p->host);
	struct machine_config *cfg = calloc(1, sizeof(*cfg));
	int rc;

	if (!cfg)
		return error_set(err, ENOMEM, "out of memory");
	cfg->memory = o->memory;
	cfg->cpus = (unsigned)o->cpus;
	ram_backing_find(o->ram, &cfg->backing);
	device_list_default(&cfg->devices);
	if (o->debug_exit)
		device_list_add(&cfg->devices, &(struct device_config){
					.ops = &debug_exit_ops });
	if (strlen(o->append) >= sizeof(cfg->bootargs))
		rc = error_set(err, EINVAL,
			"--append is longer than %zu characters",
			sizeof(cfg->bootargs) - 1);
	else
		rc = machine_config_host(cfg, o->cpu, o->cpu_vendor, err);
	if (!rc) {
		strcpy(cfg->bootargs, o->append);
		p->machine = machine_new(cfg, &obs, err);
		rc = p->machine ? boot_load(p->machine, o->kernel,
						  o->initrd, err)
				: -err->code;
	}
	free(cfg);
	if (rc)
		return rc;

	host_set_machine(&p->host, p->machine);
	chardev_listen(p->host.console, on_typed, on_quit, &p->host);
	if (!o->paused)
		return machine_run(p->machine, WHY_BOOTED, err);
	return 0;
}

/* Find out now, and not when a guest comes, whether it could run here */
static int check_kernel(struct error *err)
{
	struct kvm kvm;
	int rc = kvm_open(&kvm, err);

	if (rc)
		return rc;
	kvm_close(&kvm);
	rc = uffd_open(false, err);
	if (rc < 0)
		return rc;
	close(rc);
	return 0;
}

static int start_receive(struct process *p, const struct options *o,
			 struct error *err)
{
	int rc = check_kernel(err);

	if (rc)
		return rc;
	chardev_listen(p->host.console, on_typed, on_quit, &p->host);
	return migration_receive(p->migration, o->uri, err);
}

static int run_process(const struct options *o)
{
	struct process p = { .sigbus_fd = -1 };
	struct error err = { 0 };
	int rc;

	rc = open_process(&p, o, &err);
	/* Nothing from a client, a peer, a guest or an image was read so far */
	if (!rc && !o->no_sandbox)
		rc = sandbox_enter(&err);
	if (!rc)
		rc = o->cmd == CMD_RUN ? start_guest(&p, o, &err)
				       : start_receive(&p, o, &err);
	if (!rc)
		rc = loop_run(p.host.loop);
	else
		rc = EXIT_FAILURE;
	if (err.code)
		log_line("%s", err.text);
	close_process(&p);
	log_stop();
	return rc;
}

static int run_web(const struct options *o)
{
	struct web_config config = {
		.listen = o->listen, .replay = o->replay,
		.controls = o->controls.n, .read_only = o->read_only,
		.allow_remote = o->allow_remote, .demo = o->demo,
	};

	static_assert(WEB_CONTROLS == OPTION_PATHS, "each path has its place");
	memcpy(config.control, o->controls.at, sizeof(config.control));
	return web_main(&config);
}

/*
 * Else the next file that is opened takes the number, and the program would
 * write messages into it. The mode is the wrong one: a read or a write fails, as
 * it does on a closed descriptor.
 */
static void open_missing_descriptors(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY
							 : O_RDONLY) != fd)
			_exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	struct error err = { 0 };
	struct options o;

	open_missing_descriptors();
	if (options_parse(&o, argc, argv, &err)) {
		log_line("%s", err.text);
		return EXIT_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* write(2) fails with EFBIG */
	if (o.cmd == CMD_WEB)
		return run_web(&o);
	return o.cmd == CMD_RUN || o.cmd == CMD_RECEIVE ? run_process(&o)
							: cli_run(&o);
}
