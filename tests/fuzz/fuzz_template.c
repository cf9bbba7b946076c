/* fuzz_template.c: libFuzzer on chat templates: any text, parsed and rendered on two chats. Both must come back, with a
 * text or with a fault that has a place; the same template gives the same text again.
 *
 * Corpus: tests/fuzz/corpus/template; dictionary: tests/fuzz/template.dict.
 */
#include "examples/llm/template.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_fault(const tile_error *err)
{
    if (strncmp(err->text, "chat template:", 14) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const chat_message turns[] = {{S("system"), S("Be brief.")},
                                  {S("user"), S(" a\n")},
                                  {S("assistant"), S("<think>\nx</think> y")},
                                  {S("user"), S("\xe4\xbd\xa0")}};
    template_input in = {
        turns, 4, true, S("<s>"), S("</s>"), S("{\"tools\": [{\"name\": \"f\", \"n\": [1, 2.5, null]}]}"), 0};
    tile_error err = {0};
    str out = {0}, again = {0};
    chat_template *t = template_new((str){(const char *)data, size}, &err);
    if (!t) {
        expect_fault(&err);
        return 0;
    }
    bool done = template_render(t, &in, &out, &err);
    if (!done)
        expect_fault(&err);
    if (done && (!template_render(t, &in, &again, NULL) || !str_eq(out, again)))
        abort();
    free((void *)again.p);
    in.count = 1;
    in.extra = S("");
    if (template_render(t, &in, &again, &err))
        free((void *)again.p);
    free((void *)out.p);
    template_free(t);
    return 0;
}
