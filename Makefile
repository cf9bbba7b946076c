# Makefile: `make help` lists the targets. build/<variant>/ mirrors the tree; generated sources live there too, never in git.
B        ?= build/release
CC       := gcc
OBJCOPY  := objcopy
OPT      ?= -O2 -g
CCACHE   := $(shell command -v ccache 2>/dev/null)
LLVM     := $(firstword $(shell command -v llvm-config-22 llvm-config 2>/dev/null) llvm-config-22)
PREFIX   ?= /usr/local
VERSION  := 0.1.0
SOVERSION := 0

WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror=switch
CFLAGS   += -std=c17 -D_GNU_SOURCE -DTILE_VERSION='"$(VERSION)"' $(OPT) $(WARN) -fPIC -I. -I$(B) -I$(B)/frontend -MMD -MP $(SAN) $(DEFS)
GENFLAGS := -Wno-conversion -Wno-shadow -Wno-missing-prototypes -Wno-unused-function -Wno-unused-but-set-variable
# gcc marks all 200 KB of the parser's stacks at each label of it, a third of all time under ASan
GENFLAGS += $(if $(findstring address,$(SAN)),-fno-sanitize-address-use-after-scope)
LLVM_INC := -isystem $(shell $(LLVM) --includedir 2>/dev/null)
LLVM_LD  := $(shell $(LLVM) --link-shared --ldflags --libs 2>/dev/null)
LIBS     := -lffi -lm -ldl -lpthread
JOBS     := $(shell nproc 2>/dev/null || echo 2)
say       = $(if $(V),,@echo '  $(1) $(2)';)

# ---- rooms: each a static library; includes point from right to left only (tools/layers.awk) ----
objs      = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)))
BASE     := $(call objs,base/*.c)
COMPILER := $(call objs,compiler/*.c compiler/passes/*.c)
FRONTEND := $(call objs,frontend/*.c) $(B)/frontend/lexer.o $(B)/frontend/parser.o $(B)/gen/std_tile.o
BACKENDS := $(call objs,backends/*.c $(filter-out backends/plug/%,$(wildcard backends/*/*.c))) $(B)/gen/build_id.o
# of the back ends what needs no LLVM, and a stand-in that opens the others (libtile_llvm.so) when they are first wanted
PLUG     := $(call objs,backends/plug/forward.c $(addprefix backends/cpu/,image.c load.c symbols.c host.c rt_ops.c rt_panel.c)) $(B)/gen/build_id.o
RUNTIME  := $(call objs,runtime/*.c)
ROOMS    := $(foreach r,runtime backends frontend compiler base,$(B)/lib$(r).a)
LINK      = $(LDFLAGS) $(SAN) -Wl,--start-group $(ROOMS) -Wl,--end-group $(LLVM_LD) $(LIBS)
LIGHT    := $(foreach r,runtime plug frontend compiler base,$(B)/lib$(r).a)
LINK_LIGHT = $(LDFLAGS) $(SAN) -Wl,--start-group $(LIGHT) -Wl,--end-group $(LIBS)

TOOLS    := $(B)/tilec $(B)/tile-bench $(patsubst tools/%.c,$(B)/%,$(filter-out tools/tilec%.c tools/tile_bench%.c,$(wildcard tools/*.c)))
UNITS    := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
EXAMPLES := $(patsubst examples/%.c,$(B)/examples/%,$(filter-out examples/llm/% examples/aot/%,$(wildcard examples/*/*.c)))
LLM      := $(patsubst examples/llm/main.c,$(B)/llm,$(wildcard examples/llm/main.c))
LLMTESTS := $(patsubst tests/llm/%.c,$(B)/llm-tests/%,$(wildcard tests/llm/test_*.c))
LLMLIBS  := -ljansson -lpcre2-8 -lutf8proc -ledit
FUZZERS  := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
STD      := $(sort $(wildcard kernels/std/*.tile))

all: $(ROOMS) $(B)/libtile_rt.a $(B)/libllm.a $(TOOLS) $(EXAMPLES) $(LLM)
tests: all $(B)/llm_aot/main.a $(B)/test-runner $(B)/run-tests $(B)/kernel-tests $(UNITS) $(LLMTESTS)

$(B)/libbase.a: $(BASE)
$(B)/libcompiler.a: $(COMPILER)
$(B)/libfrontend.a: $(FRONTEND)
$(B)/libbackends.a: $(BACKENDS)
$(B)/libruntime.a: $(RUNTIME)
$(B)/libllm.a: $(call objs,$(filter-out examples/llm/main.c,$(wildcard examples/llm/*.c)))
$(B)/libplug.a: $(PLUG)
# what ahead-of-time objects need: no compiler, no LLVM; one object, so that nothing but tile.h's names is seen of it
RT       := $(BASE) $(call objs,compiler/types.c compiler/fold_eval.c compiler/hostcode.c compiler/optable.c backends/cpu/rt_ops.c backends/cpu/rt_panel.c) \
            $(call objs,$(addprefix runtime/,aot_launch.c aot_kernel.c aot_cpu.c check.c overlap.c reach.c device.c device_cpu.c stream.c error.c host.c show.c aot/drivers.c aot/launch.c))
$(B)/libtile_rt.o: $(RT)
	$(call say,ld,$@)$(CC) -r -nostdlib -o $@ $^ && $(OBJCOPY) --wildcard --keep-global-symbol='tile_*' $@
$(B)/libtile_rt.a: $(B)/libtile_rt.o
$(B)/libtile_rt.so.$(VERSION): $(RT) tools/libtile.map
	$(call say,ld,$@)$(CC) -shared -o $@ -Wl,-soname,libtile_rt.so.$(SOVERSION) -Wl,--version-script=tools/libtile.map -Wl,-z,defs \
	    $(LDFLAGS) $(SAN) $(RT) -lm -lpthread
$(B)/libtile_llvm.so: $(B)/backends/plug/export.o $(filter-out $(B)/libruntime.a $(B)/libfrontend.a,$(ROOMS)) tools/libtile_llvm.map
	$(call say,ld,$@)$(CC) -shared -o $@ -Wl,-soname,libtile_llvm.so -Wl,--version-script=tools/libtile_llvm.map $< \
	    $(LDFLAGS) $(SAN) -Wl,--start-group $(filter-out $(B)/libruntime.a $(B)/libfrontend.a,$(ROOMS)) -Wl,--end-group $(LLVM_LD) -lm -lpthread
$(B)/lib%.a:
	$(call say,ar,$@)rm -f $@ && ar rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,cc,$<)$(CCACHE) $(CC) $(CFLAGS) $(if $(filter backends/% tests/unit/%,$<),$(LLVM_INC)) $(if $(filter examples/%,$<),-Iruntime) -c $< -o $@
$(B)/%.o: $(B)/%.c
	@mkdir -p $(@D)
	$(call say,cc,$<)$(CCACHE) $(CC) $(CFLAGS) $(GENFLAGS) -c $< -o $@
$(B)/frontend/parser.c $(B)/frontend/parser.h &: frontend/parser.y
	@mkdir -p $(@D)
	$(call say,bison,$<)bison -Wall -Werror=conflicts-sr -Werror=conflicts-rr -o $(B)/frontend/parser.c --header=$(B)/frontend/parser.h $<
$(B)/frontend/lexer.c: frontend/lexer.l $(B)/frontend/parser.h
	$(call say,flex,$<)flex -o $@ $<
$(call objs,frontend/*.c) $(B)/frontend/lexer.o: | $(B)/frontend/parser.h
# names a build of the compiler: what it makes is kept on disk under it
CODE_SOURCES := $(sort $(wildcard base/*.[ch] compiler/*.[ch] compiler/*.def compiler/passes/* frontend/*.[chly] frontend/*.def \
                  backends/*.[ch] backends/*/*.[ch] backends/*/*.def)) $(STD)
$(B)/gen/build_id.c: $(CODE_SOURCES)
	@mkdir -p $(@D)
	$(call say,hash,sources)(echo '#include "backends/backend.h"'; printf 'const char codegen_build_id[] = "%s %s";\n' \
	    "$$($(LLVM) --version)" "$$(cat $(CODE_SOURCES) | sha256sum | cut -c1-32)") > $@
$(B)/gen/std_tile.c: $(STD) tools/embed.sh
	@mkdir -p $(@D)
	$(call say,embed,kernels/std)sh tools/embed.sh $(STD) > $@

$(B)/tilec: $(call objs,tools/tilec*.c)
$(B)/tile-bench: $(call objs,tools/tile_bench*.c)
$(B)/test-runner: $(call objs,tests/runner/*.c) $(ROOMS)
$(B)/run-tests: $(call objs,tests/run/*.c) $(ROOMS)
$(B)/kernel-tests: $(call objs,tests/kernels/*.c kernels/ref/*.c) $(ROOMS)
$(B)/tilec $(B)/tile-bench: $(LIGHT) | $(B)/libtile_llvm.so
	$(call say,ld,$@)$(CC) -o $@ $(filter %.o,$^) $(LINK_LIGHT)
$(B)/test-runner $(B)/run-tests $(B)/kernel-tests:
	$(call say,ld,$@)$(CC) -o $@ $(filter %.o,$^) $(LINK)
$(B)/unit/%: $(B)/tests/unit/%.o $(ROOMS)
	@mkdir -p $(@D)
	$(call say,ld,$@)$(CC) -o $@ $< $(LINK) -lcheck -lsubunit -lrt -lm
$(B)/unit/test_launch_hot: private LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=posix_memalign,--wrap=aligned_alloc
$(B)/unit/test_cuda $(B)/unit/test_cuda_code: $(B)/unit/fake_cuda.so
$(B)/unit/fake_cuda.so: $(B)/tests/unit/fake_cuda.o
	@mkdir -p $(@D)
	$(call say,ld,$@)$(CC) -shared -o $@ $< $(SAN)
$(B)/llm: $(B)/examples/llm/main.o $(B)/libllm.a $(LIGHT) | $(B)/libtile_llvm.so
	$(call say,ld,$@)$(CC) -o $@ $< $(B)/libllm.a $(LINK_LIGHT) $(LLMLIBS)
# of `make llm-aot`: all but the kernels of a model, which tools/llm_aot.sh builds and links with it
$(B)/llm_aot/main.a: $(B)/examples/llm/main.o $(call objs,examples/llm/aot/*.c) $(filter-out %/kernels.o,$(call objs,$(filter-out examples/llm/main.c,$(wildcard examples/llm/*.c)))) $(BASE)
	@mkdir -p $(@D)
	$(call say,ar,$@)rm -f $@ && ar rcs $@ $^
$(B)/llm-tests/%: $(B)/tests/llm/%.o $(call objs,tests/llm/kit*.c) $(B)/libllm.a $(ROOMS)
	@mkdir -p $(@D)
	$(call say,ld,$@)$(CC) -o $@ $(filter %.o,$^) $(B)/libllm.a $(LINK) $(LLMLIBS) -lcheck -lsubunit -lrt -lm
$(B)/examples/%: $(B)/examples/%.o $(LIGHT) | $(B)/libtile_llvm.so
	@mkdir -p $(@D)
	$(call say,ld,$@)$(CC) -o $@ $< $(LINK_LIGHT)
$(B)/%: $(B)/tools/%.o $(ROOMS)
	$(call say,ld,$@)$(CC) -o $@ $< $(LINK)

# ---- what users run ----
demo: export PROMPT := $(value PROMPT)
demo: export MODEL := $(value MODEL)
demo: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@model=$${MODEL:-$$(sh tools/fetch_model.sh)} && [ -n "$$model" ] && \
	    $(B)/llm chat -m "$$model" --temp 0 -p "$${PROMPT:-What does a compiler do? Answer in two sentences.}"
llm-aot: export MODEL := $(value MODEL)
llm-aot: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) all $(B)/llm_aot/main.a
	@model=$${MODEL:-$$(sh tools/fetch_model.sh)} && [ -n "$$model" ] && B='$(B)' CC='$(CC)' JOBS='$(JOBS)' sh tools/llm_aot.sh $(B)/llm-aot "$$model"
model: deps
	@sh tools/fetch_model.sh
test: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) tests B=build/test DEFS=-DTILE_TEST_ALLOC
	@B=build/test sh tests/all.sh
deps:
	@sh tools/deps.sh

# ---- the suite under sanitizers: all of it for address and undefined; the pool, launches and run tests for threads ----
asan ubsan tsan: deps
asan: SANFLAGS := -fsanitize=address -fno-omit-frame-pointer
ubsan: SANFLAGS := -fsanitize=undefined -fno-sanitize-recover=all
tsan: SANFLAGS := -fsanitize=thread
asan ubsan tsan:
	@$(MAKE) --no-print-directory -s -j$(JOBS) tests B=build/$@ OPT='-O1 -g' SAN='$(SANFLAGS)' DEFS=-DTILE_TEST_ALLOC
	@B=build/$@ VARIANT=$@ sh tests/all.sh
fuzz: deps
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-60} sh tools/fuzz.sh $(FUZZERS)
cover: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) tests B=build/cover OPT='-O0 -g' SAN=--coverage DEFS=-DTILE_TEST_ALLOC
	@B=build/cover sh tools/cover.sh
bench: all
	@$(B)/tile-bench

# ---- one file with LLVM inside: needs libc and libm only ----
LLVM_STATIC = $(shell $(LLVM) --link-static --libs x86codegen x86asmparser x86desc x86info aarch64codegen aarch64desc aarch64info nvptx passes orcjit irreader)
static: $(B)/tilec-static $(B)/tile-bench-static
$(B)/tilec-static: $(call objs,tools/tilec*.c) $(ROOMS)
$(B)/tile-bench-static: $(call objs,tools/tile_bench*.c) $(ROOMS)
$(B)/tilec-static $(B)/tile-bench-static:
	$(call say,ld,$@)g++ -o $@ $(filter %.o,$^) -Wl,--gc-sections -Wl,--start-group $(ROOMS) $(LLVM_STATIC) -Wl,--end-group \
	    -static-libstdc++ -static-libgcc -L$(shell $(LLVM) --libdir) -l:libffi.a -l:libz.a -l:libzstd.a -lm -ldl -lpthread -s
	@ls -l $@ | awk '{printf "%s: %.1f MB\n", $$9, $$5 / 1e6}'

# ---- docs made from the tables, style, lint ----
docs: $(B)/gen_docs $(B)/gen_builtins $(B)/tilec
	$(B)/gen_builtins > docs/builtins.md
	$(B)/gen_docs docs/ir.head.md docs/ir.md
	sh tools/pipeline.sh $(B)/tilec > $(B)/pipeline.md && cp $(B)/pipeline.md docs/pipeline.md
SOURCES = $(shell git ls-files '*.c' '*.h')
fmt:
	clang-format -i $(SOURCES)
lint:
	@sh tools/lint.sh $(SOURCES)

# ---- install ----
$(B)/libtile.so.$(VERSION): $(LIGHT) tools/libtile.map | $(B)/libtile_llvm.so
	$(call say,ld,$@)$(CC) -shared -o $@ -Wl,-soname,libtile.so.$(SOVERSION) -Wl,--version-script=tools/libtile.map \
	    -Wl,--whole-archive $(B)/libruntime.a -Wl,--no-whole-archive $(LINK_LIGHT)
$(B)/libtile.a: $(BASE) $(COMPILER) $(FRONTEND) $(BACKENDS) $(RUNTIME)
	$(call say,ar,$@)rm -f $@ && ar rcsP $@ $^
install: all $(B)/libtile.so.$(VERSION) $(B)/libtile.a $(B)/libtile_rt.a $(B)/libtile_rt.so.$(VERSION)
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' B='$(B)' VERSION=$(VERSION) SOVERSION=$(SOVERSION) LLVM_LD='$(LLVM_LD)' sh tools/install.sh

clean:
	rm -rf build
help:
	@sed -n 's/^#: //p' Makefile
#: make              build all: libraries, tilec, tools, examples (build/release)
#: make demo         install what is missing, build, fetch the default model, answer a question: PROMPT=TEXT, MODEL=FILE
#: make model        fetch the default language model into the cache folder, once
#: make llm-aot      build/release/llm-aot: the same engine, its kernels for MODEL=FILE compiled ahead of time, no compiler in it
#: make test         install what is missing, build, run every test; the last line counts passed, failed, skipped
#: make deps         install the packages this needs (Debian 12 or later)
#: make asan, ubsan, tsan     the tests under a sanitizer
#: make fuzz         each fuzzer for FUZZ_SECONDS (60) seconds, corpora in tests/fuzz/corpus
#: make cover        line coverage of the front end and the compiler by the tests
#: make bench        figures as JSON lines
#: make static       build/release/tilec-static, tile-bench-static: one file each, LLVM inside
#: make docs         docs made from tables
#: make fmt, lint    clang-format; clang-tidy and cppcheck
#: make install      to PREFIX (/usr/local), below DESTDIR
#: make clean        remove build/
#: V=1 shows commands, B=DIR builds elsewhere

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: all tests demo model llm-aot test deps asan ubsan tsan fuzz cover bench static docs fmt lint install clean help
.SECONDARY:
.DELETE_ON_ERROR:
