/* Fast paths of judge: accesses that are known to change nothing and to be fresh. */
#ifndef POCWATCH_FAST_H
#define POCWATCH_FAST_H

#include "history.h"
#include "shadow.h"

/* Masks of cells, of two lines: from cell i on, and up to cell i. Loads are cheaper than shifts. */
static const uint16_t pw_cells_from[8] = {0xffff, 0xfffe, 0xfffc, 0xfff8,
                                          0xfff0, 0xffe0, 0xffc0, 0xff80};
static const uint16_t pw_cells_to[16] = {0x0001, 0x0003, 0x0007, 0x000f, 0x001f, 0x003f,
                                         0x007f, 0x00ff, 0x01ff, 0x03ff, 0x07ff, 0x0fff,
                                         0x1fff, 0x3fff, 0x7fff, 0xffff};

/* Cells of a line on which a write-back access changes nothing and is fresh. */
static inline unsigned pw_ok(const struct pw_line *l, unsigned op)
{
    if (op != PW_OP_ST) {
        return l->load_ok;
    }
    return (uint8_t)(l->flags & -LINE_EPOCH) == pw_epoch_bits ? l->store_ok : 0;
}

static inline void pw_data(struct pw_cpu *cpu, const struct pw_site *site,
                           const struct pw_page *page, uint64_t va, unsigned size, unsigned op)
{
    uint64_t offset = (page->pa | (va & 4095)) - pw_ram_base;
    const struct pw_line *l = &pw_lines[offset / PW_LINE_BYTES];
    unsigned first = va % PW_LINE_BYTES / PW_CELL_BYTES;
    unsigned last = (unsigned)(va % PW_LINE_BYTES + size - 1) / PW_CELL_BYTES;
    /* A line-crossing access has last > 7: its mask has bits above the low eight. */
    unsigned cells = pw_cells_from[first] & pw_cells_to[last];
    unsigned ok = pw_ok(l, op);
    if (__builtin_expect((ok & cells) != cells && last > 7, 0)) {
        ok |= pw_ok(l + 1, op) << 8; /* of the same page */
    }
    if (__builtin_expect(page->kind == PW_KIND_WB && (ok & cells) == cells, 1)) {
        if (op == PW_OP_ST) {
            /* pw_who_of, of which the vCPU and the site know their parts already */
            pw_who who = cpu->who | site->number | (uint32_t)page->mmu_on << PW_WHO_MMU;
            for (uint32_t *w = &pw_writers[offset / PW_CELL_BYTES], *end = w + (last - first);
                 w <= end; w++) {
                *w = who;
            }
        }
        return;
    }
    pw_data_slow(cpu, site, page, va, size, op);
}

/* `l` is the shadow of the line at `va` in `page`. */
static inline void pw_fetch_line(struct pw_cpu *cpu, const struct pw_site *site,
                                 const struct pw_page *page, const struct pw_line *l, uint64_t va,
                                 unsigned n)
{
    if (__builtin_expect(!(l->fetch_ok >> page->kind & 1), 0)) {
        pw_fetch_slow(cpu, site, page, va, n);
    }
}

static inline void pw_fetch(struct pw_cpu *cpu, const struct pw_site *site,
                            const struct pw_page *page, uint64_t va, unsigned n)
{
    uint64_t offset = (page->pa | (va & 4095)) - pw_ram_base;
    pw_fetch_line(cpu, site, page, &pw_lines[offset / PW_LINE_BYTES], va, n);
}

#endif
