/* lower_loop.h: what the files about loops share: lower_loop.c (run-time loops), lower_for.c (headers, unrolling) and
 * lower_stream.c (persistent, stream). */
#ifndef TILE_FRONTEND_LOWER_LOOP_H
#define TILE_FRONTEND_LOWER_LOOP_H

#include "frontend/lower.h"

enum { CARRY_BAD = 256 }; /* flag of a carried value whose fault was reported */

typedef struct loop_attrs {
    ir_attr_pair at[8];
    uint32_t n;
} loop_attrs;

static inline fv unbound_by(fv_why why, span at)
{
    return (fv){.kind = FV_UNBOUND, .unbound = {.why = why, .at = at}};
}

/* lower_loop.c */
void loop_flags(lower *l, loop_cx *cx, loop_kind kind);
bool loop_enter(lower *l, loop_cx *cx, span at);
void loop_leave(lower *l, loop_cx *cx);
bool range_values(lower *l, fv *v, const span *at, ir_val *out);
status low_for_run(lower *l, const ast_stmt *s, fv *range, const span *at, const loop_attrs *attrs);
status poison_assigned(lower *l, const ast_stmt *s);
bool *assigned_slots(lower *l, const ast_stmt *s);
void forget_targets(lower *l, const ast_expr *target, bool *assigned);
/* lower_for.c: `break` of this loop, `return` anywhere, in a statement list */
bool walk_has_break(const ast_stmt *s);
bool walk_has_return(const ast_stmt *s);

#endif
