/*
 * Instructions and translation blocks as callbacks need them: made once at translation, never freed.
 *
 * QEMU retranslates the same code over and over (its cache is flushed and bounded); interning by
 * content keeps memory proportional to the code executed.
 */
#ifndef POCWATCH_PLACES_H
#define POCWATCH_PLACES_H

#include "decode.h"
#include "judge.h"

struct place {
    struct pw_site site;
    struct pw_insn insn;
};

/* Instructions of a block that lie in one 64-byte line. A barrier or maintenance instruction ends
 * such a group early: what follows it counts as fetched after it. */
struct line {
    const struct pw_site *site;
    const struct pw_line *shadow; /* of the line; NULL outside the watched RAM */
    uint64_t va;
    uint16_t n;
    uint16_t first; /* index of the first instruction in the block */
    uint32_t index; /* of this group in the block */
};

struct block {
    uint64_t tag;    /* fetch_tag of the page and EL */
    uint64_t counts; /* instructions, and lines << 32 */
    uint64_t va, pa; /* of the first instruction; PA is PW_NO_ADDRESS outside the watched RAM */
    uint32_t el;
    uint32_t n_lines;
    uint32_t n_at_entry; /* of these, how many are fetched when the block is entered */
    struct line lines[];
};

const struct pw_site *site_by_number(uint32_t number); /* NULL for 0 */

/* For a trace that is replayed: the site that has this number there. NULL if there can be none. */
const struct pw_site *site_restore(uint32_t number, uint64_t pc, uint64_t pc_pa, uint32_t encoding,
                                   unsigned el);

PW_API struct place *place_intern(uint64_t pc, uint64_t pc_pa, uint32_t encoding, unsigned el);
/* `candidate` has `n_lines` lines; returned is a block of that content, which may be an older one. */
const struct block *block_intern(const struct block *candidate);

#endif
