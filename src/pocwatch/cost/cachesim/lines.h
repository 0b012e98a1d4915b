/* Sets of lines, for what is known of a line while no cache holds it. Open addressing, linear probing. */
#ifndef POCWATCH_CACHESIM_LINES_H
#define POCWATCH_CACHESIM_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct lines {
    uint64_t *slots; /* line + 1; 0: empty */
    size_t n, size;  /* size: a power of two */
};

static inline size_t lines_home(const struct lines *s, uint64_t key)
{
    return (key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (s->size - 1);
}

static inline size_t lines_slot(const struct lines *s, uint64_t key)
{
    size_t i = lines_home(s, key);
    while (s->slots[i] && s->slots[i] != key) {
        i = (i + 1) & (s->size - 1);
    }
    return i;
}

static inline bool lines_has(const struct lines *s, uint64_t line)
{
    return s->n && s->slots[lines_slot(s, line + 1)];
}

static inline void lines_add(struct lines *s, uint64_t line)
{
    if (2 * s->n >= s->size) {
        struct lines bigger = {.size = s->size ? 2 * s->size : 256};
        bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
        if (!bigger.slots) {
            abort();
        }
        for (size_t i = 0; i < s->size; i++) {
            if (s->slots[i]) {
                bigger.slots[lines_slot(&bigger, s->slots[i])] = s->slots[i];
            }
        }
        bigger.n = s->n;
        free(s->slots);
        *s = bigger;
    }
    uint64_t *slot = &s->slots[lines_slot(s, line + 1)];
    s->n += !*slot;
    *slot = line + 1;
}

/* Whether it was there. What follows in the run moves up: no tombstones. */
static inline bool lines_remove(struct lines *s, uint64_t line)
{
    if (!s->n) {
        return false;
    }
    size_t mask = s->size - 1, hole = lines_slot(s, line + 1);
    if (!s->slots[hole]) {
        return false;
    }
    for (size_t i = (hole + 1) & mask; s->slots[i]; i = (i + 1) & mask) {
        if (((i - lines_home(s, s->slots[i])) & mask) >= ((i - hole) & mask)) {
            s->slots[hole] = s->slots[i];
            hole = i;
        }
    }
    s->slots[hole] = 0;
    s->n--;
    return true;
}

#endif
