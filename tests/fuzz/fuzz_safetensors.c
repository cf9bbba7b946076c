/* fuzz_safetensors.c: libFuzzer on the folder of a safetensors model.
 *
 * The first byte says which of its files the input is (weights, index, config, tokenizer, its companions); the others
 * are those of a small model that opens. The folder lies in memory where the system has /dev/shm.
 *
 * The small model: tests/fuzz/safetensors.base, "NAME LENGTH\n" and bytes, repeated (make_seeds.py).
 * Corpus: tests/fuzz/corpus/safetensors.
 */
#include "tests/fuzz/use_model.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define BASE "tests/fuzz/safetensors.base"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"model.safetensors",  "model.safetensors.index.json", "config.json",
                                    "tokenizer.json",     "tokenizer_config.json",        "generation_config.json",
                                    "chat_template.jinja"};
enum { FILES = sizeof names / sizeof *names };

static struct {
    char folder[64];
    char *bytes[FILES];
    size_t n[FILES];
} base;

static void put(int i, const void *bytes, size_t n)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", base.folder, names[i]);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
        abort();
    close(fd);
}

static void restore(int i)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", base.folder, names[i]);
    if (base.bytes[i])
        put(i, base.bytes[i], base.n[i]);
    else
        (void)unlink(path);
}

static void clear_folder(void)
{
    char path[128];
    for (int i = 0; i < FILES; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", base.folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(base.folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char name[64];
    size_t n;
    FILE *f = fopen(BASE, "rb");
    (void)argc, (void)argv;
    (void)snprintf(base.folder, sizeof base.folder, "%s/tile-fuzz-XXXXXX",
                   access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!f || !mkdtemp(base.folder))
        abort();
    atexit(clear_folder);
    while (fscanf(f, "%63s %zu", name, &n) == 2 && fgetc(f) == '\n') {
        for (int i = 0; i < FILES; i++) {
            if (strcmp(name, names[i]) != 0)
                continue;
            base.bytes[i] = malloc(n + 1);
            base.n[i] = n;
            if (fread(base.bytes[i], 1, n, f) != n)
                abort();
        }
    }
    fclose(f);
    for (int i = 0; i < FILES; i++)
        restore(i);
    use_model(base.folder);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int last = -1;
    if (size == 0)
        return 0;
    int which = data[0] % FILES;
    if (last >= 0 && last != which)
        restore(last);
    last = which;
    put(which, data + 1, size - 1);
    use_model(base.folder);
    return 0;
}
