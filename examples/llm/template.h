/* template.h: chat templates, the part of Jinja that model files use.
 *
 *   chat_template *t = template_new(model_chat_template(m), &err);
 *   template_input in = {.messages = turns, .count = n, .add_generation_prompt = true, .bos = S(""), .eos = S("")};
 *   template_render(t, &in, &text, &err);   text.p is malloc'ed: free(text.p)
 *
 * Faults of the text come back as "chat template:LINE:COL: ...", when it is parsed or when it is rendered.
 * docs/llm-files.md lists what is understood.
 */
#ifndef TILE_LLM_TEMPLATE_H
#define TILE_LLM_TEMPLATE_H

#include "base/str.h"
#include "runtime/tile.h"

#include <time.h>

typedef struct chat_template chat_template;

typedef struct chat_message {
    str role, content; /* "system", "user", "assistant" */
} chat_message;

typedef struct template_input {
    const chat_message *messages;
    uint32_t count;
    bool add_generation_prompt;
    str bos, eos; /* spellings: `bos_token`, `eos_token` */
    str extra;    /* a JSON object of further variables (and over those above), or empty */
    time_t now;   /* for strftime_now(); 0: that function is not defined */
} template_input;

/* template.c */
chat_template *template_new(str text, tile_error *err);
void template_free(chat_template *t);
/* the text is malloc'ed, and followed by a NUL that is not counted */
bool template_render(const chat_template *t, const template_input *in, str *out, tile_error *err);

#endif
