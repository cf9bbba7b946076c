/* dot_tiles.c: blocks of a dot by the tile registers of AMX: 32 rows by 32 columns in four tiles of 16 by 16.
 *
 *             B: tmm6      tmm7          a tile: 16 rows of 64 bytes. A's rows are rows of the packed A; a row of B's
 * are A: tmm4   C: tmm0      tmm1          16 columns' units (pairs of bf16, quads of bytes) at one place along K,
 * which is tmm5      tmm2      tmm3          how a panel of 32 columns lies, 128 bytes a row. Both move by 16 units a
 * turn.
 *
 * A kernel with such blocks loads the shape of the tiles once, before its programs, and gives the registers back after
 * them (tiles_begin, tiles_end). Where C ends within a tile, the block has a shape of its own: rows and columns that
 * are not there are neither read nor written.
 *
 * Numerics: bf16: for each 32 elements of K, counted from the beginning of the sum, the products of even k are added in
 * ascending order, those of odd k beside them, both from 0, denormals taken for zero; then the sum of the two is added
 * to C. So K of the tile must be a multiple of 16 units, and no other tile's size shows in a bit.
 */
#include "backends/cpu/dot.h"

enum { SIDE = 16, ROW = 64, CONFIG = 64 }; /* rows of a tile, bytes of one, bytes of what ldtilecfg reads */

enum { TILE_C = 0, TILE_A = 4, TILE_B = 6, TILES = 8 };

bool dot_is_tiled(const dot_block *x)
{
    return x->inst >= DOT_TDPBF16 && x->inst <= DOT_TDPBUUD;
}

static lval tile(cg *c, int i)
{
    return cg_int(c->i8, i);
}

/* shapes of the eight tiles for a block of so many rows and columns; tiles beyond it stay whole */
static lval config(cg *c, int rows, int columns)
{
    char *name = str_cstr(c->a, str_fmt(c->a, "tiles.%d.%d", rows, columns));
    lval g = LLVMGetNamedGlobal(c->mod, name), bytes[CONFIG];
    if (g)
        return g;
    uint8_t x[CONFIG] = {1}; /* the palette; 16: bytes of a row, u16 each; 48: rows */
    int tall[2], wide[2];
    for (int i = 0; i < 2; i++) {
        tall[i] = rows > i * SIDE && rows < (i + 1) * SIDE ? rows - i * SIDE : SIDE;
        wide[i] = columns > i * SIDE && columns < (i + 1) * SIDE ? 4 * (columns - i * SIDE) : ROW;
    }
    for (int i = 0; i < TILES; i++) {
        x[16 + 2 * i] = (uint8_t)(i < TILE_A ? wide[i % 2] : i >= TILE_B ? wide[i - TILE_B] : ROW);
        x[48 + i] = (uint8_t)(i < TILE_A ? tall[i / 2] : i < TILE_B ? tall[i - TILE_A] : SIDE);
    }
    for (int i = 0; i < CONFIG; i++)
        bytes[i] = cg_int(c->i8, x[i]);
    g = LLVMAddGlobal(c->mod, LLVMArrayType2(c->i8, CONFIG), name);
    LLVMSetInitializer(g, LLVMConstArray2(c->i8, bytes, CONFIG));
    LLVMSetGlobalConstant(g, true);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    LLVMSetAlignment(g, CONFIG);
    return g;
}

void tiles_begin(cg *c)
{
    cg_call(c, CGI_ldtilecfg, NULL, 0, (lval[]){config(c, 2 * SIDE, 2 * SIDE)}, 1);
}

void tiles_end(cg *c)
{
    cg_call(c, CGI_tilerelease, NULL, 0, NULL, 0);
}

static void load(cg *c, int t, lval p, int64_t at, int64_t pitch)
{
    cg_call(c, CGI_tileload, NULL, 0, (lval[]){tile(c, t), cg_gep(c, c->i8, p, cg_i64(c, at)), cg_i64(c, pitch)}, 3);
}

static cg_intrin product(const dot *d)
{
    switch ((int)d->block->inst) {
    case DOT_TDPBF16:
        return CGI_tdpbf16;
    case DOT_TDPBSSD:
        return CGI_tdpbssd;
    case DOT_TDPBSUD:
        return CGI_tdpbsud;
    case DOT_TDPBUSD:
        return CGI_tdpbusd;
    case DOT_TDPBUUD:
        return CGI_tdpbuud;
    default:
        bug("block '%s' has no tiles", d->block->name);
    }
}

/* 16 units along K */
static void turn(dot *d, lval a, lval b, int rows, int vecs, int64_t pitch)
{
    cg *c = d->k->c;
    for (int v = 0; v < vecs; v++)
        load(c, TILE_B + v, b, v * ROW, d->width * 4);
    for (int r = 0; r < rows; r++) {
        load(c, TILE_A + r, a, r * SIDE * pitch, pitch);
        for (int v = 0; v < vecs; v++)
            cg_call(c, product(d), NULL, 0,
                    (lval[]){tile(c, TILE_C + 2 * r + v), tile(c, TILE_A + r), tile(c, TILE_B + v)}, 3);
    }
}

void tiles_body(dot *d, lval fn, int nrows, int columns)
{
    cg *c = d->k->c;
    int rows = (nrows + SIDE - 1) / SIDE, vecs = (columns + SIDE - 1) / SIDE;
    int64_t pitch = d->depth * d->unit / d->block->g;
    bool whole = nrows % SIDE == 0 && columns % SIDE == 0;
    lval a = LLVMGetParam(fn, 0), b = LLVMGetParam(fn, 1), to = LLVMGetParam(fn, 2), units = LLVMGetParam(fn, 3);
    if (!whole)
        cg_call(c, CGI_ldtilecfg, NULL, 0, (lval[]){config(c, nrows, columns)}, 1);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            load(c, TILE_C + 2 * r + v, to, r * SIDE * d->n * 4 + v * ROW, d->n * 4);
    lblock from = cg_here(c), head = cg_block(c, "tiles"), exit = cg_block(c, "tiles.exit");
    LLVMBuildBr(c->b, head);
    cg_at(c, head);
    lval k = LLVMBuildPhi(c->b, c->i64, ""), pa = LLVMBuildPhi(c->b, c->ptr, ""), pb = LLVMBuildPhi(c->b, c->ptr, "");
    LLVMAddIncoming(k, &units, &from, 1);
    LLVMAddIncoming(pa, &a, &from, 1);
    LLVMAddIncoming(pb, &b, &from, 1);
    turn(d, pa, pb, rows, vecs, pitch);
    lval left = LLVMBuildSub(c->b, k, cg_i64(c, SIDE), "");
    lval na = cg_gep(c, c->i8, pa, cg_i64(c, ROW)), nb = cg_gep(c, c->i8, pb, cg_i64(c, SIDE * d->width * 4));
    LLVMBuildCondBr(c->b, cg_icmp(c, LLVMIntSGT, left, cg_i64(c, 0)), head, exit);
    LLVMAddIncoming(k, &left, &head, 1);
    LLVMAddIncoming(pa, &na, &head, 1);
    LLVMAddIncoming(pb, &nb, &head, 1);
    cg_at(c, exit);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            cg_call(c, CGI_tilestore, NULL, 0,
                    (lval[]){tile(c, TILE_C + 2 * r + v),
                             cg_gep(c, c->i8, to, cg_i64(c, r * SIDE * d->n * 4 + v * ROW)), cg_i64(c, d->n * 4)},
                    3);
    if (!whole)
        tiles_begin(c);
    LLVMBuildRetVoid(c->b);
}
