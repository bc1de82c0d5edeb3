/* SPDX-License-Identifier: MIT */
/*
 * boot.h - Start of a vCPU, and what the start-up code leaves for ring 3
 */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

#include "cpu.h"

/* pvh.S: physical address of struct hvm_start_info, GDT, page tables */
extern uint32_t start_info_gpa;
extern uint64_t gdt[], window_pdpt[];

/* ap.S: code that an application processor starts with */
extern const char ap_trampoline[];
extern const uint32_t ap_trampoline_size;

/**
 * cpu_start() - First C code of a vCPU (called by pvh.S); does not return
 * @index:	its APIC id, 0 for the boot vCPU
 * @entry:	where it goes on in ring 3
 */
void cpu_start(uint32_t index, void (*entry)(struct cpu *));

#endif
