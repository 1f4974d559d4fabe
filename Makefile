# make           builds build/weir                  make run      sets up, builds, starts the demo
# make test      sets up, runs every test           make check    format, layers, every test
# make asan tsan unit and simulation tests under sanitizers
# make fuzz      runs each fuzzer for FUZZ_SECONDS  make bench    compares with its peers
# make sim       whole workers on a simulated network, SEEDS=n, T="-s FIRST -t"
# make docs      writes docs/reference              make install  DESTDIR= PREFIX=/usr/local
# make attack    floods of HTTP/2 beside a good client, weir and its peers
# make soak      mixed load while everything changes, SOAK_SECONDS=120
# make bench-balancers  nanoseconds for the choice of a server, T=NAME
# make bench-cache-store  memory, nanoseconds, hit ratios of the cache's store, T=part
# make bench-limits   nanoseconds for the check of a limit
# make bench-challenge  nanoseconds for a question, an answer and a pass of a challenge
# make bench-tokens   nanoseconds for the check of a signed token
# make cost      instructions, system calls, allocations per request, against bench/ceilings.ini
# make failtest  every allocation and system call fails once (FAIL_ALL=1: every n-th)
# make format    clang-format on all C files        make http     integration tests alone, T=words
#
# V=release|debug|asan|tsan|fuzz picks a variant; each has its own folder under build/.
# ONLY="base io" builds the unit tests of some folders alone.
V      ?= release
ONLY   ?=
B      := build/$(V)$(if $(ONLY),-$(subst $() ,-,$(strip $(ONLY))))
CC     := $(if $(filter fuzz,$(V)),clang,$(if $(filter default,$(origin CC)),gcc,$(CC)))
PREFIX ?= /usr/local

VERSION := 0.1.0
WERROR ?= -Werror
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef \
        -Wpointer-arith -Wwrite-strings -Wno-missing-field-initializers $(WERROR)
HARDEN := -fstack-protector-strong -fcf-protection=full -fPIE
FLAGS_release := -O2 -g -flto=auto -D_FORTIFY_SOURCE=2 $(HARDEN)
FLAGS_debug   := -O0 -g3
FLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan    := -O1 -g -fsanitize=thread
FLAGS_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LD_release    := -pie -Wl,-z,relro,-z,now,-z,noexecstack
LD_fuzz       := -fsanitize=address,undefined

# gzip is ISA-L's where it is packaged (amd64), else zlib's.
ISAL := $(shell pkg-config --exists libisal 2>/dev/null && echo libisal)
# Countries of addresses: left out where the library is not.
MMDB := $(shell pkg-config --exists libmaxminddb 2>/dev/null && echo libmaxminddb)
PKGS := openssl zlib libzstd libbrotlienc libbrotlidec $(ISAL) $(MMDB) libpcre2-8 libcares jansson libxxhash libcrypt
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
# Another coder of header fields, which ours is compared with in tests: left out where it is not.
NGHTTP2    := $(shell pkg-config --libs libnghttp2 2>/dev/null)
CPPFLAGS += -Isrc -I. -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"' -DPCRE2_CODE_UNIT_WIDTH=8
CFLAGS   += -std=gnu17 -pthread $(WARN) $(FLAGS_$(V)) $(PKG_CFLAGS)
LDFLAGS  += $(LD_$(V))

FOLDERS := base io conf http codec cache net limit auth tls upstream balancer h1 h2 fcgi proxy filter admin main
ALL_C   := $(wildcard $(if $(ONLY),$(ONLY:%=src/%/*.c),src/*/*.c))
OPT_C   := $(if $(NGHTTP2),,%_nghttp2_test.c %_nghttp2_fuzz_test.c %_nghttp2_fuzz.c)
TEST_C  := $(filter-out $(OPT_C),$(filter %_test.c,$(ALL_C)))
FUZZ_C  := $(filter-out $(OPT_C),$(wildcard src/*/*_fuzz.c))
SRC     := $(filter-out %_test.c %_fuzz.c %/gzip_$(if $(ISAL),zlib,isal).c \
           %/geo_$(if $(MMDB),none,mmdb).c,$(ALL_C))
GEN     := $(if $(or $(if $(ONLY),,all),$(filter filter,$(ONLY))),$(B)/filters.gen.o) \
           $(if $(or $(if $(ONLY),,all),$(filter balancer,$(ONLY))),$(B)/balancers.gen.o)
ASSETS  := $(wildcard $(if $(ONLY),$(ONLY:%=src/%/*.html),src/*/*.html))
OBJ     := $(SRC:%.c=$(B)/%.o) $(ASSETS:%.html=$(B)/%.asset.o) $(GEN)
LIB_OBJ := $(filter-out $(B)/src/main/main.o,$(OBJ))
FILTER_C  := $(sort $(basename $(notdir $(filter-out %_test.c %_fuzz.c,$(wildcard src/filter/*.c)))))
# A large filter NAME has parts of its own: NAME_*.c.
FILTERS   := $(filter-out $(FILTER_C:%=%_%),$(FILTER_C))
BALANCERS := $(sort $(basename $(notdir $(filter-out %_test.c %_fuzz.c,$(wildcard src/balancer/*.c)))))
SUITES    := $(subst /,_,$(TEST_C:src/%_test.c=%))
SIM_C   := $(if $(ONLY),,$(wildcard tests/sim/*.c))

all: build/weir

build/weir: $(B)/weir
	@mkdir -p build; ln -sf $(V)/weir $@
$(B)/weir: $(OBJ)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(B)/unit: $(LIB_OBJ) $(TEST_C:%.c=$(B)/%.o) $(B)/tests/unit_main.o $(B)/suites.gen.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcmocka $(NGHTTP2)
$(B)/sim: $(LIB_OBJ) $(SIM_C:%.c=$(B)/%.o)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/fuzz_%: $(LIB_OBJ) $(B)/src/%_fuzz.o
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS) $(NGHTTP2)

# VERBOSE=1 shows the commands whole.
say = $(if $(VERBOSE),,@echo "  $(1) $(2)";)

# Generated lists are rewritten only when they change, so that deleting a file removes it everywhere.
$(B)/filters.gen.c: FORCE
	@mkdir -p $(@D); { echo '#include "proxy/filter.h"'; \
	  for f in $(FILTERS); do echo "extern const struct filter_type filter_$$f;"; done; \
	  echo 'const struct filter_type *const filters_all[] = {'; \
	  for f in $(FILTERS); do echo "    &filter_$$f,"; done; echo '    NULL};'; } > $@.tmp; \
	  cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@
$(B)/balancers.gen.c: FORCE
	@mkdir -p $(@D); { echo '#include "upstream/balancer.h"'; \
	  for f in $(BALANCERS); do echo "extern const struct balancer_type balancer_$$f;"; done; \
	  echo 'const struct balancer_type *const balancers_all[] = {'; \
	  for f in $(BALANCERS); do echo "    &balancer_$$f,"; done; echo '    NULL};'; } > $@.tmp; \
	  cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@
$(B)/suites.gen.c: FORCE
	@mkdir -p $(@D); { echo '#include "tests/unit.h"'; \
	  echo 'extern const struct unit_suite *const unit_suites[];'; \
	  for f in $(SUITES); do echo "extern const struct unit_suite suite_$$f;"; done; \
	  echo 'const struct unit_suite *const unit_suites[] = {'; \
	  for f in $(SUITES); do echo "    &suite_$$f,"; done; echo '    NULL};'; } > $@.tmp; \
	  cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@

# A page src/FOLDER/NAME.html is linked in as `const struct slice asset_NAME`.
$(B)/%.asset.c: %.html
	@mkdir -p $(@D); { echo '#include "base/slice.h"'; echo 'extern const struct slice asset_$(*F);'; \
	  echo 'const struct slice asset_$(*F) = SLICE_INIT('; \
	  sed 's/[\\"]/\\&/g; s/^/    "/; s/$$/\\n"/' $<; echo ');'; } > $@

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(B)/%.o: $(B)/%.c $(B)/flags
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
	  echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' > $@
FORCE:

run:
	@tools/setup build
	@$(MAKE) --no-print-directory -j"$$(nproc)" build/weir
	build/weir demo
test:
	@tools/setup test
	@tools/run_tests layers unit sim http
check: format-check test
unit: $(B)/unit
	$(B)/unit $(T)
sim: $(B)/sim
	$(B)/sim $(if $(SEEDS),-n $(SEEDS)) $(T)
http: $(B)/weir
	V=$(V) tools/run_tests http $(T)
asan tsan:
	@$(MAKE) --no-print-directory -j2 V=$@ unit
	@$(MAKE) --no-print-directory -j2 V=$@ sim
soak: $(B)/weir
	@/usr/bin/python3 tests/soak/soak.py $(B)/weir
failtest:
	@$(MAKE) --no-print-directory -j2 V=asan build/asan/weir build/asan/shim.so
	@/usr/bin/python3 tests/fail/failtest.py build/asan/weir build/asan/shim.so
$(B)/shim.so: tests/fail/shim.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) -O1 -g -shared -fPIC -D_GNU_SOURCE -std=gnu17 $(WARN) -o $@ $<
cost: build/weir
	@tools/setup test
	@/usr/bin/python3 bench/cost.py $(ARGS)
layers:
	@python3 tools/layers.py src

# Each fuzzer writes what it finds into build/corpus and starts from tests/corpus as well.
FUZZ_SECONDS ?= 60
FUZZERS := $(FUZZ_C:src/%_fuzz.c=%)
fuzz:
	@tools/setup dev
	@$(MAKE) --no-print-directory V=fuzz fuzz-run
fuzz-run: $(FUZZERS:%=$(B)/fuzz_%)
	@for f in $(FUZZERS); do c=$${f##*/}; mkdir -p build/corpus/$$c; echo "fuzz $$f"; \
	  $(B)/fuzz_$$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -verbosity=0 \
	    -artifact_prefix=build/corpus/ build/corpus/$$c $$(ls -d tests/corpus/$$c 2>/dev/null) \
	    || exit 1; done

FORMATTED := $(wildcard src/*/*.[ch] tests/*.[ch] tests/sim/*.[ch] tests/fail/*.[ch])
format:
	@tools/setup dev
	clang-format -i $(FORMATTED)
format-check:
	@clang-format --dry-run --Werror $(FORMATTED) && echo "format: every C file is in layout"

# Beside Debian's nginx, haproxy, h2o, nghttpx, trafficserver and varnish, and a relay that looks at nothing; ARGS="--rounds 3 --only 64".
build/relay: bench/relay.c bench/listen.h
	@mkdir -p build
	$(call say,CC,$<)$(CC) -O2 -D_GNU_SOURCE -Wall -Wextra -o $@ $<
build/tls_relay: bench/tls_relay.c bench/listen.h
	@mkdir -p build
	$(call say,CC,$<)$(CC) -O2 -D_GNU_SOURCE -Wall -Wextra -o $@ $< -lssl -lcrypto
bench: build/relay build/tls_relay build/echo build/responder build/weir
	@tools/setup bench
	@python3 bench/run.py $(ARGS)

# What visitors see when servers fall ill: weir, nginx, haproxy; ARGS="--only 500 --seconds 5".
build/worker build/visitors build/echo build/responder build/patient build/besieger: build/%: bench/%.c bench/listen.h
	@mkdir -p build
	$(call say,CC,$<)$(CC) -O2 -D_GNU_SOURCE -Wall -Wextra -o $@ $<
outages: build/worker build/visitors build/weir
	@tools/setup bench
	@python3 bench/outages.py $(ARGS)

# What choosing a server costs; T=NAME for one balancer.
$(B)/bench_balancers: $(LIB_OBJ) $(B)/bench/balancers.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)
bench-balancers: $(B)/bench_balancers
	@$(B)/bench_balancers $(T)
$(B)/bench_limits: $(LIB_OBJ) $(B)/bench/limits.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)
bench-limits: $(B)/bench_limits
	@$(B)/bench_limits
$(B)/bench_challenge: $(LIB_OBJ) $(B)/bench/challenge.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)
bench-challenge: $(B)/bench_challenge
	@$(B)/bench_challenge
$(B)/bench_tokens: $(LIB_OBJ) $(B)/bench/tokens.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)
bench-tokens: $(B)/bench_tokens
	@$(B)/bench_tokens

# What the cache's store costs and keeps; T=memory, lookup, threads, purge or hits.
$(B)/bench_cache_store: $(LIB_OBJ) $(B)/bench/cache_store.o
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm
bench-cache-store: $(B)/bench_cache_store
	@$(B)/bench_cache_store $(T)

# Floods of HTTP/2 beside a good client; ARGS="--only PING --seconds 5". Then a siege from one address.
attack: build/weir build/patient build/besieger
	@tools/setup bench
	@python3 bench/attacks.py $(ARGS)
	@python3 bench/sieges.py

docs: build/weir
	@mkdir -p docs/reference
	build/weir docs reference > docs/reference/configuration.md

SYSCONF := $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)
WEIR    := build/weir
install: $(WEIR)
	install -Dm755 $(WEIR) $(DESTDIR)$(PREFIX)/bin/weir
	install -d $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/lib/systemd/system \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(WEIR) docs man > $(DESTDIR)$(PREFIX)/share/man/man8/weir.8
	$(WEIR) completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/weir
	sed 's|@PREFIX@|$(PREFIX)|; s|@SYSCONF@|$(SYSCONF)|' packaging/weir.service \
	  > $(DESTDIR)$(PREFIX)/lib/systemd/system/weir.service
	[ -e $(DESTDIR)$(SYSCONF)/weir/weir.conf ] || \
	  install -Dm644 packaging/weir.conf $(DESTDIR)$(SYSCONF)/weir/weir.conf
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/weir $(DESTDIR)$(PREFIX)/share/man/man8/weir.8 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/weir \
	  $(DESTDIR)$(PREFIX)/lib/systemd/system/weir.service
clean:
	rm -rf build
.PHONY: all run test check unit sim http soak failtest cost bench bench-balancers bench-cache-store bench-limits bench-tokens outages attack asan tsan \
        layers fuzz fuzz-run format format-check docs install uninstall clean FORCE
.SECONDARY:
-include $(shell [ -d $(B) ] && find $(B) -name '*.d')
