/* layout.h: where the elements of a tile live, as one kind of map.
 *
 * A tile dimension has a physical extent P >= its shape; what lies beyond the shape are holes. P = R * 2^b with R
 * odd. The low part, 2^b, is covered by a linear map over GF(2): each hardware bit (of the register number, the
 * lane, the warp, the block) has an image, a vector of coordinate bits, and a position's coordinates are the XOR of
 * the images of its set bits. The odd part R is an integer repeat, outermost, placed on registers, warps or blocks.
 * So blocked, MMA-fragment, operand, sliced and swizzled layouts are values of one type, and 192 columns are 64 x 3.
 *
 *   image packing (one 32-bit word): the bits of the last dimension lowest, then the one before, ...
 *     shape [128, 64]:   ... 0 | r6 r5 r4 r3 r2 r1 r0 | c5 c4 c3 c2 c1 c0
 *
 * A register layout is surjective (every element has an owner); bits with image 0, or images that depend on others,
 * mean replication: several positions hold the same element. Side effects act on the representative whose replicated
 * bits are 0.
 *
 * A shared layout maps the bits of an element offset instead (LAY_REG holds the offset's bits, the other spaces are
 * empty), then adds padding: for each (interval, pad) pair `pad` elements after each `interval` elements; which
 * isn't linear and therefore stands after the map. XOR swizzles are images with more than one bit set.
 *
 * Everything here is pure: values in, values out, no allocation. The idea of linear layouts is from Zhou et al.,
 * "Linear Layouts" (arXiv 2505.23819); repeats and holes are this project's.
 */
#ifndef TILE_COMPILER_LAYOUT_H
#define TILE_COMPILER_LAYOUT_H

#include "base/base.h"

#define LAY_MAX_RANK 8
#define LAY_MAX_BITS 20 /* of one hardware space, and of a tile's base extents together */

typedef enum lay_space { LAY_REG, LAY_LANE, LAY_WARP, LAY_BLOCK, LAY_SPACES } lay_space;

typedef struct lay {
    int rank;
    int64_t shape[LAY_MAX_RANK]; /* logical extents */
    int log2[LAY_MAX_RANK];      /* b: base extent 2^b */
    int64_t rep[LAY_MAX_RANK];   /* R: odd */
    lay_space rep_on[LAY_MAX_RANK];
    int rep_order[LAY_MAX_RANK]; /* dimensions by their repeats, fastest first (which of two repeats in one space varies
                                    first) */
    int nbits[LAY_SPACES];
    uint32_t image[LAY_SPACES][LAY_MAX_BITS];
} lay;

/* one position: a number in each space; registers count repeats outermost (reg = rep_index * 2^nbits[LAY_REG] +
 * base) */
typedef struct lay_pos {
    int64_t at[LAY_SPACES];
} lay_pos;

typedef struct lay_pad {
    int64_t interval, pad; /* elements */
} lay_pad;

#define LAY_MAX_PADS 3
typedef struct lay_shared {
    lay map; /* offset bits -> coordinates, in map.image[LAY_REG] */
    lay_pad pads[LAY_MAX_PADS];
    int npads;
    int64_t boxes; /* TMA boxes the tile is copied in, along the last dimension; 1 = one */
} lay_shared;

/* ---- making (layout.c) ---- */
/* an empty map for this shape: P is the shape with its own power of two and odd part; `pow2` rounds P up to a power
 * of two */
lay lay_empty(int rank, const int64_t *shape, bool pow2);
/* Elements dealt out as per[d] consecutive ones a register, lanes[d] lanes, warps[d] warps along each dimension
 * (powers of two), fastest along order[0]; what is left over is more registers, what is too much replicates. Extents
 * that aren't powers of two keep their odd part as a repeat on registers. */
lay lay_blocked(int rank, const int64_t *shape, const int64_t *per, const int64_t *lanes, const int64_t *warps,
                const int *order);
/* appends one hardware bit with these coordinates */
void lay_add_bit(lay *l, lay_space s, const int64_t *coord);
void lay_add_zero_bits(lay *l, lay_space s, int n);
uint32_t lay_pack(const lay *l, const int64_t *coord);       /* base coordinates, packed */
void lay_unpack(const lay *l, uint32_t packed, int64_t *coord);
int lay_base_bits(const lay *l);                               /* of all dimensions together */

/* fragments of the matrix units, as PTX and the CDNA/RDNA manuals draw them; M, N, K multiples of the instruction's */
lay lay_mma_acc(int64_t M, int64_t N, int warps_m, int warps_n);           /* mma.sync m16n8: c fragment */
lay lay_mma_a(int64_t M, int64_t K, int bits, int warps_m,
              int warps_n); /* mma.sync: a fragment of `bits`-wide elements */
lay lay_mma_b(int64_t K, int64_t N, int bits, int warps_m, int warps_n);   /* mma.sync: b fragment */
lay lay_wgmma_acc(int64_t M, int64_t N, int warpgroups); /* wgmma m64nN: 4 warps along M, then warpgroups */

/* ---- asking ---- */
int64_t lay_regs(const lay *l);      /* registers (elements) a thread holds, repeats included */
int64_t lay_size(const lay *l, lay_space s); /* extent of a space, repeats included */
/* logical coordinates of a position; false where it is a hole */
bool lay_coord(const lay *l, lay_pos p, int64_t *coord);
bool lay_is_surjective(const lay *l);
bool lay_is_injective(const lay *l);
/* bits of space s whose image depends on those before it (in order reg, lane, warp, block): the replicated ones, as
 * a mask */
uint32_t lay_replicated(const lay *l, lay_space s);
bool lay_eq(const lay *a, const lay *b);
bool lay_shared_eq(const lay_shared *a, const lay_shared *b);
/* longest run of elements along dimension d that consecutive registers hold in order: a power of two */
int64_t lay_contig(const lay *l, int d);

/* ---- algebra ---- */
lay lay_permute(const lay *l, const int *order);
/* the same elements in row-major order under another shape; false where the map would not stay linear (an odd repeat
 * is split) */
bool lay_reshape(const lay *l, int rank, const int64_t *shape, lay *out);
/* dimension d gone (a reduced tile): its coordinate bits drop out of every image; register bits that carried nothing
 * else go with it, lanes, warps and blocks replicate */
lay lay_drop_dim(const lay *l, int d);
/* a new dimension of extent 1 at d */
lay lay_insert_dim(const lay *l, int d);
/* a position of `to` that holds the element at position p of `from`: the map to^-1 . from over packed hardware bits
 * (reg lowest, then lane, warp, block), with replicated bits of `to` at 0. Both must agree in base extents and
 * repeats. */
typedef struct lay_map {
    int in_bits, out_bits;
    int in_nbits[LAY_SPACES], out_nbits[LAY_SPACES];
    uint64_t image[4 * LAY_MAX_BITS];
} lay_map;
bool lay_compatible(const lay *a, const lay *b); /* same shape, base extents, repeats and their places */
bool lay_between(const lay *from, const lay *to, lay_map *out);
uint64_t lay_map_apply(const lay_map *m, uint64_t in);

/* ---- shared memory ---- */
lay_shared lay_shared_linear(int rank, const int64_t *shape, const int *order);
/* the swizzle of TMA and wgmma: 16-byte chunks of a row of `width` bytes (32, 64, 128) XORed with the row number;
 * the last dimension in rows of width bytes, boxes of that width side by side; elements of `bytes` bytes */
lay_shared lay_shared_swizzled(int64_t rows, int64_t cols, int bytes, int width);
int64_t lay_shared_offset(const lay_shared *s, const int64_t *coord); /* in elements, pads included */
int64_t lay_shared_elems(const lay_shared *s);

/* ---- conversion planning (convert.c) ---- */
typedef enum lay_conv_kind { CONV_NONE, CONV_REGS, CONV_SHUFFLE, CONV_SHARED, CONV_CLUSTER } lay_conv_kind;
typedef struct lay_conv {
    lay_conv_kind kind;
    int shuffles;          /* CONV_SHUFFLE: a thread */
    lay_shared shared;     /* CONV_SHARED: where it goes through */
    int64_t vec_write, vec_read; /* elements an access */
    int64_t write_conflicts,
        read_conflicts;    /* wavefronts beyond the fewest possible, per warp and access summed over registers */
    bool warp_local;       /* a warp barrier is enough */
} lay_conv;
/* the cheapest way from one register layout to another for elements of `bytes` bytes */
bool lay_convert(const lay *from, const lay *to, int bytes, lay_conv *out);
/* wavefronts of one warp's access: 32 lanes (or 64), element offsets of lane i's first element, vec elements of
 * `bytes` each, 32 banks of 4 bytes; the fewest possible is max(1, lanes * vec * bytes / 128) of distinct data */
int64_t lay_wavefronts(const int64_t *offset, int lanes, int64_t vec, int bytes, int64_t *fewest);

#endif
