/* test_base.c: arenas, strings, maps, files, diagnostics. */
#include "base/base.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- arena ---- */
START_TEST(arena_aligns_and_zeroes)
{
    arena a;
    arena_init(&a, 0);
    for (size_t align = 1; align <= 256; align *= 2)
        for (size_t n = 0; n < 300; n += 7) {
            unsigned char *p = arena_alloc(&a, n, align);
            ck_assert_uint_eq((uintptr_t)p % align, 0);
            for (size_t i = 0; i < n; i++)
                ck_assert_uint_eq(p[i], 0);
            memset(p, 0xa5, n);
        }
    char *big = arena_alloc(&a, 40 << 20, 64);
    big[(40 << 20) - 1] = 1;
    arena_fini(&a);
}
END_TEST

START_TEST(arena_marks_nest)
{
    arena a;
    arena_init(&a, 0);
    char *first = arena_alloc(&a, 100, 1);
    memcpy(first, "kept", 5);
    arena_pos m = arena_mark(&a);
    size_t used = a.used;
    for (int i = 0; i < 100; i++)
        memset(arena_alloc(&a, 10000, 8), 0x5a, 10000);
    ck_assert_uint_gt(a.used, used);
    arena_reset(&a, m);
    ck_assert_uint_eq(a.used, used);
    ck_assert_str_eq(first, "kept");
    unsigned char *again = arena_alloc(&a, 1000, 8);
    for (int i = 0; i < 1000; i++)
        ck_assert_uint_eq(again[i], 0);
    arena_fini(&a);
}
END_TEST

/* true when allocating ran out of memory */
static bool runs_out(arena *a, size_t n, size_t size)
{
    jmp_buf env;
    a->oom = &env;
    if (setjmp(env))
        return true;
    arena_array(a, n, size, 8);
    return false;
}

START_TEST(arena_limits)
{
    arena a;
    arena_init(&a, 1 << 20);
    ck_assert(!runs_out(&a, 1000, 8));
    ck_assert(runs_out(&a, 1 << 20, 2));
    ck_assert(!runs_out(&a, 1000, 8));
    ck_assert(runs_out(&a, SIZE_MAX / 4, 8));
    ck_assert(runs_out(&a, SIZE_MAX, 1));
    arena_fini(&a);
}
END_TEST

#ifdef TILE_TEST_ALLOC
START_TEST(arena_fails_on_demand)
{
    arena a;
    arena_init(&a, 0);
    arena_fail_after(2);
    ck_assert(!runs_out(&a, 1, 100 << 10));
    ck_assert(runs_out(&a, 1, 100 << 10));
    ck_assert(!runs_out(&a, 1, 100 << 10));
    arena_fail_after(0);
    arena_fini(&a);
}
END_TEST
#endif

/* ---- strings ---- */
START_TEST(str_compares)
{
    ck_assert(str_eq(S("ab"), str_of("ab")));
    ck_assert(!str_eq(S("ab"), S("abc")));
    ck_assert(str_eq(str_of(NULL), S("")));
    ck_assert_int_lt(str_cmp(S("ab"), S("abc")), 0);
    ck_assert_int_gt(str_cmp(S("b"), S("abc")), 0);
    ck_assert_int_eq(str_cmp(S("a\0b"), S("a\0b")), 0);
    ck_assert_int_lt(str_cmp(S("a\0b"), S("a\0c")), 0);
    ck_assert(str_starts(S("kernel"), S("ker")) && !str_starts(S("ke"), S("ker")));
    ck_assert(str_ends(S("a.tile"), S(".tile")) && !str_ends(S("tile"), S(".tile")));
}
END_TEST

START_TEST(str_distances)
{
    static const struct {
        const char *a, *b;
        unsigned d;
    } rows[] = {{"", "", 0},           {"a", "", 1},           {"load", "laod", 1},
                {"store", "stroe", 1}, {"arange", "range", 1}, {"kitten", "sitting", 3},
                {"ab", "ba", 1},       {"abc", "cab", 2},      {"flaw", "lawn", 2}};
    for (size_t i = 0; i < COUNTOF(rows); i++) {
        ck_assert_uint_eq(str_distance(str_of(rows[i].a), str_of(rows[i].b), 9), rows[i].d);
        ck_assert_uint_eq(str_distance(str_of(rows[i].b), str_of(rows[i].a), 9), rows[i].d);
        if (rows[i].d > 1)
            ck_assert_uint_eq(str_distance(str_of(rows[i].a), str_of(rows[i].b), 1), 2);
    }
}
END_TEST

START_TEST(buffer_grows)
{
    arena a;
    strbuf b;
    arena_init(&a, 0);
    sb_init(&b, &a);
    ck_assert(str_eq(sb_str(&b), S("")));
    for (int i = 0; i < 5000; i++) {
        sb_putc(&b, 'x');
        sb_putf(&b, "%d;", i);
        sb_puts(&b, "");
        sb_put(&b, S("\0"));
    }
    str s = sb_str(&b);
    ck_assert_uint_eq(s.n, 5000 * 3 + (10 + 90 * 2 + 900 * 3 + 4000 * 4));
    ck_assert(memcmp(s.p, "x0;\0x1;\0", 8) == 0);
    char *z = str_cstr(&a, str_fmt(&a, "%s %0*d", "n", 300, 7));
    ck_assert_uint_eq(strlen(z), 302);
    arena_fini(&a);
}
END_TEST

START_TEST(interner_is_one_to_one)
{
    arena a;
    arena_init(&a, 0);
    interner *t = intern_new(&a);
    ck_assert_uint_eq(intern_id(t, S("")), 0);
    for (uint32_t i = 0; i < 20000; i++)
        ck_assert_uint_eq(intern_id(t, str_fmt(&a, "name%u", i)), i + 1);
    for (uint32_t i = 0; i < 20000; i++) {
        str s = str_fmt(&a, "name%u", i);
        ck_assert_uint_eq(intern_id(t, s), i + 1);
        ck_assert_uint_eq(intern_find(t, s), i + 1);
        ck_assert(str_eq(intern_str(t, i + 1), s));
    }
    ck_assert_uint_eq(intern_find(t, S("absent")), UINT32_MAX);
    ck_assert_uint_eq(intern_count(t), 20001);
    arena_fini(&a);
}
END_TEST

/* ---- containers ---- */
START_TEST(map_holds)
{
    arena a;
    map64 m;
    uint32_t v;
    arena_init(&a, 0);
    map_init(&m, &a);
    ck_assert(!map_get(&m, 0, &v));
    for (uint64_t i = 0; i < 50000; i++)
        map_set(&m, i * 0x10000, (uint32_t)i);
    for (uint64_t i = 0; i < 50000; i++) {
        ck_assert(map_get(&m, i * 0x10000, &v));
        ck_assert_uint_eq(v, i);
        ck_assert(!map_get(&m, i * 0x10000 + 1, &v));
    }
    map_set(&m, 0, 77);
    ck_assert(map_get(&m, 0, &v) && v == 77);
    ck_assert_uint_eq(m.n, 50000);
    map_clear(&m);
    ck_assert(!map_get(&m, 0x10000, &v));
    arena_fini(&a);
}
END_TEST

START_TEST(vec_grows)
{
    arena a;
    VEC(uint64_t) v = {0};
    arena_init(&a, 0);
    for (uint64_t i = 0; i < 10000; i++)
        vec_push(&a, &v, i * i);
    for (uint64_t i = 0; i < 10000; i++)
        ck_assert_uint_eq(v.at[i], i * i);
    ck_assert_uint_eq(vec_last(&v), 9999 * 9999);
    ck_assert_uint_eq(vec_pop(&v), 9999 * 9999);
    ck_assert_uint_eq(v.n, 9999);
    arena_fini(&a);
}
END_TEST

START_TEST(hash_spreads)
{
    /* 16 low bits of hashes of short strings: no bucket of 4096 holds far more than its share */
    int bucket[4096] = {0};
    for (uint32_t i = 0; i < 65536; i++)
        bucket[hash_bytes(&i, sizeof i, 0) & 4095]++;
    for (int i = 0; i < 4096; i++)
        ck_assert_int_lt(bucket[i], 48);
    ck_assert_uint_ne(hash_bytes("a", 1, 0), hash_bytes("a\0", 2, 0));
    ck_assert_uint_ne(hash_bytes("a", 1, 0), hash_bytes("a", 1, 1));
}
END_TEST

/* ---- files ---- */
START_TEST(files_round_trip)
{
    arena a;
    str got, err;
    char dir[] = "/tmp/tile-test-XXXXXX";
    arena_init(&a, 0);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    char *path = str_cstr(&a, str_fmt(&a, "%s/f", dir));
    ck_assert(!file_exists(path));
    ck_assert(!file_read(&a, path, 0, &got, &err));
    ck_assert_ptr_nonnull(strstr(str_cstr(&a, err), "cannot open"));
    str data = {arena_alloc(&a, 300000, 1), 300000};
    ck_assert(file_write(&a, path, data, &err));
    ck_assert(file_read(&a, path, 0, &got, &err) && str_eq(got, data));
    ck_assert(file_read(&a, path, 300000, &got, &err));
    ck_assert(!file_read(&a, path, 299999, &got, &err));
    ck_assert(file_write(&a, path, S("short"), &err));
    ck_assert(file_read(&a, path, 0, &got, &err) && str_eq(got, S("short")));
    ck_assert(!file_read(&a, dir, 0, &got, &err));
    ck_assert(!file_write(&a, str_cstr(&a, str_fmt(&a, "%s/no/f", dir)), data, &err));
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0); /* nothing temporary is left */
    arena_fini(&a);
}
END_TEST

START_TEST(paths)
{
    arena a;
    arena_init(&a, 0);
    ck_assert(str_eq(path_dir(S("a/b/c")), S("a/b")));
    ck_assert(str_eq(path_dir(S("c")), S(".")));
    ck_assert(str_eq(path_dir(S("/c")), S("/")));
    ck_assert(str_eq(path_join(&a, S("a"), S("b")), S("a/b")));
    ck_assert(str_eq(path_join(&a, S("a/"), S("b")), S("a/b")));
    ck_assert(str_eq(path_join(&a, S("a"), S("/b")), S("/b")));
    ck_assert(str_eq(path_join(&a, S("."), S("b")), S("b")));
    arena_fini(&a);
}
END_TEST

/* ---- diagnostics ---- */
static str rendered(diags *d, diag_form form)
{
    strbuf b;
    sb_init(&b, d->a);
    diags_render(d, form, &b);
    return sb_str(&b);
}

START_TEST(diags_show_places)
{
    arena a;
    diags d;
    arena_init(&a, 0);
    diags_init(&d, &a);
    uint32_t f = diags_add_file(&d, S("f.tile"), S("one\n\tx + yy\r\nlast"));
    diag_report(&d, DIAG_ERROR, "ID", (span){f, 9, 11}, "bad '%s'", "yy");
    diag_note_add(&d, (span){f, 0, 3}, "see");
    diag_report(&d, DIAG_WARNING, "slow", (span){f, 13, 17}, "w");
    diag_report(&d, DIAG_ERROR, "ID", (span){0}, "nowhere");
    ck_assert_uint_eq(d.errors, 2);
    str s = rendered(&d, DIAG_HUMAN);
    const char *want = "f.tile:2:6: error: bad 'yy'\n"
                       "    \tx + yy\n"
                       "    \t    ^~\n"
                       "f.tile:1:1: note: see\n"
                       "    one\n"
                       "    ^~~\n"
                       "f.tile:3:1: warning: w\n"
                       "    last\n"
                       "    ^~~~\n"
                       "error: nowhere\n";
    ck_assert_str_eq(str_cstr(&a, s), want);
    ck_assert_str_eq(str_cstr(&a, rendered(&d, DIAG_SHORT)),
                     "f.tile:2:6: error: bad 'yy'\nf.tile:3:1: warning: w\nerror: nowhere\n");
    ck_assert_ptr_nonnull(
        strstr(str_cstr(&a, rendered(&d, DIAG_JSON)), "\"line\": 2, \"col\": 6, \"end_line\": 2, \"end_col\": 8"));
    uint32_t line, col;
    diags_place(&d, f, 17, &line, &col);
    ck_assert(line == 3 && col == 5);
    ck_assert_uint_eq(diags_offset(&d, f, 2, 6), 9);
    ck_assert_uint_eq(diags_offset(&d, f, 99, 1), 17);
    arena_fini(&a);
}
END_TEST

START_TEST(diags_bound_themselves)
{
    arena a;
    diags d;
    arena_init(&a, 0);
    diags_init(&d, &a);
    d.max_errors = 3;
    vec_push(&a, &d.off, S("slow"));
    char *line = arena_alloc(&a, 100000, 1);
    memset(line, 'a', 100000);
    uint32_t f = diags_add_file(&d, S("f"), (str){line, 100000});
    for (int i = 0; i < 10; i++) {
        diag_report(&d, DIAG_ERROR, "", (span){f, 50000, 100000}, "e%d", i);
        diag_note_add(&d, (span){f, 0, 1}, "n%d", i);
    }
    diag_report(&d, DIAG_WARNING, "slow", (span){f, 0, 1}, "off");
    diag_note_add(&d, (span){f, 0, 1}, "dropped with it");
    str s = rendered(&d, DIAG_HUMAN);
    ck_assert_uint_eq(d.errors, 10);
    ck_assert_uint_eq(d.list.n, 3);
    ck_assert_uint_lt(s.n, 4000);
    ck_assert_ptr_nonnull(strstr(str_cstr(&a, s), "7 more errors not shown"));
    ck_assert_ptr_null(strstr(str_cstr(&a, s), "dropped"));
    ck_assert_ptr_null(strstr(str_cstr(&a, s), "n3"));
    arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, arena_aligns_and_zeroes);
    tcase_add_test(t, arena_marks_nest);
    tcase_add_test(t, arena_limits);
#ifdef TILE_TEST_ALLOC
    tcase_add_test(t, arena_fails_on_demand);
#endif
    tcase_add_test(t, str_compares);
    tcase_add_test(t, str_distances);
    tcase_add_test(t, buffer_grows);
    tcase_add_test(t, interner_is_one_to_one);
    tcase_add_test(t, map_holds);
    tcase_add_test(t, vec_grows);
    tcase_add_test(t, hash_spreads);
    tcase_add_test(t, files_round_trip);
    tcase_add_test(t, paths);
    tcase_add_test(t, diags_show_places);
    tcase_add_test(t, diags_bound_themselves);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
