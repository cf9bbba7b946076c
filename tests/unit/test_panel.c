/* test_panel.c: boxes of packed operands that programs share (backends/cpu/rt_panel.h), without generated code.
 *
 *   which operands are shared: wanted often enough, and nothing that is written overlaps them
 *   threads that want the same boxes pack each turn of each once, and see whole boxes
 *   more boxes than there is memory for; a thread that never ends its turn
 */
#include "backends/cpu/rt_panel.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BOX = 256, TURNS = 4, BOXES = 40, THREADS = 4, NKEY = 5, SLICE = BOX / TURNS };

typedef struct spec {
    panel_spec head;
    panel_operand o[2];
    panel_written w;
} spec;

typedef struct host {
    abi_host abi; /* first */
    char *block;
    int64_t most;
} host;

static void *shared(abi_host *h, int64_t zeroed, int64_t bytes)
{
    host *x = (host *)(void *)h;
    if (zeroed + bytes > x->most)
        return NULL;
    if (!x->block) {
        x->block = aligned_alloc(64, (size_t)(zeroed + bytes + 63) / 64 * 64);
        ck_assert(x->block);
        memset(x->block, 0, (size_t)zeroed);
    }
    return x->block;
}

/* a[160, 64] in boxes of 16 x 64: ten lines of boxes, one along K; b[64, 8]; c[160, 8] */
static spec spec_of(void)
{
    return (spec){.head = {2, 1},
                  .o = {{.arg = 3,
                         .rank = 2,
                         .elem = 4,
                         .kdim = 1,
                         .ldim = 0,
                         .lines = 16,
                         .depth = 64,
                         .spare = 1,
                         .bytes = BOX,
                         .chunk = 1},
                        {.arg = 8,
                         .rank = 2,
                         .elem = 4,
                         .kdim = 0,
                         .ldim = 1,
                         .lines = 8,
                         .depth = 16,
                         .spare = 1,
                         .bytes = BOX,
                         .chunk = 1}},
                  .w = {.arg = 13, .rank = 2, .elem = 4}};
}

enum { GRID = 0, A = 3, B = 8, C = 13, SLOTS = 18 };

static void args_of(uint64_t *args, int64_t programs)
{
    const uint64_t x[SLOTS] = {(uint64_t)programs, 1,   1, 0x100000, 160, 64, 64, 1, 0x200000, 64, 8, 8, 1,
                               0x300000,           160, 8, 8,        1};
    memcpy(args, x, sizeof x);
}

/* a bit an operand that is shared */
static int shares(const uint64_t *args, int64_t most)
{
    host h = {.abi = {.shared = shared}, .most = most};
    abi_thread t = {.host = &h.abi};
    spec s = spec_of();
    panel_share out[2];
    ck_assert_int_eq(tile_rt_panels(&t, args, &s.head, out), 0);
    int which = (out[0].slots != NULL) + 2 * (out[1].slots != NULL);
    free(h.block);
    return which;
}

START_TEST(what_is_shared)
{
    uint64_t args[SLOTS];
    args_of(args, 20);
    ck_assert_int_eq(shares(args, 1 << 20), 3);
    ck_assert_int_eq(shares(args, 100), 0); /* no memory */
    args_of(args, 10);
    ck_assert_int_eq(shares(args, 1 << 20), 2); /* each box of a is wanted once */
    args_of(args, 1);
    ck_assert_int_eq(shares(args, 1 << 20), 0);
    args_of(args, 20);
    args[C] = args[A] + 4 * 160 * 64; /* right behind a */
    ck_assert_int_eq(shares(args, 1 << 20), 3);
    args[C] -= 4;
    ck_assert_int_eq(shares(args, 1 << 20), 2);
    args[C] = args[B] - 4 * 160 * 8; /* right before b */
    ck_assert_int_eq(shares(args, 1 << 20), 3);
    args[C] += 4;
    ck_assert_int_eq(shares(args, 1 << 20), 1);
    args_of(args, 20);
    args[C] = args[A] - 32; /* backwards: the last row lies lowest */
    args[C + 3] = (uint64_t)-8;
    ck_assert_int_eq(shares(args, 1 << 20), 3);
    args[C] += 4;
    ck_assert_int_eq(shares(args, 1 << 20), 2);
    args_of(args, 20);
    args[A + 1] = 0; /* no rows */
    ck_assert_int_eq(shares(args, 1 << 20), 2);
    args_of(args, 20);
    args[A + 3] = (uint64_t)INT64_MAX; /* beyond all addresses: nothing is known */
    ck_assert_int_eq(shares(args, 1 << 20), 2);
}
END_TEST

typedef struct team {
    panel_share share;
    _Atomic int packed[BOXES][TURNS];
    _Atomic int own, started;
} team;

static void *take_all(void *ctx)
{
    team *t = ctx;
    char room[BOX];
    t->started++;
    while (t->started < THREADS)
        ;
    for (int i = 0; i < BOXES; i++) {
        int64_t key[NKEY] = {i, 1, TURNS, 0, i % 3};
        panel_ticket x;
        tile_rt_panel_take(&x, &t->share, key, NKEY, room);
        int64_t mine = 0;
        for (int64_t turn; (turn = tile_rt_panel_next(&x)) >= 0; mine++) {
            ck_assert(turn < TURNS);
            ck_assert(t->share.chunk == 1 || turn == mine); /* all by one thread, in order */
            memset(x.at + turn * SLICE, i + (int)turn + 1, SLICE);
            if (x.at != room)
                t->packed[i][turn]++;
        }
        t->own += x.at == room;
        for (int q = 0; q < BOX; q++)
            ck_assert_int_eq(x.at[q], i + q / SLICE + 1);
    }
    return NULL;
}

static void run_team(team *t, int64_t boxes, int64_t chunk)
{
    host h = {.abi = {.shared = shared}, .most = 1 << 20};
    abi_thread th = {.host = &h.abi};
    spec s = spec_of();
    uint64_t args[SLOTS];
    pthread_t ids[THREADS];
    args_of(args, 8);
    s.head.noperands = 1;
    s.o[0].spare = boxes;
    s.o[0].lines = 160;
    s.o[0].chunk = chunk;
    panel_written *w = (panel_written *)(void *)&s.o[1];
    *w = s.w;
    tile_rt_panels(&th, args, &s.head, &t->share);
    ck_assert(t->share.slots && t->share.capacity == boxes);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&ids[i], NULL, take_all, t), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    free(h.block);
}

START_TEST(packed_once)
{
    for (int64_t chunk = 1; chunk <= TURNS; chunk *= TURNS) {
        team t = {0};
        run_team(&t, BOXES, chunk);
        for (int i = 0; i < BOXES; i++)
            for (int q = 0; q < TURNS; q++)
                ck_assert_int_le(t.packed[i][q], 1); /* 0: all of them ran out of patience, and packed their own */
    }
}
END_TEST

START_TEST(more_than_there_is_room_for)
{
    team t = {0};
    run_team(&t, BOXES / 2, 1);
    ck_assert_int_ge(t.own, THREADS * BOXES / 2);
}
END_TEST

/* who waits for a turn that never ends packs its own in the end */
START_TEST(nobody_waits_for_ever)
{
    host h = {.abi = {.shared = shared}, .most = 1 << 20};
    abi_thread th = {.host = &h.abi};
    spec s = spec_of();
    uint64_t args[SLOTS];
    panel_share out[2];
    panel_ticket lazy, other;
    char room[2][BOX];
    int64_t key[NKEY] = {0, 1, TURNS, 0, 0}, seen = 0;
    args_of(args, 20);
    tile_rt_panels(&th, args, &s.head, out);
    tile_rt_panel_take(&lazy, &out[0], key, NKEY, room[0]);
    tile_rt_panel_take(&other, &out[0], key, NKEY, room[1]);
    ck_assert_ptr_eq(lazy.at, other.at);
    ck_assert_int_eq(tile_rt_panel_next(&lazy), 0);
    for (int i = 1; i < TURNS; i++)
        ck_assert_int_eq(tile_rt_panel_next(&other), i);
    for (int64_t turn; (turn = tile_rt_panel_next(&other)) >= 0; seen++) {
        ck_assert_ptr_eq(other.at, room[1]);
        ck_assert_int_eq(turn, seen);
    }
    ck_assert_int_eq(seen, TURNS);
    ck_assert_int_eq(tile_rt_panel_next(&lazy), -1); /* the others had the rest */
    ck_assert_ptr_ne(lazy.at, room[0]);
    free(h.block);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("panel");
    TCase *t = tcase_create("boxes");
    tcase_add_test(t, what_is_shared);
    tcase_add_test(t, packed_once);
    tcase_add_test(t, more_than_there_is_room_for);
    tcase_add_test(t, nobody_waits_for_ever);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
