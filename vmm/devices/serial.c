// SPDX-License-Identifier: MIT
/* serial.c - A 16550A serial port */

#include <errno.h>
#include <string.h>

#include "device.h"
#include "layout.h"
#include "serial.h"

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_RDA		0x01
#define IER_THRE	0x02
#define IIR_NONE	0x01
#define IIR_THRE	0x02
#define IIR_RDA		0x04
#define IIR_FIFO	0xc0
#define FCR_ENABLE	0x01
#define FCR_CLEAR_RX	0x02
#define LCR_DLAB	0x80
#define MCR_LOOP	0x10
#define LSR_DR		0x01
#define LSR_THRE_TEMT	0x60
#define MSR_READY	0xb0		/* DCD, DSR, CTS */

struct serial {
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t thre_pending;		/* THRE interrupt not acknowledged */
	uint8_t count;			/* bytes in the FIFO */
	uint8_t fifo[SERIAL_FIFO];
};

static const struct field serial_fields[] = {
	FIELD(struct serial, ier), FIELD(struct serial, fcr),
	FIELD(struct serial, lcr), FIELD(struct serial, mcr),
	FIELD(struct serial, scr), FIELD(struct serial, dll),
	FIELD(struct serial, dlm), FIELD(struct serial, thre_pending),
	FIELD(struct serial, count), FIELD_ARRAY(struct serial, fifo),
};

static uint8_t pending_interrupt(const struct serial *s)
{
	if ((s->ier & IER_RDA) && s->count)
		return IIR_RDA;
	if ((s->ier & IER_THRE) && s->thre_pending)
		return IIR_THRE;
	return IIR_NONE;
}

static void update_irq(struct device *d)
{
	device_irq(d, pending_interrupt(d->state) != IIR_NONE);
}

static void fifo_put(struct serial *s, uint8_t byte)
{
	if (s->count < SERIAL_FIFO)
		s->fifo[s->count++] = byte;
}

static uint8_t fifo_get(struct serial *s)
{
	uint8_t byte = s->fifo[0];

	if (!s->count)
		return 0;
	memmove(s->fifo, s->fifo + 1, --s->count);
	return byte;
}

static void transmit(struct device *d, uint8_t byte)
{
	struct serial *s = d->state;

	s->thre_pending = 1;
	if (s->mcr & MCR_LOOP)
		fifo_put(s, byte);
	else
		d->env->output(d->env->ctx, &byte, 1);
}

static void serial_write(struct device *d, const struct device_access *a,
			 uint64_t value)
{
	struct serial *s = d->state;
	uint8_t v = (uint8_t)value;
	int dlab = s->lcr & LCR_DLAB;

	switch (a->at) {
	case RBR_THR:
		if (dlab)
			s->dll = v;
		else
			transmit(d, v);
		break;
	case IER:
		/* Enabling THRE while the transmitter is empty interrupts */
		if (!dlab && (v & IER_THRE) && !(s->ier & IER_THRE))
			s->thre_pending = 1;
		*(dlab ? &s->dlm : &s->ier) = dlab ? v : v & 0x0f;
		break;
	case IIR_FCR:
		s->fcr = v;
		if (v & FCR_CLEAR_RX)
			s->count = 0;
		break;
	case LCR:
		s->lcr = v;
		break;
	case MCR:
		s->mcr = v & 0x1f;
		break;
	case SCR:
		s->scr = v;
		break;
	}
	update_irq(d);
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t v = pending_interrupt(s);

	if (v == IIR_THRE)
		s->thre_pending = 0;
	return v | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint64_t serial_read(struct device *d, const struct device_access *a)
{
	struct serial *s = d->state;
	int dlab = s->lcr & LCR_DLAB;
	uint8_t v = 0;

	switch (a->at) {
	case RBR_THR:
		v = dlab ? s->dll : fifo_get(s);
		break;
	case IER:
		v = dlab ? s->dlm : s->ier;
		break;
	case IIR_FCR:
		v = read_iir(s);
		break;
	case LCR:
		v = s->lcr;
		break;
	case MCR:
		v = s->mcr;
		break;
	case LSR:
		return LSR_THRE_TEMT | (s->count ? LSR_DR : 0);
	case MSR:
		return MSR_READY;
	case SCR:
		return s->scr;
	}
	update_irq(d);
	return v;
}

static int serial_save(struct device *d, struct writer *w, struct error *err)
{
	(void)err;
	put_fields(w, serial_fields, ARRAY_SIZE(serial_fields), d->state);
	return 0;
}

static int serial_load(struct device *d, struct reader *r, struct error *err)
{
	struct serial *s = d->state, got = { 0 };

	get_fields(r, serial_fields, ARRAY_SIZE(serial_fields), &got);
	if (got.count > SERIAL_FIFO)
		return error_set(err, EBADMSG,
				 "serial: %u bytes in a FIFO of %u",
				 got.count, SERIAL_FIFO);
	*s = got;
	/* A reset must lower the line that was raised before it */
	update_irq(d);
	return 0;
}

size_t serial_input(struct device *d, const uint8_t *data, size_t n)
{
	struct serial *s = d->state;
	size_t room;

	pthread_mutex_lock(&d->lock);
	room = d->env->frozen(d->env->ctx) ? 0 : SERIAL_FIFO - s->count;
	if (n > room)
		n = room;
	for (size_t i = 0; i < n; i++)
		fifo_put(s, data[i]);
	update_irq(d);
	pthread_mutex_unlock(&d->lock);
	return n;
}

static const struct device_place serial_place[] = { {
	.range = { { DEVICE_PORTS, SERIAL_PORT, SERIAL_PORTS } },
	.irq = SERIAL_IRQ,
} };

const struct device_ops serial_ops = {
	.name = "serial",
	.compatible = "ns16550a",
	.version = 1,
	.size = sizeof(struct serial),
	.place = serial_place,
	.places = ARRAY_SIZE(serial_place),
	.read = serial_read,
	.write = serial_write,
	.save = serial_save,
	.load = serial_load,
};
