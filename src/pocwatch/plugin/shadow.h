/*
 * The shadow of guest RAM: what the automaton knows of each 64-byte line.
 *
 * Zero is the state at start, so untouched RAM costs no memory. The `ok` bits are a cache of "this
 * access changes nothing and is fresh"; any change of the line clears them.
 */
#ifndef POCWATCH_SHADOW_H
#define POCWATCH_SHADOW_H

#include "judge.h"

#define PW_LINE_BYTES 64
#define PW_CELL_BYTES 8

enum {
    LINE_PENDING = 1, /* has a record in pending.h; `states` is not valid */
    LINE_RAN = 2,     /* was fetched fresh, and since then only single instructions were written */
    LINE_EPOCH = 4,   /* from here up: low bits of the epoch of the last `catch_up`, see state.c */
    EPOCHS = 64,
};

struct pw_line {
    uint8_t load_ok, store_ok; /* cells: write-back accesses that are self-loops, loads fresh */
    uint8_t fetch_ok;          /* bit k: fetches of PW_KIND k are fresh, whole line */
    uint8_t flags;             /* LINE_*, and the epoch */
    uint8_t istale[2];         /* cells that I-caches may hold an old value of: [0] WB, [1] NC */
    uint16_t epoch_high;       /* the epoch's bits above those in `flags` */
    uint8_t states[PW_CELLS_PER_LINE];
};

_Static_assert(sizeof(struct pw_line) == 16, "four lines' shadows in a cache line");

#endif
