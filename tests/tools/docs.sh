#!/bin/sh
# docs.sh TILEC: docs/pipeline.md is what tools/pipeline.sh makes, as far as the texts are ours (LLVM's differ by
# release).
tilec=${1:?usage: docs.sh TILEC}
ours() {
    sed '/^## `llvm`/,$d'
}
want=$(sh tools/pipeline.sh "$tilec" | ours)
if [ -n "$want" ] && [ "$want" = "$(ours <docs/pipeline.md)" ]; then
    echo "1 passed, 0 failed"
else
    echo "docs/pipeline.md is not current: sh tools/pipeline.sh $tilec >docs/pipeline.md"
    echo "0 passed, 1 failed"
    exit 1
fi
