/* Before a loop: so many rounds in a row. clang 11 does not know gcc's word for it. */
#ifndef CLOSETRACE_UNROLL_H
#define CLOSETRACE_UNROLL_H

#define UNROLL_PRAGMA(text) _Pragma(#text)
#ifdef __clang__
#define UNROLL(times) UNROLL_PRAGMA(unroll times)
#else
#define UNROLL(times) UNROLL_PRAGMA(GCC unroll times)
#endif

#endif
