/* tables.h: the interned things of a module. Private to compiler/. */
#ifndef TILE_COMPILER_TABLES_H
#define TILE_COMPILER_TABLES_H

#include "compiler/ir.h"
#include "compiler/layout.h"

typedef struct attr_value {
    ir_attr_kind kind; /* AK_INT stands for AK_ENUM too */
    int64_t i;
    const int64_t *ints;
    uint32_t n;
    str s;
} attr_value;

typedef struct layout_entry {
    bool is_shared;
    lay reg;
    lay_shared shared;
} layout_entry;

struct ir_tables {
    VEC(ir_type_info) types; /* id 0 unused */
    VEC(attr_value) attrs;   /* id 0 unused */
    VEC(ir_loc_data) locs;   /* id 0 unused */
    VEC(layout_entry *) layouts; /* id 0 unused; pointers stay valid for the module's life */
    uint32_t *slots;         /* one hash table for the three: kind in the hash, id in the slot */
    uint32_t *slot_kinds;
    uint32_t nslots, used;
};

/* layouts.c */
int ir_layout_least_base(int64_t extent, int64_t repeat); /* log2 of the least base extent: repeat * 2^b >= extent */

enum { TAB_TYPE = 1, TAB_ATTR, TAB_LOC };

#endif
