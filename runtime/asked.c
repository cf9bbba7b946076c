/* asked.c: TILE_ASKED=FILE: what code a program asks for, a line each, as arguments of `tilec build`, which can then
 * make it ahead of time:
 *
 *   kernels/rmsnorm.tile --kernel=rmsnorm -D T=f32 -D W=f32 -D N=576 --in-place=x:y
 *
 * One for each variant that is made or taken from the disk cache, so lines may come twice. Several processes may write
 * to one file. A file that can't be written is no reason for a launch to fail.
 */
#include "runtime/runtime.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const char *file(void)
{
    const char *path = getenv("TILE_ASKED");
    return path && *path ? path : NULL;
}

str rt_asked_text(rt_call *c, const choice_list *list)
{
    const tile_kernel *k = c->k;
    strbuf b;
    if (!file())
        return (str){0};
    sb_init(&b, &k->m->a);
    sb_putf(&b, "%.*s --kernel=%.*s", STR_ARG(k->m->path), STR_ARG(k->name));
    for (uint32_t i = 0; i < k->m->ndirs; i++)
        sb_putf(&b, " -I %.*s", STR_ARG(k->m->dirs[i]));
    for (uint32_t i = 0; i < list->bind.n; i++) {
        const fe_binding *x = &list->bind.at[i];
        if (x->value.kind == FE_V_ABSENT)
            continue;
        sb_putf(&b, " -D %.*s=", STR_ARG(x->name));
        choice_put_value(&b, &x->value);
    }
    for (uint32_t i = 0; i < c->nargs; i++)
        if (k->params[i].optional && c->args[i].kind != TILE_ARG_NONE)
            sb_putf(&b, " -D %.*s=given", STR_ARG(k->params[i].name));
    return sb_str(&b);
}

void rt_asked(arena *a, const rt_instance *in, const rt_variant *v)
{
    strbuf b;
    const char *path = file();
    const char *before = " --in-place=";
    if (!path || !in->asked.n)
        return;
    sb_init(&b, a);
    sb_put(&b, in->asked);
    for (uint32_t i = 0; i < in->k->params.n; i++) {
        int other = v->facts[i].same_as;
        if (other < 0 || !(in->written[i] || in->written[other]))
            continue;
        sb_putf(&b, "%s%.*s:%.*s", before, STR_ARG(in->k->params.at[other].name), STR_ARG(in->k->params.at[i].name));
        before = ",";
    }
    sb_putc(&b, '\n');
    str line = sb_str(&b);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    (void)!write(fd, line.p, line.n);
    close(fd);
}
