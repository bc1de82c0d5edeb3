// SPDX-License-Identifier: MIT
/*
 * test_serial.c - The 16550, register by register, and its interrupt line
 *
 * The test makes the guest's accesses by bus_pio(), and reads the interrupt line
 * where it ends, in KVM's PIC.
 */

#include "rig.h"
#include "vmm/devices/layout.h"
#include "vmm/devices/serial.h"

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static uint8_t in(struct rig *r, unsigned reg)
{
	uint8_t v = 0;
	struct bus_pio io = {
		.port = (uint16_t)(SERIAL_PORT + reg), .is_in = true,
		.size = 1, .count = 1, .data = &v,
	};

	bus_pio(&r->m->bus, &io);
	return v;
}

static void out(struct rig *r, unsigned reg, uint8_t v)
{
	struct bus_pio io = {
		.port = (uint16_t)(SERIAL_PORT + reg), .size = 1, .count = 1,
		.data = &v,
	};

	bus_pio(&r->m->bus, &io);
}

static size_t type(struct rig *r, const char *text)
{
	return machine_serial_input(r->m, (const uint8_t *)text, strlen(text));
}

/* The level that the PIC sees: IRQ 4 is edge triggered, so last_irr has it */
static bool line(struct rig *r)
{
	struct kvm_irqchip c = { .chip_id = KVM_IRQCHIP_PIC_MASTER };
	struct error err = { 0 };

	if (KVM_CALL(r->m->kvm.vm, KVM_GET_IRQCHIP, &c, &err) < 0)
		fail_msg("%s", err.text);
	return c.chip.pic.last_irr >> SERIAL_IRQ & 1;
}

static int setup(void **state)
{
	struct rig *r = rig_new(16, 1, RAM_ANON, "host", "");

	rig_build(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static void after_reset(void **state)
{
	struct rig *r = *state;

	assert_int_equal(in(r, IER), 0);
	assert_int_equal(in(r, IIR), 0x01);	/* nothing pending */
	assert_int_equal(in(r, LCR), 0);
	assert_int_equal(in(r, MCR), 0);
	assert_int_equal(in(r, LSR), 0x60);	/* transmitter empty */
	assert_int_equal(in(r, MSR), 0xb0);	/* DCD, DSR, CTS */
	assert_int_equal(in(r, RBR), 0);
	assert_false(line(r));
}

static void registers_hold_what_they_can(void **state)
{
	struct rig *r = *state;

	for (unsigned v = 0; v < 256; v += 5) {
		out(r, SCR, (uint8_t)v);
		assert_int_equal(in(r, SCR), v);
		out(r, MCR, (uint8_t)v);
		assert_int_equal(in(r, MCR), v & 0x1f);
		out(r, IER, (uint8_t)v);
		assert_int_equal(in(r, IER), v & 0x0f);
		out(r, LCR, (uint8_t)v);
		assert_int_equal(in(r, LCR), v);
		out(r, LCR, 0);
	}
	out(r, LSR, 0xff);			/* both are read-only */
	out(r, MSR, 0xff);
	assert_int_equal(in(r, LSR), 0x60);
	assert_int_equal(in(r, MSR), 0xb0);
}

static void dlab_selects_the_divisor(void **state)
{
	struct rig *r = *state;

	out(r, IER, 0x01);
	out(r, LCR, 0x83);
	out(r, RBR, 0x34);
	out(r, IER, 0x12);
	assert_int_equal(in(r, RBR), 0x34);
	assert_int_equal(in(r, IER), 0x12);
	out(r, LCR, 0x03);
	assert_int_equal(in(r, IER), 0x01);
	assert_int_equal(in(r, RBR), 0);
	assert_int_equal(r->len, 0);		/* nothing was sent */
}

static void output_goes_out_in_order(void **state)
{
	struct rig *r = *state;
	char text[] = "ferry";
	struct bus_pio io = {		/* rep outsb */
		.port = SERIAL_PORT, .size = 1, .count = 5,
		.data = (uint8_t *)text,
	};

	for (const char *p = "hello "; *p; p++)
		out(r, RBR, (uint8_t)*p);
	bus_pio(&r->m->bus, &io);
	assert_string_equal(r->out, "hello ferry");
}

static void input_waits_in_order(void **state)
{
	struct rig *r = *state;

	assert_int_equal(type(r, "ab"), 2);
	assert_int_equal(in(r, LSR), 0x61);
	assert_int_equal(in(r, RBR), 'a');
	assert_int_equal(in(r, LSR), 0x61);
	assert_int_equal(in(r, RBR), 'b');
	assert_int_equal(in(r, LSR), 0x60);
	assert_int_equal(in(r, RBR), 0);
}

static void a_full_fifo_takes_no_more(void **state)
{
	struct rig *r = *state;
	char text[SERIAL_FIFO + 10 + 1] = { 0 };

	for (int i = 0; i < SERIAL_FIFO + 10; i++)
		text[i] = (char)('0' + i % 64);
	assert_int_equal(type(r, text), SERIAL_FIFO);
	assert_int_equal(type(r, "x"), 0);
	assert_int_equal(in(r, RBR), '0');
	assert_int_equal(type(r, "yz"), 1);
	for (int i = 1; i < SERIAL_FIFO; i++)
		assert_int_equal(in(r, RBR), text[i]);
	assert_int_equal(in(r, RBR), 'y');
	assert_int_equal(in(r, LSR), 0x60);
}

static void fcr_clears_and_iir_shows_it(void **state)
{
	struct rig *r = *state;

	type(r, "abc");
	out(r, IIR, 0x01);
	assert_int_equal(in(r, IIR), 0xc1);	/* FIFOs on */
	assert_int_equal(in(r, LSR), 0x61);
	out(r, IIR, 0x03);			/* clear the receiver's */
	assert_int_equal(in(r, LSR), 0x60);
	out(r, IIR, 0);
	assert_int_equal(in(r, IIR), 0x01);
}

static void input_interrupts_until_read(void **state)
{
	struct rig *r = *state;

	type(r, "a");
	assert_false(line(r));			/* not enabled */
	out(r, IER, 0x01);
	assert_true(line(r));
	assert_int_equal(in(r, IIR), 0x04);
	assert_int_equal(in(r, IIR), 0x04);	/* reading IIR doesn't end it */
	type(r, "b");
	in(r, RBR);
	assert_true(line(r));
	in(r, RBR);
	assert_false(line(r));
	assert_int_equal(in(r, IIR), 0x01);
	type(r, "c");
	assert_true(line(r));
	out(r, IER, 0);
	assert_false(line(r));
}

static void an_empty_transmitter_interrupts_once(void **state)
{
	struct rig *r = *state;

	out(r, IER, 0x02);			/* it is empty already */
	assert_true(line(r));
	assert_int_equal(in(r, IIR), 0x02);
	assert_false(line(r));			/* that acknowledged it */
	assert_int_equal(in(r, IIR), 0x01);
	out(r, RBR, 'x');
	assert_true(line(r));
	assert_int_equal(in(r, IIR), 0x02);
	assert_int_equal(in(r, IIR), 0x01);
	out(r, IER, 0x02);			/* on already: no new edge */
	assert_int_equal(in(r, IIR), 0x01);
	out(r, IER, 0);
	out(r, IER, 0x02);
	assert_int_equal(in(r, IIR), 0x02);
}

static void input_comes_before_output(void **state)
{
	struct rig *r = *state;

	out(r, IER, 0x03);
	type(r, "a");
	assert_int_equal(in(r, IIR), 0x04);
	in(r, RBR);
	assert_true(line(r));
	assert_int_equal(in(r, IIR), 0x02);
	assert_false(line(r));
}

static void loopback_stays_inside(void **state)
{
	struct rig *r = *state;

	out(r, MCR, 0x10);
	out(r, RBR, 'L');
	assert_int_equal(r->len, 0);
	assert_int_equal(in(r, LSR), 0x61);
	assert_int_equal(in(r, RBR), 'L');
	out(r, MCR, 0);
	out(r, RBR, 'o');
	assert_string_equal(r->out, "o");
}

/* Twice as much as fits: only the excess is lost */
static void loopback_overrun(void **state)
{
	struct rig *r = *state;

	out(r, MCR, 0x10);
	for (int i = 0; i < 2 * SERIAL_FIFO; i++)
		out(r, RBR, (uint8_t)i);
	for (int i = 0; i < SERIAL_FIFO; i++)
		assert_int_equal(in(r, RBR), i);
	assert_int_equal(in(r, LSR), 0x60);
}

static void no_device_at_other_ports(void **state)
{
	struct rig *r = *state;
	uint32_t v = 0;
	struct bus_pio io = {
		.port = 0x2f8, .is_in = true, .size = 4, .count = 1,
		.data = (uint8_t *)&v,
	};

	bus_pio(&r->m->bus, &io);
	assert_int_equal(v, 0xffffffff);
	io.port = SERIAL_PORT - 1;
	io.size = 1;
	v = 0;
	bus_pio(&r->m->bus, &io);
	assert_int_equal(v, 0xff);
	io.is_in = false;
	bus_pio(&r->m->bus, &io);
	assert_int_equal(r->len, 0);
}

static void its_state_moves(void **state)
{
	struct rig *r = *state, *other;
	struct error err = { 0 };
	struct writer w = { 0 };
	struct reader in_state;

	out(r, LCR, 0x80);
	out(r, RBR, 0x12);
	out(r, IER, 0x34);
	out(r, LCR, 0x03);
	out(r, IER, 0x03);
	out(r, IIR, 0x01);
	out(r, SCR, 0x77);
	type(r, "moved");
	assert_int_equal(machine_save(r->m, &w, &err), 0);

	other = rig_new(16, 1, RAM_ANON, "host", "");
	rig_build(other);
	in_state = (struct reader){ .data = w.data, .len = w.len };
	if (machine_load(other->m, &in_state, &err))
		fail_msg("%s", err.text);
	assert_int_equal(in(other, IIR), 0xc4);
	assert_true(line(other));
	assert_int_equal(in(other, SCR), 0x77);
	for (const char *p = "moved"; *p; p++)
		assert_int_equal(in(other, RBR), *p);
	assert_int_equal(in(other, IIR), 0xc2);
	assert_false(line(other));
	out(other, LCR, 0x83);
	assert_int_equal(in(other, RBR), 0x12);
	assert_int_equal(in(other, IER), 0x34);
	writer_free(&w);
	rig_free(other);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(after_reset),
		CASE(registers_hold_what_they_can),
		CASE(dlab_selects_the_divisor),
		CASE(output_goes_out_in_order),
		CASE(input_waits_in_order),
		CASE(a_full_fifo_takes_no_more),
		CASE(fcr_clears_and_iir_shows_it),
		CASE(input_interrupts_until_read),
		CASE(an_empty_transmitter_interrupts_once),
		CASE(input_comes_before_output),
		CASE(loopback_stays_inside),
		CASE(loopback_overrun),
		CASE(no_device_at_other_ports),
		CASE(its_state_moves),
	};

	(void)argc;
	rig_check_kvm(argv[0]);
	return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
