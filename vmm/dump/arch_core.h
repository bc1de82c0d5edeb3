/* SPDX-License-Identifier: MIT */
/*
 * arch_core.h - What an architecture provides to vmm/dump/
 */
#ifndef FERRY_ARCH_CORE_H
#define FERRY_ARCH_CORE_H

#include <stdint.h>

#include "vmm/base/bytes.h"
#include "vmm/base/error.h"

struct machine;

/* e_machine of the ELF header */
extern const uint16_t arch_core_machine;

/**
 * arch_core_put() - Append the notes of all vCPUs of a machine
 * @m:		the machine, frozen
 * @w:		where to
 * @err:	the reason on failure
 *
 * Return: 0, -errno
 */
int arch_core_put(struct machine *m, struct writer *w, struct error *err);

/** arch_core_size() - Bytes that arch_core_put() appends for @cpus vCPUs */
uint64_t arch_core_size(unsigned cpus);

#endif /* FERRY_ARCH_CORE_H */
