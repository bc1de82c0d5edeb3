// SPDX-License-Identifier: MIT
/* power.c - The end of the guest */

#include <sys/reboot.h>
#include <unistd.h>

#include "power.h"

void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
