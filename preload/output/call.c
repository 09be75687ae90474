#include "call.h"

#include <stddef.h>

void (*call_in_unseen_child)(void) = NULL;
