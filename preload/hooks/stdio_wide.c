/* stdio's wide characters on a socket. */
#define _GNU_SOURCE
#define __NO_INLINE__ 1 /* the functions themselves, not the headers' inline versions */
#include "stdio_hook.h"

HOOKED wint_t fgetwc(FILE *file) {
    INPUT(wint_t, "fgetwc", file, REAL(fgetwc)(file));
}
TWIN_HOOK(getwc, fgetwc);

HOOKED wint_t fgetwc_unlocked(FILE *file) {
    INPUT(wint_t, "fgetwc_unlocked", file, REAL(fgetwc_unlocked)(file));
}
TWIN_HOOK(getwc_unlocked, fgetwc_unlocked);

HOOKED wint_t getwchar(void) {
    INPUT(wint_t, "getwchar", stdin, REAL(getwchar)());
}

HOOKED wint_t getwchar_unlocked(void) {
    INPUT(wint_t, "getwchar_unlocked", stdin, REAL(getwchar_unlocked)());
}

HOOKED wchar_t *fgetws(wchar_t *buffer, int size, FILE *file) {
    INPUT(wchar_t *, "fgetws", file, REAL(fgetws)(buffer, size, file));
}

HOOKED wchar_t *fgetws_unlocked(wchar_t *buffer, int size, FILE *file) {
    INPUT(wchar_t *, "fgetws_unlocked", file, REAL(fgetws_unlocked)(buffer, size, file));
}

HOOKED wchar_t *__fgetws_chk(wchar_t *buffer, size_t buffer_size, int size, FILE *file) {
    INPUT(wchar_t *, "fgetws", file, REAL(__fgetws_chk)(buffer, buffer_size, size, file));
}

HOOKED wchar_t *__fgetws_unlocked_chk(wchar_t *buffer, size_t buffer_size, int size, FILE *file) {
    INPUT(wchar_t *, "fgetws_unlocked", file, REAL(__fgetws_unlocked_chk)(buffer, buffer_size, size, file));
}

/* What getwc() becomes where the compiler has put it in line. */
HOOKED wint_t __wuflow(FILE *file) {
    INPUT(wint_t, "getwc", file, REAL(__wuflow)(file));
}

HOOKED wint_t __wunderflow(FILE *file) {
    INPUT(wint_t, "getwc", file, REAL(__wunderflow)(file));
}

/* As with stdio_input.c's: the older ones, C99's and C23's. */
HOOKED int old_vfwscanf(FILE *file, const wchar_t *format, va_list arguments) __asm__("vfwscanf");
HOOKED int old_vwscanf(const wchar_t *format, va_list arguments) __asm__("vwscanf");
HOOKED int old_fwscanf(FILE *file, const wchar_t *format, ...) __asm__("fwscanf");
HOOKED int old_wscanf(const wchar_t *format, ...) __asm__("wscanf");

HOOKED int old_vfwscanf(FILE *file, const wchar_t *format, va_list arguments) {
    INPUT(int, "vfwscanf", file, REAL(vfwscanf)(file, format, arguments));
}

HOOKED int old_vwscanf(const wchar_t *format, va_list arguments) {
    INPUT(int, "vwscanf", stdin, REAL(vwscanf)(format, arguments));
}

HOOKED int old_fwscanf(FILE *file, const wchar_t *format, ...) {
    SCAN("fwscanf", file, REAL(vfwscanf)(file, format, arguments));
}

HOOKED int old_wscanf(const wchar_t *format, ...) {
    SCAN("wscanf", stdin, REAL(vfwscanf)(stdin, format, arguments));
}

HOOKED int __isoc99_vfwscanf(FILE *file, const wchar_t *format, va_list arguments) {
    INPUT(int, "vfwscanf", file, REAL(__isoc99_vfwscanf)(file, format, arguments));
}

HOOKED int __isoc99_vwscanf(const wchar_t *format, va_list arguments) {
    INPUT(int, "vwscanf", stdin, REAL(__isoc99_vwscanf)(format, arguments));
}

HOOKED int __isoc99_fwscanf(FILE *file, const wchar_t *format, ...) {
    SCAN("fwscanf", file, REAL(__isoc99_vfwscanf)(file, format, arguments));
}

HOOKED int __isoc99_wscanf(const wchar_t *format, ...) {
    SCAN("wscanf", stdin, REAL(__isoc99_vfwscanf)(stdin, format, arguments));
}

HOOKED int __isoc23_vfwscanf(FILE *file, const wchar_t *format, va_list arguments) {
    INPUT(int, "vfwscanf", file, REAL(__isoc23_vfwscanf)(file, format, arguments));
}

HOOKED int __isoc23_vwscanf(const wchar_t *format, va_list arguments) {
    INPUT(int, "vwscanf", stdin, REAL(__isoc23_vwscanf)(format, arguments));
}

HOOKED int __isoc23_fwscanf(FILE *file, const wchar_t *format, ...) {
    SCAN("fwscanf", file, REAL(__isoc23_vfwscanf)(file, format, arguments));
}

HOOKED int __isoc23_wscanf(const wchar_t *format, ...) {
    SCAN("wscanf", stdin, REAL(__isoc23_vfwscanf)(stdin, format, arguments));
}

HOOKED wint_t fputwc(wchar_t c, FILE *file) {
    OUTPUT("fputwc", file, STREAM_UNKNOWN, REAL(fputwc)(c, file));
}

HOOKED wint_t putwc(wchar_t c, FILE *file) {
    OUTPUT("putwc", file, STREAM_UNKNOWN, REAL(putwc)(c, file));
}

HOOKED wint_t fputwc_unlocked(wchar_t c, FILE *file) {
    OUTPUT("fputwc_unlocked", file, STREAM_UNKNOWN, REAL(fputwc_unlocked)(c, file));
}

HOOKED wint_t putwc_unlocked(wchar_t c, FILE *file) {
    OUTPUT("putwc_unlocked", file, STREAM_UNKNOWN, REAL(putwc_unlocked)(c, file));
}

HOOKED wint_t putwchar(wchar_t c) {
    OUTPUT("putwchar", stdout, STREAM_UNKNOWN, REAL(putwchar)(c));
}

HOOKED wint_t putwchar_unlocked(wchar_t c) {
    OUTPUT("putwchar_unlocked", stdout, STREAM_UNKNOWN, REAL(putwchar_unlocked)(c));
}

HOOKED int fputws(const wchar_t *text, FILE *file) {
    OUTPUT("fputws", file, STREAM_UNKNOWN, REAL(fputws)(text, file));
}

HOOKED int fputws_unlocked(const wchar_t *text, FILE *file) {
    OUTPUT("fputws_unlocked", file, STREAM_UNKNOWN, REAL(fputws_unlocked)(text, file));
}

HOOKED wint_t __woverflow(FILE *file, wint_t c) {
    OUTPUT("putwc", file, STREAM_OVERFLOW, REAL(__woverflow)(file, c));
}

HOOKED int vfwprintf(FILE *file, const wchar_t *format, va_list arguments) {
    OUTPUT("vfwprintf", file, STREAM_UNKNOWN, REAL(vfwprintf)(file, format, arguments));
}

HOOKED int __vfwprintf_chk(FILE *file, int flag, const wchar_t *format, va_list arguments) {
    OUTPUT("vfwprintf", file, STREAM_UNKNOWN, REAL(__vfwprintf_chk)(file, flag, format, arguments));
}

HOOKED int vwprintf(const wchar_t *format, va_list arguments) {
    OUTPUT("vwprintf", stdout, STREAM_UNKNOWN, REAL(vwprintf)(format, arguments));
}

HOOKED int __vwprintf_chk(int flag, const wchar_t *format, va_list arguments) {
    OUTPUT("vwprintf", stdout, STREAM_UNKNOWN, REAL(__vwprintf_chk)(flag, format, arguments));
}

HOOKED int fwprintf(FILE *file, const wchar_t *format, ...) {
    PRINT("fwprintf", file, REAL(vfwprintf)(file, format, arguments));
}

HOOKED int __fwprintf_chk(FILE *file, int flag, const wchar_t *format, ...) {
    PRINT("fwprintf", file, REAL(__vfwprintf_chk)(file, flag, format, arguments));
}

HOOKED int wprintf(const wchar_t *format, ...) {
    PRINT("wprintf", stdout, REAL(vfwprintf)(stdout, format, arguments));
}

HOOKED int __wprintf_chk(int flag, const wchar_t *format, ...) {
    PRINT("wprintf", stdout, REAL(__vfwprintf_chk)(stdout, flag, format, arguments));
}
