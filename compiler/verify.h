/* verify.h: what the parts of the verifier share, and its second entrance for the reader; private to compiler/.
 *
 * verify_mod.c modules: names, calls, host functions; the entrances
 * verify.c     functions, and what holds for every op: ids, order, visibility, attributes, stages
 * verify_ops.c the types of operands and results: rules by name, and a function for each RULE_OWN op
 * verify_mem.c likewise for pointers, memory and tensors
 * verify_ctl.c likewise for ops with regions, and calls
 * verify_laid.c likewise for ops of the laid-out stage
 * verify_parts.c kernels of that stage: layouts that agree, partitions, channels
 * verify_pairs.c their schedules, for a GPU: enters and exits, resources; verify_sched.c, verify_state.c: what has
 * completed when
 *
 * A check function reports through verify_fail and goes on where that makes sense; a rule may rely on arity, on
 * existing operands and on sound types, which are checked before it is called.
 */
#ifndef TILE_COMPILER_VERIFY_H
#define TILE_COMPILER_VERIFY_H

#include "compiler/ir.h"

#define IR_MAX_NEST 256 /* regions in regions */

/* where a function stands in the text it was read from */
typedef struct verify_func_text {
    span head;
    const span *ops; /* by op id */
    uint32_t nops;
} verify_func_text;

enum verify_purity { PURITY_UNKNOWN, PURITY_OPEN, PURITY_PURE, PURITY_IMPURE };

typedef struct verifier {
    const ir_module *m;
    const ir_func *f;
    diags *d;
    arena *a;                      /* of the tables below */
    const verify_func_text *texts; /* beside m->funcs; NULL = not read from text */
    const verify_func_text *text;  /* of f */
    uint8_t *visible;              /* by value id */
    uint8_t *seen;                 /* by region id: entered */
    uint32_t faults;
    uint32_t depth;   /* of regions */
    ir_op element_op; /* the reduce, scan or map whose region we are in, or 0 */
    map64 by_name;    /* interned name -> index in m->funcs */
    interner *names;
    uint8_t *purity; /* by function */
} verifier;

/* verify_mod.c */
bool ir_verify_text(const ir_module *m, diags *d, const verify_func_text *text);
const ir_func *verify_callee(verifier *v, str name);
bool verify_is_pure(verifier *v, str callee); /* all its ops, and those of what it calls */

/* verify.c */
void verify_body(verifier *v); /* v->f and v->text are set */
void verify_fail(verifier *v, ir_op o, const char *fmt, ...) STR_PRINTF(3, 4);
const char *verify_type(verifier *v, ir_type t); /* its text */

/* the parts of a rule: each reports and gives false. i: operand, `what` its description */
ir_type verify_in(const verifier *v, ir_op o, uint32_t i);
ir_type verify_out(const verifier *v, ir_op o, uint32_t i);
bool verify_count(verifier *v, ir_op o, uint32_t min, uint32_t max); /* operands */
bool verify_in_type(verifier *v, ir_op o, uint32_t i, ir_type want, const char *like);
bool verify_out_type(verifier *v, ir_op o, uint32_t i, ir_type want, const char *like);
bool verify_in_is(verifier *v, ir_op o, uint32_t i, bool ok, const char *want);
bool verify_out_is(verifier *v, ir_op o, uint32_t i, bool ok, const char *want);
bool verify_in_shape(verifier *v, ir_op o, uint32_t i, ir_type like, const char *of);
bool verify_out_shape(verifier *v, ir_op o, uint32_t i, int rank, const int64_t *shape);
bool verify_range(verifier *v, ir_op o, ir_key key, int64_t lo,
                  int64_t hi); /* of an integer attribute, where present */

static inline bool verify_is_tile(const verifier *v, ir_type t)
{
    return ir_type_of(v->m, t)->kind == TK_TILE;
}
static inline bool verify_is_scalar(const verifier *v, ir_type t)
{
    ir_type_kind k = ir_type_of(v->m, t)->kind;
    return k == TK_NUM || k == TK_PTR;
}
/* a scalar or tile of numbers */
static inline bool verify_is_num(const verifier *v, ir_type t)
{
    return ir_type_dt(v->m, t) != DT_NONE;
}
static inline bool verify_is_scalar_of(const verifier *v, ir_type t, dtype dt)
{
    const ir_type_info *i = ir_type_of(v->m, t);
    return i->kind == TK_NUM && i->dt == dt;
}
bool verify_same_shape(const verifier *v, ir_type a, ir_type b);
bool verify_is_int(const verifier *v, ir_type t); /* scalar or tile */
bool verify_is_int_scalar(const verifier *v, ir_type t);
bool verify_is_bool(const verifier *v, ir_type t); /* scalar or tile */

/* verify_ops.c, verify_mem.c, verify_ctl.c, verify_laid.c: false where this part has no rule for the op */
void verify_types(verifier *v, ir_op o);
bool verify_memory(verifier *v, ir_op o);
bool verify_control(verifier *v, ir_op o);
bool verify_laid(verifier *v, ir_op o);
str verify_partition_name(const ir_func *f, ir_op o, uint32_t i);

/* verify_parts.c: v->f is a kernel of the laid-out stage without a fault so far */
void verify_laid_kernel(verifier *v);
void verify_paired(verifier *v);   /* verify_pairs.c */
void verify_schedule(verifier *v); /* verify_sched.c */
/* warps that a copy takes: whole groups of 4 where it sets its registers, since that is done by groups */
int64_t verify_part_warps(int64_t warps, int64_t regs);
bool verify_is_for_gpu(const ir_module *m); /* laid out, for a target that isn't a CPU */

#endif
