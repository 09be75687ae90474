/* The hooks of stdio, alike but for their arguments: bodies for input and for output. */
#ifndef CLOSETRACE_STDIO_HOOK_H
#define CLOSETRACE_STDIO_HOOK_H

#include "hook.h"
#include "calls/stdio_transfer.h"

/* What a function of that type returns when it fails: EOF or WEOF, 0 items, NULL. */
#define IS(type, other) __builtin_types_compatible_p(type, other)
#define FAILED(type)    ((type)(IS(type, int) || IS(type, wint_t) || IS(type, ssize_t) ? (intptr_t)-1 : 0))

#define INPUT(type, name, file, real_call)             \
    struct stream_call stream;                         \
    if (!stream_entering(&stream, file, name, CALLER)) \
        return real_call;                              \
    if (stream_entering_read(&stream))                 \
        return FAILED(type);                           \
    type result = real_call;                           \
    stream_exiting_read(&stream);                      \
    return result

#define OUTPUT(name, file, length, real_call)          \
    struct stream_call stream;                         \
    if (!stream_entering(&stream, file, name, CALLER)) \
        return real_call;                              \
    if (stream_entering_write(&stream, length))        \
        return FAILED(__typeof__(real_call));          \
    __typeof__(real_call) result = real_call;          \
    stream_exiting_write(&stream);                     \
    return result

/* With a variable number of arguments, the last named one `format`: through their twins that take a va_list. */

#define SCAN(name, file, real_call)                          \
    struct stream_call stream;                               \
    va_list arguments;                                       \
    va_start(arguments, format);                             \
    bool tcp = stream_entering(&stream, file, name, CALLER); \
    bool off = tcp && stream_entering_read(&stream);         \
    int result = off ? EOF : (real_call);                    \
    if (tcp && !off)                                         \
        stream_exiting_read(&stream);                        \
    va_end(arguments);                                       \
    return result

#define PRINT(name, file, real_call)                                  \
    struct stream_call stream;                                        \
    va_list arguments;                                                \
    va_start(arguments, format);                                      \
    bool tcp = stream_entering(&stream, file, name, CALLER);          \
    bool off = tcp && stream_entering_write(&stream, STREAM_UNKNOWN); \
    int result = off ? -1 : (real_call);                              \
    if (tcp && !off)                                                  \
        stream_exiting_write(&stream);                                \
    va_end(arguments);                                                \
    return result

#endif
