/* tile_bench.h: what the files of tile-bench share.
 *
 *   tile_bench.c         the command line, and the figures as JSON lines and as a table
 *   tile_bench_cpu.c     suite latency on the CPU
 *   tile_bench_rows.c    suite norm on the CPU, beside a streaming copy
 *   tile_bench_quant.c   suite quant on the CPU: matrix times vector, beside one pass of reading
 *   tile_bench_gemm.c    suite gemm on the CPU, beside OpenBLAS
 *   tile_bench_hand.c    the laid-out kernels of a folder: what each is, opening one, the arguments of a launch
 *   tile_bench_data.c    random data, buffers with poisoned margins
 *   tile_bench_check.c   every such kernel against float64
 *   tile_bench_time.c    alternating blocks of launches, medians
 *   tile_bench_gpu.c     suites gemm, attn and norm on a GPU
 *   tile_bench_peer.c    cuBLAS in this process, other libraries in one beside it
 */
#ifndef TILE_TOOLS_TILE_BENCH_H
#define TILE_TOOLS_TILE_BENCH_H

#include "base/base.h"
#include "runtime/tile.h"

#define BENCH_MAX_RANK 5

typedef struct bench_shape {
    int64_t d[BENCH_MAX_RANK];
    int rank;
} bench_shape;

typedef struct bench_figure {
    const char *work, *dtype, *peer;
    bench_shape shape;
    double us, flops, bytes, elements; /* of one launch; 0: not counted */
    double best_us;                    /* of the fastest launch; 0: not kept */
    double ratio;            /* speed over that of `against`; 0: none */
    const char *against;
} bench_figure;

typedef struct bench {
    arena a;
    const char *device, *suites, *kernels, *only, *dtype, *peers, *peer_command;
    bool host, check, table, small, exact, together;
    int timeout; /* seconds that one check may take */
    VEC(bench_shape) shapes;
    VEC(bench_figure) figures;
    tile_device *dev;
    pool *threads;
    struct remote *remote; /* NULL: not started yet */
    double copy_gbs;
} bench;

/* tile_bench.c */
bool bench_has(const char *list, const char *word); /* a word of a list with commas */
void bench_say(const char *fmt, ...) STR_PRINTF(1, 2);
void bench_emit(bench *b, const bench_figure *f);

/* tile_bench_rows.c */
void *bench_host_buffer(int64_t bytes); /* small numbers; exits where there is no memory; free() lets go */
bool bench_cpu_norm(bench *b);

/* tile_bench_quant.c */
bool bench_cpu_quant(bench *b);

/* tile_bench_gemm.c */
bool bench_cpu_gemm(bench *b);

/* tile_bench_cpu.c */
bool bench_cpu_latency(bench *b);

/* ---- kernels ---- */

typedef enum hand_kind { HAND_GEMM, HAND_ATTN, HAND_RMSNORM, HAND_SOFTMAX, HAND_KINDS } hand_kind;

typedef struct hand {
    const char *path, *name; /* "gemm_f16" */
    hand_kind kind;
    tile_dtype dt;
    int64_t head; /* attention: D */
    bool causal;
    int64_t most, unit; /* norms: the longest row, and what its length must be a multiple of */
} hand;

typedef VEC(hand) hands;

/* buffers of one launch; which there are depends on the kind:
 *   gemm       a[M,K] b[N,K] c[M,N]
 *   attention  a, b, w, c = q, k, v, o [BH,S,D]
 *   rmsnorm    a[M,N] w[N] c[M,N]
 *   softmax    a[M,N] c[M,N] */
typedef struct hand_data {
    void *a, *b, *w, *c;
} hand_data;

typedef struct hand_call {
    tile_tensor t[4];
    tile_arg args[5];
    int n;
} hand_call;

/* tile_bench_hand.c */
bool hand_scan(bench *b, hands *out);
bool hand_fits(const hand *h, const bench_shape *s);
const char *hand_entry(const hand *h); /* the kernel's name in its file */
tile_kernel *hand_open(bench *b, const hand *h, tile_module **mod, tile_error *err);
/* s: gemm M,N,K; attention BH,S,D; norms M,N. The call must stay where it is */
void hand_bind(hand_call *c, const hand *h, const bench_shape *s, hand_data d, double scale);
int64_t hand_count(const hand *h, const bench_shape *s, char which); /* elements of 'a', 'b', 'w' or 'c' */

/* tile_bench_data.c */
num_fmt data_format(tile_dtype dt);
const char *data_name(tile_dtype dt);
/* n normal numbers times `by`, as elements of dt and, where not NULL, as floats of the same values */
void data_normal(bench *b, tile_dtype dt, uint64_t seed, double by, int64_t n, uint16_t *bits, float *values);
void data_decode(bench *b, tile_dtype dt, const uint16_t *bits, int64_t n, float *values);
void *data_memory(int64_t bytes); /* of the host; ends the program where there is none */

/* tile_bench_check.c */
int bench_check(bench *b); /* the exit code */

/* ---- timing ---- */

#define TIME_ROUNDS 11
#define TIME_MAX_SIDES 12

/* one contestant */
typedef struct side {
    const char *peer;
    bool ours;
    /* puts one launch on the device's stream, on buffer set `set`. Called once per set before it is captured */
    bool (*put)(void *ctx, int set, tile_error *err);
    /* a peer elsewhere: runs about `seconds` of launches, gives one's microseconds */
    bool (*block)(void *ctx, double seconds, double *us, tile_error *err);
    void *ctx;
    tile_graph *graph;
    int per_graph;
    int64_t replays;
    bool lost; /* it failed; said already */
    double us[TIME_ROUNDS];
} side;

/* tile_bench_time.c */
bool time_contest(bench *b, side *s, int n, int sets); /* false: one of ours failed */
double time_median(double *t, int n);
double time_of(const side *s);                         /* median of its rounds */
double time_ratio(const side *ours, const side *peer); /* median over the rounds of peer's time over ours */

/* tile_bench_gpu.c */
bool bench_gpu_gemm(bench *b);
bool bench_gpu_attn(bench *b);
bool bench_gpu_norm(bench *b);

/* tile_bench_peer.c */
typedef struct blas blas;
blas *blas_open(bench *b, tile_error *err);
void blas_close(blas *l);
/* c[m,n] = a[m,k] b[n,k]^T */
bool blas_gemm(blas *l, tile_dtype dt, int64_t m, int64_t n, int64_t k, const void *a, const void *b, void *c,
               tile_error *err);
typedef struct remote remote; /* the process of b->peer_command */
typedef struct remote_work {
    remote *r;
    int slot;
} remote_work;
void remote_close(remote *r);
/* starts the process where there is none yet, and has it prepare "cudnn attn 4 32 4096 128 0" */
bool remote_prepare(bench *b, remote_work *w, int slot, const char *request, tile_error *err);
void remote_drop(bench *b); /* all that it has prepared */
bool remote_block(void *work, double seconds, double *us, tile_error *err);

#endif
