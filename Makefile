# SPDX-License-Identifier: MIT
#
# make			build/ferry and build/guest.elf
# make demo, check	what scripts/demo and scripts/check do
# make linux		initramfs for Linux guests, docs/guest.md
# make check-linux	of these only stock Linux guests and real memory failure
# make SAN=address	another build in build/address (also undefined, thread;
#			address+undefined)
# make kernel-tests	build/ferry-kernel-tests.tar.gz: tests/kernel, for another
#			machine
# make FAULTS=1 BUILD=build/faults	a build that can be told to misbehave
# make killed, cuts	real processes ended or cut at many more places than
#			scripts/check tries
# make mutate		break the program in known ways: each time a test must fail
# make model		check the model of hand-over and recovery (docs/model) with spin
# make model-files	write what docs/ has of the phase tables again
# make man, completion	man pages, in build/man; what completes commands in bash
#			and zsh
# make lint, install, clean

CC	?= cc
SAN	?=
BUILD	?= build$(if $(SAN),/$(SAN))
PREFIX	?= /usr/local

comma	:= ,
PKGS	:= libevent_core libevent_extra libevent_pthreads jansson gnutls
CFLAGS	?= -O2 -g
override CFLAGS	+= -std=gnu17 -Wall -Wextra -pthread

# Hardening, as far as the compiler has it (tests/hardening.py checks the result).
# FORTIFY is left out without optimization, which it needs, and with sanitizers,
# which do not see through its replacements of memcpy(3) and the like
cc_option = $(shell $(CC) -Werror $(1) -c -x c -o /dev/null /dev/null \
		2>/dev/null && echo '$(1)')
fortify_level = $(shell $(CC) $(CFLAGS) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 \
		-dM -E -include features.h -x c /dev/null 2>/dev/null | \
		sed -n 's/^.define __USE_FORTIFY_LEVEL \([1-9]\)$$/\1/p')
HARDEN	:= -fPIE -fstack-protector-strong \
		$(call cc_option,-fstack-clash-protection) \
		$(call cc_option,-fcf-protection)
ifneq ($(SAN),)
override CFLAGS	+= -fsanitize=$(subst +,$(comma),$(SAN)) -fno-omit-frame-pointer
override LDFLAGS += -fsanitize=$(subst +,$(comma),$(SAN))
else
FORTIFY	:= $(fortify_level)
HARDEN	+= $(if $(FORTIFY),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(FORTIFY))
endif
override CFLAGS	+= $(HARDEN)
override LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack
FERRY_CPPFLAGS := -D_GNU_SOURCE $(if $(FAULTS),-DFERRY_FAULTS) $(shell pkg-config --cflags $(PKGS)) -I.
FERRY_LIBS := $(shell pkg-config --libs $(PKGS)) -lfdt -pthread

SRCS	:= $(wildcard vmm/*.c vmm/*/*.c migration/*.c migration/*/*.c)
OBJS	:= $(SRCS:%.c=$(BUILD)/%.o)
LIB	:= $(filter-out $(BUILD)/vmm/main.o,$(OBJS))

MAN	:= $(patsubst docs/man/%.mdoc,$(BUILD)/man/ferry-%.1,\
		$(filter-out %/ferry.mdoc,$(wildcard docs/man/*.mdoc))) \
		$(BUILD)/man/ferry.1

all: $(BUILD)/ferry $(BUILD)/guest.elf

include guest/Makefile.inc
include guest/linux/Makefile.inc
include tests/kernel/Makefile.inc
include tests/Makefile.inc
include tests/model/Makefile.inc

$(BUILD)/ferry: $(OBJS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FERRY_LIBS)

$(BUILD)/vmm/%.o: vmm/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(FERRY_CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/migration/%.o: migration/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(FERRY_CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# "[0] = "read", …", for the message of the sandbox
$(BUILD)/syscall_names.h: Makefile
	@mkdir -p $(@D)
	echo '#include <sys/syscall.h>' | $(CC) -E -dM -x c - | \
		sed -n 's/^#define SYS_\([a-z0-9_]*\) .*/[SYS_\1] = "\1",/p' | \
		tr '\n' ' ' | sed 's/^/#define SYSCALL_NAMES /' >$@

$(BUILD)/vmm/base/sandbox.o: $(BUILD)/syscall_names.h
$(BUILD)/vmm/base/sandbox.o: FERRY_CPPFLAGS += -include $(BUILD)/syscall_names.h

# Their assembler reads these files (vmm/base/embed.h)
$(BUILD)/vmm/web/web_page.o: $(wildcard vmm/web/page/*)
$(BUILD)/vmm/cli/completion.o: vmm/cli/completion.bash vmm/cli/completion.zsh

$(BUILD)/bench-limits: $(wildcard tests/bench/*.[ch] tests/kernel/*.h) \
		vmm/base/clock.h \
		$(BUILD)/tests/kernel/kguest.o $(BUILD)/tests/kernel/kuffd.o
	@mkdir -p $(@D)
	$(CC) $(FERRY_CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.o,$^)

$(BUILD)/bench-channel: tests/bench/channel/channel.c $(BUILD)/libferry.a
	@mkdir -p $(@D)
	$(CC) $(FERRY_CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FERRY_LIBS)

$(BUILD)/bench-native: $(BUILD)/tests/bench/native/native.o $(FAKE_MACHINE) \
		$(BUILD)/libferry.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FERRY_LIBS)

$(BUILD)/tests/bench/native/native.o: tests/bench/native/native.c
	@mkdir -p $(@D)
	$(CC) $(FERRY_CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(BUILD)/tests/bench/native/native.d

# A man page: what `ferry help --man` has of it, and docs/man/COMMAND.mdoc, in
# which the heading of the generated list stands alone
$(BUILD)/man/ferry.1: docs/man/ferry.mdoc
$(filter-out %/ferry.1,$(MAN)): $(BUILD)/man/ferry-%.1: docs/man/%.mdoc
$(MAN): $(BUILD)/ferry
	@mkdir -p $(@D)
	$(BUILD)/ferry help --man $(patsubst ferry-%,%,$(filter ferry-%,$(basename $(@F)))) | \
		awk 'FNR == NR && /^\.Sh (OPTIONS|COMMANDS)$$/ { list = 1 } \
		     FNR == NR && list { text = text $$0 "\n"; next } \
		     FNR != NR && /^\.Sh (OPTIONS|COMMANDS)$$/ { printf "%s", text; next } \
		     { print }' - $(filter %.mdoc,$^) >$@

$(BUILD)/completion.%: $(BUILD)/ferry
	$(BUILD)/ferry completion $* >$@

man: $(MAN)

completion: $(BUILD)/completion.bash $(BUILD)/completion.zsh

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

# Either process killed or stopped at 400 points, and a cut at every operation
# and after every message: two hours. scripts/check tries a selection
END_TO_END = FERRY_BUILD=$(BUILD) FERRY_FAULTS_BUILD=$(BUILD)/faults \
		/usr/bin/python3 -B tests/run.py

faults: all
	+$(MAKE) FAULTS=1 BUILD=$(BUILD)/faults all

killed: faults
	FERRY_TEST_POINTS=100 $(END_TO_END) tests/failure/killed.py

cuts: faults
	FERRY_TEST_EVERY=1 $(END_TO_END) tests/failure/cuts.py

install: all man completion
	install -D -m 755 $(BUILD)/ferry $(DESTDIR)$(PREFIX)/bin/ferry
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(MAN) $(DESTDIR)$(PREFIX)/share/man/man1
	install -D -m 644 $(BUILD)/completion.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/ferry
	install -D -m 644 $(BUILD)/completion.zsh \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_ferry
	install -D -m 644 $(BUILD)/guest.elf \
		$(DESTDIR)$(PREFIX)/share/ferry/guest.elf

clean:
	rm -rf build

-include $(OBJS:.o=.d)

.PHONY: all man completion demo demo-linux check check-linux lint mutate faults \
	killed cuts install clean
