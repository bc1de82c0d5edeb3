// SPDX-License-Identifier: MIT
/* hot.c - The pages that vCPUs touch first when they continue */

#include "arch.h"
#include "hot.h"
#include "vcpu.h"
#include "vmm/base/page.h"

void hot_list_add(struct hot_list *l, uint64_t gpa)
{
	uint64_t page = page_down(gpa), offset;

	if (l->n < l->max && ram_offset(&l->m->ram, page, GUEST_PAGE_SIZE,
					&offset))
		l->gpa[l->n++] = page;
}

size_t hot_pages(struct machine *m, uint64_t *gpa, size_t max)
{
	struct hot_list l = { .m = m, .gpa = gpa, .max = max };

	for (unsigned i = 0; i < m->cfg.cpus; i++)
		arch_vcpu_hot_pages(&m->vcpu[i], &l);
	return l.n;
}
