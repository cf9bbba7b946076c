/* aot_link.h: relocatable objects put into one. */
#ifndef TILE_RUNTIME_AOT_LINK_H
#define TILE_RUNTIME_AOT_LINK_H

#include "base/base.h"

typedef struct aot_input {
    str object;
    str entry; /* a global function of the object: becomes local, named `as`. Empty: globals stay as they are */
    str as;
} aot_input;

/* aot_link.c: undefined names of one input that another defines are resolved. False + *err (in `a`) */
MUST_USE bool aot_link(arena *a, const aot_input *in, uint32_t n, str *out, str *err);
/* whether an object asks for nothing but what allowed(name) says; else *missing is such a name */
MUST_USE bool aot_wants_only(arena *a, str object, bool (*allowed)(str name), str *missing);

#endif
