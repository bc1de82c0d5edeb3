// SPDX-License-Identifier: MIT
/*
 * x86_cpuid_names.c - Names of the bits of CPUID that are features
 *
 * The names are those of Linux's /proc/cpuinfo, where it has one. A bit without
 * a name is compared too, and shown by its number.
 */

#include "x86_cpuid.h"

#define WORD(l, i, r) .leaf = (l), .index = (i), .reg = CPUID_##r

const struct cpuid_word cpuid_words[] = {
	{ WORD(0x1, 0, ECX), .name = {
		"pni", "pclmulqdq", "dtes64", "monitor", "ds_cpl", "vmx",
		"smx", "est", "tm2", "ssse3", "cid", "sdbg", "fma", "cx16",
		"xtpr", "pdcm", NULL, "pcid", "dca", "sse4_1", "sse4_2",
		"x2apic", "movbe", "popcnt", "tsc_deadline_timer", "aes",
		"xsave", "osxsave", "avx", "f16c", "rdrand", "hypervisor" } },
	{ WORD(0x1, 0, EDX), .name = {
		"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8",
		"apic", NULL, "sep", "mtrr", "pge", "mca", "cmov", "pat",
		"pse36", "pn", "clflush", NULL, "dts", "acpi", "mmx", "fxsr",
		"sse", "sse2", "ss", "ht", "tm", "ia64", "pbe" } },
	{ WORD(0x6, 0, EAX), .name = { [2] = "arat" } },
	{ WORD(0x7, 0, EBX), .name = {
		"fsgsbase", "tsc_adjust", "sgx", "bmi1", "hle", "avx2",
		"fdp_excptn_only", "smep", "bmi2", "erms", "invpcid", "rtm",
		"cqm", "zero_fcs_fds", "mpx", "rdt_a", "avx512f", "avx512dq",
		"rdseed", "adx", "smap", "avx512ifma", NULL, "clflushopt",
		"clwb", "intel_pt", "avx512pf", "avx512er", "avx512cd",
		"sha_ni", "avx512bw", "avx512vl" } },
	{ WORD(0x7, 0, ECX), .name = {
		"prefetchwt1", "avx512vbmi", "umip", "pku", "ospke",
		"waitpkg", "avx512_vbmi2", "shstk", "gfni", "vaes",
		"vpclmulqdq", "avx512_vnni", "avx512_bitalg", "tme",
		"avx512_vpopcntdq", [16] = "la57", [22] = "rdpid",
		[24] = "bus_lock_detect", "cldemote", [27] = "movdiri",
		"movdir64b", "enqcmd", "sgx_lc", "pks" } },
	{ WORD(0x7, 0, EDX), .name = {
		[2] = "avx512_4vnniw", "avx512_4fmaps", "fsrm", "uintr",
		[8] = "avx512_vp2intersect", "srbds_ctrl", "md_clear",
		"rtm_always_abort", [13] = "tsx_force_abort", "serialize",
		"hybrid_cpu", "tsxldtrk", [18] = "pconfig", "arch_lbr", "ibt",
		[22] = "amx_bf16", "avx512_fp16", "amx_tile", "amx_int8",
		"spec_ctrl", "intel_stibp", "flush_l1d", "arch_capabilities",
		"core_capabilities", "spec_ctrl_ssbd" } },
	{ WORD(0x7, 1, EAX), .name = {
		"sha512", "sm3", "sm4", "rao_int", "avx_vnni", "avx512_bf16",
		[7] = "cmpccxadd", [10] = "fzrm", "fsrs", "fsrc",
		[17] = "fred", "lkgs", "wrmsrns", [21] = "amx_fp16", "hreset",
		"avx_ifma", [26] = "lam" } },
	{ WORD(0x7, 1, EBX) },
	{ WORD(0x7, 1, ECX) },
	{ WORD(0x7, 1, EDX), .name = {
		[4] = "avx_vnni_int8", "avx_ne_convert", [8] = "amx_complex",
		[10] = "avx_vnni_int16", [14] = "prefetchiti",
		[19] = "avx10" } },
	{ WORD(0x7, 2, EDX), .name = {
		"intel_psfd", "ipred_ctrl", "rrsba_ctrl", "ddpd_u",
		"bhi_ctrl", "mcdt_no" } },
	/* XCR0 and IA32_XSS: components of the XSAVE area */
	{ WORD(0xd, 0, EAX), .name = {
		"x87", "sse", "avx", "bndregs", "bndcsr", "opmask",
		"zmm_hi256", "hi16_zmm", "pt", "pkru", "pasid", "cet_u",
		"cet_s", "hdc", "uintr", "lbr", "hwp", "xtilecfg",
		"xtiledata" } },
	{ WORD(0xd, 0, EDX) },
	{ WORD(0xd, 1, EAX), .name = {
		"xsaveopt", "xsavec", "xgetbv1", "xsaves", "xfd" } },
	{ WORD(0xd, 1, ECX), .name = {
		[8] = "pt", [10] = "pasid", "cet_u", "cet_s", "hdc", "uintr",
		"lbr", "hwp" } },
	{ WORD(0xd, 1, EDX) },
	{ WORD(0x40000001, 0, EAX), .name = {
		"kvmclock", "kvm_nopiodelay", "kvm_mmu", "kvmclock2",
		"kvm_asyncpf", "kvm_steal_time", "kvm_pv_eoi",
		"kvm_pv_unhalt", [9] = "kvm_pv_tlb_flush",
		"kvm_asyncpf_vmexit", "kvm_pv_ipi", "kvm_poll_control",
		"kvm_pv_sched_yield", "kvm_asyncpf_int",
		"kvm_msi_ext_dest_id", "kvm_hc_map_gpa_range",
		"kvm_migration_control", [24] = "kvmclock_stable" } },
	{ WORD(0x80000001, 0, ECX), .name = {
		"lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy",
		"abm", "sse4a", "misalignsse", "3dnowprefetch", "osvw", "ibs",
		"xop", "skinit", "wdt", [15] = "lwp", "fma4", "tce",
		[19] = "nodeid_msr", [21] = "tbm", "topoext", "perfctr_core",
		"perfctr_nb", [26] = "bpext", "ptsc", "perfctr_llc",
		"mwaitx" } },
	{ WORD(0x80000001, 0, EDX), .name = {
		"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8",
		"apic", NULL, "syscall", "mtrr", "pge", "mca", "cmov", "pat",
		"pse36", NULL, "mp", "nx", NULL, "mmxext", "mmx", "fxsr",
		"fxsr_opt", "pdpe1gb", "rdtscp", NULL, "lm", "3dnowext",
		"3dnow" } },
	{ WORD(0x80000007, 0, EDX), .name = { [8] = "nonstop_tsc" } },
	{ WORD(0x80000008, 0, EBX), .name = {
		"clzero", "irperf", "xsaveerptr", [4] = "rdpru",
		[9] = "wbnoinvd", [12] = "ibpb", [14] = "ibrs", "stibp",
		[17] = "stibp_always_on", "ibrs_preferred", [23] = "amd_ppin",
		"amd_ssbd", "virt_ssbd", "amd_ssb_no", "cppc", "amd_psfd",
		"btc_no", "ibpb_ret" } },
	{ WORD(0x80000021, 0, EAX), .name = {
		"no_nested_data_bp", [2] = "lfence_rdtsc",
		[6] = "null_sel_clr_base", [8] = "autoibrs",
		"no_smm_ctl_msr", [20] = "prefetchi", [27] = "sbpb",
		"ibpb_brtype", "srso_no" } },
	{ 0 }
};

const char *cpuid_xsave_name(unsigned component)
{
	for (const struct cpuid_word *w = cpuid_words; w->leaf; w++)
		if (w->leaf == 0xd && !w->index && w->reg == CPUID_EAX &&
		    component < 32 && w->name[component])
			return w->name[component];
	return "?";
}
