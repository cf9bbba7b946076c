/* interp_shape.c: constants and ops that only move elements about.
 *
 * Most are one strided copy: the result is filled in row-major order while a position moves through the operand by a
 * stride a dimension (0 where it is broadcast, negative never). The others split a shape at an axis into `outer` blocks
 * of `len` rows of `inner` elements.
 */
#include "compiler/interp_impl.h"

typedef struct split_shape {
    int64_t outer, len, inner;
} split_shape;

static split_shape split_at(const ir_module *m, ir_type t, int axis)
{
    const ir_type_info *i = ir_type_of(m, t);
    split_shape s = {1, i->shape[axis], 1};
    for (int d = 0; d < i->rank; d++) {
        if (d < axis)
            s.outer *= i->shape[d];
        if (d > axis)
            s.inner *= i->shape[d];
    }
    return s;
}

/* strides in elements of a packed row-major tile */
static void packed_strides(const ir_type_info *t, int64_t *stride)
{
    int64_t s = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        stride[d] = s;
        s *= t->shape[d];
    }
}

static void copy_row(char *d, const char *s, int64_t n, int64_t stride, size_t es)
{
    if (stride == 1) {
        memcpy(d, s, (size_t)n * es);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        copy_elem(d + (size_t)i * es, s + (size_t)(i * stride) * es, es);
}

/* dst, of shape `t`, from src by strides */
static void copy_strided(const ir_type_info *t, size_t es, char *dst, const char *src, const int64_t *stride)
{
    int64_t at[IR_MAX_RANK] = {0}, pos = 0;
    int last = t->rank - 1;
    for (;;) {
        copy_row(dst, src + (size_t)pos * es, t->shape[last], stride[last], es);
        dst += (size_t)t->shape[last] * es;
        int d = last - 1;
        for (; d >= 0; d--) {
            pos += stride[d];
            if (++at[d] < t->shape[d])
                break;
            pos -= stride[d] * t->shape[d];
            at[d] = 0;
        }
        if (d < 0)
            return;
    }
}

static void fill(char *d, int64_t n, const void *x, size_t es)
{
    for (int64_t i = 0; i < n; i++)
        copy_elem(d + (size_t)i * es, x, es);
}

static void exec_broadcast(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    const ir_type_info *from = ir_type_of(m, in_type(fr, o, 0)), *to = ir_type_of(m, out_type(fr, o, 0));
    int64_t stride[IR_MAX_RANK];
    packed_strides(from, stride);
    for (int d = 0; d < to->rank; d++)
        if (from->shape[d] != to->shape[d])
            stride[d] = 0;
    copy_strided(to, elem_bytes(m, out_type(fr, o, 0)), out_data(fr, o, 0), in_data(fr, o, 0), stride);
}

static void exec_permute(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    const ir_type_info *from = ir_type_of(m, in_type(fr, o, 0)), *to = ir_type_of(m, out_type(fr, o, 0));
    uint32_t n;
    const int64_t *order = ir_ints(fr->f, o, KEY_order, &n);
    int64_t packed[IR_MAX_RANK], stride[IR_MAX_RANK];
    packed_strides(from, packed);
    for (uint32_t d = 0; d < n; d++)
        stride[d] = packed[order[d]];
    copy_strided(to, elem_bytes(m, out_type(fr, o, 0)), out_data(fr, o, 0), in_data(fr, o, 0), stride);
}

static void exec_slice(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    const ir_type_info *from = ir_type_of(m, in_type(fr, o, 0)), *to = ir_type_of(m, out_type(fr, o, 0));
    uint32_t n;
    const int64_t *starts = ir_ints(fr->f, o, KEY_starts, &n);
    size_t es = elem_bytes(m, out_type(fr, o, 0));
    int64_t stride[IR_MAX_RANK], pos = 0;
    packed_strides(from, stride);
    for (uint32_t d = 0; d < n; d++)
        pos += starts[d] * stride[d];
    copy_strided(to, es, out_data(fr, o, 0), (const char *)in_data(fr, o, 0) + (size_t)pos * es, stride);
}

static void exec_join(frame *fr, ir_op o)
{
    size_t es = elem_bytes(fr->f->m, out_type(fr, o, 0));
    int64_t n = ir_type_count(fr->f->m, in_type(fr, o, 0));
    const char *a = in_data(fr, o, 0), *b = in_data(fr, o, 1);
    char *d = out_data(fr, o, 0);
    for (int64_t i = 0; i < n; i++) {
        copy_elem(d + (size_t)(2 * i) * es, a + (size_t)i * es, es);
        copy_elem(d + (size_t)(2 * i + 1) * es, b + (size_t)i * es, es);
    }
}

static void exec_split(frame *fr, ir_op o)
{
    size_t es = elem_bytes(fr->f->m, out_type(fr, o, 0));
    int64_t n = ir_type_count(fr->f->m, out_type(fr, o, 0));
    const char *s = in_data(fr, o, 0);
    copy_row(out_data(fr, o, 0), s, n, 2, es);
    copy_row(out_data(fr, o, 1), s + es, n, 2, es);
}

static void exec_cat(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    int axis = (int)ir_int(fr->f, o, KEY_axis, 0);
    size_t es = elem_bytes(m, out_type(fr, o, 0));
    split_shape a = split_at(m, in_type(fr, o, 0), axis), b = split_at(m, in_type(fr, o, 1), axis);
    size_t na = (size_t)(a.len * a.inner) * es, nb = (size_t)(b.len * b.inner) * es;
    const char *pa = in_data(fr, o, 0), *pb = in_data(fr, o, 1);
    char *d = out_data(fr, o, 0);
    for (int64_t i = 0; i < a.outer; i++, d += na + nb) {
        memcpy(d, pa + (size_t)i * na, na);
        memcpy(d + na, pb + (size_t)i * nb, nb);
    }
}

/* an index outside gives 0 */
static void exec_extract(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    int64_t i = in_int(fr, o, 1);
    size_t es = elem_bytes(m, out_type(fr, o, 0));
    split_shape s = split_at(m, in_type(fr, o, 0), (int)ir_int(fr->f, o, KEY_axis, 0));
    const char *src = in_data(fr, o, 0);
    char *d = out_data(fr, o, 0);
    size_t row = (size_t)s.inner * es;
    for (int64_t b = 0; b < s.outer; b++) {
        if (i >= 0 && i < s.len)
            memcpy(d + (size_t)b * row, src + (size_t)(b * s.len + i) * row, row);
        else
            memset(d + (size_t)b * row, 0, row);
    }
}

static void exec_gather(frame *fr, ir_op o)
{
    const ir_module *m = fr->f->m;
    ir_type st = in_type(fr, o, 0), it = in_type(fr, o, 1);
    int axis = (int)ir_int(fr->f, o, KEY_axis, 0);
    const ir_type_info *si = ir_type_of(m, st), *ii = ir_type_of(m, it);
    int64_t len = si->shape[axis];
    size_t es = elem_bytes(m, st);
    dtype dt = elem_dt(m, it);
    const char *src = in_data(fr, o, 0), *index = in_data(fr, o, 1);
    char *d = out_data(fr, o, 0);
    int64_t n = ir_type_count(m, it), at[IR_MAX_RANK] = {0}, stride[IR_MAX_RANK];
    packed_strides(si, stride);
    for (int64_t e = 0; e < n; e++) {
        int64_t i;
        interp_get_ints(&i, dt, index + (size_t)e * (size_t)dt_bytes(dt), 1);
        bool inside = dt_is_signed(dt) ? i >= 0 && i < len : (uint64_t)i < (uint64_t)len;
        int64_t pos = inside ? i * stride[axis] : 0;
        for (int k = 0; k < si->rank; k++)
            pos += k == axis ? 0 : at[k] * stride[k];
        if (inside)
            copy_elem(d + (size_t)e * es, src + (size_t)pos * es, es);
        else
            memset(d + (size_t)e * es, 0, es);
        for (int k = ii->rank - 1; k >= 0 && ++at[k] == ii->shape[k]; k--)
            at[k] = 0;
    }
}

static void exec_const(frame *fr, ir_op o)
{
    ir_type t = out_type(fr, o, 0);
    int64_t bits = ir_int(fr->f, o, KEY_bits, 0);
    fill(out_data(fr, o, 0), ir_type_count(fr->f->m, t), &bits, elem_bytes(fr->f->m, t));
}

static void exec_arange(frame *fr, ir_op o)
{
    ir_type t = out_type(fr, o, 0);
    uint64_t start = (uint64_t)ir_int(fr->f, o, KEY_start, 0);
    dtype dt = elem_dt(fr->f->m, t);
    int64_t n = ir_type_count(fr->f->m, t);
    char *d = out_data(fr, o, 0);
    for (int64_t i = 0; i < n; i++) {
        int64_t x = (int64_t)(start + (uint64_t)i);
        interp_put_ints(d + (size_t)i * (size_t)dt_bytes(dt), dt, &x, 1);
    }
}

bool interp_shape(frame *fr, ir_op o)
{
    ir_type t = out_type(fr, o, 0);
    const ir_module *m = fr->f->m;
    switch ((int)ir_op_code(fr->f, o)) {
    case IR_OP_const: exec_const(fr, o); break;
    case IR_OP_undef: memset(out_data(fr, o, 0), 0, interp_type_bytes(m, t)); break;
    case IR_OP_arange: exec_arange(fr, o); break;
    case IR_OP_splat: fill(out_data(fr, o, 0), ir_type_count(m, t), in_data(fr, o, 0), elem_bytes(m, t)); break;
    case IR_OP_broadcast: exec_broadcast(fr, o); break;
    case IR_OP_hint:
    case IR_OP_reshape: memcpy(out_data(fr, o, 0), in_data(fr, o, 0), interp_type_bytes(m, t)); break;
    case IR_OP_permute: exec_permute(fr, o); break;
    case IR_OP_join: exec_join(fr, o); break;
    case IR_OP_split: exec_split(fr, o); break;
    case IR_OP_cat: exec_cat(fr, o); break;
    case IR_OP_slice: exec_slice(fr, o); break;
    case IR_OP_extract: exec_extract(fr, o); break;
    case IR_OP_gather: exec_gather(fr, o); break;
    default: bug("interp: op '%s' moves no elements", ir_info(fr->f, o)->name);
    }
    return true;
}
