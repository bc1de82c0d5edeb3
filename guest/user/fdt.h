/* SPDX-License-Identifier: MIT */
/*
 * fdt.h - The part of a flattened device tree that the guest reads
 */
#ifndef GUEST_USER_FDT_H
#define GUEST_USER_FDT_H

/**
 * fdt_count_cpus() - Count the nodes /cpus/cpu@...
 * @fdt:	device tree whose magic has been checked
 *
 * Return: their number, 0 when there are none or the tree is damaged
 */
int fdt_count_cpus(const void *fdt);

#endif
