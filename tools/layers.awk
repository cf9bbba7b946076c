# layers.awk: awk -f tools/layers.awk tools/layers.txt FILES: each #include "folder/.." must be an edge of layers.txt,
# and llvm-c stands under backends/ only.
FNR == NR {
    if ($0 !~ /^#/ && NF) {
        from = $1
        sub(":", "", from)
        allowed[from, from] = 1
        for (i = 2; i <= NF; i++)
            allowed[from, $i] = 1
    }
    next
}
{
    split(FILENAME, part, "/")
    room = part[1]
}
/^#include "[a-z]+\// {
    split($0, q, "\"")
    split(q[2], p, "/")
    if (!((room, p[1]) in allowed)) {
        printf "%s:%d: %s/ must not include %s\n", FILENAME, FNR, room, q[2]
        bad = 1
    }
}
/^#include <llvm-c/ && room != "backends" {
    printf "%s:%d: llvm-c belongs under backends/\n", FILENAME, FNR
    bad = 1
}
END { exit bad }
