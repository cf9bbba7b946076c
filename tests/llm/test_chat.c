/* test_chat.c: `llm` as a user meets it, on a small model that says what it is told (kit_chain): a talk on a
 * pseudo-terminal with its history, messages of several lines, Ctrl-C, /reset and /quit; what is written at a time is
 * whole characters; prompts that are empty, too long or no text; disks that are full and folders that can't be written.
 *
 * The model answers by the last byte before its reply. Its template shows a message as it is in a talk's first turn,
 * and as '#' later, so the answers tell whether a talk was forgotten.
 */
#include "examples/llm/utf8.h"
#include "tests/llm/kit_model.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MANY 100000
#define SECONDS 60 /* for one answer, on a loaded machine under a sanitizer */

static const char form[] =
    "{%- set c = messages[-1].content -%}{%- if c == 'one\\ntwo' -%}m{%- elif c == 'caf\303\251' -%}v"
    "{%- elif c == 'kk' or c == 'one\\nk' -%}y{%- elif messages|length > 1 -%}#{%- else -%}{{ c }}{%- endif -%}";
/* k: "O.", later turns "Bgain", one\ntwo: "MEy", l: without end, u: two characters in five bytes, f: one cut short */
static const char *const texts[] = {"kO.", "#Bgain", "mMEy", "vVe", "l1234567891", "u\303\251\346\274\242", "f\360"};
static const char home[] = "/tmp/tile-chat-XXXXXX";
static char top[64], model[128], llm[4096]; /* set by main, before the tests are forked */

typedef struct terminal {
    int fd;
    pid_t pid;
    char text[1 << 16]; /* what came since the last that was awaited */
    size_t n;
} terminal;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void make(void)
{
    arena a;
    json_t *cases = kit_cases(), *c = kit_chain(cases, texts, COUNTOF(texts), 2 * MANY);
    arena_init(&a, 0);
    json_object_set_new(c, "chat_template", json_string(form));
    (void)snprintf(model, sizeof model, "%s", kit_make_model(&a, c, top));
    arena_fini(&a);
    json_decref(c);
    json_decref(cases);
}

/* ---- a talk ---- */
static void start(terminal *t)
{
    struct winsize size = {.ws_row = 40, .ws_col = 200};
    *t = (terminal){.fd = -1};
    t->pid = forkpty(&t->fd, NULL, NULL, &size);
    ck_assert_int_ge(t->pid, 0);
    if (t->pid == 0) {
        setenv("TERM", "xterm", 1);
        execl(llm, llm, "chat", "-m", model, "--temp=0", "--threads=1", (char *)NULL);
        _exit(127);
    }
}

static void type(const terminal *t, const char *keys)
{
    ck_assert_int_eq(write(t->fd, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static bool more(terminal *t, double until)
{
    struct pollfd p = {t->fd, POLLIN, 0};
    int left = (int)(1e3 * (until - now()));
    if (left <= 0 || poll(&p, 1, left) <= 0)
        return false;
    if (t->n > sizeof t->text / 2) { /* the rest is enough to find what is awaited */
        memmove(t->text, t->text + t->n - 1024, 1024);
        t->n = 1024;
    }
    ssize_t got = read(t->fd, t->text + t->n, sizeof t->text - 1 - t->n);
    if (got <= 0)
        return false;
    t->n += (size_t)got;
    return true;
}

/* reads until `text` has come; what is behind it stays for the next */
static void await(terminal *t, const char *text)
{
    double until = now() + SECONDS;
    for (;;) {
        const char *at = memmem(t->text, t->n, text, strlen(text));
        if (at) {
            size_t end = (size_t)(at - t->text) + strlen(text);
            memmove(t->text, t->text + end, t->n - end);
            t->n -= end;
            return;
        }
        if (!more(t, until)) {
            t->text[t->n] = 0;
            ck_abort_msg("expected '%s', found '%s'", text, t->text + (t->n > 400 ? t->n - 400 : 0));
        }
    }
}

/* keys at a prompt, what they bring, and the prompt behind it */
static void turn(terminal *t, const char *keys, const char *brings)
{
    type(t, keys);
    await(t, brings);
    await(t, "> ");
}

/* the program ends, by itself and well */
static void ended(terminal *t)
{
    int status = 0;
    double until = now() + SECONDS;
    while (more(t, until))
        ;
    if (now() >= until)
        kill(t->pid, SIGKILL);
    ck_assert_int_eq(waitpid(t->pid, &status, 0), t->pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    close(t->fd);
}

START_TEST(turns)
{
    terminal t;
    start(&t);
    await(&t, "/help says what there is.");
    await(&t, "> ");
    turn(&t, "k\n", "O.\r\n");
    turn(&t, "k\n", "Bgain\r\n");
    turn(&t, "/reset\n", "\r\n");
    turn(&t, "k\n", "O.\r\n");
    turn(&t, "/help\n", "/reset forgets the talk");
    turn(&t, "/nothing\n", "no such command");
    type(&t, "/quit\n");
    ended(&t);
}
END_TEST

START_TEST(several_lines)
{
    terminal t;
    start(&t);
    await(&t, "> ");
    type(&t, "one\\\n");
    await(&t, ". ");
    turn(&t, "two\n", "MEy\r\n");
    type(&t, "\"\"\"\n");
    await(&t, ". ");
    type(&t, "one\n");
    await(&t, ". ");
    type(&t, "two\n");
    await(&t, ". ");
    turn(&t, "\"\"\"\n", "MEy\r\n");
    turn(&t, "caf\303\251\n", "Ve\r\n");
    type(&t, "\004"); /* Ctrl-D */
    ended(&t);
}
END_TEST

START_TEST(interrupted)
{
    terminal t;
    start(&t);
    await(&t, "> ");
    turn(&t, "k\003", "\n"); /* dropped: the message is one k, to which the answer isn't that to two */
    turn(&t, "k\n", "O.\r\n");
    turn(&t, "/reset\n", "\n");
    type(&t, "one\\\n");
    await(&t, ". ");
    turn(&t, "\003", "\n");
    turn(&t, "k\n", "O.\r\n");    /* and no line before it */
    for (int i = 0; i < 2; i++) { /* a reply without end, twice */
        turn(&t, "/reset\n", "\n");
        type(&t, "l\n");
        await(&t, "123456789123456789");
        turn(&t, "\003", "[stopped]\r\n");
    }
    turn(&t, "/reset\n", "\n");
    turn(&t, "k\n", "O.\r\n");
    type(&t, "/quit\n");
    ended(&t);
}
END_TEST

START_TEST(remembered)
{
    char path[128];
    struct stat st;
    terminal t;
    (void)snprintf(path, sizeof path, "%s/tile/llm_history", top);
    (void)unlink(path);
    start(&t);
    await(&t, "> ");
    turn(&t, "k\n", "O.\r\n");
    turn(&t, "/reset\n", "\n");
    turn(&t, "\033[A\033[A\n", "O.\r\n"); /* the one before /reset */
    type(&t, "/quit\n");
    ended(&t);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 077, 0); /* nobody else's business */
    start(&t);
    await(&t, "> ");
    turn(&t, "\033[A\033[A\n", "O.\r\n"); /* the one before /quit, of the talk before */
    type(&t, "\004");
    ended(&t);
}
END_TEST

/* ---- one command ---- */
enum { MAX_ARGS = 24, RECORD = 1 << 14 };

typedef struct ran {
    int code;    /* -1: by a signal */
    arena a;     /* of */
    strbuf out;  /* stdout, and */
    strbuf err;  /* stderr */
    bool whole;  /* each write to stdout ended with a whole character */
    size_t most; /* bytes of stdout at a time */
} ran;

typedef struct how {
    rlim_t file_size; /* 0: any */
    const char *out;  /* a file as stdout */
    const char *cache;
    bool interrupt; /* Ctrl-C as soon as it is listened to */
} how;

static void be_child(const char *const *args, const how *h, int out, int err)
{
    int in = open("/dev/null", O_RDONLY);
    if (h->out)
        out = open(h->out, O_WRONLY);
    if (h->cache)
        setenv("TILE_CACHE_DIR", h->cache, 1);
    if (h->file_size) {
        signal(SIGXFSZ, SIG_IGN); /* as a full disk is: an error, no signal */
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){h->file_size, h->file_size});
    }
    if (in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    execv(llm, (char *const *)(uintptr_t)args);
    _exit(127);
}

static bool listens(pid_t pid)
{
    char path[64], line[256];
    unsigned long long caught = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        (void)sscanf(line, "SigCgt: %llx", &caught);
    if (f)
        fclose(f);
    return caught >> (SIGINT - 1) & 1;
}

static void interrupt(pid_t pid)
{
    double until = now() + SECONDS;
    while (!listens(pid) && now() < until)
        usleep(10000);
    usleep(200000); /* the text is tokens by then, and the prompt being evaluated */
    kill(pid, SIGINT);
}

/* runs llm with what is in `line`, NULL-terminated. Each write to stdout comes as a packet. */
static void run(ran *r, const how *h, const char *const *line)
{
    const char *args[MAX_ARGS] = {llm};
    int out[2], err[2], status, open_ends = 2;
    char *record = malloc(RECORD);
    *r = (ran){.whole = true};
    arena_init(&r->a, 0);
    sb_init(&r->out, &r->a);
    sb_init(&r->err, &r->a);
    for (int i = 0; line[i]; i++)
        args[i + 1] = line[i];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, out), 0);
    ck_assert_int_eq(pipe(err), 0);
    pid_t pid = fork();
    if (pid == 0)
        be_child(args, h, out[1], err[1]);
    close(out[1]);
    close(err[1]);
    if (h->interrupt)
        interrupt(pid);
    struct pollfd p[2] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
    while (open_ends && poll(p, 2, 1000 * SECONDS) > 0)
        for (int i = 0; i < 2; i++) {
            ssize_t n = p[i].revents ? read(p[i].fd, record, RECORD) : -1;
            if (n > 0)
                sb_put(i ? &r->err : &r->out, (str){record, (size_t)n});
            if (n > 0 && !i) {
                r->whole = r->whole && !utf8_cut_tail((str){record, (size_t)n});
                r->most = (size_t)n > r->most ? (size_t)n : r->most;
            }
            if (p[i].revents && n <= 0) {
                p[i].fd = -1;
                open_ends--;
            }
        }
    if (open_ends)
        kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    r->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    close(out[0]);
    close(err[0]);
    free(record);
}

/* exit code, all of stdout (NULL: any) and a part of stderr */
static void expect(const how *h, int code, const char *out, const char *err, const char *const *line)
{
    ran r;
    run(&r, h, line);
    str said = sb_str(&r.err), wrote = sb_str(&r.out);
    ck_assert_msg(r.code == code && memmem(said.p, said.n, err, strlen(err)), "%s: expected %d '%s', found %d '%.*s'",
                  line[0], code, err, r.code, (int)said.n, said.p);
    ck_assert_msg(!out || str_eq(wrote, str_of(out)), "%s: expected '%s', found '%.*s'", line[0], out,
                  (int)(wrote.n < 400 ? wrote.n : 400), wrote.p);
    arena_fini(&r.a);
}
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define EXPECT(h, code, out, err, ...) expect(&(const how)h, code, out, err, ARGS(__VA_ARGS__))
#define PLAIN                                                                                                          \
    {                                                                                                                  \
        .file_size = 0                                                                                                 \
    }

START_TEST(characters)
{
    ran r;
    run(&r, &(how){.file_size = 0}, ARGS("generate", "-m", model, "-p", "u"));
    ck_assert_int_eq(r.code, 0);
    ck_assert(str_eq(sb_str(&r.out), S("\303\251\346\274\242")));
    ck_assert_msg(r.whole, "a part of a character was written");
    ck_assert_uint_eq(r.most, 3); /* and each when it was whole */
    arena_fini(&r.a);
    EXPECT(PLAIN, 0, "\360", "generated 1 tokens", "generate", "-m", model, "-p", "f"); /* never whole: at the end */
    EXPECT(PLAIN, 0, "\303\251\346\274", "generated 4 tokens", "generate", "-m", model, "-p", "u", "-n", "4");
    EXPECT(PLAIN, 0, "\303\251", "generated", "generate", "-m", model, "-p", "u", "--stop", "\346\274\242");
    EXPECT(PLAIN, 0, "1234", "generated", "generate", "-m", model, "-p", "l", "--stop", "567");
}
END_TEST

static const char *many(char *path, size_t size)
{
    char *text = malloc(MANY);
    memset(text, 'k', MANY);
    kit_write(top, "many.txt", text, MANY);
    free(text);
    (void)snprintf(path, size, "%s/many.txt", top);
    return path;
}

START_TEST(long_prompts)
{
    char room[128], out[128];
    const char *path = many(room, sizeof room);
    (void)snprintf(out, sizeof out, "%s/many.npy", top);
    EXPECT(PLAIN, 1, "", "the prompt has 100000 tokens, the context 64", "generate", "-m", model, "-f", path, "--ctx",
           "64");
    EXPECT(PLAIN, 0, "[the talk has 100000 tokens, the context 64: /reset begins anew]\n", "", "chat", "-m", model,
           "-f", path, "--ctx", "64");
    EXPECT(PLAIN, 0, NULL, "", "tokenize", "-m", model, "-f", path);
    EXPECT(PLAIN, 2, "", "'-p' takes a number of tokens", "bench", "-m", model, "-p", "99999999999999");
    EXPECT(PLAIN, 1, "", "expected", "logits", "-m", model, "--tokens", path, "--out", out);
    ck_assert_int_eq(access(out, F_OK), -1);
}
END_TEST

START_TEST(halted_prompt)
{
    char room[128];
    how h = {.interrupt = true};
    ran r;
    run(&r, &h, ARGS("chat", "-m", model, "-f", many(room, sizeof room), "--temp=0", "--threads=1"));
    ck_assert_int_eq(r.code, 0);
    ck_assert_msg(memmem(r.out.at, r.out.n, "[stopped]", 9), "%.*s", (int)r.out.n, r.out.at);
    arena_fini(&r.a);
}
END_TEST

START_TEST(odd_prompts)
{
    char path[128];
    kit_write(top, "empty.txt", "", 0);
    (void)snprintf(path, sizeof path, "%s/empty.txt", top);
    EXPECT(PLAIN, 1, "", "the prompt is empty", "generate", "-m", model, "-f", path);
    EXPECT(PLAIN, 1, NULL, "", "perplexity", "-m", model, "-f", path);
    EXPECT(PLAIN, 0, "\n", "", "tokenize", "-m", model, "-f", path);
    EXPECT(PLAIN, 0, "O.", "", "generate", "-m", model, "-p", "\377\376\300\200\303k"); /* not UTF-8 */
    kit_write(top, "bad.txt", "\377\376\300\200\303k", 6);
    (void)snprintf(path, sizeof path, "%s/bad.txt", top);
    EXPECT(PLAIN, 0, "256 255 193 129 196 108\n", "", "tokenize", "-m", model, "-f", path);
    EXPECT(PLAIN, 0, "O.\n", "", "chat", "-m", model, "--temp=0", "-f", path);
}
END_TEST

START_TEST(full_disks)
{
    char npy[128], svg[128], cache[128], ids[128];
    (void)snprintf(npy, sizeof npy, "%s/full.npy", top);
    (void)snprintf(svg, sizeof svg, "%s/full.svg", top);
    (void)snprintf(cache, sizeof cache, "%s/newcache", top);
    (void)snprintf(ids, sizeof ids, "%s/ids.txt", top);
    kit_write(top, "ids.txt", "1 2 3 4 5 6 7 8 9 10", 20);
    how full = {.file_size = 4096, .cache = cache}, nowhere = {.cache = "/dev/null/cache"}, out = {.out = "/dev/full"};
    expect(&full, 0, "O.", "", ARGS("generate", "-m", model, "-p", "k")); /* compiled, and not kept */
    expect(&nowhere, 0, "O.", "", ARGS("generate", "-m", model, "-p", "k"));
    expect(&full, 1, "", "full.npy", ARGS("logits", "-m", model, "--tokens", ids, "--out", npy));
    ck_assert_int_eq(access(npy, F_OK), -1);
    full.file_size = 512;
    expect(&full, 1, NULL, "full.svg", ARGS("bench", "-m", model, "-p", "4", "-n", "2", "-r", "1", "--plot", svg));
    ck_assert_int_eq(access(svg, F_OK), -1);
    expect(&out, 1, NULL, "cannot write", ARGS("generate", "-m", model, "-p", "k"));
    expect(&out, 1, NULL, "cannot write", ARGS("chat", "-m", model, "-p", "k"));
    expect(&out, 1, NULL, "cannot write", ARGS("tokenize", "-m", model, "-f", ids));
    expect(&out, 1, NULL, "cannot write", ARGS("perplexity", "-m", model, "-f", ids));
    expect(&out, 1, NULL, "cannot write", ARGS("bench", "-m", model, "-p", "4", "-n", "2", "-r", "1"));
}
END_TEST

static void find_llm(void)
{
    ssize_t n = readlink("/proc/self/exe", llm, sizeof llm - 16); /* BUILD/llm-tests/test_chat */
    llm[n > 0 ? n : 0] = 0;
    for (int i = 0; i < 2; i++)
        if (strrchr(llm, '/'))
            *strrchr(llm, '/') = 0;
    (void)strcat(llm, "/llm");
}

static void remove_all(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", top);
    if (system(command) != 0)
        fprintf(stderr, "%s: not removed\n", top);
}

int main(void)
{
    Suite *s = suite_create("chat");
    TCase *t = tcase_create("commands");
    char cache[128];
    (void)snprintf(top, sizeof top, "%s", home);
    find_llm();
    if (!mkdtemp(top))
        return 1;
    (void)snprintf(cache, sizeof cache, "%s/cache", top);
    setenv("TILE_CACHE_DIR", cache, 1);
    setenv("XDG_STATE_HOME", top, 1);
    setenv("HOME", top, 1);
    tcase_add_unchecked_fixture(t, make, NULL); /* once, before all */
    tcase_set_timeout(t, 10 * SECONDS);
    tcase_add_test(t, characters);
    tcase_add_test(t, turns);
    tcase_add_test(t, several_lines);
    tcase_add_test(t, interrupted);
    tcase_add_test(t, remembered);
    tcase_add_test(t, odd_prompts);
    tcase_add_test(t, long_prompts);
    tcase_add_test(t, halted_prompt);
    tcase_add_test(t, full_disks);
    suite_add_tcase(s, t);
    int code = kit_run(s, 0);
    remove_all();
    return code;
}
