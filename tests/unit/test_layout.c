/* test_layout.c: layouts, exhaustively at small sizes: every position of every layout is walked. */
#include "compiler/layout.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* calls f on every position of l */
typedef void visit(const lay *l, lay_pos p, void *ctx);

static void each_position(const lay *l, visit *f, void *ctx)
{
    lay_pos p;
    for (p.at[3] = 0; p.at[3] < lay_size(l, LAY_BLOCK); p.at[3]++)
        for (p.at[2] = 0; p.at[2] < lay_size(l, LAY_WARP); p.at[2]++)
            for (p.at[1] = 0; p.at[1] < lay_size(l, LAY_LANE); p.at[1]++)
                for (p.at[0] = 0; p.at[0] < lay_size(l, LAY_REG); p.at[0]++)
                    f(l, p, ctx);
}

static void count_owner(const lay *l, lay_pos p, void *ctx)
{
    int *count = ctx;
    int64_t c[LAY_MAX_RANK], at = 0;
    if (!lay_coord(l, p, c))
        return;
    for (int d = 0; d < l->rank; d++)
        at = at * l->shape[d] + c[d];
    count[at]++;
}

/* every element has the same number of owners, `copies` where that is known */
static void check_covers(const lay *l, int copies)
{
    int64_t n = 1;
    for (int d = 0; d < l->rank; d++)
        n *= l->shape[d];
    int *count = calloc((size_t)n, sizeof *count);
    each_position(l, count_owner, count);
    for (int64_t i = 0; i < n; i++) {
        ck_assert_int_ge(count[i], 1);
        ck_assert_int_eq(count[i], count[0]);
    }
    if (copies)
        ck_assert_int_eq(count[0], copies);
    free(count);
}

START_TEST(blocked_covers)
{
    for (int64_t m = 1; m <= 12; m++)
        for (int64_t n = 1; n <= 12; n++)
            for (int per = 1; per <= 4; per *= 2)
                for (int lm = 1; lm <= 8; lm *= 2)
                    for (int first = 0; first < 2; first++) {
                        int order[] = {first, 1 - first};
                        lay l = lay_blocked(2, (int64_t[]){m, n}, (int64_t[]){1, per}, (int64_t[]){lm, 8 / lm},
                                            (int64_t[]){2, 1}, order);
                        ck_assert(lay_is_surjective(&l));
                        check_covers(&l, 0);
                        int64_t positions = lay_regs(&l) * 8 * 2;
                        ck_assert_int_eq(positions % (m * n), 0);
                        ck_assert_int_eq(lay_is_injective(&l), positions == m * n);
                    }
}
END_TEST

START_TEST(fragments_as_drawn)
{
    /* element (row, col) of each register and lane by the formulas of the PTX manual's figures */
    lay c = lay_mma_acc(16, 8, 1, 1), a = lay_mma_a(16, 16, 16, 1, 1), b = lay_mma_b(16, 8, 16, 1, 1),
        a8 = lay_mma_a(16, 32, 8, 1, 1);
    for (int lane = 0; lane < 32; lane++) {
        int g = lane / 4, t = lane % 4;
        int64_t x[LAY_MAX_RANK];
        for (int i = 0; i < 4; i++) {
            ck_assert(lay_coord(&c, (lay_pos){{i, lane, 0, 0}}, x));
            ck_assert_int_eq(x[0], g + (i >= 2) * 8);
            ck_assert_int_eq(x[1], t * 2 + (i & 1));
            ck_assert(lay_coord(&b, (lay_pos){{i, lane, 0, 0}}, x));
            ck_assert_int_eq(x[0], t * 2 + (i & 1) + (i >= 2) * 8);
            ck_assert_int_eq(x[1], g);
        }
        for (int i = 0; i < 8; i++) {
            ck_assert(lay_coord(&a, (lay_pos){{i, lane, 0, 0}}, x));
            ck_assert_int_eq(x[0], g + ((i & 2) != 0) * 8);
            ck_assert_int_eq(x[1], t * 2 + (i & 1) + (i >= 4) * 8);
        }
        for (int i = 0; i < 16; i++) {
            ck_assert(lay_coord(&a8, (lay_pos){{i, lane, 0, 0}}, x));
            ck_assert_int_eq(x[0], g + ((i & 4) != 0) * 8);
            ck_assert_int_eq(x[1], t * 4 + (i & 3) + (i >= 8) * 16);
        }
    }
}
END_TEST

START_TEST(fragments_cover)
{
    for (int wm = 1; wm <= 4; wm *= 2)
        for (int wn = 1; wn <= 4; wn *= 2)
            for (int64_t n = 32; n <= 96; n += 8) {
                lay c = lay_mma_acc(128, n, wm, wn);
                check_covers(&c, 0);
                lay a = lay_mma_a(64, 48, 16, wm, wn);
                check_covers(&a, wn);
            }
    for (int64_t n = 8; n <= 256; n += 8)
        for (int wg = 1; wg <= 3; wg++) {
            lay l = lay_wgmma_acc(64 * wg, n, wg);
            check_covers(&l, 1);
            ck_assert_int_eq(lay_regs(&l), n / 2);
            ck_assert_int_eq(lay_size(&l, LAY_WARP), 4 * wg);
        }
}
END_TEST

static void same_element(const lay *from, lay_pos p, void *ctx)
{
    const lay *to = ((const lay *const *)ctx)[0];
    const lay_map *m = ((const void *const *)ctx)[1];
    uint64_t in = 0, bit = 0;
    for (int s = 0; s < LAY_SPACES; s++) {
        in |= (uint64_t)(p.at[s] & (((int64_t)1 << from->nbits[s]) - 1)) << bit;
        bit += (uint64_t)from->nbits[s];
    }
    uint64_t out = lay_map_apply(m, in);
    lay_pos q;
    for (int s = 0; s < LAY_SPACES; s++) {
        q.at[s] = (int64_t)(out & (((uint64_t)1 << to->nbits[s]) - 1));
        out >>= to->nbits[s];
    }
    for (int s = 0; s < LAY_SPACES; s++)
        q.at[s] |= p.at[s] >> from->nbits[s] << to->nbits[s];
    int64_t a[LAY_MAX_RANK], b[LAY_MAX_RANK];
    ck_assert_int_eq(lay_coord(from, p, a), lay_coord(to, q, b));
    for (int d = 0; d < from->rank; d++)
        ck_assert_int_eq(a[d], b[d]);
}

START_TEST(between_finds_the_same_element)
{
    int fast[] = {1, 0}, slow[] = {0, 1};
    for (int64_t m = 16; m <= 64; m += 16)
        for (int64_t n = 8; n <= 48; n += 8) {
            int64_t shape[] = {m, n};
            lay ls[] = {
                lay_blocked(2, shape, (int64_t[]){1, 4}, (int64_t[]){16, 2}, (int64_t[]){1, 1}, fast),
                lay_blocked(2, shape, (int64_t[]){2, 1}, (int64_t[]){4, 8}, (int64_t[]){1, 1}, slow),
                lay_mma_acc(m, n, 1, 1),
            };
            for (int i = 0; i < 3; i++)
                for (int j = 0; j < 3; j++) {
                    lay_map map;
                    ck_assert(lay_between(&ls[i], &ls[j], &map));
                    each_position(&ls[i], same_element, (const void *[]){&ls[j], &map});
                }
        }
}
END_TEST

START_TEST(permute_reshape_drop)
{
    int order[] = {1, 0};
    for (int64_t m = 1; m <= 24; m++)
        for (int64_t n = 1; n <= 24; n++) {
            lay l = lay_blocked(2, (int64_t[]){m, n}, (int64_t[]){1, 2}, (int64_t[]){4, 8}, (int64_t[]){2, 1}, order);
            lay t = lay_permute(&l, order), back = lay_permute(&t, order), flat;
            ck_assert(lay_eq(&l, &back));
            lay dropped = lay_drop_dim(&l, 1), wide = lay_insert_dim(&dropped, 1);
            bool flat_ok = lay_reshape(&l, 1, (int64_t[]){m * n}, &flat);
            lay_pos p = {{0, 0, 0, 0}};
            for (p.at[0] = 0; p.at[0] < lay_regs(&l); p.at[0]++)
                for (p.at[1] = 0; p.at[1] < 32; p.at[1]++) {
                    int64_t a[LAY_MAX_RANK], b[LAY_MAX_RANK];
                    lay_coord(&l, p, a);
                    lay_coord(&t, p, b);
                    ck_assert(a[0] == b[1] && a[1] == b[0]);
                    if (l.rep[0] == 1 && l.rep[1] == 1) {
                        bool held = false; /* some register of this thread, for the bits of dimension 1 are gone */
                        lay_pos q = p;
                        for (q.at[0] = 0; q.at[0] < lay_regs(&dropped); q.at[0]++) {
                            lay_coord(&dropped, q, b);
                            held |= a[0] == b[0];
                            lay_coord(&wide, q, b + 1);
                            ck_assert(b[0] == b[1] && b[2] == 0);
                        }
                        ck_assert(held);
                    }
                    if (flat_ok) {
                        lay_coord(&flat, p, b);
                        ck_assert_int_eq(a[0] * n + a[1], b[0]);
                    }
                }
            if ((m & (m - 1)) == 0 && (n & (n - 1)) == 0)
                ck_assert(flat_ok);
        }
}
END_TEST

START_TEST(replicated_bits)
{
    lay l = lay_blocked(1, (int64_t[]){64}, (int64_t[]){2}, (int64_t[]){32}, (int64_t[]){4}, (int[]){0});
    ck_assert_uint_eq(lay_replicated(&l, LAY_LANE), 0);
    ck_assert_uint_eq(lay_replicated(&l, LAY_WARP), 3);
    lay a = lay_mma_a(16, 16, 16, 1, 4);
    ck_assert_uint_eq(lay_replicated(&a, LAY_WARP), 3);
}
END_TEST

START_TEST(shared_is_a_bijection)
{
    int widths[] = {32, 64, 128};
    for (int w = 0; w < 3; w++)
        for (int64_t rows = 8; rows <= 64; rows *= 2)
            for (int64_t cols = widths[w] / 2; cols <= 256; cols *= 2) {
                lay_shared s = lay_shared_swizzled(rows, cols, 2, widths[w]);
                char *seen = calloc((size_t)(rows * cols), 1);
                for (int64_t r = 0; r < rows; r++)
                    for (int64_t c = 0; c < cols; c++) {
                        int64_t o = lay_shared_offset(&s, (int64_t[]){r, c});
                        ck_assert(o >= 0 && o < rows * cols && !seen[o]);
                        seen[o] = 1;
                        /* the address bits the hardware XORs: 4.. with 7.. */
                        int64_t chunks = widths[w] / 16, box = c / (widths[w] / 2), in = c % (widths[w] / 2);
                        int64_t lin = (box * rows + r) * widths[w] + in * 2;
                        int64_t x = lin ^ ((lin >> 7 & (chunks - 1)) << 4);
                        ck_assert_int_eq(o * 2, x);
                    }
                free(seen);
            }
}
END_TEST

START_TEST(padding_counts)
{
    lay_shared s = lay_shared_linear(2, (int64_t[]){8, 32}, (int[]){1, 0});
    s.pads[s.npads++] = (lay_pad){32, 4};
    for (int64_t r = 0; r < 8; r++)
        for (int64_t c = 0; c < 32; c++)
            ck_assert_int_eq(lay_shared_offset(&s, (int64_t[]){r, c}), r * 36 + c);
    ck_assert_int_eq(lay_shared_elems(&s), 8 * 36);
}
END_TEST

START_TEST(wavefronts_by_hand)
{
    int64_t off[32], fewest;
    for (int i = 0; i < 32; i++)
        off[i] = i;
    ck_assert_int_eq(lay_wavefronts(off, 32, 1, 4, &fewest), 1);
    for (int i = 0; i < 32; i++)
        off[i] = i * 32;
    ck_assert_int_eq(lay_wavefronts(off, 32, 1, 4, &fewest), 32);
    ck_assert_int_eq(fewest, 1);
    for (int i = 0; i < 32; i++)
        off[i] = 0;
    ck_assert_int_eq(lay_wavefronts(off, 32, 1, 4, &fewest), 1);
    for (int i = 0; i < 32; i++)
        off[i] = i * 33;
    ck_assert_int_eq(lay_wavefronts(off, 32, 1, 4, &fewest), 1);
    for (int i = 0; i < 32; i++)
        off[i] = i * 4;
    ck_assert_int_eq(lay_wavefronts(off, 32, 4, 4, &fewest), 4);
    ck_assert_int_eq(fewest, 4);
}
END_TEST

START_TEST(conversion_kinds)
{
    int fast[] = {1, 0}, slow[] = {0, 1};
    int64_t shape[] = {64, 64};
    lay_conv c;
    lay row = lay_blocked(2, shape, (int64_t[]){1, 4}, (int64_t[]){2, 16}, (int64_t[]){4, 1}, fast);
    lay col = lay_blocked(2, shape, (int64_t[]){4, 1}, (int64_t[]){16, 2}, (int64_t[]){1, 4}, slow);
    lay swapped = row;
    swapped.image[LAY_REG][0] = row.image[LAY_REG][1];
    swapped.image[LAY_REG][1] = row.image[LAY_REG][0];
    lay lanes = row;
    lanes.image[LAY_LANE][0] = row.image[LAY_LANE][1];
    lanes.image[LAY_LANE][1] = row.image[LAY_LANE][0];
    ck_assert(lay_convert(&row, &row, 4, &c) && c.kind == CONV_NONE);
    ck_assert(lay_convert(&row, &swapped, 4, &c) && c.kind == CONV_REGS);
    ck_assert(lay_convert(&row, &lanes, 4, &c));
    ck_assert(c.kind == CONV_SHUFFLE || c.warp_local);
    ck_assert(lay_convert(&row, &col, 4, &c) && c.kind == CONV_SHARED);
    ck_assert(!c.warp_local);
    ck_assert_int_eq(c.write_conflicts + c.read_conflicts, 0);
    lay acc = lay_mma_acc(64, 64, 4, 1);
    ck_assert(lay_convert(&acc, &row, 2, &c));
    ck_assert(c.kind == CONV_SHARED || c.kind == CONV_SHUFFLE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("layout");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, blocked_covers);
    tcase_add_test(t, fragments_as_drawn);
    tcase_add_test(t, fragments_cover);
    tcase_add_test(t, between_finds_the_same_element);
    tcase_add_test(t, permute_reshape_drop);
    tcase_add_test(t, replicated_bits);
    tcase_add_test(t, shared_is_a_bijection);
    tcase_add_test(t, padding_counts);
    tcase_add_test(t, wavefronts_by_hand);
    tcase_add_test(t, conversion_kinds);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
