/* How large the parts of a session's memory are. For tests: small ones, of which little is to be gone through. */
#ifndef CLOSETRACE_SESSION_SIZE_H
#define CLOSETRACE_SESSION_SIZE_H

#ifdef CLOSETRACE_SMALL_SESSION
#define SESSION_SIZE(usual, small) (small)
#else
#define SESSION_SIZE(usual, small) (usual)
#endif

#endif
