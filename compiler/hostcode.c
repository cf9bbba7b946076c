/* hostcode.c: evaluation of host code (hostcode.h): one pass over its operations.
 */
#include "compiler/hostcode.h"

#include "compiler/fold.h"

static uint64_t divide(int64_t a, int64_t b)
{
    return b == 0 ? 0 : b == -1 ? 0 - (uint64_t)a : (uint64_t)(a / b);
}

static uint64_t elementwise(const host_op *o, const uint64_t *w)
{
    uint64_t v[3] = {w[o->in[0]], w[o->in[1]], w[o->in[2]]}, out = 0;
    if (!fold_eval((ir_code)o->elt, (dtype)o->dt, o->flag, v, &out))
        bug("host code: '%s' of %s", ir_ops[o->elt].name, dtypes[o->dt].name);
    return out;
}

static uint64_t from_device(const host_op *o, const uint64_t *w, const abi_device *dev)
{
    if (o->code == HOST_RESIDENT)
        return (uint64_t)dev->resident;
    int64_t tiles = (int64_t)w[o->in[0]];
    return (uint64_t)(dev->stream_programs ? dev->stream_programs(tiles, (int64_t)w[o->in[1]]) : tiles);
}

#define A w[o->in[0]]
#define B w[o->in[1]]
#define IA ((int64_t)A)
#define IB ((int64_t)B)
#define FA num_f64_of(A)
#define FB num_f64_of(B)
const host_check *host_code_run(const host_code *h, const uint64_t *slots, const abi_device *dev, uint64_t *w,
                                int64_t *results)
{
    for (uint32_t i = 0; i < h->nops; i++) {
        const host_op *o = &h->ops[i];
        switch ((host_opcode)o->code) {
        case HOST_CONST:
            w[i] = h->values[o->in[0]];
            break;
        case HOST_SLOT:
            w[i] = slots[o->in[0]];
            break;
        case HOST_ELT:
            w[i] = elementwise(o, w);
            break;
        case HOST_CAST:
            w[i] = dt_cast((dtype)o->from, (dtype)o->dt, A, o->flag);
            break;
        case HOST_SELECT:
            w[i] = A ? B : w[o->in[2]];
            break;
        case HOST_RESIDENT:
        case HOST_STREAM:
            w[i] = from_device(o, w, dev);
            break;
        case HOST_EXPECT:
            w[i] = 0;
            if (A == B)
                break;
            results[0] = IB;
            results[1] = IA;
            return &h->checks[o->in[2]];
        case HOST_ADD:
            w[i] = A + B;
            break;
        case HOST_SUB:
            w[i] = A - B;
            break;
        case HOST_MUL:
            w[i] = A * B;
            break;
        case HOST_DIV:
            w[i] = divide(IA, IB);
            break;
        case HOST_MIN:
            w[i] = IA < IB ? A : B;
            break;
        case HOST_MAX:
            w[i] = IA < IB ? B : A;
            break;
        case HOST_LT:
            w[i] = IA < IB;
            break;
        case HOST_FADD:
            w[i] = num_f64_bits(FA + FB);
            break;
        case HOST_FMUL:
            w[i] = num_f64_bits(FA * FB);
            break;
        case HOST_FLE:
            w[i] = FA <= FB;
            break;
        case HOST_FLT:
            w[i] = FA < FB;
            break;
        case HOST_F64:
            w[i] = num_f64_bits((double)IA);
            break;
        }
    }
    for (uint32_t i = 0; i < h->nresults; i++)
        results[i] = (int64_t)w[h->results[i]];
    return NULL;
}
#undef A
#undef B
#undef IA
#undef IB
#undef FA
#undef FB
