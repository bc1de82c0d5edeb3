/* SPDX-License-Identifier: MIT */
/*
 * serial.h - A 16550A serial port
 *
 * Source: the PC16550D data sheet. Output leaves at once (the transmitter is
 * always empty); input waits in a FIFO of 64 bytes until the guest reads it.
 */
#ifndef FERRY_SERIAL_H
#define FERRY_SERIAL_H

#include <stddef.h>
#include <stdint.h>

#define SERIAL_FIFO	64	/* bytes */

struct device;

/**
 * serial_input() - Type bytes to the guest
 * @d:		the serial port
 * @data:	the bytes
 * @n:		how many
 *
 * Accepts nothing while the machine is frozen (struct device_env): bytes that
 * arrive after the state was saved would be lost.
 *
 * Return: how many bytes the FIFO accepted
 */
size_t serial_input(struct device *d, const uint8_t *data, size_t n);

#endif /* FERRY_SERIAL_H */
