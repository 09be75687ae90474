# closetrace: see `make help`, README.md and CONTRIBUTING.md.

VERSION = 0.2.0

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
BATSDIR ?= $(PREFIX)/lib/bats
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
INSTALL ?= install

# Yours to set. What the library cannot do without is kept apart, in NEEDED and LINK, and is not lost by it.
CFLAGS ?= -O2 -g
WERROR ?= -Werror
BUILD = build
LIB = libclosetrace.so
COMMAND = closetrace
FUZZ_CC ?= clang

STANDARD = -std=gnu11
WARNINGS = -Wall -Wextra $(WERROR)
DEFINES = -DCLOSETRACE_VERSION='"$(VERSION)"'
COMMON = $(STANDARD) $(WARNINGS) -Ipreload -Icli $(DEFINES)

# Hidden: only hooks are exported. Initial-exec TLS: no hook may end up in malloc. Unwind tables: a cancelled thread
# unwinds through us, and runs nothing of ours on its way. No fortify: it would turn our own calls into the __*_chk
# functions that we wrap. No stack protector: it reads thread-local storage, which not every thread has (kernel/thread.h). No
# link-time optimization: it loses what the assembly says of symbols and versions. These come after the user's flags, so
# that none of those can undo them.
NEEDED = -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-exceptions -fasynchronous-unwind-tables \
         -U_FORTIFY_SOURCE -fno-stack-protector -fno-lto

# initfirst: our constructor runs before every other's. --no-undefined: what is missing shows at link time.
LINK = -shared -Wl,-soname,libclosetrace.so -Wl,--version-script=$(MAP) -Wl,--no-undefined \
       -Wl,-z,initfirst -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack

# The command reads what any traced program may have written. It has objects of its own of what it shares with the
# library. WRAPPED: the older ones of libc's functions are taken, whatever it is built with (cli/older_libc.c); those of
# threads are in a library apart before glibc 2.34.
HARDENED = -fPIE -fstack-protector-strong -fno-lto
LINK_COMMAND = -pie -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack $(WRAPPED:%=-Wl,--wrap=%)
LIBRARIES = -Wl,--no-as-needed -l:libpthread.so.0
WRAPPED = __libc_start_main stat lstat fstat fstatat $(addprefix __isoc23_,strtol strtoul strtoll strtoull sscanf) \
          $(addprefix pthread_,create detach join attr_setstacksize sigmask condattr_setclock)

# The command without libc's files beside it, for systems that have another libc: make STATIC=1.
ifeq ($(STATIC),1)
LINK_COMMAND = -static-pie -Wl,-z,now -Wl,-z,relro -Wl,-z,noexecstack
LIBRARIES =
LEFT_OUT = cli/older_libc.c
endif

# The folder of preload/arch that is built.
ARCH = x86_64
MAP = preload/libclosetrace.map
PURE := $(patsubst %.c,%,$(sort $(wildcard preload/pure/*.c cli/reader/*.c cli/analysis/*.c)))
SOURCES := $(sort $(wildcard preload/*.c preload/*/*.c preload/arch/$(ARCH)/*.S))
OBJECTS := $(patsubst %,$(BUILD)/%.o,$(basename $(SOURCES)))
COMMAND_SOURCES := $(filter-out $(LEFT_OUT),$(sort $(wildcard cli/*.c $(addprefix cli/,$(addsuffix /*.c,input look run show supervise symbols terminal)))))
COMMAND_OBJECTS := $(COMMAND_SOURCES:%.c=$(BUILD)/command/%.o)
MANPAGES := $(sort $(wildcard docs/*.1 docs/*.3 docs/*.7))

UNIT := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
MODELS := $(patsubst tests/model/%.c,$(BUILD)/tests/model/%,$(sort $(wildcard tests/model/model_*.c)))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
PROGRAMS := $(patsubst tests/programs/%.c,$(BUILD)/tests/programs/%,$(sort $(wildcard tests/programs/*.c)))
LESSONS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard examples/[0-9]*/*.c)))
UNIT_PLAIN := $(UNIT:%=$(BUILD)/tests/unit/%)
UNIT_SAN := $(UNIT:%=$(BUILD)/tests/unit-san/%)
FUZZERS := $(FUZZ:%=$(BUILD)/tests/fuzz/%)

SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# make V=1 shows the commands; make -s shows nothing.
V ?= 0
ifeq ($(V),1)
Q =
say = @:
else
Q = @
say = @printf '%-7s %s\n'
endif
ifneq ($(findstring s,$(firstword -$(MAKEFLAGS))),)
say = @:
endif

# Everything is built on all cores, unless a -j was given.
TOGETHER = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))

.PHONY: all built demo examples examples-update deps test test-programs stops bench mutate stress lint format deb dist portability install uninstall clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: built

built:
	+@$(TOGETHER) $(LIB) $(COMMAND)

$(LIB): $(OBJECTS) $(MAP) $(BUILD)/flags
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK) -o $@ $(OBJECTS) $(LDLIBS)

# The command shares the pure parts with the library, and looks at the kernel and the ledger with the library's eyes.
LOOKING = $(patsubst %,$(BUILD)/command/preload/%.o,kernel/clock kernel/elf_symbol kernel/memory kernel/own_fds kernel/process \
          kernel/procfs kernel/regular_file kernel/scratch kernel/seccomp_guard kernel/sock_diag kernel/stop kernel/tcp_socket kernel/thread \
          kernel/thread_call output/event_socket output/timezone refs/calls_under_way refs/end_claims refs/ledger \
          refs/pending_releases refs/proc_search)
$(COMMAND): $(COMMAND_OBJECTS) $(LOOKING) $(PURE:%=$(BUILD)/command/%.o) $(BUILD)/flags
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(LINK_COMMAND) -o $@ $(COMMAND_OBJECTS) $(LOOKING) \
		$(PURE:%=$(BUILD)/command/%.o) $(LIBRARIES) $(LDLIBS)

$(BUILD)/command/%.o: %.c $(BUILD)/flags
	$(say) CC "$< (command)"
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) -MMD -MP $(CPPFLAGS) $(CFLAGS) $(HARDENED) -c -o $@ $<

$(BUILD)/cli/%.o: cli/%.c $(BUILD)/flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) -MMD -MP $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/preload/%.o: preload/%.c $(BUILD)/flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) -MMD -MP $(CPPFLAGS) $(CFLAGS) $(NEEDED) -c -o $@ $<

$(BUILD)/preload/%.o: preload/%.S $(BUILD)/flags
	$(say) AS $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) -MMD -MP $(CPPFLAGS) $(CFLAGS) $(NEEDED) -c -o $@ $<

# Holds the compiler and the flags of the last build: other ones make everything anew.
$(BUILD)/flags: export FLAGS_NOW = $(CC) $(COMMON) $(CPPFLAGS) $(CFLAGS) $(NEEDED) $(HARDENED) $(LDFLAGS) $(LINK) $(LINK_COMMAND) \
                   $(LDLIBS)
$(BUILD)/fuzzed/flags: export FLAGS_NOW = $(FUZZ_CC) $(COMMON) $(CPPFLAGS) $(SANITIZE)
$(BUILD)/flags $(BUILD)/fuzzed/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' "$$FLAGS_NOW" | cmp -s - $@ || printf '%s\n' "$$FLAGS_NOW" > $@

demo: built
	@LIB=$(abspath $(LIB)) CLOSETRACE=$(abspath $(COMMAND)) examples/demo/run

# The lessons, one after the other; the recordings in their READMEs made anew.
BUILT = LESSON_BUILT=1 BUILD='$(abspath $(BUILD))' LIB='$(abspath $(LIB))' CLOSETRACE='$(abspath $(COMMAND))'
examples:
	+@$(TOGETHER) $(LIB) $(COMMAND) $(LESSONS)
	@for lesson in examples/[0-9]*/run; do $(BUILT) $$lesson && echo || exit; done
examples-update:
	+@$(TOGETHER) $(LIB) $(COMMAND) $(LESSONS)
	@$(BUILT) examples/update

deps:
	@tests/deps

# Everything that the tests run. T names parts of them: make test T="unit close" (see tests/run --help).
test:
	+@$(TOGETHER) $(LIB) $(COMMAND) test-programs
	@BUILD=$(abspath $(BUILD)) LIB=$(abspath $(LIB)) COMMAND=$(abspath $(COMMAND)) tests/run $(T)

test-programs: $(PROGRAMS) $(LESSONS) $(UNIT_PLAIN) $(UNIT_SAN) $(MODELS) $(FUZZERS) stops

# The library and the command with named places at which a test holds them (preload/kernel/stop.h).
stops:
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/stops LIB=$(BUILD)/stops/libclosetrace.so \
		COMMAND=$(BUILD)/stops/closetrace CPPFLAGS='$(CPPFLAGS) -DCLOSETRACE_STOPS' all

$(BUILD)/tests/programs/%: tests/programs/%.c $(BUILD)/flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) -include preload/kernel/older_functions.h -MMD -MP -MT $@ -MF $@.d $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $< $(LDLIBS)

$(BUILD)/examples/%: examples/%.c $(BUILD)/flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) -MMD -MP -MT $@ -MF $@.d $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $< $(LDLIBS)

$(BUILD)/tests/programs/safety_output: LDLIBS += -lutil
$(BUILD)/tests/programs/scanf: LDLIBS += -ldl
$(BUILD)/tests/programs/safety_children: LDLIBS += -lrt
$(BUILD)/tests/programs/safety_strangers: CFLAGS += -fno-stack-protector -Wl,-z,now
$(BUILD)/tests/programs/safety_sandbox: LDLIBS += -lseccomp

# The unit tests are linked with the very objects that go into the library; then once more, sanitized.
$(BUILD)/tests/unit/%: tests/unit/%.c $(PURE:%=$(BUILD)/%.o) $(BUILD)/flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) -MMD -MP -MT $@ -MF $@.d $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $< \
		$(PURE:%=$(BUILD)/%.o) $(LDLIBS)

$(BUILD)/tests/unit-san/%: tests/unit/%.c $(PURE:%=$(BUILD)/sanitized/%.o) $(BUILD)/flags
	$(say) CC "$< (sanitized)"
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) -MMD -MP -MT $@ -MF $@.d $(CPPFLAGS) -O1 -g $(SANITIZE) -pthread -o $@ $< \
		$(PURE:%=$(BUILD)/sanitized/%.o)

# The models include the very sources; atomic operations and what stands in instead/ are the models' own.
MODEL_CC = $(CC) -Itests/model -Itests/model/instead $(COMMON) -MMD -MP -MT $@ -MF $@.d -O2 -g
$(BUILD)/tests/model/model.o: tests/model/model.c $(BUILD)/flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(MODEL_CC) -c -o $@ $<

$(BUILD)/tests/model/%: tests/model/%.c $(BUILD)/tests/model/model.o $(BUILD)/flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(MODEL_CC) -o $@ $< $(BUILD)/tests/model/model.o

$(BUILD)/sanitized/%.o: %.c $(BUILD)/flags
	$(say) CC "$< (sanitized)"
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) -MMD -MP $(CPPFLAGS) -O1 -g $(SANITIZE) -c -o $@ $<

# Code that reads the session's memory, so that another can be made to write there before each read.
MEDDLED = preload/pure/ring preload/pure/roster preload/pure/address_book preload/refs/ledger preload/refs/end_claims \
          preload/refs/pending_releases preload/refs/calls_under_way preload/refs/fds_in_flight preload/refs/references preload/refs/proc_search \
          preload/kernel/procfs preload/faults/fault_count cli/run/drain cli/run/holders cli/run/killed
MEDDLE = -include tests/fuzz/meddled/meddle.h -Itests/fuzz/meddled -DCLOSETRACE_SMALL_SESSION
AS_IT_IS = $(filter-out $(MEDDLED),$(PURE))
$(BUILD)/tests/fuzz/fuzz_session: tests/fuzz/fuzz_session.c $(MEDDLED:%=$(BUILD)/meddled/%.o) $(AS_IT_IS:%=$(BUILD)/fuzzed/%.o) \
		$(BUILD)/fuzzed/flags
	$(say) CC "$< (fuzzer)"
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(MEDDLE) $(COMMON) -MMD -MP -MT $@ -MF $@.d $(CPPFLAGS) -O1 -g $(SANITIZE) -fsanitize=fuzzer -o $@ \
		$(filter %.c %.o,$^)

$(BUILD)/meddled/%.o: %.c $(BUILD)/fuzzed/flags
	$(say) CC "$< (fuzzer)"
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(MEDDLE) $(COMMON) -MMD -MP $(CPPFLAGS) -O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link -c -o $@ $<

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(PURE:%=$(BUILD)/fuzzed/%.o) $(BUILD)/fuzzed/flags
	$(say) CC "$< (fuzzer)"
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(COMMON) -MMD -MP -MT $@ -MF $@.d $(CPPFLAGS) -O1 -g $(SANITIZE) -fsanitize=fuzzer -o $@ $< \
		$(PURE:%=$(BUILD)/fuzzed/%.o)

$(BUILD)/fuzzed/%.o: %.c $(BUILD)/fuzzed/flags
	$(say) CC "$< (fuzzer)"
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(COMMON) -MMD -MP $(CPPFLAGS) -O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link -c -o $@ $<

bench:
	+@$(TOGETHER) $(LIB) $(COMMAND) test-programs
	@BUILD=$(abspath $(BUILD)) LIB=$(abspath $(LIB)) tests/bench/run
	@BUILD=$(abspath $(BUILD)) LIB=$(abspath $(LIB)) COMMAND=$(abspath $(COMMAND)) tests/bench/servers

stress:
	+@$(TOGETHER) $(LIB) $(COMMAND) test-programs
	@if [ -x tests/stress ]; then tests/stress; else echo 'There is no tests/stress.' >&2; exit 1; fi

# Not in CI: takes the guards of tests/guards out, one at a time, and says which nobody misses.
mutate:
	@tests/mutate $(T)

lint:
	@tests/lint

format:
	@tests/lint --fix

deb:
	@packaging/deb

dist:
	@packaging/dist

# It takes its time, and some gigabytes.
portability:
	@tests/portability/run

# The loader finds LD_PRELOAD=libclosetrace.so by its plain name in its cache, or in /lib and /usr/lib.
install: built
	$(say) INSTALL $(DESTDIR)$(LIBDIR)/libclosetrace.so
	$(Q)$(FOLDER) '$(DESTDIR)$(LIBDIR)'
	$(Q)$(INSTALL) -m 644 $(LIB) $(DESTDIR)$(LIBDIR)/libclosetrace.so
	$(say) INSTALL $(DESTDIR)$(BINDIR)/closetrace
	$(Q)$(FOLDER) '$(DESTDIR)$(BINDIR)'
	$(Q)$(INSTALL) -m 755 $(COMMAND) $(DESTDIR)$(BINDIR)/closetrace
	$(say) INSTALL $(DESTDIR)$(BATSDIR)/closetrace
	$(Q)$(FOLDER) '$(DESTDIR)$(BATSDIR)/closetrace' '$(DESTDIR)$(COMPLETIONDIR)'
	$(Q)$(INSTALL) -m 644 cli/closetrace.bash $(DESTDIR)$(BATSDIR)/closetrace/load.bash
	$(Q)$(INSTALL) -m 644 cli/completion.bash $(DESTDIR)$(COMPLETIONDIR)/closetrace
	$(Q)for page in $(MANPAGES); do \
		section=$(DESTDIR)$(MANDIR)/man$${page##*.}; \
		$(FOLDER) "$$section" && $(INSTALL) -m 644 "$$page" "$$section" || exit; \
	done
	$(Q)$(REFRESH)
ifeq ($(DESTDIR),)
	@LD_PRELOAD=libclosetrace.so sh -c : 2>&1 | grep -q 'cannot be preloaded' || exit 0; \
		echo '$(LIBDIR) is not where the loader looks: use LD_PRELOAD=$(LIBDIR)/libclosetrace.so,'; \
		echo 'or name $(LIBDIR) in a file of /etc/ld.so.conf.d and run ldconfig.'
endif

# A package that is being built (DESTDIR) refreshes the loader's cache when it is installed, not now.
REFRESH = if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then PATH=$$PATH:/sbin:/usr/sbin ldconfig; fi

# Makes folders. Those that were not there are written down, so that uninstall can take them away, if they are empty then.
MADE = $(BUILD)/folders-made
FOLDER = folder() ( \
		for path; do \
			[ -d "$${path:-/}" ] && continue; \
			case $$path in */*) folder "$${path%/*}" ;; esac && \
			$(INSTALL) -d "$$path" && echo "$$path" >>$(MADE) || exit; \
		done \
	) && folder

uninstall:
	$(say) RM $(DESTDIR)$(LIBDIR)/libclosetrace.so
	$(Q)rm -f $(DESTDIR)$(LIBDIR)/libclosetrace.so $(DESTDIR)$(BINDIR)/closetrace
	$(Q)rm -f $(DESTDIR)$(COMPLETIONDIR)/closetrace
	$(Q)rm -rf $(DESTDIR)$(BATSDIR)/closetrace
	$(Q)for page in $(MANPAGES); do rm -f "$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}"; done
	@mkdir -p $(BUILD)
	$(Q)touch $(MADE) && sort -r $(MADE) | while read -r folder; do \
		! [ -d "$$folder" ] || rmdir "$$folder" 2>/dev/null || echo "$$folder"; \
	done >$(MADE).left && mv $(MADE).left $(MADE)
	$(Q)$(REFRESH)

clean:
	$(say) RM "$(BUILD) $(LIB) $(COMMAND)"
	$(Q)rm -rf $(BUILD) $(LIB) $(COMMAND)

help:
	@echo 'make            builds ./libclosetrace.so and ./closetrace (needs gcc, make, libc6-dev)'
	@echo '                STATIC=1: the command needs no libc of the system, so it also runs on one with a different libc (Alpine)'
	@echo 'make demo       traces nginx and curl on loopback, and explains the trace on the screen'
	@echo 'make examples   runs the lessons: small clients and servers, traced, with each line explained (examples/README.md);'
	@echo '                make examples-update: records their output again'
	@echo 'make deps       installs the Debian packages that the demo and the tests need (tests/deps --help)'
	@echo 'make test       runs lint, unit tests (plain and sanitized), fuzzers for a moment, and the bats suites'
	@echo '                T="lint close": runs only these parts (tests/run --help)'
	@echo 'make lint       runs clang-format, clang-tidy, cppcheck, shellcheck; make format: lets clang-format change files'
	@echo 'make bench      measures what tracing costs'
	@echo 'make mutate     removes each guard of tests/guards from a copy, and reports which no test misses; T=WORD: some'
	@echo 'make stops      makes the test build, in which named places of the library can be stopped and released (tests/races.bats)'
	@echo 'make stress     runs many processes, threads and connections, for a while'
	@echo 'make portability  builds and tests on other Debian releases, each in its own folder (tests/portability/run --help)'
	@echo 'make deb        makes a Debian package, in build/deb'
	@echo 'make dist       makes tarballs, in build/dist: the sources; library and command for glibc 2.31 and later, no compiler needed'
	@echo 'make install    installs to PREFIX ($(PREFIX)), below DESTDIR if that is set; make uninstall: removes it'
	@echo 'make clean      removes what was built'
	@echo
	@echo 'Settings: CC, CPPFLAGS, CFLAGS, LDFLAGS, LDLIBS; WERROR= (warnings do not stop the build); V=1 shows the'
	@echo 'commands; PREFIX, BINDIR, LIBDIR, MANDIR, BATSDIR, COMPLETIONDIR, DESTDIR; BUILD, LIB and COMMAND put the output elsewhere.'

-include $(OBJECTS:.o=.d) $(COMMAND_OBJECTS:.o=.d) $(LOOKING:.o=.d) $(PURE:%=$(BUILD)/command/%.d)
-include $(PROGRAMS:=.d) $(LESSONS:=.d) $(UNIT_PLAIN:=.d) $(UNIT_SAN:=.d) $(MODELS:=.d) $(BUILD)/tests/model/model.o.d $(FUZZERS:=.d)
-include $(PURE:%=$(BUILD)/%.d)
-include $(PURE:%=$(BUILD)/sanitized/%.d) $(PURE:%=$(BUILD)/fuzzed/%.d) $(MEDDLED:%=$(BUILD)/meddled/%.d)
