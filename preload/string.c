/*
 * The library's own copies of these, for all of its files: those of libc are found by name, and another preloaded
 * library may have put its own there (a memory checker has), which would see our calls. Hidden; the compiler's own
 * calls come here too.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OURS __attribute__((visibility("hidden"), used))

/* Makes nothing of a loop but that loop: a compiler that knows what it does would call the function that it is in. */
#define AS_IT_STANDS(pointer) __asm__("" : "+r"(pointer))

typedef uint64_t words __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t word __attribute__((aligned(1), may_alias));
typedef uint32_t half __attribute__((aligned(1), may_alias));
typedef uint16_t quarter __attribute__((aligned(1), may_alias));

enum { WORDS = sizeof(words), WORD = sizeof(word) };

/*
 * The last words, or the last word or part of one, may be copied twice: it is read before the first is written, so that
 * what lies before in memory may be written over (memmove).
 */
#define COPY_BOTH_ENDS(type)                                          \
    do {                                                              \
        const type first = *(const type *)in;                         \
        const type last = *(const type *)(in + count - sizeof(type)); \
        *(type *)out = first;                                         \
        *(type *)(out + count - sizeof(type)) = last;                 \
    } while (0)

OURS void *memcpy(void *to, const void *from, size_t count) {
    char *out = to;
    const char *in = from;
    if (count >= WORDS) {
        char *const end = out + count - WORDS;
        const words last = *(const words *)(in + count - WORDS);
        for (; out < end; in += WORDS, out += WORDS) {
            AS_IT_STANDS(in);
            *(words *)out = *(const words *)in;
        }
        *(words *)end = last;
    } else if (count >= sizeof(word))
        COPY_BOTH_ENDS(word);
    else if (count >= sizeof(half))
        COPY_BOTH_ENDS(half);
    else if (count >= sizeof(quarter))
        COPY_BOTH_ENDS(quarter);
    else if (count > 0)
        *out = *in;
    return to;
}

OURS void *memmove(void *to, const void *from, size_t count) {
    char *out = to;
    const char *in = from;
    if ((uintptr_t)to - (uintptr_t)from >= count)
        return memcpy(to, from, count);
    while (count-- > 0) {
        AS_IT_STANDS(in);
        out[count] = in[count];
    }
    return to;
}

OURS void *memset(void *to, int byte, size_t count) {
    char *out = to, *end = out + count;
    const word filled = (unsigned char)byte * 0x0101010101010101ULL;
    if (count >= WORDS) {
        const words all = {filled, filled};
        for (; out < end - WORDS; out += WORDS) {
            AS_IT_STANDS(out);
            *(words *)out = all;
        }
        *(words *)(end - WORDS) = all;
    } else if (count >= WORD) {
        *(word *)out = filled;
        *(word *)(end - WORD) = filled;
    } else
        for (; out < end; out++) {
            AS_IT_STANDS(out);
            *out = (char)byte;
        }
    return to;
}

OURS int memcmp(const void *a, const void *b, size_t count) {
    const unsigned char *one = a, *other = b;
    for (; count > 0 && *one == *other; count--, one++, other++)
        AS_IT_STANDS(one);
    return count > 0 ? *one - *other : 0;
}

/* clang's name for it, where only equality is asked for. */
OURS int bcmp(const void *a, const void *b, size_t count) {
    return memcmp(a, b, count);
}

OURS void *memchr(const void *in, int byte, size_t count) {
    const unsigned char *at = in;
    for (; count > 0; count--, at++)
        if (*at == (unsigned char)byte)
            return (void *)(uintptr_t)at;
    return NULL;
}

OURS size_t strlen(const char *text) {
    const char *end = text;
    for (; *end; end++)
        AS_IT_STANDS(end);
    return (size_t)(end - text);
}

OURS size_t strnlen(const char *text, size_t most) {
    const char *end = memchr(text, 0, most);
    return end ? (size_t)(end - text) : most;
}

OURS int strncmp(const char *a, const char *b, size_t count) {
    const unsigned char *one = (const unsigned char *)a, *other = (const unsigned char *)b;
    for (; count > 0 && *one && *one == *other; count--, one++, other++)
        AS_IT_STANDS(one);
    return count > 0 ? *one - *other : 0;
}

OURS int strcmp(const char *a, const char *b) {
    return strncmp(a, b, PTRDIFF_MAX);
}

OURS char *strchr(const char *text, int byte) {
    for (; *text != (char)byte; text++)
        if (!*text)
            return NULL;
    return (char *)(uintptr_t)text;
}

OURS char *strrchr(const char *text, int byte) {
    const char *found = NULL;
    for (; (text = strchr(text, byte)); text++) {
        found = text;
        if (!*text)
            break;
    }
    return (char *)(uintptr_t)found;
}

OURS char *strstr(const char *text, const char *part) {
    const size_t length = strlen(part);
    for (; strncmp(text, part, length) != 0; text++)
        if (!*text)
            return NULL;
    return (char *)(uintptr_t)text;
}

OURS size_t strcspn(const char *text, const char *stops) {
    const char *end = text;
    while (*end && !strchr(stops, *end))
        end++;
    return (size_t)(end - text);
}

OURS char *strncpy(char *restrict to, const char *restrict from, size_t count) {
    const size_t length = strnlen(from, count);
    memcpy(to, from, length);
    memset(to + length, 0, count - length);
    return to;
}
