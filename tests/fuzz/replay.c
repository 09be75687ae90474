/*
 * Runs a fuzz target over the files named: what libFuzzer does with them, for a compiler that has none.
 *   gcc -Ipreload -o replay tests/fuzz/fuzz_settings.c tests/fuzz/replay.c preload/pure/[a-z]*.c
 */
#include <stdio.h>

#include "fuzz.h"

int main(int argc, char **argv) {
    static uint8_t data[1 << 16];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) {
            perror(argv[i]);
            return 1;
        }
        const size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}
