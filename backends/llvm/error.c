/* error.c: what LLVM reports, as text.
 *
 * Two channels: the context's diagnostic handler (bad inline asm, resource limits; emission still claims success), and
 * the process-wide fatal error handler, after which LLVM would end the process. The second is caught with longjmp to
 * the innermost cg_protect of the thread; that is why one variable of this file is mutable, and thread-local: the
 * handler gets no context of ours. The end of an arena's memory passes here too, so that it leaves `innermost` right.
 */
#include "backends/llvm/cg.h"

#include <llvm-c/ErrorHandling.h>
#include <pthread.h>
#include <setjmp.h>

typedef struct guard {
    jmp_buf env;
    cg_errors *e;
    struct guard *outer;
} guard;

static _Thread_local guard *innermost;

void cg_errors_init(cg_errors *e, arena *a)
{
    e->a = a;
    e->n = 0;
    e->ended = false;
    sb_init(&e->text, a);
}

void cg_error(cg_errors *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (e->n++)
        sb_puts(&e->text, "; ");
    sb_put(&e->text, str_vfmt(e->a, fmt, ap));
    va_end(ap);
}

static void on_diagnostic(LLVMDiagnosticInfoRef info, void *ctx)
{
    cg_errors *e = ctx;
    if (LLVMGetDiagInfoSeverity(info) != LLVMDSError)
        return;
    char *text = LLVMGetDiagInfoDescription(info);
    cg_error(e, "%s", text);
    LLVMDisposeMessage(text);
}

void cg_watch(cg *c)
{
    LLVMContextSetDiagnosticHandler(c->cx, on_diagnostic, &c->errors);
}

static void on_fatal(const char *reason)
{
    guard *g = innermost;
    if (!g)
        bug("LLVM gave up outside a protected call: %s", reason);
    cg_error(g->e, "%s", reason);
    longjmp(g->env, 1);
}

static void install(void)
{
    LLVMInstallFatalErrorHandler(on_fatal);
}

typedef struct call {
    bool (*fn)(void *ctx);
    void *ctx;
    bool ok;
} call;

static void run_call(void *ctx)
{
    call *k = ctx;
    k->ok = k->fn(k->ctx);
}

bool cg_protect(cg_errors *e, bool (*fn)(void *ctx), void *ctx)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    guard g = {.e = e, .outer = innermost};
    call k = {fn, ctx, false};
    jmp_buf *oom = e->a->oom;
    innermost = &g;
    if (setjmp(g.env) == 0)
        e->ended = !arena_try(e->a, run_call, &k);
    else
        k.ok = false;
    e->a->oom = oom;
    innermost = g.outer;
    return k.ok && e->n == 0 && !e->ended;
}

void cg_pass_on(cg *c)
{
    if (!c->errors.ended)
        return;
    cg_close(c);
    arena_raise(c->errors.a);
}
