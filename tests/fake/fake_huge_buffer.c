// SPDX-License-Identifier: MIT
/* fake_huge_buffer.c - A huge page, as malloc() gives it */

#include <stdlib.h>
#include <string.h>

#include "fake_machine.h"
#include "vmm/memory/huge_buffer.h"
#include "vmm/memory/ram.h"

/* Of the linker's --wrap */
int __wrap_huge_buffer_init(struct huge_buffer *b, int pagemap);
uint8_t *__wrap_huge_buffer_get(struct huge_buffer *b);
void __wrap_huge_buffer_moved(struct huge_buffer *b);
void __wrap_huge_buffer_fini(struct huge_buffer *b);

int __wrap_huge_buffer_init(struct huge_buffer *b, int pagemap)
{
	*b = (struct huge_buffer){ .pagemap = pagemap };
	return 0;
}

uint8_t *__wrap_huge_buffer_get(struct huge_buffer *b)
{
	if (!b->ready && fake_fails(FAKE_HUGE_BUFFER))
		return NULL;
	if (!b->data)
		b->data = aligned_alloc(RAM_HUGE, RAM_HUGE);
	b->ready = b->data;
	return b->data;
}

void __wrap_huge_buffer_moved(struct huge_buffer *b)
{
	/* What is left of it must not be used any more */
	memset(b->data, 0, RAM_HUGE);
	b->ready = false;
}

void __wrap_huge_buffer_fini(struct huge_buffer *b)
{
	free(b->data);
	*b = (struct huge_buffer){ .pagemap = -1 };
}
