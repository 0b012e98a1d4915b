/* Fast paths of judge: accesses that are known to change nothing and to be fresh. */
#ifndef POCWATCH_FAST_H
#define POCWATCH_FAST_H

#include "history.h"
#include "shadow.h"

static inline void pw_data(struct pw_cpu *cpu, const struct pw_site *site,
                           const struct pw_page *page, uint64_t va, unsigned size, unsigned op)
{
    uint64_t offset = (page->pa | (va & 4095)) - pw_ram_base;
    const struct pw_line *l = &pw_lines[offset / PW_LINE_BYTES];
    unsigned first = offset % PW_LINE_BYTES / PW_CELL_BYTES;
    unsigned last = (offset % PW_LINE_BYTES + size - 1) / PW_CELL_BYTES;
    /* A line-crossing access has last > 7: its mask has bits above the low eight. */
    unsigned cells = (2u << last) - (1u << first);
    unsigned ok = op == PW_OP_ST ? l->store_ok : l->load_ok;
    if (__builtin_expect((ok & cells) != cells && last > 7, 0)) {
        ok |= (op == PW_OP_ST ? l[1].store_ok : l[1].load_ok) << 8; /* of the same page */
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
