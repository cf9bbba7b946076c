#!/bin/sh
# pipeline.sh TILEC: prints docs/pipeline.md: the matmul of docs/pipeline.tile at every stage, as tilec emits it.
# Long texts are cut; what is shown of a stage is never edited. The CPU is a named one, so that the page is the same on
# every machine.
tilec=${1:?usage: pipeline.sh TILEC}
src=docs/pipeline.tile
target=cpu:x86-64-v4

# stage LANGUAGE LINES COMMAND...
stage() {
    lang=$1 lines=$2
    shift 2
    echo
    echo '```'"$lang"
    "$@" | awk -v most="$lines" 'NR <= most { print } END { if (NR > most) printf "... %d more lines\n", NR - most }'
    echo '```'
    echo
}

emit() {
    "$tilec" emit $src --target=$target --stage="$1"
}

cat <<'END'
# One kernel at every stage

This page is made by `tools/pipeline.sh` from `docs/pipeline.tile`; each text below is what `tilec emit --stage=NAME`
prints, and those from `tir` on can be given back to `tilec emit`, to go on from there.

## The source: `.tile`
END
stage python 100 cat $src
cat <<'END'
The header says which sizes must agree: `K` stands in `a` and `b`, so a launch compares them. `grid` is evaluated by
the host for each launch.

## `ast`: what the parser understood

The tree in the language's own words, every operator bracketed.
END
stage '' 60 emit ast
cat <<'END'
## `tir`: tile IR as lowered

Typed SSA; tiles are values, tensors are arguments, control flow is structured (`for` has a region; the loop-carried
`acc` is its parameter). `matmul.host` is what a launch evaluates before anything runs: `expect_eq` compares the
dimensions of one name, and the grid is returned. `@n` are source locations, listed in front of the first function
that needs them. `docs/ir.md` explains every op.
END
stage '' 120 emit tir
cat <<'END'
## `laid`: after the last pass

For the CPU the passes end in tile IR without layouts (GPU targets give every tile one here). Functions are inlined,
what doesn't change in the loop is hoisted out of it, and the tensor accesses have become pointers and masks.
END
stage '' 140 emit laid
cat <<'END'
## `llvm`: LLVM IR

The code generator fuses tile ops of one shape into loops over vector chunks. Aranges, broadcasts and affine pointers
never become vectors: a mask like `offset < size` becomes the trip count of a main loop without masks, and a masked
tail. The entry runs the programs `first` to `last` of the grid.
END
stage llvm 100 emit llvm
cat <<'END'
## `asm`: machine code as text

`bin` is the same as an object file.
END
stage asm 60 emit asm
