# Hearth. `make help` lists the targets. Sources are found by wildcard: a new file needs no line here.
# Engineers side by side: make BUILD=/tmp/b-me. CC=clang works. CFLAGS is the user's; ours are in CPP, WARN and HARDEN.
BUILD  ?= build
CFLAGS ?= -O2 -g
T      ?=
Q      := $(if $(V),,@)# V=1 shows the commands
FUZZ_SECONDS ?= 10

WARN = -Werror -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
       -Wwrite-strings -Wvla -Wformat=2 -Wundef -Wpointer-arith -Wcast-qual -Wimplicit-fallthrough -Wno-unused-parameter
CPP    = -std=gnu11 -D_GNU_SOURCE -I. -I/usr/include/postgresql $(BAN)
BAN    = $(addprefix -include ,$(wildcard core/base/banned.h))
# Sanitizers do not go with _FORTIFY_SOURCE, and -O0 does not either.
HARDEN = -fPIE -fno-common -fstack-protector-strong $(if $(SAN)$(filter -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
LINK   = $(CC) $(CFLAGS) $(SAN) $(LDFLAGS) -pie -Wl,-z,relro,-z,now
LIBS   = -lfcgi -lyajl -lpq -lssl -lcrypto -lcrypt -lcurl -lunistring -lm

find   = $(shell find $1 -name '*.c' 2>/dev/null | LC_ALL=C sort)
obj    = $(patsubst %.c,$(BUILD)/o/%.o,$1)
CORE  := $(call obj,$(call find,core))
FRONT := $(call obj,$(filter-out fcgi/main.c,$(call find,fcgi)))
MAIN  := $(call obj,fcgi/main.c)
UNIT  := $(call obj,$(call find,tests/unit))
DB    := $(call obj,$(call find,tests/db) $(addprefix tests/unit/event/,dag.c plain.c room.c))
FUZZ  := $(wildcard tests/fuzz/*.c)
BENCH := $(call obj,$(call find,tests/bench))
HEADERS := $(shell find core fcgi -name '*.h' 2>/dev/null)
OURS  := $(HEADERS) $(call find,core fcgi tests)
FUZZERS := $(FUZZ:tests/fuzz/%.c=$(BUILD)/fuzz-%)

# Whole: statements are collected in the linker section `stmts`, and no symbol may be needed to pull their object in.
ALLCORE = -Wl,--whole-archive $(BUILD)/libcore.a -Wl,--no-whole-archive

# Only when something is missing does a build call the dependency script. libfcgi before 2.4.2 waits with select(): fds above 1023 corrupt memory.
ifneq ($(shell pkg-config --exists 'fcgi >= 2.4.2' yajl libpq libssl libcrypto libcurl libcrypt criterion 2>/dev/null && [ -e /usr/include/unicase.h ] && echo ok),ok)
MISSING = deps
endif

all: $(BUILD)/hearth

$(BUILD)/o/%.o: %.c | $(MISSING)
	@mkdir -p $(@D)
	$(if $(V),,@echo '  cc  $<')
	$(Q)$(CC) $(CPP) $(WARN) $(HARDEN) $(CFLAGS) $(SAN) -MMD -MP -c -o $@ $<

# From scratch each time: `ar r` alone would keep the objects of removed files.
$(BUILD)/libcore.a: $(CORE)
$(BUILD)/libfront.a: $(FRONT)
$(BUILD)/%.a: | $(MISSING)
	@mkdir -p $(@D); rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/hearth: $(MAIN) $(BUILD)/libfront.a $(BUILD)/libcore.a
	$(Q)$(LINK) -o $@ $(MAIN) $(BUILD)/libfront.a $(ALLCORE) $(LIBS)
$(BUILD)/unit: $(UNIT) $(BUILD)/libfront.a $(BUILD)/libcore.a
	$(Q)$(LINK) -o $@ $(UNIT) $(BUILD)/libfront.a $(ALLCORE) -lcriterion $(LIBS)
$(BUILD)/dbtests: $(DB) $(BUILD)/libfront.a $(BUILD)/libcore.a
	$(Q)$(LINK) -o $@ $(DB) $(BUILD)/libfront.a $(ALLCORE) -lcriterion $(LIBS)
$(BUILD)/bench: $(BENCH) $(BUILD)/libcore.a
	$(Q)$(LINK) -o $@ $(BENCH) $(ALLCORE) $(LIBS)
$(BUILD)/fuzz-%: $(BUILD)/o/tests/fuzz/%.o $(BUILD)/libfront.a $(BUILD)/libcore.a
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $< $(BUILD)/libfront.a $(ALLCORE) $(LIBS)
fuzzers: $(FUZZERS)
tests: $(if $(UNIT),$(BUILD)/unit) $(if $(DB),$(BUILD)/dbtests)

deps:            ## install missing Debian packages
	deploy/deps build
	@pkg-config --atleast-version=2.4.2 fcgi || { echo 'libfcgi 2.4.2 or newer is needed' >&2; exit 1; }

run: all         ## build and run a complete server in the foreground (https://localhost:8448)
	deploy/deps run
	HEARTH_BINARY=$(BUILD)/hearth exec deploy/local

test:            ## every suite, from a bare machine; ends with "N passed, N failed"
	deploy/deps build run test
	$(MAKE) all tests
	BUILD=$(BUILD) tests/run unit db http clients

check: all tests ## unit tests, layers, headers: no network, no database
	BUILD=$(BUILD) tests/run unit
	$(MAKE) layers headers
check-unit: tests ## unit tests
	BUILD=$(BUILD) tests/run unit
check-db: tests  ## database tests, on a cluster of their own
	BUILD=$(BUILD) tests/run db
check-http: all  ## conversations with the real server
	BUILD=$(BUILD) tests/run http
check-clients: all ## real client libraries against the real server
	BUILD=$(BUILD) tests/run clients
check-one: all tests ## one test file: make check-one T=event/redact (unit, db or http)
	BUILD=$(BUILD) tests/one $(T)

asan:            ## all suites under AddressSanitizer and UBSan
	$(MAKE) BUILD=$(BUILD)/asan SAN='-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer' check-unit check-db check-http
# Criterion's shared arena and ThreadSanitizer want the same addresses, so it is the server that runs under it (libcurl has threads).
tsan:            ## the server under ThreadSanitizer
	$(MAKE) BUILD=$(BUILD)/tsan CC=clang SAN=-fsanitize=thread check-http
cover:           ## lines covered by unit and database tests, per file
	-$(MAKE) BUILD=$(BUILD)/cover SAN=--coverage CFLAGS='-O0 -g' check-unit check-db
	tests/cover $(BUILD)/cover
fuzz:            ## every fuzzer for FUZZ_SECONDS=10
	deploy/deps build lint
	$(MAKE) BUILD=$(BUILD)/fuzz CC=clang SAN=-fsanitize=fuzzer-no-link,address,undefined fuzzers
	tests/fuzz/run $(BUILD)/fuzz $(FUZZ_SECONDS)
bench: all $(if $(BENCH),$(BUILD)/bench) ## load figures beside their yardsticks
	BUILD=$(BUILD) tests/bench/run

lint:            ## clang-tidy, cppcheck, shellcheck, leftovers, generated files up to date
	deploy/deps build lint
	CPPARGS='$(CPP)' deploy/lint $(filter %.c,$(OURS))
format:          ## rewrite the sources by .clang-format
	clang-format -i $(OURS)
layers:          ## the include rules, by grep
	deploy/layers
headers: $(HEADERS:%=$(BUILD)/h/%.ok) ## each header compiles alone
$(BUILD)/h/%.ok: % | $(MISSING)
	@mkdir -p $(@D)
	@echo '#include "$<"' | $(CC) $(CPP) $(WARN) -fsyntax-only -x c - && touch $@
nginx.conf.example: deploy/nginx.conf.in deploy/nginx-conf
	deploy/nginx-conf example > $@

help:            ## this
	@sed -n 's/^\([a-z-]*\):[^#=]*## /\1	/p' Makefile | sort | expand -t 16
clean:           ## remove what was built
	rm -rf $(BUILD)

.PHONY: all run test check check-unit check-db check-http check-clients check-one asan tsan cover fuzz fuzzers tests bench \
	lint format layers headers help clean deps
.DELETE_ON_ERROR:
.SECONDARY:
-include $(patsubst %.o,%.d,$(CORE) $(FRONT) $(MAIN) $(UNIT) $(DB) $(BENCH) $(call obj,$(FUZZ)))
