/* The doors of stdio, alike but for their arguments: bodies for input and for output. */
#ifndef CLOSETRACE_STREAM_DOOR_H
#define CLOSETRACE_STREAM_DOOR_H

#include "door.h"
#include "stream.h"

#define INPUT(type, name, file, real_call)          \
    struct stream_call stream;                      \
    if (!stream_begin(&stream, file, name, CALLER)) \
        return real_call;                           \
    type result = real_call;                        \
    stream_has_read(&stream);                       \
    return result

#define UNKNOWN_LENGTH SIZE_MAX

#define OUTPUT(name, file, length, real_call)       \
    struct stream_call stream;                      \
    if (!stream_begin(&stream, file, name, CALLER)) \
        return real_call;                           \
    stream_will_write(&stream, length);             \
    __typeof__(real_call) result = real_call;       \
    stream_has_written(&stream);                    \
    return result

/* With a variable number of arguments, the last named one `format`: through their twins that take a va_list. */

#define SCAN(name, file, real_call)                       \
    struct stream_call stream;                            \
    va_list arguments;                                    \
    va_start(arguments, format);                          \
    bool tcp = stream_begin(&stream, file, name, CALLER); \
    int result = real_call;                               \
    if (tcp)                                              \
        stream_has_read(&stream);                         \
    va_end(arguments);                                    \
    return result

#define PRINT(name, file, real_call)                      \
    struct stream_call stream;                            \
    va_list arguments;                                    \
    va_start(arguments, format);                          \
    bool tcp = stream_begin(&stream, file, name, CALLER); \
    if (tcp)                                              \
        stream_will_write(&stream, UNKNOWN_LENGTH);       \
    int result = real_call;                               \
    if (tcp)                                              \
        stream_has_written(&stream);                      \
    va_end(arguments);                                    \
    return result

#endif
