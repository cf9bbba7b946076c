# Makefile: see `make help`. build/<variant>/ mirrors the tree; generated sources live there too, never in git.
B       ?= build/release
CC      ?= gcc
LLVM    ?= llvm-config-22
CCACHE  := $(shell command -v ccache 2>/dev/null)
OPT     ?= -O2 -g
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror=switch
CFLAGS  += -std=c17 -D_GNU_SOURCE $(OPT) $(WARN) -fPIC -I. -I$(B) -I$(B)/frontend -MMD -MP $(SAN) $(TESTDEFS)
LDFLAGS += $(SAN)
LLVM_CFLAGS := $(shell $(LLVM) --cflags 2>/dev/null | tr ' ' '\n' | grep '^-I')
LLVM_LIBS   := $(shell $(LLVM) --link-shared --libs 2>/dev/null) $(shell $(LLVM) --ldflags 2>/dev/null)
LIBS     = -lffi -lm -ldl -lpthread

objs = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)))
BASE     := $(call objs,base/*.c)
COMPILER := $(call objs,compiler/*.c compiler/passes/*.c)
FRONTEND := $(call objs,frontend/*.c) $(if $(wildcard frontend/lexer.l),$(B)/frontend/lexer.o) $(if $(wildcard frontend/parser.y),$(B)/frontend/parser.o) $(B)/gen/std_tile.o
BACKENDS := $(call objs,backends/*.c backends/*/*.c)
RUNTIME  := $(call objs,runtime/*.c)
ROOMS    := $(B)/libruntime.a $(B)/libbackends.a $(B)/libfrontend.a $(B)/libcompiler.a $(B)/libbase.a
LINK      = -Wl,--start-group $(ROOMS) -Wl,--end-group $(LLVM_LIBS) $(LIBS)

TESTS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
TOOLS := $(if $(wildcard tools/tilec*.c),$(B)/tilec) $(patsubst tools/%.c,$(B)/%,$(filter-out tools/tilec%.c,$(wildcard tools/*.c)))

all: $(ROOMS) $(TOOLS) $(if $(wildcard tests/runner/*.c),$(B)/test-runner) $(if $(wildcard tests/run/*.c),$(B)/run-tests)

$(B)/libbase.a: $(BASE)
$(B)/libcompiler.a: $(COMPILER)
$(B)/libfrontend.a: $(FRONTEND)
$(B)/libbackends.a: $(BACKENDS)
$(B)/libruntime.a: $(RUNTIME)
$(B)/lib%.a:
	@rm -f $@
	ar rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CFLAGS) $(if $(filter backends/%,$<),$(LLVM_CFLAGS)) -c $< -o $@
$(B)/%.o: $(B)/%.c
	@mkdir -p $(@D)
	$(CCACHE) $(CC) $(CFLAGS) -Wno-conversion -Wno-shadow -Wno-missing-prototypes -Wno-unused-function -Wno-unused-but-set-variable -c $< -o $@
$(B)/frontend/parser.c $(B)/frontend/parser.h &: frontend/parser.y
	@mkdir -p $(@D)
	bison -Wall -o $(B)/frontend/parser.c --header=$(B)/frontend/parser.h $<
$(B)/frontend/lexer.c: frontend/lexer.l $(B)/frontend/parser.h
	@mkdir -p $(@D)
	flex -o $@ $<
$(call objs,frontend/*.c) $(B)/frontend/lexer.o: | $(if $(wildcard frontend/parser.y),$(B)/frontend/parser.h)
$(B)/gen/std_tile.c: $(wildcard kernels/std/*.tile) tools/embed.sh
	@mkdir -p $(@D)
	sh tools/embed.sh $(wildcard kernels/std/*.tile) > $@

$(B)/tilec: $(call objs,tools/tilec*.c) $(ROOMS)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LINK)
$(B)/test-runner: $(call objs,tests/runner/*.c) $(ROOMS)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LINK)
$(B)/run-tests: $(call objs,tests/run/*.c) $(ROOMS)
	$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LINK)
$(B)/unit/%: $(B)/tests/unit/%.o $(ROOMS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $< $(LINK) -lcheck -lsubunit -lrt
$(call objs,examples/*/*.c): CFLAGS += -Iruntime
$(B)/add: $(B)/examples/add/add.o $(ROOMS)
	$(CC) $(LDFLAGS) -o $@ $< $(LINK)
$(B)/%: $(B)/tools/%.o $(ROOMS)
	$(CC) $(LDFLAGS) -o $@ $< $(LINK)

units: $(TESTS)
clean:
	rm -rf build
-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: all units clean
.SECONDARY:
