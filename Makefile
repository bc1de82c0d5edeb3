# SPDX-License-Identifier: MIT
#
# make			build/ferry and build/guest.elf
# make demo, check	what scripts/demo and scripts/check do
# make linux		initramfs for Linux guests, docs/guest.md
# make check-linux	of these only stock Linux guests and real memory failure
# make SAN=address	another build in build/address (also undefined, thread;
#			address+undefined)
# make FAULTS=1 BUILD=build/faults	a build that can be told to misbehave
# make mutate		break the program in known ways: each time a test must fail
# make lint, install, clean

CC	?= cc
SAN	?=
BUILD	?= build$(if $(SAN),/$(SAN))
PREFIX	?= /usr/local

comma	:= ,
PKGS	:= libevent_core libevent_pthreads jansson
CFLAGS	?= -O2 -g
CFLAGS	+= -std=gnu17 -Wall -Wextra -pthread
ifneq ($(SAN),)
CFLAGS	+= -fsanitize=$(subst +,$(comma),$(SAN)) -fno-omit-frame-pointer
LDFLAGS	+= -fsanitize=$(subst +,$(comma),$(SAN))
endif
FERRY_CPPFLAGS := -D_GNU_SOURCE $(if $(FAULTS),-DFERRY_FAULTS) $(shell pkg-config --cflags $(PKGS)) -I.
FERRY_LIBS := $(shell pkg-config --libs $(PKGS)) -lfdt -pthread

SRCS	:= $(wildcard vmm/*.c vmm/*/*.c migration/*.c migration/*/*.c)
OBJS	:= $(SRCS:%.c=$(BUILD)/%.o)
LIB	:= $(filter-out $(BUILD)/vmm/main.o,$(OBJS))

all: $(BUILD)/ferry $(BUILD)/guest.elf

include guest/Makefile.inc
include guest/linux/Makefile.inc
include tests/kernel/Makefile.inc
include tests/Makefile.inc

$(BUILD)/ferry: $(OBJS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FERRY_LIBS)

$(BUILD)/vmm/%.o: vmm/%.c
	@mkdir -p $(@D)
	$(CC) $(FERRY_CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/migration/%.o: migration/%.c
	@mkdir -p $(@D)
	$(CC) $(FERRY_CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/bench-limits: $(wildcard scripts/bench-limits*.c scripts/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu17 $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^)

demo:
	scripts/demo

demo-linux:
	scripts/demo-linux

check:
	scripts/check

check-linux:
	scripts/check --only linux

lint:
	scripts/lint

mutate:
	scripts/mutate

install: all
	install -D -m 755 $(BUILD)/ferry $(DESTDIR)$(PREFIX)/bin/ferry
	install -D -m 644 docs/ferry.1 \
		$(DESTDIR)$(PREFIX)/share/man/man1/ferry.1
	install -D -m 644 $(BUILD)/guest.elf \
		$(DESTDIR)$(PREFIX)/share/ferry/guest.elf

clean:
	rm -rf build

-include $(OBJS:.o=.d)

.PHONY: all demo demo-linux check check-linux lint mutate install clean
