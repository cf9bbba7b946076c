/* ir.h: tile IR: typed SSA with structured control flow.
 *
 * Ids. Everything is named by a dense 32-bit id in a one-member struct; 0 is none. Never hold a pointer to an op, value
 * or region across anything that appends: hold the id and look it up again.
 *
 *   ir_module   types, attribute values, locations and names (interned: equal ids = equal things), and functions
 *   ir_func     ops, values and regions, each in one array; operands, results, attributes and regions of ops in a pool
 *   ir_region   parameters, then a chain of ops whose last is a terminator; a function has one, its body
 *   ir_op       code, operands, results, attributes, regions, location, origin
 *   ir_val      type, and its definition: result `index` of an op, or parameter `index` of a region
 *
 * Building. ir_emit folds, looks for an equal op (CSE), and only then appends to the region on top of the builder's
 * stack, so building and rewriting are one path. Regions of an op are built before it (ir_build.h shows how).
 *
 * Rewriting. A pass reads one function and builds another with a map from old to new values; ir_clone_op copies an op,
 * its regions included. There is no erase: what isn't built is gone. In-place edits change attributes only.
 *
 * Types. A scalar number, a pointer, a tile of those (rank 1 to 8), or a tensor. "elem" of a tile is a number or
 * pointer type; a scalar counts as rank 0.
 */
#ifndef TILE_COMPILER_IR_H
#define TILE_COMPILER_IR_H

#include "compiler/types.h"

#define IR_MAX_RANK 8
#define IR_MAX_TENSOR_RANK 5
#define IR_MAX_ELEMS (1 << 20)
#define IR_DYN (-1) /* a tensor extent known at launch */

typedef struct ir_type { uint32_t id; } ir_type;
typedef struct ir_val { uint32_t id; } ir_val;
typedef struct ir_op { uint32_t id; } ir_op;
typedef struct ir_region { uint32_t id; } ir_region;
typedef struct ir_loc { uint32_t id; } ir_loc;
typedef struct ir_layout { uint32_t id; } ir_layout; /* laid-out stage; 0 = none */
typedef struct ir_attr { uint32_t id; } ir_attr;     /* an interned attribute value */

typedef struct ir_module ir_module;
typedef struct ir_func ir_func;

/* ---- the op table ---- */
typedef enum ir_code {
    IR_NOP,
#define OP(name, nin, nout, nregions, flags, stages, rule, attrs, doc) IR_OP_##name,
#include "compiler/ops.def"
#undef OP
    IR_CODE_COUNT
} ir_code;

enum { VAR = -1 };
enum ir_flag { PURE = 1, READ = 2, WRITE = 4, SYNC = 8, ELT = 16, COMM = 32, TERM = 64, CTRL = 128, HOST = 256 };
enum ir_stage { TIR = 1, LAID = 2, ANY = 3 };
typedef enum ir_rule {
    RULE_SAME_NUM,   /* numbers, not bool, not f8 */
    RULE_SAME_INT,   /* integers */
    RULE_SAME_FLOAT, /* f16, bf16, f32, f64 */
    RULE_SAME_F3264, /* f32, f64 */
    RULE_SAME_BITS,  /* integers and bool */
    RULE_CMP,        /* two operands of one type, result bool of that shape */
    RULE_OWN
} ir_rule;

typedef enum ir_key {
    KEY_NONE,
#define ATTR(name, kind, doc) KEY_##name,
#include "compiler/attrs.def"
#undef ATTR
    IR_KEY_COUNT
} ir_key;
typedef enum ir_attr_kind { AK_INT, AK_INTS, AK_STR, AK_ENUM } ir_attr_kind;

#define E_rmw(v, t) v,
enum ir_rmw {
#include "compiler/enums.def"
};
#define E_sem(v, t) v,
enum ir_sem {
#include "compiler/enums.def"
};
#define E_scope(v, t) v,
enum ir_scope {
#include "compiler/enums.def"
};
#define E_cache(v, t) v,
enum ir_cache {
#include "compiler/enums.def"
};
#define E_evict(v, t) v,
enum ir_evict {
#include "compiler/enums.def"
};
#define E_precision(v, t) v,
enum ir_precision {
#include "compiler/enums.def"
};

typedef struct ir_op_info {
    const char *name;
    int nin, nout, nregions; /* VAR = any */
    int flags, stages;
    ir_rule rule;
    const char *attrs, *doc;
} ir_op_info;
extern const ir_op_info ir_ops[IR_CODE_COUNT];
ir_code ir_code_by_name(str name); /* IR_NOP where there is none */
ir_code ir_exchanged(ir_code code); /* the comparison that says the same with its operands exchanged */

typedef struct ir_key_info {
    const char *name;
    ir_attr_kind kind;
    const char *doc;
} ir_key_info;
extern const ir_key_info ir_keys[IR_KEY_COUNT];
ir_key ir_key_by_name(str name);
const char *ir_enum_name(ir_key key, int64_t value); /* NULL where there is none */
int64_t ir_enum_value(ir_key key, str name);         /* -1 where there is none */

/* ---- types ---- */
typedef enum ir_type_kind { TK_NONE, TK_NUM, TK_PTR, TK_TILE, TK_TENSOR, TK_SHARED, TK_CHAN, TK_TOKEN } ir_type_kind;

#define IR_MAX_STAGES 64    /* slots of a channel */
#define IR_MAX_CHAN_PARTS 4 /* shared tiles in a slot */

typedef struct ir_type_info {
    ir_type_kind kind;
    dtype dt;         /* TK_NUM; of a tile, tensor or shared tile: of its elem, DT_NONE where that is a pointer */
    ir_type elem;     /* TK_PTR: pointee (number, pointer); TK_TILE: number, pointer; TK_TENSOR, TK_SHARED: number */
    int rank;         /* TK_TILE, TK_TENSOR, TK_SHARED */
    int64_t shape[IR_MAX_RANK]; /* TK_TENSOR: IR_DYN where known at launch only */
    bool strided;     /* TK_TENSOR: the last stride may differ from 1 */
    ir_layout layout; /* TK_TILE in the laid-out stage (a lay; 0 = none), TK_SHARED (a lay_shared) */
    int stages, nparts; /* TK_CHAN: slots, and the shared tiles in each */
    ir_type parts[IR_MAX_CHAN_PARTS];
} ir_type_info;

/* type.c; all intern */
ir_type ir_type_num(ir_module *m, dtype dt);
ir_type ir_type_ptr(ir_module *m, ir_type elem);
ir_type ir_type_tile(ir_module *m, ir_type elem, int rank, const int64_t *shape); /* rank 0 gives elem */
ir_type ir_type_tensor(ir_module *m, ir_type elem, int rank, const int64_t *shape, bool strided);
/* laid-out stage; layout.h says what a lay and a lay_shared are */
struct lay;
struct lay_shared;
ir_layout ir_layout_make(ir_module *m, const struct lay *l); /* interned: equal maps, equal ids */
ir_layout ir_layout_make_shared(ir_module *m, const struct lay_shared *l);
const struct lay *ir_layout_of(const ir_module *m, ir_layout l);               /* NULL for a shared one and for 0 */
const struct lay_shared *ir_layout_shared_of(const ir_module *m, ir_layout l); /* NULL for a register one and for 0 */
void ir_layout_print_lay(const struct lay *l, strbuf *out);
/* layouts.c: layout [..] {..} or shared [..] {..} */
void ir_layout_print(const ir_module *m, ir_layout l, strbuf *out);
ir_type ir_type_laid(ir_module *m, ir_type tile, ir_layout l); /* the same tile under a layout (0: without) */
ir_type ir_type_shared(ir_module *m, ir_type elem, int rank, const int64_t *shape, ir_layout l);
ir_type ir_type_chan(ir_module *m, int stages, int nparts, const ir_type *parts);
ir_type ir_type_token(ir_module *m);
const ir_type_info *ir_type_of(const ir_module *m, ir_type t); /* valid for the module's life */
bool ir_type_eq(ir_type a, ir_type b);
int ir_type_rank(const ir_module *m, ir_type t);        /* 0 for scalars */
int64_t ir_type_count(const ir_module *m, ir_type t);   /* elements of a tile, 1 for scalars */
ir_type ir_type_elem(const ir_module *m, ir_type t);    /* of a tile its element, of a scalar itself */
dtype ir_type_dt(const ir_module *m, ir_type t);        /* of the element; DT_NONE for pointers and tensors */
bool ir_type_is_ptr(const ir_module *m, ir_type t);     /* pointer or tile of pointers */
/* the shape of t with another element */
ir_type ir_type_with_elem(ir_module *m, ir_type t, ir_type elem);
ir_type ir_type_with_dt(ir_module *m, ir_type t, dtype dt);
ir_type ir_type_with_shape(ir_module *m, ir_type t, int rank, const int64_t *shape);
/* i64, *f32, tile<128x64xf16>, tile<128x64xf16, #1>, tensor<?x64xf16>, tensor<?x?xf16, strided>, shared<64x64xf16, #2>,
 * chan<4, {shared<..>, shared<..>}>, token; layouts by their interned number */
void ir_type_print(const ir_module *m, ir_type t, strbuf *out);

/* ---- functions ---- */
typedef struct ir_attr_pair {
    ir_key key;
    ir_attr val;
} ir_attr_pair;

typedef struct ir_op_data {
    uint16_t code; /* ir_code */
    uint16_t nattr;
    uint32_t nin, nout, nregions;
    uint32_t in, out, attrs, regions; /* first index into f->pool (attrs: pairs, two words each) */
    ir_loc loc;
    uint32_t origin; /* stable through passes: the op of the source stage this one stands for */
    ir_op prev, next;
    ir_region parent;
} ir_op_data;

typedef struct ir_val_data {
    ir_type type;
    ir_op def;        /* 0: a region parameter */
    ir_region region; /* of a parameter */
    uint32_t index;
} ir_val_data;

typedef struct ir_region_data {
    VEC(ir_val) params;
    ir_op first, last;
    ir_op owner; /* 0 for a function's body */
} ir_region_data;

/* What a function is for. A kernel is launched; a `fn` is called; a `host` function is evaluated at launch, with the
 * kernel's parameters: it checks dimensions (expect_eq) and returns first the grid (3 x i64, when the kernel has one),
 * then for each scratch parameter its rank sizes, in order. */
typedef enum ir_func_kind { FUNC_KERNEL, FUNC_FN, FUNC_HOST } ir_func_kind;

enum ir_param_flag {
    PARAM_STATIC = 1,       /* no kernel of the stream writes it */
    PARAM_SCRATCH = 2,      /* comes from the runtime */
    PARAM_SCRATCH_ZERO = 4, /* zero at the start, left zero at the end */
    PARAM_WRITTEN = 8,      /* the kernel may write it (set by pass specialise) */
    PARAM_NOALIAS = 16,
    PARAM_EXTENT = 32 /* i64: how many bytes the caller's pointer of the same arg has, below 0: not known (bounds) */
};

typedef struct ir_param {
    str name;       /* in the source */
    int arg;        /* number in the source signature; consts and absent optionals have no ir_param */
    int flags;
    int64_t align;  /* promised: a pointer or tensor base is a multiple of this many bytes; 0 = the element's size */
    int64_t div;    /* promised: an integer is a multiple of this; 0 = nothing */
    int64_t lo, hi; /* promised range of an integer; lo > hi = nothing */
} ir_param;

struct ir_func {
    ir_module *m;
    ir_func_kind kind;
    str name;
    arena *a;
    ir_region body;
    VEC(ir_param) params; /* beside regions.at[body].params */
    VEC(ir_type) results; /* FUNC_FN, FUNC_HOST */
    str host;             /* kernel: name of its host function, or empty */
    bool has_grid;        /* kernel: the header gives the grid */
    bool cooperative;
    bool persistent;
    int num_warps, num_stages, num_ctas, waves_per_eu; /* 0 = the target's choice */
    ir_loc loc;
    VEC(ir_op_data) ops;         /* id 0 unused */
    VEC(ir_val_data) vals;       /* id 0 unused */
    VEC(ir_region_data) regions; /* id 0 unused */
    VEC(uint32_t) pool;
    uint32_t next_origin;
};

typedef struct ir_loc_data {
    uint32_t file; /* name id in m->names */
    uint32_t line, col;
    ir_loc inlined_at; /* 0 = not inlined */
} ir_loc_data;

struct ir_module {
    arena *a;
    interner *names;
    int stage;    /* TIR or LAID */
    str target;   /* "" = any */
    VEC(ir_func *) funcs;
    struct ir_tables *tables; /* types, attributes, locations: private to compiler/ */
};

/* module.c */
ir_module *ir_module_new(arena *a);
ir_func *ir_func_new(ir_module *m, ir_func_kind kind, str name); /* not yet in m->funcs */
void ir_module_add(ir_module *m, ir_func *f);                    /* replaces one of that name */
ir_func *ir_module_find(const ir_module *m, str name);           /* NULL where there is none */
ir_val ir_func_param(ir_func *f, ir_type t, str name, int arg, int flags);
ir_loc ir_loc_make(ir_module *m, str file, uint32_t line, uint32_t col, ir_loc inlined_at);
ir_loc_data ir_loc_get(const ir_module *m, ir_loc loc);
str ir_loc_file(const ir_module *m, ir_loc loc);

ir_attr ir_attr_int(ir_module *m, int64_t v);
ir_attr ir_attr_ints(ir_module *m, const int64_t *v, uint32_t n);
ir_attr ir_attr_str(ir_module *m, str s);
int64_t ir_attr_as_int(const ir_module *m, ir_attr a);
const int64_t *ir_attr_as_ints(const ir_module *m, ir_attr a, uint32_t *n);
str ir_attr_as_str(const ir_module *m, ir_attr a);

/* ---- reading ---- */
static inline const ir_op_data *ir_o(const ir_func *f, ir_op o) { return &f->ops.at[o.id]; }
static inline ir_code ir_op_code(const ir_func *f, ir_op o) { return (ir_code)f->ops.at[o.id].code; }
static inline const ir_op_info *ir_info(const ir_func *f, ir_op o) { return &ir_ops[f->ops.at[o.id].code]; }
static inline uint32_t ir_nin(const ir_func *f, ir_op o) { return f->ops.at[o.id].nin; }
static inline uint32_t ir_nout(const ir_func *f, ir_op o) { return f->ops.at[o.id].nout; }
static inline ir_val ir_in(const ir_func *f, ir_op o, uint32_t i)
{
    return (ir_val){f->pool.at[f->ops.at[o.id].in + i]};
}
static inline ir_val ir_out(const ir_func *f, ir_op o, uint32_t i)
{
    return (ir_val){f->pool.at[f->ops.at[o.id].out + i]};
}
static inline ir_region ir_op_region(const ir_func *f, ir_op o, uint32_t i)
{
    return (ir_region){f->pool.at[f->ops.at[o.id].regions + i]};
}
static inline ir_attr_pair ir_attr_at(const ir_func *f, ir_op o, uint32_t i)
{
    uint32_t at = f->ops.at[o.id].attrs + 2 * i;
    return (ir_attr_pair){(ir_key)f->pool.at[at], {f->pool.at[at + 1]}};
}
static inline ir_type ir_vtype(const ir_func *f, ir_val v) { return f->vals.at[v.id].type; }
static inline ir_op ir_def(const ir_func *f, ir_val v) { return f->vals.at[v.id].def; } /* 0: region parameter */
static inline ir_op ir_first(const ir_func *f, ir_region r) { return f->regions.at[r.id].first; }
static inline ir_op ir_last(const ir_func *f, ir_region r) { return f->regions.at[r.id].last; }
static inline ir_op ir_next(const ir_func *f, ir_op o) { return f->ops.at[o.id].next; }
static inline uint32_t ir_nparams(const ir_func *f, ir_region r) { return f->regions.at[r.id].params.n; }
static inline ir_val ir_param_of(const ir_func *f, ir_region r, uint32_t i) { return f->regions.at[r.id].params.at[i]; }
/* for each op of region r, in order: FOR_OPS(f, r, o) { ... } */
#define FOR_OPS(f, r, o) for (ir_op o = ir_first((f), (r)); o.id; o = ir_next((f), o))

/* attribute access: the value, or the default where absent */
bool ir_has(const ir_func *f, ir_op o, ir_key key);
int64_t ir_int(const ir_func *f, ir_op o, ir_key key, int64_t dflt);
const int64_t *ir_ints(const ir_func *f, ir_op o, ir_key key, uint32_t *n);
str ir_text(const ir_func *f, ir_op o, ir_key key);
/* the bit pattern of a constant (through splat, broadcast, reshape, permute and slice of one); false of others */
bool ir_const_of(const ir_func *f, ir_val v, uint64_t *bits);
bool ir_const_int_of(const ir_func *f, ir_val v, int64_t *x); /* integers and bool only, by value */
void ir_set_int(ir_func *f, ir_op o, ir_key key, int64_t v);  /* in place; the key must be there already */

/* ---- building (build.c; folding in fold.c) ---- */
typedef struct ir_desc {
    ir_code code;
    uint32_t nin, nout, nattr, nregions;
    const ir_val *in;
    const ir_type *types; /* of the results */
    const ir_attr_pair *attrs;
    const ir_region *regions;
} ir_desc;

typedef struct ir_builder {
    ir_module *m;
    ir_func *f;
    arena *a;           /* for the builder's own tables */
    ir_loc loc;         /* given to what is emitted */
    uint32_t origin;    /* likewise; 0 = a fresh one each */
    VEC(ir_region) stack;
    bool fold;          /* fold and CSE on emission (default on) */
    struct ir_cse *cse;
} ir_builder;

void ir_builder_init(ir_builder *b, ir_func *f, arena *a);
ir_region ir_region_new(ir_func *f);
ir_val ir_region_param(ir_func *f, ir_region r, ir_type t);
void ir_push(ir_builder *b, ir_region r); /* ops go to the end of r until ir_pop */
void ir_pop(ir_builder *b);
/* the op appended, or 0 when folding or CSE gave values instead; either way results land in `out` (desc->nout) */
ir_op ir_emit(ir_builder *b, const ir_desc *d, ir_val *out);
/* one result, any operands, at most one attribute */
ir_val ir_emit1(ir_builder *b, ir_code code, ir_type t, const ir_val *in, uint32_t nin);
ir_val ir_emit1a(ir_builder *b, ir_code code, ir_type t, const ir_val *in, uint32_t nin, ir_key key, ir_attr val);
void ir_emit0(ir_builder *b, ir_code code, const ir_val *in, uint32_t nin);
void ir_yield(ir_builder *b, const ir_val *v, uint32_t n);
void ir_return(ir_builder *b, const ir_val *v, uint32_t n);

ir_val ir_const_bits(ir_builder *b, ir_type t, uint64_t bits);
ir_val ir_const_i(ir_builder *b, ir_type t, int64_t x);  /* integers, bool; floats get the value rounded */
ir_val ir_const_f(ir_builder *b, ir_type t, double x);   /* floats, rounded to the type */
ir_val ir_bin(ir_builder *b, ir_code code, ir_val x, ir_val y);  /* RULE_SAME_* of the type of x */
ir_val ir_un(ir_builder *b, ir_code code, ir_val x);
ir_val ir_cmp(ir_builder *b, ir_code code, ir_val x, ir_val y);
ir_val ir_select(ir_builder *b, ir_val c, ir_val x, ir_val y);
ir_val ir_cast(ir_builder *b, ir_val x, dtype to);               /* the value itself where the type is the same */
ir_val ir_splat(ir_builder *b, ir_val scalar, int rank, const int64_t *shape);
/* reshapes to that rank on the left, then broadcasts; scalars are splat */
ir_val ir_broadcast(ir_builder *b, ir_val x, int rank, const int64_t *shape);
ir_val ir_reshape(ir_builder *b, ir_val x, int rank, const int64_t *shape);
ir_val ir_ptr_add(ir_builder *b, ir_val p, ir_val off);

/* clone.c: a map from values of one function to values of another */
typedef struct ir_map {
    ir_val *at; /* by old id; 0 = not yet */
    uint32_t n;
} ir_map;
void ir_map_init(ir_map *m, arena *a, const ir_func *old);
ir_val ir_map_get(const ir_map *m, ir_val old); /* bug() where absent */
void ir_map_set(ir_map *m, ir_val old, ir_val now);
/* copies op o of `old` (regions too) through the builder, mapping operands; results are entered in the map */
void ir_clone_op(ir_builder *b, const ir_func *old, ir_op o, ir_map *m);
void ir_clone_ops(ir_builder *b, const ir_func *old, ir_region r, ir_map *m, bool with_terminator);
/* same kind, name, parameters, results and flags, with an empty body; parameters are entered in the map */
ir_func *ir_func_like(const ir_func *old, ir_map *m, arena *a);
/* a whole function copied into another module */
ir_func *ir_func_copy(const ir_func *old, ir_module *to);

/* ---- text (print.c, read.c), checking (verify.c) ---- */
void ir_print_module(const ir_module *m, strbuf *out);
void ir_print_func(const ir_func *f, strbuf *out);
void ir_print_op(const ir_func *f, ir_op o, strbuf *out); /* one line, for messages */
/* NULL and diagnostics on wrong text; what it returns is verified */
ir_module *ir_read(arena *a, diags *d, str path, str text);
/* diagnostics name the op and operand; true when there are none. Ops without a location get span 0 and their text. */
bool ir_verify(const ir_module *m, diags *d);
bool ir_verify_func(const ir_func *f, diags *d);
/* our own fault: writes the module to a file, then bug() (dump.c) */
_Noreturn void ir_bug(const ir_module *m, const char *fmt, ...) STR_PRINTF(2, 3);

#endif
