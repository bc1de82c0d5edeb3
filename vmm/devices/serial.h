/* SPDX-License-Identifier: MIT */
/*
 * serial.h - A 16550A serial port at 0x3f8, IRQ 4
 *
 * Source: the PC16550D data sheet. Output leaves at once (the transmitter is
 * always empty); input waits in a FIFO of 64 bytes until the guest reads it.
 */
#ifndef FERRY_SERIAL_H
#define FERRY_SERIAL_H

#include <stddef.h>
#include <stdint.h>

#define SERIAL_PORT	0x3f8
#define SERIAL_IRQ	4
#define SERIAL_FIFO	64

struct machine;

/**
 * serial_input() - Type bytes to the guest
 * @m:		the machine
 * @data:	the bytes
 * @n:		how many
 *
 * Return: how many the port had room for
 */
size_t serial_input(struct machine *m, const uint8_t *data, size_t n);

#endif /* FERRY_SERIAL_H */
