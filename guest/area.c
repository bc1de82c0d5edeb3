// SPDX-License-Identifier: MIT
/*
 * area.c - The data area: which pages it has, and where they are
 */
#include "area.h"

struct area area;

uint64_t area_gpa(uint64_t page)
{
	if (page < area.low_pages)
		return AREA_GPA + (page << PAGE_SHIFT);
	return area.high + ((page - area.low_pages) << PAGE_SHIFT);
}

uint64_t area_index(uint64_t gpa)
{
	if (gpa < area.high)
		return (gpa - AREA_GPA) >> PAGE_SHIFT;
	return area.low_pages + ((gpa - area.high) >> PAGE_SHIFT);
}

bool area_page(uint64_t gpa, uint64_t *page)
{
	uint64_t index;

	if (gpa < AREA_GPA || (gpa >= area.low_end && gpa < area.high))
		return false;
	index = area_index(gpa);
	if (index >= area.pages)
		return false;
	if (page)
		*page = index;
	return true;
}
