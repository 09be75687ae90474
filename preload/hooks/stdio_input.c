/* stdio's input functions on a socket. */
#define _GNU_SOURCE
#define __NO_INLINE__ 1 /* the functions themselves, not the headers' inline versions */
#include "hook.h"
#include "stdio_hook.h"

HOOKED size_t fread(void *buffer, size_t size, size_t count, FILE *file) {
    INPUT(size_t, "fread", file, REAL(fread)(buffer, size, count, file));
}
TWIN_HOOK(_IO_fread, fread);

HOOKED size_t fread_unlocked(void *buffer, size_t size, size_t count, FILE *file) {
    INPUT(size_t, "fread_unlocked", file, REAL(fread_unlocked)(buffer, size, count, file));
}

HOOKED size_t __fread_chk(void *buffer, size_t buffer_size, size_t size, size_t count, FILE *file) {
    INPUT(size_t, "fread", file, REAL(__fread_chk)(buffer, buffer_size, size, count, file));
}

HOOKED size_t __fread_unlocked_chk(void *buffer, size_t buffer_size, size_t size, size_t count, FILE *file) {
    INPUT(size_t, "fread_unlocked", file, REAL(__fread_unlocked_chk)(buffer, buffer_size, size, count, file));
}

HOOKED char *fgets(char *buffer, int size, FILE *file) {
    INPUT(char *, "fgets", file, REAL(fgets)(buffer, size, file));
}
TWIN_HOOK(_IO_fgets, fgets);

HOOKED char *fgets_unlocked(char *buffer, int size, FILE *file) {
    INPUT(char *, "fgets_unlocked", file, REAL(fgets_unlocked)(buffer, size, file));
}

HOOKED char *__fgets_chk(char *buffer, size_t buffer_size, int size, FILE *file) {
    INPUT(char *, "fgets", file, REAL(__fgets_chk)(buffer, buffer_size, size, file));
}

HOOKED char *__fgets_unlocked_chk(char *buffer, size_t buffer_size, int size, FILE *file) {
    INPUT(char *, "fgets_unlocked", file, REAL(__fgets_unlocked_chk)(buffer, buffer_size, size, file));
}

HOOKED int fgetc(FILE *file) {
    INPUT(int, "fgetc", file, REAL(fgetc)(file));
}

HOOKED int fgetc_unlocked(FILE *file) {
    INPUT(int, "fgetc_unlocked", file, REAL(fgetc_unlocked)(file));
}

HOOKED int getc(FILE *file) {
    INPUT(int, "getc", file, REAL(getc)(file));
}
TWIN_HOOK(_IO_getc, getc);

HOOKED int getc_unlocked(FILE *file) {
    INPUT(int, "getc_unlocked", file, REAL(getc_unlocked)(file));
}

HOOKED int getchar(void) {
    INPUT(int, "getchar", stdin, REAL(getchar)());
}

HOOKED int getchar_unlocked(void) {
    INPUT(int, "getchar_unlocked", stdin, REAL(getchar_unlocked)());
}

HOOKED int getw(FILE *file) {
    INPUT(int, "getw", file, REAL(getw)(file));
}

HOOKED ssize_t getline(char **text, size_t *size, FILE *file) {
    INPUT(ssize_t, "getline", file, REAL(getline)(text, size, file));
}

HOOKED ssize_t getdelim(char **text, size_t *size, int delimiter, FILE *file) {
    INPUT(ssize_t, "getdelim", file, REAL(getdelim)(text, size, delimiter, file));
}
TWIN_HOOK(__getdelim, getdelim);

/* What getc() becomes where the compiler has put it in line. */
HOOKED int __uflow(FILE *file) {
    INPUT(int, "getc", file, REAL(__uflow)(file));
}

HOOKED int __underflow(FILE *file) {
    INPUT(int, "getc", file, REAL(__underflow)(file));
}

/* The headers give the names without a prefix to C99's or C23's functions: these are the older ones (GNU's %a). */
HOOKED int old_vfscanf(FILE *file, const char *format, va_list arguments) __asm__("vfscanf");
HOOKED int old_vscanf(const char *format, va_list arguments) __asm__("vscanf");
HOOKED int old_fscanf(FILE *file, const char *format, ...) __asm__("fscanf");
HOOKED int old_scanf(const char *format, ...) __asm__("scanf");

HOOKED int old_vfscanf(FILE *file, const char *format, va_list arguments) {
    INPUT(int, "vfscanf", file, REAL(vfscanf)(file, format, arguments));
}

extern __typeof__(old_vfscanf) __vfscanf __attribute__((alias("vfscanf"), visibility("default")));
extern __typeof__(old_vfscanf) _IO_vfscanf __attribute__((alias("vfscanf"), visibility("default")));

HOOKED int old_vscanf(const char *format, va_list arguments) {
    INPUT(int, "vscanf", stdin, REAL(vscanf)(format, arguments));
}

HOOKED int old_fscanf(FILE *file, const char *format, ...) {
    SCAN("fscanf", file, REAL(vfscanf)(file, format, arguments));
}

HOOKED int old_scanf(const char *format, ...) {
    SCAN("scanf", stdin, REAL(vfscanf)(stdin, format, arguments));
}

HOOKED int __isoc99_vfscanf(FILE *file, const char *format, va_list arguments) {
    INPUT(int, "vfscanf", file, REAL(__isoc99_vfscanf)(file, format, arguments));
}

HOOKED int __isoc99_vscanf(const char *format, va_list arguments) {
    INPUT(int, "vscanf", stdin, REAL(__isoc99_vscanf)(format, arguments));
}

HOOKED int __isoc99_fscanf(FILE *file, const char *format, ...) {
    SCAN("fscanf", file, REAL(__isoc99_vfscanf)(file, format, arguments));
}

HOOKED int __isoc99_scanf(const char *format, ...) {
    SCAN("scanf", stdin, REAL(__isoc99_vfscanf)(stdin, format, arguments));
}

/* C23's know 0b101. */
HOOKED int __isoc23_vfscanf(FILE *file, const char *format, va_list arguments) {
    INPUT(int, "vfscanf", file, REAL(__isoc23_vfscanf)(file, format, arguments));
}

HOOKED int __isoc23_vscanf(const char *format, va_list arguments) {
    INPUT(int, "vscanf", stdin, REAL(__isoc23_vscanf)(format, arguments));
}

HOOKED int __isoc23_fscanf(FILE *file, const char *format, ...) {
    SCAN("fscanf", file, REAL(__isoc23_vfscanf)(file, format, arguments));
}

HOOKED int __isoc23_scanf(const char *format, ...) {
    SCAN("scanf", stdin, REAL(__isoc23_vfscanf)(stdin, format, arguments));
}
