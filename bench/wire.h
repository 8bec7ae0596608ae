/* What the mock provider and the load generator have in common: a clock, a growing buffer, a search in bytes. */
#ifndef TACHO_BENCH_WIRE_H
#define TACHO_BENCH_WIRE_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STAMP "@t="        /* stands before the time at which the mock wrote an event */
#define STAMP_DIGITS 20
#define NANOS 1000000000ull

struct buffer {
    char *data;
    size_t begin, end, room; /* data[begin..end) is what it holds */
};

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NANOS + (uint64_t)t.tv_nsec;
}

static inline void die(const char *what)
{
    perror(what);
    exit(1);
}

static inline void *must(void *memory)
{
    if (!memory)
        die("memory");
    return memory;
}

static inline size_t held(const struct buffer *b)
{
    return b->end - b->begin;
}

/* Makes room for `more` bytes behind what is held, and says where. */
static inline char *reserve(struct buffer *b, size_t more)
{
    if (b->begin == b->end)
        b->begin = b->end = 0;
    if (b->end + more > b->room && b->begin) {
        memmove(b->data, b->data + b->begin, held(b));
        b->end -= b->begin;
        b->begin = 0;
    }
    if (b->end + more > b->room) {
        while (b->end + more > b->room)
            b->room = b->room ? b->room * 2 : 4096;
        b->data = must(realloc(b->data, b->room));
    }
    return b->data + b->end;
}

static inline void append(struct buffer *b, const char *bytes, size_t size)
{
    memcpy(reserve(b, size), bytes, size);
    b->end += size;
}

static inline char *find(const char *bytes, size_t size, const char *text)
{
    return memmem(bytes, size, text, strlen(text));
}

#endif
