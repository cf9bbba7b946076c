/* line.c: messages by libedit where standard input is a terminal, else by lines. History is kept in
 * $XDG_STATE_HOME/tile/llm_history (~/.local/state/tile).
 *
 * A line that ends in a backslash goes on in the next; a line of three quotes begins a text that the next such line
 * ends. Ctrl-C at the prompt drops what was typed. The flag that the signal handler sets is the one variable that can't
 * be passed to it.
 */
#include "examples/llm/line.h"
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

struct line_reader {
    bool terminal;
    EditLine *el;
    History *history;
    HistEvent event;
    char *file; /* of the history; NULL: none */
    char *text; /* the message */
    size_t n, cap;
    char *plain; /* getline's */
    size_t plain_cap;
    bool more; /* the prompt of a message's further lines */
};

static volatile sig_atomic_t halted;

static void on_interrupt(int sig)
{
    (void)sig;
    halted = 1;
}

void line_listen(void)
{
    struct sigaction a = {.sa_handler = on_interrupt};
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    halted = 0;
}

const volatile sig_atomic_t *line_halted(void)
{
    return &halted;
}

/* One character, for libedit. Its own reader goes on reading after a signal, so that Ctrl-C would do nothing. Bytes
 * that begin no character are dropped. */
static int get_char(EditLine *el, wchar_t *out)
{
    mbstate_t state = {0};
    char c;
    (void)el;
    for (;;) {
        ssize_t n = halted ? -1 : read(STDIN_FILENO, &c, 1);
        if (halted)
            errno = EINTR;
        if (n < 0 && errno == EINTR && !halted)
            continue;
        if (n <= 0)
            return (int)n;
        size_t got = mbrtowc(out, &c, 1, &state);
        if (got <= 1)
            return 1;
        if (got == (size_t)-1)
            state = (mbstate_t){0};
    }
}

/* libedit takes bytes for what the locale says they are; models want UTF-8 */
static void use_utf8(void)
{
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
}

static char *prompt(EditLine *el)
{
    static char first[] = "> ", further[] = ". ";
    void *r = NULL;
    el_get(el, EL_CLIENTDATA, &r);
    return r && ((line_reader *)r)->more ? further : first;
}

/* the history's file, with its folders made */
static char *history_file(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char path[4096];
    int n = state && *state ? snprintf(path, sizeof path, "%s/tile/llm_history", state)
            : home && *home ? snprintf(path, sizeof path, "%s/.local/state/tile/llm_history", home)
                            : 0;
    if (n <= 0 || (size_t)n >= sizeof path)
        return NULL;
    for (char *p = path + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0700);
        *p = '/';
    }
    return strdup(path);
}

static bool open_editor(line_reader *r)
{
    use_utf8();
    r->el = el_init("llm", stdin, stdout, stderr);
    r->history = history_init();
    if (!r->el || !r->history)
        return false;
    history(r->history, &r->event, H_SETSIZE, 1000);
    history(r->history, &r->event, H_SETUNIQUE, 1);
    el_set(r->el, EL_PROMPT, prompt);
    el_set(r->el, EL_CLIENTDATA, r);
    el_set(r->el, EL_GETCFN, get_char);
    el_set(r->el, EL_EDITOR, "emacs");
    el_set(r->el, EL_HIST, history, r->history);
    el_set(r->el, EL_SIGNAL, 0);
    el_source(r->el, NULL);
    r->file = history_file();
    if (r->file)
        history(r->history, &r->event, H_LOAD, r->file);
    return true;
}

line_reader *line_open(void)
{
    line_reader *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (r->terminal && !open_editor(r)) {
        line_close(r);
        return NULL;
    }
    line_listen();
    return r;
}

/* written beside, then renamed: a full disk costs what is new, not what was there */
static void save_history(line_reader *r)
{
    char path[4200];
    int n = snprintf(path, sizeof path, "%s.%ld", r->file, (long)getpid());
    int fd = n > 0 && (size_t)n < sizeof path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!f) {
        if (fd >= 0)
            close(fd);
        return;
    }
    bool ok = history(r->history, &r->event, H_SAVE_FP, f) >= 0 && fflush(f) == 0 && !ferror(f);
    ok = fclose(f) == 0 && ok && rename(path, r->file) == 0;
    if (!ok)
        (void)unlink(path);
}

void line_close(line_reader *r)
{
    if (r->history && r->file)
        save_history(r);
    if (r->history)
        history_end(r->history);
    if (r->el)
        el_end(r->el);
    free(r->file);
    free(r->text);
    free(r->plain);
    free(r);
}

bool line_terminal(const line_reader *r)
{
    return r->terminal;
}

/* one line without its end; 1: there is one, 0: the end, -1: Ctrl-C */
static int get_line(line_reader *r, str *out)
{
    const char *p;
    int n = 0;
    if (!r->terminal) {
        ssize_t got = getline(&r->plain, &r->plain_cap, stdin);
        if (got < 0)
            return halted && !feof(stdin) ? -1 : 0;
        p = r->plain;
        n = (int)got;
    } else {
        halted = 0;
        errno = 0;
        el_set(r->el, EL_PREP_TERM, 1); /* before the prompt: a Ctrl-D behind it is for libedit, not for the terminal */
        p = el_gets(r->el, &n);
        if (!p || n <= 0) {
            if (halted || (n < 0 && errno == EINTR)) {
                putchar('\n');
                el_reset(r->el);
                return -1;
            }
            return 0;
        }
    }
    while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r'))
        n--;
    *out = (str){p, (size_t)n};
    return 1;
}

static bool add(line_reader *r, str s)
{
    if (r->n + s.n + 2 > r->cap) {
        char *more = realloc(r->text, 2 * (r->n + s.n) + 256);
        if (!more)
            return false;
        r->text = more;
        r->cap = 2 * (r->n + s.n) + 256;
    }
    memcpy(r->text + r->n, s.p, s.n);
    r->n += s.n;
    r->text[r->n] = 0;
    return true;
}

static void remember(line_reader *r)
{
    if (r->terminal && r->n && !memchr(r->text, '\n', r->n))
        history(r->history, &r->event, H_ENTER, r->text);
}

bool line_read(line_reader *r, str *out)
{
    bool quoted = false, ok = true;
    r->n = 0;
    r->more = false;
    for (;;) {
        str s;
        int got = get_line(r, &s);
        if (got == 0 && (!r->more || !r->n))
            return false;
        if (got < 0) {
            r->n = 0;
            r->more = quoted = false;
            continue;
        }
        bool fence = got > 0 && str_eq(s, S("\"\"\"")), open = fence && !quoted && !r->more;
        bool joined = got > 0 && !quoted && s.n && s.p[s.n - 1] == '\\';
        if (got > 0 && !fence) {
            ok = ok && add(r, joined ? (str){s.p, s.n - 1} : s);
            if (joined || quoted)
                ok = ok && add(r, S("\n"));
        }
        quoted = quoted ? !fence : open;
        r->more = quoted || joined;
        if (r->more && got > 0)
            continue;
        while (fence && r->n && r->text[r->n - 1] == '\n')
            r->n--;
        if (r->text)
            r->text[r->n] = 0;
        remember(r);
        *out = (str){r->n ? r->text : "", r->n};
        return ok;
    }
}
