/* verify_laid.c: the types of the ops of the laid-out stage: a function for each, in the order of the table.
 *
 * Where an op may stand, what crosses into partitions and how layouts agree is checked over whole functions in
 * verify_parts.c; what must have completed when, in verify_sched.c. Views of shared tiles (slices, transposes) are also
 * held to their layouts here: an element of the view has to lie where the tile below has it, for every element, since
 * reads and writes go by the view's own layout.
 */
#include "compiler/layout.h"
#include "compiler/verify.h"

#include <string.h>

static const ir_type_info *info_of(const verifier *v, ir_type t)
{
    return ir_type_of(v->m, t);
}

static bool is_kind(const verifier *v, ir_type t, ir_type_kind kind)
{
    return info_of(v, t)->kind == kind;
}

static bool in_is_kind(verifier *v, ir_op o, uint32_t i, ir_type_kind kind, const char *want)
{
    return verify_in_is(v, o, i, is_kind(v, verify_in(v, o, i), kind), want);
}

static bool in_is_shared(verifier *v, ir_op o, uint32_t i)
{
    return in_is_kind(v, o, i, TK_SHARED, "a shared tile");
}

static bool in_is_i32(verifier *v, ir_op o, uint32_t i)
{
    return verify_in_is(v, o, i, verify_is_scalar_of(v, verify_in(v, o, i), DT_I32), "'i32'");
}

static bool out_is_kind(verifier *v, ir_op o, uint32_t i, ir_type_kind kind, const char *want)
{
    return verify_out_is(v, o, i, is_kind(v, verify_out(v, o, i), kind), want);
}

/* operands from `first` on are tokens */
static bool ins_are_tokens(verifier *v, ir_op o, uint32_t first)
{
    for (uint32_t i = first; i < ir_nin(v->f, o); i++)
        if (!in_is_kind(v, o, i, TK_TOKEN, "a token"))
            return false;
    return true;
}

static bool outs_count(verifier *v, ir_op o, uint32_t want)
{
    if (ir_nout(v->f, o) != want)
        verify_fail(v, o, "expected %u result%s, found %u", want, want == 1 ? "" : "s", ir_nout(v->f, o));
    return ir_nout(v->f, o) == want;
}

/* a tile and a shared tile: the same elements in the same shape */
static bool same_elements(const verifier *v, ir_type a, ir_type b)
{
    const ir_type_info *x = info_of(v, a), *y = info_of(v, b);
    return x->elem.id == y->elem.id && x->rank == y->rank &&
           memcmp(x->shape, y->shape, sizeof x->shape[0] * (size_t)x->rank) == 0;
}

static bool tile_matches(verifier *v, ir_op o, const char *what, uint32_t i, ir_type tile, ir_type shared)
{
    if (verify_is_tile(v, tile) && same_elements(v, tile, shared))
        return true;
    verify_fail(v, o, "%s %u is '%s', expected a tile of the elements and shape of '%s'", what, i, verify_type(v, tile),
                verify_type(v, shared));
    return false;
}

/* ---- registers and shared tiles ---- */
static void check_convert(verifier *v, ir_op o)
{
    ir_type x = verify_in(v, o, 0), y = verify_out(v, o, 0);
    if (verify_in_is(v, o, 0, verify_is_tile(v, x), "a tile") && (!verify_is_tile(v, y) || !same_elements(v, x, y)))
        verify_out_is(v, o, 0, false, "the elements and shape of operand 0");
}

static void check_shared_alloc(verifier *v, ir_op o)
{
    out_is_kind(v, o, 0, TK_SHARED, "a shared tile");
}

static const lay_shared *layout_of(const verifier *v, ir_type t)
{
    return ir_layout_shared_of(v->m, info_of(v, t)->layout);
}

static bool same_pads(const lay_shared *a, const lay_shared *b)
{
    return a->npads == b->npads && memcmp(a->pads, b->pads, sizeof a->pads[0] * (size_t)a->npads) == 0;
}

/* Where elements a power of two along one dimension lie says it for all: both maps are linear, but for pads, which must
 * be the same. at[d]: the dimension of the tile below for dimension d of the view. */
static bool view_lies_right(verifier *v, ir_op o, const int *at)
{
    ir_type whole = verify_in(v, o, 0), view = verify_out(v, o, 0);
    const lay_shared *w = layout_of(v, whole), *l = layout_of(v, view);
    if (!same_pads(w, l)) {
        verify_fail(v, o, "the layouts of result 0 and operand 0 have other pads");
        return false;
    }
    for (int d = 0; d < info_of(v, view)->rank; d++)
        for (int64_t step = 1; step < info_of(v, view)->shape[d]; step *= 2) {
            int64_t c[LAY_MAX_RANK] = {0}, b[LAY_MAX_RANK] = {0};
            c[d] = b[at[d]] = step;
            if (lay_shared_offset(l, c) == lay_shared_offset(w, b))
                continue;
            verify_fail(v, o,
                        "element %lld along dimension %d of result 0 is at offset %lld of its layout, and at %lld of "
                        "operand 0's",
                        (long long)step, d, (long long)lay_shared_offset(l, c), (long long)lay_shared_offset(w, b));
            return false;
        }
    return true;
}

/* The slice begins where its offsets say in the tile below, and its own offsets are added: bits of one that are set in
 * the other too would carry, which is what a swizzle across the cut brings about. */
static bool slice_is_additive(verifier *v, ir_op o, const int *at)
{
    ir_type whole = verify_in(v, o, 0), view = verify_out(v, o, 0);
    const lay_shared *w = layout_of(v, whole);
    const ir_type_info *a = info_of(v, whole), *b = info_of(v, view);
    int64_t extent[IR_MAX_RANK], inside = 0, outside = 0;
    for (int d = 0; d < a->rank; d++)
        extent[d] = 1;
    for (int d = 0; d < b->rank; d++)
        extent[at[d]] = b->shape[d];
    for (int d = 0; d < a->rank; d++)
        for (int64_t step = 1; step < (int64_t)1 << w->map.log2[d]; step *= 2) {
            int64_t c[LAY_MAX_RANK] = {0};
            c[d] = step;
            lay_shared plain = *w;
            plain.npads = 0;
            *(step < extent[d] ? &inside : &outside) |= lay_shared_offset(&plain, c);
        }
    if (!(inside & outside))
        return true;
    verify_fail(v, o, "the slice cuts through the swizzle of operand 0's layout");
    return false;
}

static void check_shared_slice(verifier *v, ir_op o)
{
    if (!verify_count(v, o, 1, UINT32_MAX) || !in_is_shared(v, o, 0) ||
        !out_is_kind(v, o, 0, TK_SHARED, "a shared tile"))
        return;
    const ir_type_info *a = info_of(v, verify_in(v, o, 0)), *b = info_of(v, verify_out(v, o, 0));
    int at[IR_MAX_RANK];
    if (!verify_count(v, o, 1 + (uint32_t)a->rank, 1 + (uint32_t)a->rank) ||
        !verify_out_is(v, o, 0, a->elem.id == b->elem.id && b->rank <= a->rank,
                       "the elements of operand 0 in no more dimensions"))
        return;
    for (int d = 0; d < a->rank; d++) {
        int64_t ext = d < a->rank - b->rank ? 1 : b->shape[d - (a->rank - b->rank)], from;
        if (!in_is_i32(v, o, 1 + (uint32_t)d))
            return;
        if (ext > a->shape[d]) {
            verify_fail(v, o, "result 0 has extent %lld where operand 0 has %lld", (long long)ext,
                        (long long)a->shape[d]);
            return;
        }
        if (!ir_const_int_of(v->f, ir_in(v->f, o, 1 + (uint32_t)d), &from))
            continue;
        if (from < 0 || from > a->shape[d] - ext || from % ext) {
            verify_fail(v, o, "offset %lld along dimension %d, expected a multiple of %lld from 0 to %lld",
                        (long long)from, d, (long long)ext, (long long)(a->shape[d] - ext));
            return;
        }
    }
    for (int d = 0; d < b->rank; d++)
        at[d] = d + a->rank - b->rank;
    if (view_lies_right(v, o, at))
        slice_is_additive(v, o, at);
}

static void check_shared_trans(verifier *v, ir_op o)
{
    uint32_t n;
    const int64_t *order = ir_ints(v->f, o, KEY_order, &n);
    int at[IR_MAX_RANK];
    bool used[IR_MAX_RANK] = {false};
    if (!in_is_shared(v, o, 0) || !out_is_kind(v, o, 0, TK_SHARED, "a shared tile"))
        return;
    const ir_type_info *a = info_of(v, verify_in(v, o, 0)), *b = info_of(v, verify_out(v, o, 0));
    if (n != (uint32_t)a->rank || b->rank != a->rank || a->elem.id != b->elem.id) {
        verify_fail(v, o, "attribute 'order' has %u entries for '%s' and '%s'", n, verify_type(v, verify_in(v, o, 0)),
                    verify_type(v, verify_out(v, o, 0)));
        return;
    }
    for (int d = 0; d < a->rank; d++) {
        if (order[d] < 0 || order[d] >= a->rank || used[order[d]]) {
            verify_fail(v, o, "attribute 'order' is no permutation of 0 to %d", a->rank - 1);
            return;
        }
        used[order[d]] = true;
        at[d] = (int)order[d];
        if (b->shape[d] != a->shape[at[d]]) {
            verify_out_is(v, o, 0, false, "the permuted shape of operand 0");
            return;
        }
    }
    view_lies_right(v, o, at);
}

/* a scalar goes to and comes from a shared tile of one element */
static bool scalar_matches(const verifier *v, ir_type x, ir_type shared)
{
    const ir_type_info *s = info_of(v, shared);
    for (int d = 0; d < s->rank; d++)
        if (s->shape[d] != 1)
            return false;
    return x.id == s->elem.id;
}

static void check_shared_load(verifier *v, ir_op o)
{
    if (in_is_shared(v, o, 0) && !scalar_matches(v, verify_out(v, o, 0), verify_in(v, o, 0)))
        tile_matches(v, o, "result", 0, verify_out(v, o, 0), verify_in(v, o, 0));
}

static void check_shared_store(verifier *v, ir_op o)
{
    if (in_is_shared(v, o, 0) && !scalar_matches(v, verify_in(v, o, 1), verify_in(v, o, 0)))
        tile_matches(v, o, "operand", 1, verify_in(v, o, 1), verify_in(v, o, 0));
}

/* ---- channels ---- */
static void check_chan(verifier *v, ir_op o)
{
    out_is_kind(v, o, 0, TK_CHAN, "a channel");
}

static bool in_is_chan_at(verifier *v, ir_op o)
{
    return in_is_kind(v, o, 0, TK_CHAN, "a channel") && in_is_i32(v, o, 1);
}

static void check_enter(verifier *v, ir_op o)
{
    if (!in_is_chan_at(v, o))
        return;
    const ir_type_info *c = info_of(v, verify_in(v, o, 0));
    if (!outs_count(v, o, (uint32_t)c->nparts))
        return;
    for (uint32_t i = 0; i < (uint32_t)c->nparts; i++)
        if (!verify_out_type(v, o, i, c->parts[i], "as in the channel's slot"))
            return;
}

static void check_exit(verifier *v, ir_op o)
{
    if (verify_count(v, o, 2, UINT32_MAX) && in_is_chan_at(v, o))
        ins_are_tokens(v, o, 2);
}

/* ---- asynchronous copies ---- */
/* $tensor, rank offsets, beside a shared tile of its elements in no more dimensions */
static bool box_of_tensor(verifier *v, ir_op o, uint32_t tensor, uint32_t shared)
{
    const ir_func *f = v->f;
    ir_type t = verify_in(v, o, tensor);
    const ir_type_info *a = info_of(v, t);
    ir_val x = ir_in(f, o, tensor);
    if (ir_def(f, x).id || f->vals.at[x.id].region.id != f->body.id) {
        verify_fail(v, o, "operand %u is no parameter of the kernel", tensor);
        return false;
    }
    if (a->strided) {
        verify_in_is(v, o, tensor, false, "a tensor whose last stride is 1");
        return false;
    }
    const ir_type_info *b = info_of(v, verify_in(v, o, shared));
    if (!verify_in_is(v, o, shared, b->elem.id == a->elem.id && b->rank <= a->rank,
                      "the tensor's elements in no more dimensions"))
        return false;
    for (int d = 0; d < a->rank; d++)
        if (!in_is_i32(v, o, tensor + 1 + (uint32_t)d))
            return false;
    return true;
}

static void check_tma_load(verifier *v, ir_op o)
{
    if (!verify_count(v, o, 3, UINT32_MAX) || !in_is_kind(v, o, 0, TK_TENSOR, "a tensor"))
        return;
    uint32_t rank = (uint32_t)info_of(v, verify_in(v, o, 0))->rank;
    if (!verify_count(v, o, rank + 2, rank + 2) || !in_is_shared(v, o, rank + 1) || !box_of_tensor(v, o, 0, rank + 1) ||
        !out_is_kind(v, o, 0, TK_TOKEN, "a token"))
        return;
    verify_range(v, o, KEY_multicast, 0, 0xffff);
}

static bool check_store_rmw(verifier *v, ir_op o)
{
    int64_t rmw = ir_int(v->f, o, KEY_rmw, RMW_ADD);
    dtype dt = info_of(v, verify_in(v, o, 0))->dt;
    if (!ir_has(v->f, o, KEY_rmw))
        return true;
    bool bits = rmw == RMW_AND || rmw == RMW_OR || rmw == RMW_XOR;
    if (rmw != RMW_XCHG && dt_bits(dt) >= 16 && dt != DT_F64 && (dt_is_int(dt) ? dt_bits(dt) >= 32 : !bits) &&
        (dt != DT_F32 || rmw == RMW_ADD))
        return true;
    verify_fail(v, o, "no reduction '%s' of '%s'", ir_enum_name(KEY_rmw, rmw), dtypes[dt].name);
    return false;
}

static void check_tma_store(verifier *v, ir_op o)
{
    if (!verify_count(v, o, 3, UINT32_MAX) || !in_is_shared(v, o, 0) || !in_is_kind(v, o, 1, TK_TENSOR, "a tensor"))
        return;
    uint32_t rank = (uint32_t)info_of(v, verify_in(v, o, 1))->rank;
    if (verify_count(v, o, rank + 2, rank + 2) && box_of_tensor(v, o, 1, 0) &&
        out_is_kind(v, o, 0, TK_TOKEN, "a token"))
        check_store_rmw(v, o);
}

static void check_cp_async(verifier *v, ir_op o)
{
    if (!verify_count(v, o, 2, 3) || !in_is_shared(v, o, 1))
        return;
    ir_type p = verify_in(v, o, 0), m = verify_in(v, o, 1);
    const ir_type_info *a = info_of(v, p), *b = info_of(v, m);
    bool ok = a->kind == TK_TILE && ir_type_is_ptr(v->m, p) && info_of(v, a->elem)->elem.id == b->elem.id &&
              a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape[0] * (size_t)a->rank) == 0;
    if (!ok) {
        verify_fail(v, o, "operand 0 is '%s', expected pointers to the elements of '%s' in its shape",
                    verify_type(v, p), verify_type(v, m));
        return;
    }
    if (ir_nin(v->f, o) == 3 && (!verify_in_is(v, o, 2, verify_is_bool(v, verify_in(v, o, 2)), "a mask of bools") ||
                                 !verify_in_shape(v, o, 2, p, "operand 0")))
        return;
    out_is_kind(v, o, 0, TK_TOKEN, "a token");
}

/* ---- matrix units ---- */
static bool wgmma_elements(verifier *v, ir_op o, dtype a, dtype b, dtype c)
{
    bool f8 = dt_is_f8(a) && dt_is_f8(b), i8 = dt_is_int(a) && dt_is_int(b) && dt_bits(a) == 8 && dt_bits(b) == 8;
    bool f16 = a == DT_F16 && b == DT_F16, bf16 = a == DT_BF16 && b == DT_BF16, tf32 = a == DT_F32 && b == DT_F32;
    bool ok = ((f16 || f8) && (c == DT_F32 || c == DT_F16)) || ((bf16 || tf32) && c == DT_F32) || (i8 && c == DT_I32);
    if (!ok)
        verify_fail(v, o, "no matrix unit multiplies '%s' and '%s' into '%s'", dtypes[a].name, dtypes[b].name,
                    dtypes[c].name);
    return ok;
}

static void check_wgmma(verifier *v, ir_op o)
{
    if (!verify_count(v, o, 2, 4) || !outs_count(v, o, 2))
        return;
    ir_type a = verify_in(v, o, 0), b = verify_in(v, o, 1), c = verify_out(v, o, 0);
    const ir_type_info *x = info_of(v, a), *y = info_of(v, b), *z = info_of(v, c);
    if (!verify_in_is(v, o, 0, (x->kind == TK_TILE && verify_is_num(v, a)) || x->kind == TK_SHARED,
                      "a tile of numbers or a shared tile") ||
        !in_is_shared(v, o, 1) ||
        !verify_out_is(v, o, 0, z->kind == TK_TILE && verify_is_num(v, c), "a tile of numbers") ||
        !out_is_kind(v, o, 1, TK_TOKEN, "a token"))
        return;
    if (x->rank != 2 || y->rank != 2 || z->rank != 2 || x->shape[1] != y->shape[0] || z->shape[0] != x->shape[0] ||
        z->shape[1] != y->shape[1]) {
        verify_fail(v, o, "'%s' times '%s' does not give '%s'", verify_type(v, a), verify_type(v, b),
                    verify_type(v, c));
        return;
    }
    if (!wgmma_elements(v, o, x->dt, y->dt, z->dt))
        return;
    if (ir_nin(v->f, o) > 2 && !verify_in_type(v, o, 2, c, "like result 0"))
        return;
    if (ir_nin(v->f, o) > 3)
        verify_in_is(v, o, 3, verify_is_scalar_of(v, verify_in(v, o, 3), DT_BOOL), "a scalar 'bool'");
}

/* ---- waiting ---- */
static void check_await(verifier *v, ir_op o)
{
    uint32_t n = ir_nin(v->f, o), tokens = 0;
    while (tokens < n && is_kind(v, verify_in(v, o, tokens), TK_TOKEN))
        tokens++;
    if (!tokens) {
        verify_fail(v, o, "expected tokens before the values");
        return;
    }
    if (!outs_count(v, o, n - tokens))
        return;
    for (uint32_t i = tokens; i < n; i++) {
        ir_type t = verify_in(v, o, i);
        if (!verify_in_is(v, o, i, verify_is_tile(v, t) || verify_is_scalar(v, t), "a tile or a scalar") ||
            !verify_out_type(v, o, i - tokens, t, "like its operand"))
            return;
    }
    if (verify_range(v, o, KEY_pending, 0, 1 << 16))
        verify_range(v, o, KEY_source, 0, 1);
}

static void check_done(verifier *v, ir_op o)
{
    out_is_kind(v, o, 0, TK_TOKEN, "a token");
}

static void check_turn(verifier *v, ir_op o)
{
    verify_range(v, o, KEY_turn, 0, 15);
}

static void check_nothing(verifier *v, ir_op o)
{
    (void)v;
    (void)o; /* the table has said it all */
}

/* ---- partitions ---- */
static bool list_has(verifier *v, ir_op o, ir_key key, int64_t lo, int64_t hi)
{
    uint32_t n, want = ir_o(v->f, o)->nregions;
    const int64_t *x = ir_ints(v->f, o, key, &n);
    if (n != want) {
        verify_fail(v, o, "attribute '%s' has %u entries for %u regions", ir_keys[key].name, n, want);
        return false;
    }
    for (uint32_t i = 0; i < n; i++)
        if (x[i] < lo || x[i] > hi) {
            verify_fail(v, o, "attribute '%s' has %lld, expected %lld to %lld", ir_keys[key].name, (long long)x[i],
                        (long long)lo, (long long)hi);
            return false;
        }
    return true;
}

/* the name of partition i; empty where there is none */
str verify_partition_name(const ir_func *f, ir_op o, uint32_t i)
{
    str s = ir_text(f, o, KEY_names);
    for (;; i--) {
        const char *comma = s.n ? memchr(s.p, ',', s.n) : NULL;
        str name = {s.p, comma ? (size_t)(comma - s.p) : s.n};
        if (!i)
            return name;
        if (!comma)
            return (str){0};
        s = (str){comma + 1, s.n - name.n - 1};
    }
}

static bool check_names(verifier *v, ir_op o)
{
    uint32_t n = ir_o(v->f, o)->nregions, commas = 0;
    str names = ir_text(v->f, o, KEY_names);
    for (size_t i = 0; i < names.n; i++)
        commas += names.p[i] == ',';
    if (commas + 1 != n) {
        verify_fail(v, o, "attribute 'names' has %u names for %u regions", commas + 1, n);
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        str name = verify_partition_name(v->f, o, i);
        bool same = !name.n;
        for (uint32_t k = 0; k < i; k++)
            same |= str_eq(name, verify_partition_name(v->f, o, k));
        if (same) {
            verify_fail(v, o, "partition %u has no name of its own", i);
            return false;
        }
    }
    return true;
}

static bool check_threads(verifier *v, ir_op o)
{
    uint32_t n;
    const int64_t *warps = ir_ints(v->f, o, KEY_warps, &n), *copies = ir_ints(v->f, o, KEY_copies, &n);
    const int64_t *regs = ir_ints(v->f, o, KEY_regs, &n);
    int64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += verify_part_warps(warps[i], regs[i]) * copies[i];
        if (regs[i] && (regs[i] < 24 || regs[i] % 8)) {
            verify_fail(v, o, "attribute 'regs' has %lld, expected 0 or a multiple of 8 from 24 to 256",
                        (long long)regs[i]);
            return false;
        }
    }
    if (sum <= 32)
        return true;
    verify_fail(v, o, "%lld warps in all partitions, expected at most 32", (long long)sum);
    return false;
}

static void check_partitions(verifier *v, ir_op o)
{
    uint32_t n = ir_o(v->f, o)->nregions;
    if (!n || n > 16) {
        verify_fail(v, o, "expected 1 to 16 regions, found %u", n);
        return;
    }
    if (!check_names(v, o) || !list_has(v, o, KEY_warps, 1, 32) || !list_has(v, o, KEY_copies, 1, 32) ||
        !list_has(v, o, KEY_regs, 0, 256) || !check_threads(v, o))
        return;
    for (uint32_t i = 0; i < n; i++) {
        ir_region r = ir_op_region(v->f, o, i);
        ir_op y = ir_last(v->f, r);
        if (ir_nparams(v->f, r) != 1 || !verify_is_scalar_of(v, ir_vtype(v->f, ir_param_of(v->f, r, 0)), DT_I32)) {
            verify_fail(v, o, "region %u has no parameter of its own, the copy's number, 'i32'", i);
            return;
        }
        if (ir_nin(v->f, y)) {
            verify_fail(v, y, "expected no operands for region %u of 'partitions', found %u", i, ir_nin(v->f, y));
            return;
        }
    }
}

static void check_cluster_rank(verifier *v, ir_op o)
{
    verify_out_is(v, o, 0, verify_is_scalar_of(v, verify_out(v, o, 0), DT_I32), "'i32'");
}

bool verify_laid(verifier *v, ir_op o)
{
    static void (*const rules[IR_CODE_COUNT])(verifier *, ir_op) = {
        [IR_OP_convert] = check_convert,
        [IR_OP_shared_alloc] = check_shared_alloc,
        [IR_OP_shared_slice] = check_shared_slice,
        [IR_OP_shared_trans] = check_shared_trans,
        [IR_OP_shared_load] = check_shared_load,
        [IR_OP_shared_store] = check_shared_store,
        [IR_OP_fence_async] = check_nothing,
        [IR_OP_chan] = check_chan,
        [IR_OP_put_enter] = check_enter,
        [IR_OP_put_exit] = check_exit,
        [IR_OP_get_enter] = check_enter,
        [IR_OP_get_exit] = check_exit,
        [IR_OP_tma_load] = check_tma_load,
        [IR_OP_tma_store] = check_tma_store,
        [IR_OP_cp_async] = check_cp_async,
        [IR_OP_wgmma] = check_wgmma,
        [IR_OP_await] = check_await,
        [IR_OP_done] = check_done,
        [IR_OP_turn_enter] = check_turn,
        [IR_OP_turn_exit] = check_turn,
        [IR_OP_partitions] = check_partitions,
        [IR_OP_cluster_rank] = check_cluster_rank,
        [IR_OP_cluster_barrier] = check_nothing,
        [IR_OP_launch_wait] = check_nothing,
    };
    ir_code c = ir_op_code(v->f, o);
    if (!rules[c])
        return false;
    rules[c](v, o);
    return true;
}
