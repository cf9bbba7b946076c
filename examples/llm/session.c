/* session.c: model, tokenizer and engine of one run of `llm`, from its flags. */
#include "examples/llm/options.h"
#include "base/base.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int usage(const char *fmt, const char *what)
{
    fputs("llm: ", stderr);
    fprintf(stderr, fmt, what);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

/* a bar on a terminal while kernels are compiled, gone afterwards; none in the middle of a reply */
static void show_progress(void *ctx, const char *what, int32_t done, int32_t of)
{
    enum { WIDTH = 32 };
    char bar[WIDTH + 1];
    int full = (int)((int64_t)done * WIDTH / of);
    const session *s = ctx;
    if (s->streaming || !isatty(STDERR_FILENO) || (full == (int)((int64_t)(done - 1) * WIDTH / of) && done > 1))
        return;
    memset(bar, ' ', WIDTH);
    memset(bar, '#', (size_t)full);
    bar[WIDTH] = 0;
    if (done == of)
        fprintf(stderr, "\r%*s\r", WIDTH + 24, "");
    else
        fprintf(stderr, "\r%s kernels [%s]", what, bar);
    fflush(stderr);
}

static int engine_flags(const options *o, engine_options *e)
{
    *e = (engine_options){.device = o->device, .sequences = 1, .progress = show_progress};
    e->threads = o->threads > 0 ? (int32_t)(o->threads < 4096 ? o->threads : 4096) : 0;
    e->context = o->context > 0 ? o->context : 0;
    if (o->batch > 0)
        e->sequences = (int32_t)(o->batch < 4096 ? o->batch : 4096);
    if (o->mode && strcmp(o->mode, "eager") && strcmp(o->mode, "compiled"))
        return usage("'--mode' takes eager or compiled, not '%s'", o->mode);
    if (o->act && strcmp(o->act, "i8") && strcmp(o->act, "f32"))
        return usage("'--act' takes i8 or f32, not '%s'", o->act);
    e->mode = o->mode && !strcmp(o->mode, "eager") ? MODE_EAGER : MODE_COMPILED;
    e->act = o->act && !strcmp(o->act, "f32") ? ACT_F32 : ACT_I8;
    return 0;
}

int session_open(session *s, const options *o, bool with_engine)
{
    tile_error err;
    engine_options eo;
    double from = clock_now();
    *s = (session){0};
    if (o->model && o->random)
        return usage("%s", "give either -m MODEL or --random-weights=NAME");
    if (!o->model && !o->random)
        return usage("%s", "no model is given: -m MODEL");
    int wrong = engine_flags(o, &eo);
    eo.progress_ctx = s;
    if (wrong)
        return wrong;
    s->model = o->random ? model_random(o->random, &err) : model_open(o->model, &err);
    if (s->model)
        s->tok = tokenizer_new(model_vocab(s->model), &err);
    if (s->tok && with_engine)
        s->eng = engine_open(s->model, &eo, &err);
    if (!s->tok || (with_engine && !s->eng)) {
        wrong = complain_error(&err);
        session_close(s);
        return wrong;
    }
    s->load_seconds = clock_now() - from;
    if (o->verbose)
        fprintf(stderr, "%s: %.1f MB of weights, context %lld, loaded in %.0f ms\n", model_title(s->model),
                (double)model_bytes(s->model) / 1e6, s->eng ? (long long)engine_context(s->eng) : 0LL,
                1e3 * s->load_seconds);
    return 0;
}

void session_close(session *s)
{
    engine_close(s->eng);
    if (s->tok)
        tokenizer_free(s->tok);
    if (s->model)
        model_close(s->model);
    *s = (session){0};
}

static double given(double x, double otherwise)
{
    return isnan(x) ? otherwise : x;
}

void session_sampling(const options *o, bool chat, sampling *s)
{
    *s = (sampling){.temperature = given(o->temperature, chat ? 0.7 : 0.0),
                    .top_k = o->top_k >= 0 ? o->top_k : 40,
                    .top_p = given(o->top_p, 0.95),
                    .min_p = given(o->min_p, 0.05),
                    .repeat_penalty = given(o->repeat_penalty, 1.0),
                    .repeat_last = o->repeat_last >= 0 ? (int32_t)(o->repeat_last < 256 ? o->repeat_last : 256) : 64};
    s->seed = o->seed >= 0 ? (uint64_t)o->seed : chat ? (uint64_t)time(NULL) : 0;
}

bool read_text(const char *path, str *out)
{
    FILE *f = !strcmp(path, "-") ? stdin : fopen(path, "rb");
    char *at = NULL;
    size_t n = 0, cap = 0;
    while (f && !ferror(f) && !feof(f)) {
        if (n + 65536 > cap) {
            char *more = realloc(at, cap = 2 * cap + 65536);
            if (!more)
                break;
            at = more;
        }
        n += fread(at + n, 1, 65536, f);
    }
    bool ok = f && feof(f) && !ferror(f);
    if (f && f != stdin)
        fclose(f);
    if (!ok) {
        complain("cannot read '%s'", path);
        free(at);
        return false;
    }
    *out = (str){at, n};
    return true;
}
