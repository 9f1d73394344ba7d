/* What mock.c and load.c share: the clock, and the token that carries its number and its send time.
 *
 * A token reads "~00042.0005f1c2a3b4d5": its number within the answer in five digits, then CLOCK_MONOTONIC in
 * microseconds in fourteen hex digits. Both programs run on one machine, so the receiver can tell loss, order
 * and one-way delay from the text alone, whatever format it came wrapped in. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { TOKEN_BYTES = 21, TOKEN_TIME_AT = 7 };

static inline uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static inline void write_token(char *to, int number) {
    static const char hex[] = "0123456789abcdef";
    uint64_t time = now_us();
    to[0] = '~';
    for (int i = 5; i > 0; i--, number /= 10)
        to[i] = (char)('0' + number % 10);
    to[6] = '.';
    for (int i = TOKEN_BYTES - 1; i >= TOKEN_TIME_AT; i--, time >>= 4)
        to[i] = hex[time & 15];
}

static inline void read_token(const char *from, int *number, uint64_t *time) {
    char text[TOKEN_BYTES + 1] = {0};
    memcpy(text, from, TOKEN_BYTES);
    *number = atoi(text + 1);
    *time = strtoull(text + TOKEN_TIME_AT, NULL, 16);
}

/* Thousands of connections need as many descriptors. */
static inline void raise_open_files(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

#endif
