// SPDX-License-Identifier: MIT
/*
 * console.c - The serial port, used by both rings
 *
 * Theory of operation: one REP OUTSB sends a line. KVM still exits to the VMM
 * for each byte, so lines are short and few.
 *
 * A lock keeps lines whole. Only ring 3 takes it, and never within a visit to
 * a page, so a machine check that ends a visit can't leave it locked. The
 * machine-check handler does not print, it queues. Ring 0 prints only when the
 * guest is about to end, after console_seize().
 */
#include "console.h"
#include "ports.h"

#define UART			0x3f8
#define UART_IER		(UART + 1)
#define UART_LCR		(UART + 3)
#define UART_MCR		(UART + 4)
#define UART_LSR		(UART + 5)
#define UART_LCR_8N1		0x03
#define UART_MCR_DTR_RTS	0x03
#define UART_LSR_DATA		0x01
#define UART_LSR_THR_EMPTY	0x20
#define HELD_MAX		16384
#define SEIZE_TRIES		20000

static uint32_t console_lock;
static bool half_open;
static uint32_t held_len, held_lost;
static char held[HELD_MAX];

static void console_acquire(void)
{
	while (__atomic_exchange_n(&console_lock, 1, __ATOMIC_ACQUIRE))
		cpu_pause();
}

static void console_release(void)
{
	__atomic_store_n(&console_lock, 0, __ATOMIC_RELEASE);
}

static void uart_send(const char *s, uint64_t n)
{
	while (!(port_in8(UART_LSR) & UART_LSR_THR_EMPTY))
		cpu_pause();
	asm volatile("rep outsb" : "+S" (s), "+c" (n) : "d" (UART) : "memory");
}

static void held_append(const char *s, uint32_t n)
{
	if (held_len + n > HELD_MAX) {
		held_lost++;
		return;
	}
	memcpy(held + held_len, s, n);
	held_len += n;
}

void console_print(struct line *l)
{
	l->text[l->len++] = '\n';
	console_acquire();
	if (half_open)
		held_append(l->text, l->len);
	else
		uart_send(l->text, l->len);
	console_release();
	l->len = 0;
}

static uint64_t text_length(const char *s)
{
	uint64_t n = 0;

	while (s[n])
		n++;
	return n;
}

void console_half(const char *s)
{
	console_acquire();
	uart_send(s, text_length(s));
	half_open = true;
	console_release();
}

void console_rest(const char *s)
{
	static const char lost[] = "error console=lines-lost\n";

	console_acquire();
	uart_send(s, text_length(s));
	uart_send("\n", 1);
	half_open = false;
	if (held_len)
		uart_send(held, held_len);
	if (held_lost)
		uart_send(lost, sizeof(lost) - 1);
	held_len = held_lost = 0;
	console_release();
}

void console_seize(void)
{
	static uint32_t seized;
	unsigned int i;

	if (__atomic_exchange_n(&seized, 1, __ATOMIC_ACQUIRE))
		for (;;)
			cpu_pause();
	for (i = 0; i < SEIZE_TRIES; i++) {
		if (!__atomic_exchange_n(&console_lock, 1, __ATOMIC_ACQUIRE))
			break;
		cpu_pause();
	}
	if (half_open || i == SEIZE_TRIES)
		uart_send("\n", 1);
	half_open = false;
	console_release();
}

void console_init(void)
{
	port_out8(UART_IER, 0);
	port_out8(UART_LCR, UART_LCR_8N1);
	port_out8(UART_MCR, UART_MCR_DTR_RTS);
}

int console_getc(void)
{
	return port_in8(UART_LSR) & UART_LSR_DATA ? port_in8(UART) : -1;
}
