/* layout.c: making layouts, asking them, and their algebra (layout.h says what they are).
 *
 * Coordinates of the base part are handled packed in one word, so composing maps is XOR over set bits and questions of
 * rank are Gaussian elimination over at most 80 words of 20 bits. Repeats never mix with the linear part: each function
 * treats them beside it.
 */
#include "compiler/layout.h"

#include <string.h>

static int log2_floor(int64_t x)
{
    int n = 0;
    while (x > 1) {
        x >>= 1;
        n++;
    }
    return n;
}

static bool is_pow2(int64_t x)
{
    return x > 0 && (x & (x - 1)) == 0;
}

lay lay_empty(int rank, const int64_t *shape, bool pow2)
{
    lay l = {.rank = rank};
    for (int d = 0; d < rank; d++) {
        int64_t p = shape[d];
        l.shape[d] = shape[d];
        l.rep[d] = 1;
        l.rep_on[d] = LAY_REG;
        l.rep_order[d] = rank - 1 - d;
        if (pow2 || is_pow2(p)) {
            int b = log2_floor(p);
            l.log2[d] = is_pow2(p) ? b : b + 1;
            continue;
        }
        while ((p & 1) == 0) {
            p >>= 1;
            l.log2[d]++;
        }
        l.rep[d] = p;
    }
    return l;
}

int lay_base_bits(const lay *l)
{
    int n = 0;
    for (int d = 0; d < l->rank; d++)
        n += l->log2[d];
    return n;
}

uint32_t lay_pack(const lay *l, const int64_t *coord)
{
    uint32_t w = 0;
    for (int d = 0; d < l->rank; d++)
        w = (w << l->log2[d]) | ((uint32_t)coord[d] & ((1u << l->log2[d]) - 1));
    return w;
}

void lay_unpack(const lay *l, uint32_t packed, int64_t *coord)
{
    for (int d = l->rank - 1; d >= 0; d--) {
        coord[d] = packed & ((1u << l->log2[d]) - 1);
        packed >>= l->log2[d];
    }
}

void lay_add_bit(lay *l, lay_space s, const int64_t *coord)
{
    if (l->nbits[s] >= LAY_MAX_BITS)
        bug("layout: more than %d bits in one space", LAY_MAX_BITS);
    l->image[s][l->nbits[s]++] = lay_pack(l, coord);
}

void lay_add_zero_bits(lay *l, lay_space s, int n)
{
    int64_t zero[LAY_MAX_RANK] = {0};
    while (n-- > 0)
        lay_add_bit(l, s, zero);
}

/* adds bits first, first + 1, ... first + n - 1 of dimension d's coordinate; those beyond its base extent replicate */
static void add_run(lay *l, lay_space s, int d, int first, int n)
{
    for (int i = 0; i < n; i++) {
        int64_t coord[LAY_MAX_RANK] = {0};
        if (first + i < l->log2[d])
            coord[d] = (int64_t)1 << (first + i);
        lay_add_bit(l, s, coord);
    }
}

lay lay_blocked(int rank, const int64_t *shape, const int64_t *per, const int64_t *lanes, const int64_t *warps,
                const int *order)
{
    lay l = lay_empty(rank, shape, false);
    int used[LAY_MAX_RANK] = {0};
    const int64_t *dealt[] = {per, lanes, warps};
    for (int s = LAY_REG; s <= LAY_WARP; s++)
        for (int i = 0; i < rank; i++) {
            int d = order[i], n = log2_floor(dealt[s][d]);
            add_run(&l, (lay_space)s, d, used[d], n);
            used[d] += n;
        }
    for (int i = 0; i < rank; i++) {
        int d = order[i];
        if (used[d] < l.log2[d])
            add_run(&l, LAY_REG, d, used[d], l.log2[d] - used[d]);
    }
    return l;
}

/* ---- fragments ----
 * mma.sync m16n8 accumulator, lane = 4 * group + t: registers (row group, cols 2t, 2t + 1), then the same 8 rows below.
 *   c0 c1 | row = group,     col = 2t + {0, 1}        a: 16-bit K 16:  a0 a1 row group, col 2t ..; +8 rows; then +8
 * columns c2 c3 | row = group + 8                           b: K 16 x N 8:   b0 b1 k = 2t .., n = group; then k + 8 For
 * narrower elements a register of 32 bits holds 32 / bits of them, so "2t" becomes "(32 / bits) t". */
static void add_rest(lay *l, int d, int used)
{
    add_run(l, LAY_REG, d, used, l->log2[d] - used > 0 ? l->log2[d] - used : 0);
}

lay lay_mma_acc(int64_t M, int64_t N, int warps_m, int warps_n)
{
    lay l = lay_empty(2, (int64_t[]){M, N}, false);
    int wm = log2_floor(warps_m), wn = log2_floor(warps_n);
    add_run(&l, LAY_REG, 1, 0, 1);
    add_run(&l, LAY_REG, 0, 3, 1);
    add_run(&l, LAY_LANE, 1, 1, 2);
    add_run(&l, LAY_LANE, 0, 0, 3);
    add_run(&l, LAY_WARP, 0, 4, wm);
    add_run(&l, LAY_WARP, 1, 3, wn);
    add_rest(&l, 1, 3 + wn);
    add_rest(&l, 0, 4 + wm);
    return l;
}

lay lay_mma_a(int64_t M, int64_t K, int bits, int warps_m, int warps_n)
{
    lay l = lay_empty(2, (int64_t[]){M, K}, false);
    int p = log2_floor(32 / bits), wm = log2_floor(warps_m);
    add_run(&l, LAY_REG, 1, 0, p);
    add_run(&l, LAY_REG, 0, 3, 1);
    add_run(&l, LAY_REG, 1, p + 2, 1);
    add_run(&l, LAY_LANE, 1, p, 2);
    add_run(&l, LAY_LANE, 0, 0, 3);
    add_run(&l, LAY_WARP, 0, 4, wm);
    lay_add_zero_bits(&l, LAY_WARP, log2_floor(warps_n));
    add_rest(&l, 1, p + 3);
    add_rest(&l, 0, 4 + wm);
    return l;
}

lay lay_mma_b(int64_t K, int64_t N, int bits, int warps_m, int warps_n)
{
    lay l = lay_empty(2, (int64_t[]){K, N}, false);
    int p = log2_floor(32 / bits), wn = log2_floor(warps_n);
    add_run(&l, LAY_REG, 0, 0, p);
    add_run(&l, LAY_REG, 0, p + 2, 1);
    add_run(&l, LAY_LANE, 0, p, 2);
    add_run(&l, LAY_LANE, 1, 0, 3);
    lay_add_zero_bits(&l, LAY_WARP, log2_floor(warps_m));
    add_run(&l, LAY_WARP, 1, 3, wn);
    add_rest(&l, 0, p + 3);
    add_rest(&l, 1, 3 + wn);
    return l;
}

/* wgmma m64nN: warp w of the warpgroup holds rows 16w .. 16w + 15 as mma.sync does; more warpgroups go further down M,
 * an odd number of them (three consumers) as a repeat placed on warps */
lay lay_wgmma_acc(int64_t M, int64_t N, int warpgroups)
{
    lay l = lay_empty(2, (int64_t[]){M, N}, false);
    int wg = log2_floor(warpgroups & -warpgroups);
    add_run(&l, LAY_REG, 1, 0, 1);
    add_run(&l, LAY_REG, 0, 3, 1);
    add_run(&l, LAY_LANE, 1, 1, 2);
    add_run(&l, LAY_LANE, 0, 0, 3);
    add_run(&l, LAY_WARP, 0, 4, 2 + wg);
    add_rest(&l, 1, 3);
    add_rest(&l, 0, 6 + wg);
    if (l.rep[0] > 1 && warpgroups % l.rep[0] == 0)
        l.rep_on[0] = LAY_WARP;
    return l;
}

/* ---- asking ---- */
int64_t lay_size(const lay *l, lay_space s)
{
    int64_t n = (int64_t)1 << l->nbits[s];
    for (int d = 0; d < l->rank; d++)
        if (l->rep_on[d] == s)
            n *= l->rep[d];
    return n;
}

int64_t lay_regs(const lay *l)
{
    return lay_size(l, LAY_REG);
}

static uint32_t base_of(const lay *l, lay_pos p)
{
    uint32_t w = 0;
    for (int s = 0; s < LAY_SPACES; s++)
        for (int i = 0; i < l->nbits[s]; i++)
            if (p.at[s] >> i & 1)
                w ^= l->image[s][i];
    return w;
}

bool lay_coord(const lay *l, lay_pos p, int64_t *coord)
{
    int64_t outer[LAY_SPACES];
    bool inside = true;
    for (int s = 0; s < LAY_SPACES; s++)
        outer[s] = p.at[s] >> l->nbits[s];
    lay_unpack(l, base_of(l, p), coord);
    for (int i = 0; i < l->rank; i++) {
        int d = l->rep_order[i];
        int64_t *o = &outer[l->rep_on[d]];
        coord[d] += (*o % l->rep[d]) << l->log2[d];
        *o /= l->rep[d];
    }
    for (int d = 0; d < l->rank; d++)
        inside &= coord[d] < l->shape[d];
    return inside;
}

/* Gaussian elimination: reduces w by the basis kept by leading bit; adds it and returns true when it was independent */
static bool basis_add(uint32_t *basis, uint32_t w)
{
    for (int b = 31; b >= 0 && w; b--) {
        if (!(w >> b & 1))
            continue;
        if (!basis[b]) {
            basis[b] = w;
            return true;
        }
        w ^= basis[b];
    }
    return false;
}

static int image_rank(const lay *l)
{
    uint32_t basis[32] = {0};
    int n = 0;
    for (int s = 0; s < LAY_SPACES; s++)
        for (int i = 0; i < l->nbits[s]; i++)
            n += basis_add(basis, l->image[s][i]);
    return n;
}

bool lay_is_surjective(const lay *l)
{
    return image_rank(l) == lay_base_bits(l);
}

bool lay_is_injective(const lay *l)
{
    int n = 0;
    for (int s = 0; s < LAY_SPACES; s++)
        n += l->nbits[s];
    return image_rank(l) == n;
}

uint32_t lay_replicated(const lay *l, lay_space space)
{
    uint32_t basis[32] = {0}, mask = 0;
    for (int s = 0; s <= (int)space; s++)
        for (int i = 0; i < l->nbits[s]; i++)
            if (!basis_add(basis, l->image[s][i]) && s == (int)space)
                mask |= 1u << i;
    return mask;
}

bool lay_eq(const lay *a, const lay *b)
{
    if (!lay_compatible(a, b))
        return false;
    for (int s = 0; s < LAY_SPACES; s++) {
        if (a->nbits[s] != b->nbits[s])
            return false;
        if (memcmp(a->image[s], b->image[s], sizeof(uint32_t) * (size_t)a->nbits[s]) != 0)
            return false;
    }
    return true;
}

bool lay_shared_eq(const lay_shared *a, const lay_shared *b)
{
    if (!lay_eq(&a->map, &b->map) || a->npads != b->npads || a->boxes != b->boxes)
        return false;
    for (int i = 0; i < a->npads; i++)
        if (a->pads[i].interval != b->pads[i].interval || a->pads[i].pad != b->pads[i].pad)
            return false;
    return true;
}

/* the dimensions that have a repeat, fastest first */
static int repeated_dims(const lay *l, int *dims)
{
    int n = 0;
    for (int i = 0; i < l->rank; i++)
        if (l->rep[l->rep_order[i]] > 1)
            dims[n++] = l->rep_order[i];
    return n;
}

bool lay_compatible(const lay *a, const lay *b)
{
    int da[LAY_MAX_RANK], db[LAY_MAX_RANK];
    if (a->rank != b->rank || repeated_dims(a, da) != repeated_dims(b, db))
        return false;
    for (int i = 0, n = repeated_dims(a, da); i < n; i++)
        if (da[i] != db[i])
            return false;
    for (int d = 0; d < a->rank; d++)
        if (a->shape[d] != b->shape[d] || a->log2[d] != b->log2[d] || a->rep[d] != b->rep[d] ||
            (a->rep[d] > 1 && a->rep_on[d] != b->rep_on[d]))
            return false;
    return true;
}

int64_t lay_contig(const lay *l, int d)
{
    int64_t run = 1, coord[LAY_MAX_RANK] = {0};
    for (int i = 0; i < l->nbits[LAY_REG] && i < l->log2[d]; i++) {
        coord[d] = run;
        if (l->image[LAY_REG][i] != lay_pack(l, coord))
            break;
        run <<= 1;
    }
    return run;
}

/* ---- algebra ---- */
/* moves every image through f */
static void remap(lay *l, const lay *from, uint32_t (*f)(const lay *, const lay *, uint32_t, const void *),
                  const void *ctx)
{
    for (int s = 0; s < LAY_SPACES; s++) {
        l->nbits[s] = from->nbits[s];
        for (int i = 0; i < from->nbits[s]; i++)
            l->image[s][i] = f(l, from, from->image[s][i], ctx);
    }
}

static uint32_t permute_word(const lay *l, const lay *from, uint32_t w, const void *ctx)
{
    const int *order = ctx;
    int64_t old[LAY_MAX_RANK], now[LAY_MAX_RANK];
    lay_unpack(from, w, old);
    for (int d = 0; d < l->rank; d++)
        now[d] = old[order[d]];
    return lay_pack(l, now);
}

lay lay_permute(const lay *from, const int *order)
{
    lay l = {.rank = from->rank};
    for (int d = 0; d < l.rank; d++) {
        l.shape[d] = from->shape[order[d]];
        l.log2[d] = from->log2[order[d]];
        l.rep[d] = from->rep[order[d]];
        l.rep_on[d] = from->rep_on[order[d]];
        for (int i = 0; i < l.rank; i++)
            if (from->rep_order[i] == order[d])
                l.rep_order[i] = d;
    }
    remap(&l, from, permute_word, order);
    return l;
}

/* Row-major order of power-of-two extents is concatenation of their bits, so the packed word stays as it is; an odd
 * repeat must lie in front of the same product on both sides, which holds where it stands on the first dimension of
 * each. */
bool lay_reshape(const lay *from, int rank, const int64_t *shape, lay *out)
{
    lay l = lay_empty(rank, shape, false);
    int64_t odd = 1, odd_now = 1;
    for (int d = 0; d < from->rank; d++) {
        if ((from->rep[d] > 1 && odd * from->shape[d] == 0) || from->shape[d] != from->rep[d] << from->log2[d])
            return false;
        odd *= from->rep[d];
    }
    lay_space on = LAY_REG;
    for (int d = 0, lead = 1; d < from->rank; d++) {
        if (from->rep[d] > 1 && !lead)
            return false;
        if (from->rep[d] > 1)
            on = from->rep_on[d];
        if (from->shape[d] > 1)
            lead = 0;
    }
    for (int d = 0, lead = 1; d < rank; d++) {
        if (l.rep[d] > 1 && !lead)
            return false;
        l.rep_on[d] = on;
        odd_now *= l.rep[d];
        if (shape[d] > 1)
            lead = 0;
    }
    if (odd != odd_now || lay_base_bits(&l) != lay_base_bits(from))
        return false;
    for (int s = 0; s < LAY_SPACES; s++) {
        l.nbits[s] = from->nbits[s];
        memcpy(l.image[s], from->image[s], sizeof l.image[s]);
    }
    *out = l;
    return true;
}

static uint32_t drop_word(const lay *l, const lay *from, uint32_t w, const void *ctx)
{
    int gone = *(const int *)ctx;
    int64_t old[LAY_MAX_RANK], now[LAY_MAX_RANK] = {0};
    lay_unpack(from, w, old);
    for (int d = 0; d < l->rank; d++)
        now[d] = old[d < gone ? d : d + 1];
    return lay_pack(l, now);
}

lay lay_drop_dim(const lay *from, int gone)
{
    lay l = {.rank = from->rank - 1};
    for (int d = 0; d < l.rank; d++) {
        int o = d < gone ? d : d + 1;
        l.shape[d] = from->shape[o];
        l.log2[d] = from->log2[o];
        l.rep[d] = from->rep[o];
        l.rep_on[d] = from->rep_on[o];
    }
    for (int i = 0, n = 0; i < from->rank; i++)
        if (from->rep_order[i] != gone)
            l.rep_order[n++] = from->rep_order[i] - (from->rep_order[i] > gone);
    remap(&l, from, drop_word, &gone);
    /* registers that held the dimension are gone; threads that did replicate */
    int n = 0;
    for (int i = 0; i < l.nbits[LAY_REG]; i++)
        if (l.image[LAY_REG][i] || !from->image[LAY_REG][i])
            l.image[LAY_REG][n++] = l.image[LAY_REG][i];
    for (int i = n; i < l.nbits[LAY_REG]; i++)
        l.image[LAY_REG][i] = 0;
    l.nbits[LAY_REG] = n;
    return l;
}

lay lay_insert_dim(const lay *from, int at)
{
    lay l = *from;
    l.rank++;
    for (int d = l.rank - 1; d > at; d--) {
        l.shape[d] = l.shape[d - 1];
        l.log2[d] = l.log2[d - 1];
        l.rep[d] = l.rep[d - 1];
        l.rep_on[d] = l.rep_on[d - 1];
    }
    l.shape[at] = 1;
    l.log2[at] = 0;
    l.rep[at] = 1;
    l.rep_on[at] = LAY_REG;
    for (int i = 0; i < from->rank; i++)
        l.rep_order[i] = from->rep_order[i] + (from->rep_order[i] >= at);
    l.rep_order[from->rank] = at;
    return l;
}

/* ---- maps between layouts ----
 * For each coordinate bit of `to` we keep a combination of its hardware bits that produces it: elimination over the
 * images, carrying along which bits were XORed. A `from` image is then rewritten coordinate by coordinate. */
typedef struct solver {
    uint32_t word[32];
    uint64_t made_of[32];
} solver;

static void solver_add(solver *v, uint32_t w, uint64_t bits)
{
    for (int b = 31; b >= 0 && w; b--) {
        if (!(w >> b & 1))
            continue;
        if (!v->word[b]) {
            v->word[b] = w;
            v->made_of[b] = bits;
            return;
        }
        w ^= v->word[b];
        bits ^= v->made_of[b];
    }
}

static bool solver_find(const solver *v, uint32_t w, uint64_t *bits)
{
    *bits = 0;
    for (int b = 31; b >= 0 && w; b--) {
        if (!(w >> b & 1))
            continue;
        if (!v->word[b])
            return false;
        w ^= v->word[b];
        *bits ^= v->made_of[b];
    }
    return true;
}

bool lay_between(const lay *from, const lay *to, lay_map *out)
{
    solver v = {{0}, {0}};
    lay_map m = {0};
    if (!lay_compatible(from, to))
        return false;
    for (int s = 0; s < LAY_SPACES; s++) {
        m.out_nbits[s] = to->nbits[s];
        m.in_nbits[s] = from->nbits[s];
        for (int i = 0; i < to->nbits[s]; i++)
            solver_add(&v, to->image[s][i], (uint64_t)1 << m.out_bits++);
    }
    for (int s = 0; s < LAY_SPACES; s++)
        for (int i = 0; i < from->nbits[s]; i++)
            if (!solver_find(&v, from->image[s][i], &m.image[m.in_bits++]))
                return false;
    *out = m;
    return true;
}

uint64_t lay_map_apply(const lay_map *m, uint64_t in)
{
    uint64_t w = 0;
    for (int i = 0; i < m->in_bits; i++)
        if (in >> i & 1)
            w ^= m->image[i];
    return w;
}
