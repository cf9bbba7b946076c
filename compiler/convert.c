/* convert.c: shared-memory layouts, and how a tile gets from one register layout to another (layout.h).
 *
 * A conversion is the map to^-1 . from over hardware bits. Where it is the identity on everything but registers,
 * values are only renamed. Where it stays within a warp, shuffles do: the lane bits that come from registers cost
 * one exchange a register for each. Otherwise the tile goes through shared memory, in a layout searched for among
 * XOR swizzles of the writer's row-major order: the candidates' bank conflicts are counted by laying out one warp's
 * accesses, not guessed.
 */
#include "compiler/layout.h"

#include <string.h>

enum { BANKS = 32, BANK_BYTES = 4, LINE = BANKS * BANK_BYTES };

static int log2_of(int64_t x)
{
    int n = 0;
    while (x > 1) {
        x >>= 1;
        n++;
    }
    return n;
}

/* ---- shared layouts ---- */
lay_shared lay_shared_linear(int rank, const int64_t *shape, const int *order)
{
    lay_shared s = {.map = lay_empty(rank, shape, false), .boxes = 1};
    for (int i = 0; i < rank; i++) {
        int64_t coord[LAY_MAX_RANK] = {0};
        for (int b = 0; b < s.map.log2[order[i]]; b++) {
            coord[order[i]] = (int64_t)1 << b;
            lay_add_bit(&s.map, LAY_REG, coord);
        }
    }
    return s;
}

/* Offset bits from the lowest: the element within 16 bytes, the chunk within the row, the row, the box. Reading
 * offset o of row r, chunk c holds column chunk c ^ (r mod chunks): so a row bit's image carries the chunk bit it is
 * XORed with. The pattern repeats every 8 rows of 128 bytes, 4 rows of 64, 2 of 32 as the hardware's: row numbers
 * count 128-byte lines. */
lay_shared lay_shared_swizzled(int64_t rows, int64_t cols, int bytes, int width)
{
    lay_shared s = {.map = lay_empty(2, (int64_t[]){rows, cols}, false)};
    int chunk = log2_of(16 / bytes), row_elems = log2_of(width / bytes), chunks = log2_of(width / 16);
    int first_row = 3 - chunks; /* 128-byte swizzle: row bits 0..2; 64: bits 1..2 against chunk bits 0..1; 32: bit 2 */
    s.boxes = cols * bytes > width ? cols * bytes / width : 1;
    for (int b = 0; b < row_elems && b < s.map.log2[1]; b++)
        lay_add_bit(&s.map, LAY_REG, (int64_t[]){0, (int64_t)1 << b});
    for (int b = 0; b < s.map.log2[0]; b++) {
        int64_t x = b >= first_row && b - first_row < chunks ? (int64_t)1 << (chunk + b - first_row) : 0;
        lay_add_bit(&s.map, LAY_REG, (int64_t[]){(int64_t)1 << b, x});
    }
    for (int b = row_elems; b < s.map.log2[1]; b++)
        lay_add_bit(&s.map, LAY_REG, (int64_t[]){0, (int64_t)1 << b});
    return s;
}

static int64_t padded(const lay_shared *s, int64_t off)
{
    int64_t at = off;
    for (int i = 0; i < s->npads; i++)
        at += off / s->pads[i].interval * s->pads[i].pad;
    return at;
}

int64_t lay_shared_elems(const lay_shared *s)
{
    int64_t n = (int64_t)1 << s->map.nbits[LAY_REG];
    for (int d = 0; d < s->map.rank; d++)
        n *= s->map.rep[d];
    return padded(s, n);
}

/* The map goes from offsets to coordinates; its inverse on a basis gives offsets. Offset images are triangular up to an
 * order, so elimination over at most 20 words finds it. */
int64_t lay_shared_offset(const lay_shared *s, const int64_t *coord)
{
    const lay *l = &s->map;
    uint32_t word[32] = {0}, made[32] = {0};
    for (int i = 0; i < l->nbits[LAY_REG]; i++) {
        uint32_t w = l->image[LAY_REG][i], m = 1u << i;
        for (int b = 31; b >= 0 && w; b--) {
            if (!(w >> b & 1))
                continue;
            if (!word[b]) {
                word[b] = w;
                made[b] = m;
                break;
            }
            w ^= word[b];
            m ^= made[b];
        }
    }
    uint32_t want = lay_pack(l, coord), off = 0;
    for (int b = 31; b >= 0 && want; b--)
        if (want >> b & 1) {
            off ^= made[b];
            want ^= word[b];
        }
    int64_t outer = 0;
    for (int d = 0; d < l->rank; d++)
        outer = outer * l->rep[d] + (coord[d] >> l->log2[d]) % l->rep[d];
    return padded(s, (outer << l->nbits[LAY_REG]) + off);
}

/* ---- bank conflicts ----
 * A warp's access is served in wavefronts of 128 bytes: each of the 32 banks gives one 4-byte word a wavefront, and
 * lanes that want the same word share it. Accesses of 8 and 16 bytes a lane are served by halves and quarters of the
 * warp. */
int64_t lay_wavefronts(const int64_t *offset, int lanes, int64_t vec, int bytes, int64_t *fewest)
{
    int64_t width = vec * bytes, total = 0, least = 0;
    int group = width >= 16 ? lanes / 4 : width >= 8 ? lanes / 2 : lanes;
    if (group == 0)
        group = 1;
    for (int g = 0; g < lanes; g += group) {
        int64_t words[64 * 4];
        int n = 0, per_bank[BANKS] = {0}, worst = 0;
        for (int i = g; i < g + group; i++)
            for (int64_t b = offset[i] * bytes; b < offset[i] * bytes + width; b += BANK_BYTES) {
                int64_t w = b / BANK_BYTES;
                int k = 0;
                while (k < n && words[k] != w)
                    k++;
                if (k < n)
                    continue;
                words[n++] = w;
                int hits = ++per_bank[w % BANKS];
                worst = hits > worst ? hits : worst;
            }
        total += worst;
        least += (n + BANKS - 1) / BANKS;
    }
    *fewest = least;
    return total;
}

/* ---- planning ---- */
static bool identity_on(const lay_map *m, lay_space s)
{
    int in = 0, out = 0;
    for (int k = 0; k < (int)s; k++) {
        in += m->in_nbits[k];
        out += m->out_nbits[k];
    }
    for (int i = 0; i < m->in_nbits[s]; i++)
        if (i < m->out_nbits[s] && m->image[in + i] != (uint64_t)1 << (out + i))
            return false;
    uint64_t field = (((uint64_t)1 << m->out_nbits[s]) - 1) << out;
    for (int i = 0; i < m->in_bits; i++)
        if ((i < in || i >= in + m->in_nbits[s]) && (m->image[i] & field))
            return false;
    return m->in_nbits[s] == m->out_nbits[s];
}

/* how many of the lane bits of the target come (in part) from registers of the source: each costs an exchange */
static int lanes_from_regs(const lay_map *m)
{
    int out = m->out_nbits[LAY_REG], n = 0;
    for (int b = 0; b < m->out_nbits[LAY_LANE]; b++) {
        bool from_reg = false;
        for (int i = 0; i < m->in_nbits[LAY_REG]; i++)
            from_reg |= m->image[i] >> (out + b) & 1;
        n += from_reg;
    }
    return n;
}

/* wavefronts over the fewest, of all accesses of warp 0 to `s` in layout l */
static int64_t conflicts(const lay *l, const lay_shared *s, int bytes, int64_t vec)
{
    int lanes = 1 << l->nbits[LAY_LANE];
    int64_t regs = (int64_t)1 << l->nbits[LAY_REG], extra = 0;
    if (lanes > 64)
        return 0;
    for (int64_t r = 0; r < regs; r += vec) {
        int64_t off[64], fewest;
        for (int i = 0; i < lanes; i++) {
            int64_t coord[LAY_MAX_RANK];
            lay_coord(l, (lay_pos){{r, i, 0, 0}}, coord);
            off[i] = lay_shared_offset(s, coord);
        }
        int64_t n = lay_wavefronts(off, lanes, vec, bytes, &fewest);
        extra += n - fewest;
    }
    return extra;
}

/* elements an access of l may take at once in s: consecutive registers at consecutive, aligned offsets */
static int64_t vector_of(const lay *l, const lay_shared *s, int bytes)
{
    int64_t vec = 1, most = 16 / bytes;
    while (vec < most && vec < (int64_t)1 << l->nbits[LAY_REG]) {
        bool ok = true;
        for (int64_t r = 0; r < 2 * vec && ok; r++) {
            int64_t coord[LAY_MAX_RANK];
            lay_coord(l, (lay_pos){{r, 0, 0, 0}}, coord);
            ok = lay_shared_offset(s, coord) == r;
        }
        if (!ok)
            break;
        vec *= 2;
    }
    return vec;
}

/* row-major with the fastest dimension where the layout's registers run, its 16-byte chunks XORed with `shift`ed row
 * bits */
static lay_shared candidate(const lay *l, int fastest, int chunk_bits, int chunk_log, int shift)
{
    int order[LAY_MAX_RANK], n = 0;
    order[n++] = fastest;
    for (int d = l->rank - 1; d >= 0; d--)
        if (d != fastest)
            order[n++] = d;
    lay_shared s = lay_shared_linear(l->rank, l->shape, order);
    int row = s.map.log2[fastest];
    for (int b = 0; b < chunk_bits; b++) {
        int from = row + shift + b, to = chunk_log + b;
        if (from < s.map.nbits[LAY_REG] && to < row)
            s.map.image[LAY_REG][from] ^= s.map.image[LAY_REG][to];
    }
    return s;
}

static void search_shared(const lay *from, const lay *to, int bytes, lay_conv *out)
{
    int64_t best = INT64_MAX;
    for (int d = 0; d < from->rank; d++)
        for (int log = 0; log <= log2_of(16 / bytes); log++)
            for (int bits = 0; bits <= 5; bits++)
                for (int shift = 0; shift <= 3; shift++) {
                    lay_shared s = candidate(from, d, bits, log, shift);
                    int64_t vw = vector_of(from, &s, bytes), vr = vector_of(to, &s, bytes);
                    int64_t cw = conflicts(from, &s, bytes, vw), cr = conflicts(to, &s, bytes, vr);
                    int64_t cost =
                        cw + cr + ((int64_t)1 << from->nbits[LAY_REG]) / vw + ((int64_t)1 << to->nbits[LAY_REG]) / vr;
                    if (cost >= best)
                        continue;
                    best = cost;
                    out->shared = s;
                    out->vec_write = vw;
                    out->vec_read = vr;
                    out->write_conflicts = cw;
                    out->read_conflicts = cr;
                }
}

bool lay_convert(const lay *from, const lay *to, int bytes, lay_conv *out)
{
    lay_map m;
    *out = (lay_conv){.kind = CONV_NONE};
    if (!lay_between(from, to, &m))
        return false;
    bool block = identity_on(&m, LAY_BLOCK), warp = identity_on(&m, LAY_WARP), lane = identity_on(&m, LAY_LANE);
    if (block && warp && lane) {
        out->kind = identity_on(&m, LAY_REG) ? CONV_NONE : CONV_REGS;
        return true;
    }
    int moved = lanes_from_regs(&m);
    int64_t regs = (int64_t)1 << to->nbits[LAY_REG];
    search_shared(from, to, bytes, out);
    out->warp_local = block && warp;
    if (block && warp) {
        int64_t words = (regs * bytes + BANK_BYTES - 1) / BANK_BYTES;
        int64_t shuffles = moved ? words / 2 * moved + moved : words;
        int64_t through = regs / out->vec_write + regs / out->vec_read + out->write_conflicts + out->read_conflicts;
        if (shuffles <= through) {
            out->kind = CONV_SHUFFLE;
            out->shuffles = (int)shuffles;
            return true;
        }
    }
    out->kind = block ? CONV_SHARED : CONV_CLUSTER;
    return true;
}
