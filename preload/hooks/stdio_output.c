/* stdio's output functions on a socket. */
#define _GNU_SOURCE
#define __NO_INLINE__ 1 /* the functions themselves, not the headers' inline versions */
#include <string.h>

#include "hook.h"
#include "stdio_hook.h"

HOOKED size_t fwrite(const void *buffer, size_t size, size_t count, FILE *file) {
    OUTPUT("fwrite", file, size * count, REAL(fwrite)(buffer, size, count, file));
}
TWIN_HOOK(_IO_fwrite, fwrite);

HOOKED size_t fwrite_unlocked(const void *buffer, size_t size, size_t count, FILE *file) {
    OUTPUT("fwrite_unlocked", file, size * count, REAL(fwrite_unlocked)(buffer, size, count, file));
}

HOOKED int fputs(const char *text, FILE *file) {
    OUTPUT("fputs", file, strlen(text), REAL(fputs)(text, file));
}
TWIN_HOOK(_IO_fputs, fputs);

HOOKED int fputs_unlocked(const char *text, FILE *file) {
    OUTPUT("fputs_unlocked", file, strlen(text), REAL(fputs_unlocked)(text, file));
}

HOOKED int fputc(int c, FILE *file) {
    OUTPUT("fputc", file, 1, REAL(fputc)(c, file));
}

HOOKED int fputc_unlocked(int c, FILE *file) {
    OUTPUT("fputc_unlocked", file, 1, REAL(fputc_unlocked)(c, file));
}

HOOKED int putc(int c, FILE *file) {
    OUTPUT("putc", file, 1, REAL(putc)(c, file));
}
TWIN_HOOK(_IO_putc, putc);

HOOKED int putc_unlocked(int c, FILE *file) {
    OUTPUT("putc_unlocked", file, 1, REAL(putc_unlocked)(c, file));
}

HOOKED int putchar(int c) {
    OUTPUT("putchar", stdout, 1, REAL(putchar)(c));
}

HOOKED int putchar_unlocked(int c) {
    OUTPUT("putchar_unlocked", stdout, 1, REAL(putchar_unlocked)(c));
}

HOOKED int puts(const char *text) {
    OUTPUT("puts", stdout, strlen(text) + 1, REAL(puts)(text));
}
TWIN_HOOK(_IO_puts, puts);

HOOKED int putw(int word, FILE *file) {
    OUTPUT("putw", file, sizeof word, REAL(putw)(word, file));
}

/* What putc() becomes where the compiler has put it in line. */
HOOKED int __overflow(FILE *file, int c) {
    OUTPUT("putc", file, STREAM_OVERFLOW, REAL(__overflow)(file, c));
}

HOOKED int fflush(FILE *file) {
    OUTPUT("fflush", file, STREAM_FLUSH, REAL(fflush)(file));
}
TWIN_HOOK(_IO_fflush, fflush);

HOOKED int fflush_unlocked(FILE *file) {
    OUTPUT("fflush_unlocked", file, STREAM_FLUSH, REAL(fflush_unlocked)(file));
}

HOOKED int vfprintf(FILE *file, const char *format, va_list arguments) {
    OUTPUT("vfprintf", file, STREAM_UNKNOWN, REAL(vfprintf)(file, format, arguments));
}
TWIN_HOOK(_IO_vfprintf, vfprintf);

HOOKED int __vfprintf_chk(FILE *file, int flag, const char *format, va_list arguments) {
    OUTPUT("vfprintf", file, STREAM_UNKNOWN, REAL(__vfprintf_chk)(file, flag, format, arguments));
}

HOOKED int vprintf(const char *format, va_list arguments) {
    OUTPUT("vprintf", stdout, STREAM_UNKNOWN, REAL(vprintf)(format, arguments));
}

HOOKED int __vprintf_chk(int flag, const char *format, va_list arguments) {
    OUTPUT("vprintf", stdout, STREAM_UNKNOWN, REAL(__vprintf_chk)(flag, format, arguments));
}

HOOKED void perror(const char *text) {
    struct stream_call stream;
    bool tcp = stream_entering(&stream, stderr, "perror", CALLER);
    if (tcp && stream_entering_write(&stream, STREAM_UNKNOWN))
        return;
    REAL(perror)(text);
    if (tcp)
        stream_exiting_write(&stream);
}

HOOKED int fprintf(FILE *file, const char *format, ...) {
    PRINT("fprintf", file, REAL(vfprintf)(file, format, arguments));
}
TWIN_HOOK(_IO_fprintf, fprintf);

HOOKED int __fprintf_chk(FILE *file, int flag, const char *format, ...) {
    PRINT("fprintf", file, REAL(__vfprintf_chk)(file, flag, format, arguments));
}

HOOKED int printf(const char *format, ...) {
    PRINT("printf", stdout, REAL(vfprintf)(stdout, format, arguments));
}
TWIN_HOOK(_IO_printf, printf);

HOOKED int __printf_chk(int flag, const char *format, ...) {
    PRINT("printf", stdout, REAL(__vfprintf_chk)(stdout, flag, format, arguments));
}
