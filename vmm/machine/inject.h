/* SPDX-License-Identifier: MIT */
/*
 * inject.h - Make guest memory unreadable, as failing hardware would
 */
#ifndef FERRY_INJECT_H
#define FERRY_INJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/error.h"

struct machine;
struct sigbus;

enum inject_method { INJECT_AUTO, INJECT_HWPOISON, INJECT_SIMULATE };

/** inject_method_name() - "auto", "hwpoison", "simulate" */
const char *inject_method_name(enum inject_method method);

/**
 * inject_method_find() - The method with a name
 * @name:	the name
 * @method:	filled in
 * @err:	lists the names that exist
 *
 * Return: 0, -EINVAL
 */
int inject_method_find(const char *name, enum inject_method *method,
		       struct error *err);

/**
 * inject_poison() - Make a page of the guest unreadable
 * @m:		the machine, running or not
 * @gpa:	any address in the page
 * @method:	INJECT_SIMULATE puts a poison marker (UFFDIO_POISON) into this
 *		process's mapping: vCPUs and readers in this process get the
 *		same error as from lost memory. INJECT_HWPOISON takes the
 *		host's page out of use for good (madvise MADV_HWPOISON).
 *		INJECT_AUTO uses the latter where the kernel permits it, else
 *		the former. Set to the method that was used.
 * @err:	the reason on failure
 *
 * Return: 0, -ERANGE (not RAM), -EEXIST (poisoned already), -EALREADY
 *	   (the page belongs to the other side of a migration), -ENOTSUP,
 *	   -EPERM, -errno
 */
int inject_poison(struct machine *m, uint64_t gpa,
		  enum inject_method *method, struct error *err);

/**
 * inject_drain() - Wait until no page is being poisoned on purpose
 * @m:		the machine
 *
 * After machine_set_ram_hook(), every later poisoning asks the hook; one that
 * began earlier has ended when this returns.
 */
void inject_drain(struct machine *m);

/**
 * inject_found() - The host found a lost page that no vCPU has touched
 * @m:		the machine
 * @s:		what the kernel said (action optional)
 *
 * Enters the page into the poison list, for inject_report().
 */
void inject_found(struct machine *m, const struct sigbus *s);

/**
 * inject_report() - Have the guest informed of pages that the host found
 * @m:		the machine
 *
 * vCPU 0 reports one page, if the guest can take a report now. Call it again,
 * some time later, until it returns false.
 *
 * Return: true if a page was waiting to be reported
 */
bool inject_report(struct machine *m);

#endif /* FERRY_INJECT_H */
