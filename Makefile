# make           builds build/weir                 make run      sets up, builds, starts the demo
# make test      sets up, runs every test          make check    format, layers, unit, rows, sim
# make asan tsan unit and simulation tests under sanitizers
# make fuzz      runs each fuzzer for FUZZ_SECONDS  make bench    compares with nginx and haproxy
# make docs      writes docs/reference              make install  DESTDIR= PREFIX=/usr/local
#
# V=release|debug|asan|tsan|fuzz picks a variant; each has its own folder under build/.
# ONLY="base io" builds the unit tests of some folders alone.
V      ?= release
ONLY   ?=
B      := build/$(V)$(if $(ONLY),-$(subst $() ,-,$(strip $(ONLY))))
CC     := $(if $(filter fuzz,$(V)),clang,$(if $(filter default,$(origin CC)),gcc,$(CC)))
PREFIX ?= /usr/local

VERSION := 0.1.0
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef \
        -Wpointer-arith -Wwrite-strings -Wno-missing-field-initializers -Werror
HARDEN := -fstack-protector-strong -fcf-protection=full -fPIE
FLAGS_release := -O2 -g -flto=auto -D_FORTIFY_SOURCE=2 $(HARDEN)
FLAGS_debug   := -O0 -g3
FLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_tsan    := -O1 -g -fsanitize=thread
FLAGS_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LD_release    := -pie -Wl,-z,relro,-z,now,-z,noexecstack
LD_fuzz       := -fsanitize=address,undefined

PKGS := openssl zlib libpcre2-8 libcares jansson libxxhash libcrypt
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CPPFLAGS += -Isrc -I. -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"' -DPCRE2_CODE_UNIT_WIDTH=8
CFLAGS   += -std=gnu17 -pthread $(WARN) $(FLAGS_$(V)) $(PKG_CFLAGS)
LDFLAGS  += $(LD_$(V))

FOLDERS := base io conf http net upstream balancer h1 proxy filter admin main
ALL_C   := $(wildcard $(if $(ONLY),$(ONLY:%=src/%/*.c),src/*/*.c))
TEST_C  := $(filter %_test.c,$(ALL_C))
FUZZ_C  := $(wildcard src/*/*_fuzz.c)
SRC     := $(filter-out %_test.c %_fuzz.c,$(ALL_C))
GEN     := $(if $(or $(if $(ONLY),,all),$(filter filter,$(ONLY))),$(B)/filters.gen.o) \
           $(if $(or $(if $(ONLY),,all),$(filter balancer,$(ONLY))),$(B)/balancers.gen.o)
OBJ     := $(SRC:%.c=$(B)/%.o) $(GEN)
LIB_OBJ := $(filter-out $(B)/src/main/main.o,$(OBJ))
FILTERS   := $(sort $(basename $(notdir $(filter-out %_test.c %_fuzz.c,$(wildcard src/filter/*.c)))))
BALANCERS := $(sort $(basename $(notdir $(filter-out %_test.c %_fuzz.c,$(wildcard src/balancer/*.c)))))
SUITES    := $(subst /,_,$(TEST_C:src/%_test.c=%))
SIM_C   := $(if $(ONLY),,$(wildcard tests/sim/*.c))

all: build/weir

build/weir: $(B)/weir
	@mkdir -p build; ln -sf $(V)/weir $@
$(B)/weir: $(OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(B)/unit: $(LIB_OBJ) $(TEST_C:%.c=$(B)/%.o) $(B)/tests/unit_main.o $(B)/suites.gen.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcmocka
$(B)/sim: $(LIB_OBJ) $(SIM_C:%.c=$(B)/%.o)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/fuzz_%: $(LIB_OBJ) $(B)/src/%_fuzz.o
	$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

# Generated lists are rewritten only when they change, so that deleting a file removes it everywhere.
define write_if_changed
	@mkdir -p $(@D); cat > $@.tmp; cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@
endef
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

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(B)/%.o: $(B)/%.c $(B)/flags
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
	  echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)' > $@
FORCE:

unit: $(B)/unit
	$(B)/unit $(T)
layers:
	@python3 tools/layers.py src
clean:
	rm -rf build
.PHONY: all unit layers clean FORCE
.SECONDARY:
-include $(shell [ -d $(B) ] && find $(B) -name '*.d')
