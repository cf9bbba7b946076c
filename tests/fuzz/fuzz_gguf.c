/* fuzz_gguf.c: libFuzzer on GGUF files (built with clang's -fsanitize=fuzzer,address,undefined).
 *
 * The input is a file, opened as a model by its descriptor's name. What is accepted is believed: every weight is read
 * to its last byte, the tokenizer is made and encodes, the template is parsed. What is refused must say why.
 *
 * Corpus: tests/fuzz/corpus/gguf.
 */
#include "tests/fuzz/use_model.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("model", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    use_model(path);
    close(fd);
    return 0;
}
