// SPDX-License-Identifier: MIT
/*
 * console.c - The serial port and the way out, used by both rings
 *
 * Theory of operation: a line goes out by one REP OUTSB. KVM still leaves to
 * the VMM for each byte, so lines are kept short and few.
 *
 * A lock keeps them whole. It is only ever taken by ring 3, which holds it with
 * no guest data in hand, so no machine check that ends a visit can come while
 * it is held; the machine-check handler itself never prints, it queues. Ring 0
 * prints when the guest is about to end, and then seizes the console from
 * whoever has it.
 *
 * console_half() leaves a line open, to show one line printed on two machines.
 * Until console_rest() closes it, other lines are kept back.
 */
#include "guest.h"

#define UART			0x3f8
#define UART_IER		(UART + 1)
#define UART_LCR		(UART + 3)
#define UART_MCR		(UART + 4)
#define UART_LSR		(UART + 5)
#define UART_LCR_8N1		0x03
#define UART_MCR_DTR_RTS	0x03
#define UART_LSR_DATA		0x01
#define UART_LSR_THR_EMPTY	0x20
#define DEBUG_EXIT		0xf4
#define PVPANIC			0x505
#define ACPI_RESET		0x608
#define KEYBOARD		0x64
#define HELD_MAX		16384
#define SEIZE_TRIES		20000

static uint32_t lock;
static bool half_open;
static uint32_t held_len, held_lost;
static char held[HELD_MAX];

static inline void out8(uint16_t port, uint8_t v)
{
	asm volatile("outb %0, %1" : : "a" (v), "Nd" (port));
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t v;

	asm volatile("inb %1, %0" : "=a" (v) : "Nd" (port));
	return v;
}

static void console_lock(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		pause();
}

static void console_unlock(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static void uart_send(const char *s, uint64_t n)
{
	while (!(in8(UART_LSR) & UART_LSR_THR_EMPTY))
		pause();
	asm volatile("rep outsb" : "+S" (s), "+c" (n) : "d" (UART) : "memory");
}

static void hold(const char *s, uint32_t n)
{
	if (held_len + n > HELD_MAX) {
		held_lost++;
		return;
	}
	memcpy(held + held_len, s, n);
	held_len += n;
}

/**
 * line_end() - Send a line off, whole
 * @l:		line; made ready for the next line_begin()
 */
void line_end(struct line *l)
{
	l->text[l->len++] = '\n';
	console_lock();
	if (half_open)
		hold(l->text, l->len);
	else
		uart_send(l->text, l->len);
	console_unlock();
	l->len = 0;
}

static uint64_t length(const char *s)
{
	uint64_t n = 0;

	while (s[n])
		n++;
	return n;
}

/**
 * console_half() - Print the first part of a line, now
 * @s:		text
 */
void console_half(const char *s)
{
	console_lock();
	uart_send(s, length(s));
	half_open = true;
	console_unlock();
}

/**
 * console_rest() - Print the rest of that line, then the lines kept back
 * @s:		text
 */
void console_rest(const char *s)
{
	static const char lost[] = "error console=lines-lost\n";

	console_lock();
	uart_send(s, length(s));
	uart_send("\n", 1);
	half_open = false;
	if (held_len)
		uart_send(held, held_len);
	if (held_lost)
		uart_send(lost, sizeof(lost) - 1);
	held_len = held_lost = 0;
	console_unlock();
}

/**
 * console_seize() - Take the console for good, before the guest ends
 *
 * Does not return to any vCPU but the first that calls it. Waits for a line
 * under way, but not for ever: its printer may be what failed.
 */
void console_seize(void)
{
	static uint32_t seized;
	unsigned int i;

	if (__atomic_exchange_n(&seized, 1, __ATOMIC_ACQUIRE))
		for (;;)
			pause();
	for (i = 0; i < SEIZE_TRIES; i++) {
		if (!__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
			break;
		pause();
	}
	if (half_open || i == SEIZE_TRIES)
		uart_send("\n", 1);
	half_open = false;
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

/**
 * console_init() - Set the port up, polled
 *
 * The FIFO is left as it is: enabling it would empty it, and with it throw away
 * what was sent before the guest was up.
 */
void console_init(void)
{
	out8(UART_IER, 0);
	out8(UART_LCR, UART_LCR_8N1);
	out8(UART_MCR, UART_MCR_DTR_RTS);
}

/**
 * console_getc() - Next input character, if there is one
 *
 * Return: the character, or -1
 */
int console_getc(void)
{
	return in8(UART_LSR) & UART_LSR_DATA ? in8(UART) : -1;
}

/**
 * debug_exit() - End the guest
 * @code:	EXIT_...; Ferry's own status, QEMU's is 2 * @code + 1
 *
 * Where no such device is, the vCPU spins.
 */
void debug_exit(uint32_t code)
{
	asm volatile("outl %0, %1" : : "a" (code), "Nd" (DEBUG_EXIT));
	for (;;)
		pause();
}

/**
 * panic_ring() - Tell the host of a panic
 * @bits:	PANIC_...
 *
 * A host that stops the guest for it and lets it go on later finds it here.
 */
void panic_ring(uint8_t bits)
{
	out8(PVPANIC, bits);
}

/**
 * reset() - Have the machine reset
 * @by_keyboard: by the keyboard controller, not by ACPI's register
 *
 * Where no such port is, the vCPU goes on.
 */
void reset(bool by_keyboard)
{
	out8(by_keyboard ? KEYBOARD : ACPI_RESET, by_keyboard ? 0xfe : 1);
}
