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
 * inject_method_find() - The method with that name
 * @name:	what the user said
 * @method:	filled in
 * @err:	which names there are
 *
 * Return: 0, -EINVAL
 */
int inject_method_find(const char *name, enum inject_method *method,
		       struct error *err);

/**
 * inject_poison() - Make a page of the guest's unreadable
 * @m:		the machine, running or not
 * @gpa:	any address in the page
 * @method:	INJECT_SIMULATE puts a poison marker (UFFDIO_POISON) into this
 *		process's mapping: its vCPUs and whoever reads the page here meet it as they
 *		would the real thing. INJECT_HWPOISON takes the host page away
 *		for good (madvise MADV_HWPOISON). INJECT_AUTO takes
 *		the latter where the kernel lets it, else the former; it is set to what was
 *		used.
 * @err:	why not
 *
 * Return: 0, -ERANGE (not RAM), -EEXIST (poisoned already), -EALREADY
 *	   (the page belongs to the other side by now), -ENOTSUP, -EPERM, -errno
 */
int inject_poison(struct machine *m, uint64_t gpa,
		  enum inject_method *method, struct error *err);

/**
 * inject_tell() - Have the guest told of pages that the host found
 * @m:		the machine
 *
 * vCPU 0 tells it of one, if that can be now. To be called again, some time
 * later, while it says true.
 *
 * Return: true if there was something to tell
 */
bool inject_tell(struct machine *m);

/**
 * inject_found() - The host found a page lost before anybody touched it
 * @m:		the machine
 * @s:		what the kernel said (action optional)
 *
 * Enters it into the list, to be told by inject_tell().
 */
void inject_found(struct machine *m, const struct sigbus *s);

#endif /* FERRY_INJECT_H */
