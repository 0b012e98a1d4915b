/* What of a run has to be kept; see recorder.h. */
#include "recorder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "places.h"
#include "stacks.h"
#include "state.h"
#include "tracefile.h"

enum {
    RAN = 1,         /* was fetched, and since then only single instructions were written */
    WINDOW = 2,      /* an I-cache invalidation is in flight */
    INVALIDATES = 4, /* a DC IVAC is in flight */
    TOLD = 8,        /* the trace has what the line held at start */
    BEHIND = 16,     /* the epoch in pw_lines is too old to count */
    BRANCHED = 32,   /* operations were in flight; judge may still follow what each made of the line */
};
enum { HAS_CELLS = 1, USED = 2 }; /* of a page, in judge.touched */

/* What is known of a line, besides the epoch and `ok` bits in pw_lines. */
struct known {
    uint16_t cells[PW_CELLS_PER_LINE]; /* states of the filter */
    /* By fetch kind, words that were fetched since anything else happened to the line: `once`, and so
     * not stale again; `done`, when nothing can have been reported any more, and so without effect. */
    uint16_t once[4], done[4];
    uint64_t busy;      /* set of PEs that may have operations in flight here */
    uint32_t ordered;   /* the last PE that stored past the caches here, and between which barriers */
    uint8_t written;    /* cells that were ever written: I-caches may hold older instructions */
    uint8_t stale;      /* of these, cells of which I-caches surely may, but for DIC */
    uint8_t flags;
    uint8_t unused;
};

bool pw_tracing;

static struct known *lines;
static uint32_t *known_writers; /* per cell, what the trace tells */
static struct pw_filter_row *rows[2];
static uint64_t n_states;
static uint16_t untouched; /* the cells of all lines of pages that were not used yet */
static uint64_t sequence;
static pw_trace_clock *clock_of;
static struct {
    uint32_t barriers; /* counts those that may order uncached stores before maintenance */
    bool uncached;     /* there was such a store since */
} pes[PW_MAX_PES];
static uint64_t mapped;

static void *reserve(uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* ------------------------------------------------------------------ records */

static uint64_t instructions(const struct pw_cpu *cpu)
{
    uint64_t sum = 0;
    if (clock_of) {
        return clock_of(cpu);
    }
    for (unsigned pe = 0; pe < PW_MAX_PES; pe++) {
        sum += judge.header->instructions[pe];
    }
    return sum;
}

static struct pw_traced *put(const struct pw_cpu *cpu, const struct pw_site *site, unsigned op,
                             uint32_t stack)
{
    uint32_t number = site ? site->number : 0;
    pw_trace_site(number);
    pw_trace_stack(stack);
    struct pw_traced *r = pw_trace_next();
    r->seq = ++sequence;
    r->instructions = instructions(cpu);
    r->site = number;
    r->stack = stack;
    r->op = (uint8_t)op;
    r->pe = cpu->pe;
    r->el = site ? (uint8_t)site->el : 0;
    r->vm_id = cpu->vm_id;
    r->fetch_ipa = cpu->fetch_ipa;
    r->flags = cpu->vm ? PW_FLAG_VM : 0;
    r->s2_attr = 0xff;
    return r;
}

static struct pw_traced *put_access(const struct pw_cpu *cpu, const struct pw_site *site,
                                    const struct pw_page *page, uint64_t pa, uint64_t va,
                                    unsigned size, unsigned op, uint32_t stack)
{
    struct pw_traced *r = put(cpu, site, op, stack);
    r->pa = pa;
    r->va = va;
    r->ipa = page->ipa == PW_NO_ADDRESS ? page->ipa : page->ipa | (va & 4095);
    r->size = (uint16_t)size;
    r->why = page->why;
    r->kind = page->kind;
    r->flags |= page->mmu_on ? PW_FLAG_MMU_ON : 0;
    r->s1_mair = page->s1_mair;
    r->s2_attr = page->s2_attr;
    return r;
}

static void put_content(uint64_t seq, uint64_t offset, const void *content)
{
    struct pw_traced *r = pw_trace_next();
    r->op = PW_MARK_CONTENT;
    r->seq = seq;
    r->pa = pw_ram_base + offset;
    memcpy((char *)r + PW_TRACE_CONTENT_AT, content, PW_LINE_BYTES);
}

static bool is_zero(const uint64_t *cells)
{
    uint64_t any = 0;
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        any |= cells[c];
    }
    return !any;
}

/* Before anything at which judge may compare or copy the line's bytes. judge.fetched is what the trace
 * tells of them: what was there at start, and then every change. */
static void tell_content(uint64_t line)
{
    struct known *k = &lines[line];
    uint64_t at = line * PW_LINE_BYTES, before[PW_CELLS_PER_LINE], now[PW_CELLS_PER_LINE];
    take_snapshot();
    memcpy(before, judge.fetched + at, sizeof before);
    memcpy(now, judge.ram + at, sizeof now);
    bool changed = memcmp(before, now, sizeof now);
    if (!(k->flags & TOLD) && (changed || k->written)) {
        k->flags |= TOLD;
        if (!is_zero(before)) {
            put_content(0, at, before);
        }
    }
    if (changed) {
        put_content(sequence + 1, at, now);
        memcpy(judge.fetched + at, now, sizeof now);
    }
}

/* Before a read that may be reported, which names the writer. */
static void tell_writers(uint64_t line, unsigned cells)
{
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        uint64_t cell = line * PW_CELLS_PER_LINE + c;
        if (cells >> c & 1 && known_writers[cell] != pw_writers[cell]) {
            known_writers[cell] = pw_writers[cell];
            pw_trace_site(pw_writers[cell] & 0xffffff);
            struct pw_traced *r = pw_trace_next();
            r->op = PW_MARK_WRITER;
            r->seq = sequence + 1;
            r->pa = pw_ram_base + cell * PW_CELL_BYTES;
            r->writer = pw_writers[cell];
        }
    }
}

/* ------------------------------------------------------------------ lines */

static const struct pw_filter_row *row(unsigned state)
{
    return &rows[judge.fill][state];
}

static void make_cells(uint64_t line)
{
    if (judge.touched[line / 64]) {
        return;
    }
    judge.touched[line / 64] = HAS_CELLS;
    for (unsigned i = 0; untouched && i < 64; i++) {
        for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
            lines[line / 64 * 64 + i].cells[c] = untouched;
        }
    }
}

/* Returns whether the page is used for the first time, which judge has to see. */
static bool use_page(uint64_t line)
{
    make_cells(line);
    bool first = !(judge.touched[line / 64] & USED);
    judge.touched[line / 64] |= USED;
    return first;
}

/* Whether an invalidation of all I-caches was issued or completed since the line last caught up. */
static bool is_behind(uint64_t line)
{
    return lines[line].flags & BEHIND || (uint8_t)(pw_lines[line].flags & -LINE_EPOCH) != pw_epoch_bits;
}

/* Anything but a fetch happened to the line: all fetches are of interest again. */
static void forget_fetches(uint64_t line)
{
    struct known *k = &lines[line];
    memset(k->once, 0, sizeof k->once);
    memset(k->done, 0, sizeof k->done);
    forget_ok(&pw_lines[line]);
}

/* Judge catches up here in every world; see state.c. Contents were told before. */
static void caught_up(uint64_t line)
{
    struct known *k = &lines[line];
    if (is_behind(line)) {
        pw_lines[line].flags = pw_epoch_bits;
        k->flags &= (uint8_t)~BEHIND;
        k->stale = 0;
        forget_fetches(line);
    }
}

/* Nothing is copied of a line that was never written: it is not stale anywhere. */
static void tell_if_behind(uint64_t line)
{
    if (lines[line].written && is_behind(line)) {
        tell_content(line);
    }
}

static void set_busy(uint64_t line, unsigned pe, unsigned flags)
{
    lines[line].busy |= UINT64_C(1) << pe;
    lines[line].flags |= (uint8_t)flags;
    push(&judge.pes[pe].issued, line);
}

/* Operations in flight may act now; invalidations of all I-caches get windows of their own. */
static void settle(uint64_t line)
{
    struct known *k = &lines[line];
    for (unsigned pe = 0; judge.all_in_flight && pe < PW_MAX_PES; pe++) {
        if (judge.pes[pe].ialluis && !(k->flags & WINDOW && k->busy >> pe & 1)) {
            set_busy(line, pe, WINDOW);
        }
    }
    unsigned move = k->flags & INVALIDATES ? PW_MOVE_BY_VA_INVALIDATE : PW_MOVE_BY_VA;
    for (unsigned c = 0; k->busy && c < PW_CELLS_PER_LINE; c++) {
        k->cells[c] = row(k->cells[c])->next[move];
    }
}

static void move(uint64_t line, unsigned cells, unsigned own, int others)
{
    struct known *k = &lines[line];
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        if (cells >> c & 1) {
            k->cells[c] = row(k->cells[c])->next[own];
        } else if (others >= 0) {
            k->cells[c] = row(k->cells[c])->next[others];
        }
    }
    forget_fetches(line);
}

/* A read may have been reported, and the line be coherent since then. */
static void may_be_healed(uint64_t line)
{
    struct known *k = &lines[line];
    k->stale = 0;
    k->done[PW_KIND_WB] = 0;
    forget_ok(&pw_lines[line]);
}

static bool was_fetched(const struct known *k)
{
    uint64_t once[1];
    memcpy(once, k->once, sizeof once);
    return k->flags & RAN || *once;
}

/* As find_ok in state.c, for all worlds. `fetch_ok` is set at fetches. */
static void find_settled(uint64_t line)
{
    const struct known *k = &lines[line];
    struct pw_line *l = &pw_lines[line];
    unsigned loads = 0, stores = 0, moved_by_neighbour = 0, same = PW_FILTER_LOAD_STAYS;
    if (k->busy) {
        return;
    }
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        unsigned flags = row(k->cells[c])->flags;
        same &= flags;
        loads |= (flags & PW_FILTER_STALE_WB ? 0 : 1u) << c;
        stores |= (flags & PW_FILTER_ST_WB_STAYS ? 1u : 0) << c;
        moved_by_neighbour |= (flags & PW_FILTER_NEIGHBOUR_STAYS ? 0 : 1u) << c;
    }
    stores = without_neighbours(stores, moved_by_neighbour);
    l->load_ok = same ? (uint8_t)loads : 0;
    l->store_ok = judge.all_in_flight || was_fetched(k) || is_behind(line) ? 0
                                                                           : (uint8_t)(stores & k->stale);
}

/* ------------------------------------------------------------------ loads and stores */

static const uint16_t read_stale[] = {
    [PW_KIND_WB] = PW_FILTER_STALE_WB,
    [PW_KIND_WT] = PW_FILTER_STALE_WB | PW_FILTER_STALE_NC,
    [PW_KIND_NC] = PW_FILTER_STALE_NC,
    [PW_KIND_DEV] = PW_FILTER_STALE_NC,
};
static const uint8_t read_move[] = {
    [PW_KIND_WB] = PW_MOVE_READ_WB,
    [PW_KIND_WT] = PW_MOVE_READ_WT,
    [PW_KIND_NC] = PW_MOVE_READ_NC,
    [PW_KIND_DEV] = PW_MOVE_READ_NC,
};

static void load(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                 uint64_t va, uint64_t pa, unsigned size, unsigned op)
{
    uint64_t line = line_of(pa);
    struct known *k = &lines[line];
    unsigned cells = cells_of(pa, size), kind = page->kind, all = 0;
    bool keep = use_page(line) || k->busy || (k->flags & BRANCHED && is_behind(line)), stays = true;
    bool cached = kind == PW_KIND_WB || kind == PW_KIND_WT;
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        unsigned flags = row(k->cells[c])->flags;
        all |= cells >> c & 1 ? flags : 0;
        stays &= !cached || flags & PW_FILTER_LOAD_STAYS;
    }
    bool may_be_stale = all & read_stale[kind];
    if (!keep && stays && !may_be_stale) {
        find_settled(line);
        return;
    }
    uint32_t stack = 0;
    if (may_be_stale) {
        tell_content(line);
        tell_writers(line, cells);
        stack = pw_stack_now(cpu, site);
    } else {
        tell_if_behind(line);
    }
    put_access(cpu, site, page, pa, va, size, op, stack);
    settle(line);
    if (may_be_stale) {
        move(line, cells, read_move[kind], PW_MOVE_HEALED);
        may_be_healed(line);
    }
    if (cached) {
        move(line, 0xff, PW_MOVE_LD_CACHED, -1);
    }
    forget_fetches(line);
    settle(line);
    find_settled(line);
}

/* Whether each cell has one state on each platform: so all branches are one. */
static bool are_single(const struct known *k)
{
    unsigned single = PW_FILTER_SINGLE;
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        single &= row(k->cells[c])->flags;
    }
    return single && !k->busy;
}

static const struct { uint16_t stays; uint8_t move; } store_move[] = {
    [PW_KIND_WB] = {PW_FILTER_ST_WB_STAYS, PW_MOVE_ST_WB},
    [PW_KIND_WT] = {PW_FILTER_ST_WT_STAYS, PW_MOVE_ST_WT},
    [PW_KIND_NC] = {PW_FILTER_ST_NC_STAYS, PW_MOVE_ST_NC},
    [PW_KIND_DEV] = {PW_FILTER_ST_NC_STAYS, PW_MOVE_ST_NC},
};

static void forget_order(uint64_t line, const struct pe *pe)
{
    (void)pe;
    lines[line].ordered = 0;
}

/* The PE's next maintenance cannot act before its uncached stores any more. */
static void ordered(unsigned pe)
{
    pes[pe].uncached = false;
    if (++pes[pe].barriers >> 26) { /* `ordered` has no room for more */
        pes[pe].barriers = 0;
        for_all_lines(forget_order, NULL);
    }
}

static void store(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                  uint64_t va, uint64_t pa, unsigned size, unsigned op)
{
    uint64_t line = line_of(pa);
    struct known *k = &lines[line];
    unsigned cells = cells_of(pa, size), kind = page->kind, pe = cpu->pe;
    pw_who who = pw_who_of(cpu, site, kind, page->mmu_on);
    uint32_t order = (pes[pe].barriers << 6 | pe) + 1;
    bool uncached = kind == PW_KIND_NC || kind == PW_KIND_DEV;
    bool keep = use_page(line) || k->busy || judge.all_in_flight || cells & ~k->stale ||
                is_behind(line) || was_fetched(k) || (uncached && k->ordered != order);
    for (unsigned c = 0; !keep && c < PW_CELLS_PER_LINE; c++) {
        unsigned flags = row(k->cells[c])->flags;
        keep = cells >> c & 1        ? !(flags & store_move[kind].stays)
               : kind == PW_KIND_WB ? !(flags & PW_FILTER_NEIGHBOUR_STAYS)
                                    : false;
    }
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        if (cells >> c & 1) {
            pw_writers[line * PW_CELLS_PER_LINE + c] = who;
            if (keep) {
                known_writers[line * PW_CELLS_PER_LINE + c] = who;
            }
        }
    }
    if (keep) {
        tell_if_behind(line);
        put_access(cpu, site, page, pa, va, size, op, 0);
        caught_up(line);
        if (size != 4 || pa % 4) {
            k->flags &= (uint8_t)~RAN;
        }
        settle(line);
        move(line, cells, store_move[kind].move,
             kind == PW_KIND_WB ? PW_MOVE_ST_WB_NEIGHBOUR : -1);
        settle(line);
        k->written |= (uint8_t)cells;
        k->stale |= (uint8_t)cells;
        if (k->flags & BRANCHED && are_single(k)) {
            k->flags &= (uint8_t)~BRANCHED;
        }
        if (uncached) {
            k->ordered = order;
            pes[pe].uncached = true;
        }
    }
    find_settled(line);
}

SLOW void pw_trace_data(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                        uint64_t va, unsigned size, unsigned op)
{
    enter();
    while (size) {
        unsigned n = PW_LINE_BYTES - va % PW_LINE_BYTES;
        n = size < n ? size : n;
        uint64_t pa = page->pa | (va & 4095);
        if (op == PW_OP_ST) {
            store(cpu, site, page, va, pa, n, op);
        } else {
            load(cpu, site, page, va, pa, n, op);
        }
        va += n;
        size -= n;
    }
    leave();
}

SLOW void pw_trace_walk(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                        uint64_t pa, uint64_t va)
{
    enter();
    load(cpu, site, page, va, pa, 8, PW_OP_TW);
    leave();
}

SLOW void pw_trace_zva(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                       uint64_t va, unsigned block)
{
    enter();
    for (unsigned i = 0; i < block; i += PW_LINE_BYTES) {
        store(cpu, site, page, va + i, page->pa | ((va + i) & 4095), PW_LINE_BYTES, PW_OP_DC_ZVA);
    }
    leave();
}

void pw_trace_dma(uint64_t pa, unsigned size, bool write, bool coherent)
{
    static struct pw_cpu device = {.fetch_ipa = PW_NO_ADDRESS};
    struct pw_page page = {.pa = pa & ~UINT64_C(4095), .ipa = PW_NO_ADDRESS, .in_ram = 1,
                           .kind = coherent ? PW_KIND_WB : PW_KIND_NC};
    enter();
    uint64_t line = line_of(pa);
    unsigned cells = cells_of(pa, size);
    if (write) {
        use_page(line);
        tell_if_behind(line);
        for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
            if (cells >> c & 1) { /* as a replay will have it, which knows no device's number */
                pw_writers[line * PW_CELLS_PER_LINE + c] = known_writers[line * PW_CELLS_PER_LINE + c] =
                    pw_who_of_device(0, page.kind);
            }
        }
        put_access(&device, NULL, &page, pa, pa, size, PW_OP_DMA_WR, 0);
        caught_up(line);
        lines[line].flags &= (uint8_t)~RAN;
        settle(line);
        move(line, cells, coherent ? PW_MOVE_WR_COHERENT : PW_MOVE_ST_NC, -1);
        settle(line);
        lines[line].written |= (uint8_t)cells;
        lines[line].stale |= (uint8_t)cells;
        find_settled(line);
    } else {
        load(&device, NULL, &page, pa, pa, size, PW_OP_DMA_RD);
    }
    leave();
}

/* ------------------------------------------------------------------ fetches */

static const uint16_t fetch_stale[] = {
    [PW_KIND_WB] = PW_FILTER_STALE_POU,
    [PW_KIND_WT] = PW_FILTER_STALE_POU | PW_FILTER_STALE_NC,
    [PW_KIND_NC] = PW_FILTER_STALE_NC,
    [PW_KIND_DEV] = PW_FILTER_STALE_NC,
};

/*
 * A fetch has an effect if it is reported, or if it is the first that finds the line fresh (RAN in
 * judge). Nothing else having happened to the line, a word is not reported twice: either the first
 * report healed the line, or the word was not stale. And the first fetch that finds the line fresh is
 * one of its kind of which none can have been reported since the last that may have: `done`.
 */
static void fetch(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                  uint64_t va, unsigned n)
{
    uint64_t pa = page->pa | (va & 4095), line = line_of(pa);
    struct known *k = &lines[line];
    unsigned kind = page->kind, first = pa % PW_LINE_BYTES / 4;
    unsigned words = ((1u << n) - 1) << first, cells = cells_of(pa, 4 * n), all = 0, fresh = 0xffff;
    use_page(line);
    tell_content(line);
    caught_up(line);
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        unsigned stale = row(k->cells[c])->flags & fetch_stale[kind];
        fresh &= stale ? 0 : ~0u;
        if (words & ~k->once[kind] & 3u << 2 * c) {
            all |= stale | (k->written >> c & 1);
        }
    }
    uint32_t stack = 0;
    if (all) {
        tell_writers(line, cells);
        stack = pw_stack_now(cpu, site);
    }
    put_access(cpu, site, page, pa, va, 4 * n, PW_OP_IF, stack);
    settle(line);
    if (all) {
        for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
            k->cells[c] = row(k->cells[c])->next[PW_MOVE_HEALED];
        }
        settle(line);
        may_be_healed(line);
    }
    k->flags |= kind == PW_KIND_WB ? RAN : 0;
    pw_lines[line].store_ok = 0;
    if (k->busy) {
        forget_ok(&pw_lines[line]);
        return;
    }
    k->once[kind] |= (uint16_t)words;
    k->done[kind] |= all ? 0 : (uint16_t)words;
    if (!all && fresh && !k->written) {
        pw_lines[line].fetch_ok |= (uint8_t)(1u << kind);
    }
}

SLOW void pw_trace_fetch(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                         uint64_t va, unsigned n)
{
    uint64_t line = line_of(page->pa | (va & 4095));
    unsigned words = ((1u << n) - 1) << va % PW_LINE_BYTES / 4;
    if (!(words & ~(unsigned)lines[line].done[page->kind]) && !is_behind(line)) {
        return;
    }
    enter();
    fetch(cpu, site, page, va, n);
    leave();
}

/* ------------------------------------------------------------------ maintenance */

static void tell_all_behind(uint64_t line, const struct pe *pe)
{
    (void)pe;
    tell_if_behind(line);
}

static bool by_set_way(unsigned op)
{
    return op >= PW_OP_DC_CSW && op <= PW_OP_DC_ISW;
}

void pw_trace_dc(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                 uint64_t va, unsigned op, unsigned flags)
{
    enter();
    uint32_t stack = pw_stack_now(cpu, site);
    judge.header->maintenance[op]++;
    if (!page || by_set_way(op)) {
        struct pw_traced *r = put(cpu, site, op, stack);
        r->va = va;
        r->flags |= (uint8_t)flags;
        judge.pes[cpu->pe].set_way |= by_set_way(op) ? 1u << op : 0;
        leave();
        return;
    }
    uint64_t pa = page->pa | (va & 4095), line = line_of(pa);
    struct known *k = &lines[line];
    make_cells(line); /* judge does not use the page if nothing moves */
    tell_if_behind(line);
    put_access(cpu, site, page, pa, va, 0, op, stack)->flags |= (uint8_t)flags;
    caught_up(line);
    bool stays = !k->busy && !(k->flags & BRANCHED) && op != PW_OP_DC_IVAC;
    for (unsigned c = 0; stays && c < PW_CELLS_PER_LINE; c++) {
        stays = row(k->cells[c])->flags & PW_FILTER_BY_VA_STAYS;
    }
    if (!stays) {
        set_busy(line, cpu->pe, op == PW_OP_DC_IVAC ? INVALIDATES : 0);
        settle(line);
        forget_fetches(line);
    }
    leave();
}

void pw_trace_outer(uint64_t pa, unsigned op)
{
    static struct pw_cpu nobody = {.fetch_ipa = PW_NO_ADDRESS};
    enter();
    uint64_t line = line_of(pa);
    use_page(line);
    tell_if_behind(line);
    put(&nobody, NULL, op, 0)->pa = pa;
    caught_up(line);
    move(line, 0xff, PW_MOVE_OUTER, -1);
    settle(line);
    leave();
}

/* Before the low bits of the epoch come round. */
static void stay_behind(uint64_t line, const struct pe *pe)
{
    (void)pe;
    if (is_behind(line)) {
        lines[line].flags |= BEHIND;
        pw_lines[line].store_ok = 0;
    }
}

static void next_epoch(void)
{
    judge.epoch++;
    pw_epoch_bits = (uint8_t)(judge.epoch * LINE_EPOCH);
    if (judge.epoch % (EPOCHS / 2) == 0) {
        for_all_lines(stay_behind, NULL);
    }
}

static void issue_all(unsigned issuer)
{
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        for (size_t j = 0, n = judge.pes[i].issued.n; j < n; j++) {
            uint64_t line = judge.pes[i].issued.items[j];
            if (lines[line].busy) {
                set_busy(line, issuer, WINDOW);
            }
        }
    }
    judge.all_in_flight += !judge.pes[issuer].ialluis;
    judge.pes[issuer].ialluis = true;
    next_epoch();
}

void pw_trace_ic(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                 uint64_t va, unsigned op, bool all_pes)
{
    enter();
    uint32_t stack = pw_stack_now(cpu, site);
    judge.header->maintenance[op]++;
    if (!page) {
        put(cpu, site, op, stack)->flags |= all_pes ? PW_TRACE_ALL_PES : 0;
        if (all_pes || judge.header->n_pes <= 1) {
            issue_all(cpu->pe);
        }
        leave();
        return;
    }
    uint64_t pa = page->pa | (va & 4095), line = line_of(pa);
    use_page(line);
    tell_if_behind(line);
    put_access(cpu, site, page, pa, va, 0, op, stack)->flags |= all_pes ? PW_TRACE_ALL_PES : 0;
    caught_up(line);
    set_busy(line, cpu->pe, WINDOW);
    settle(line);
    lines[line].stale = 0;
    forget_fetches(line);
    leave();
}

static void complete_set_way(uint64_t line, const struct pe *pe)
{
    move(line, 0xff, pe->set_way >> PW_OP_DC_ISW & 1 ? PW_MOVE_BY_SET_WAY_INVALIDATE
                                                      : PW_MOVE_BY_SET_WAY, -1);
    settle(line);
}

static void dsb(struct pw_cpu *cpu, const struct pw_site *site)
{
    struct pe *pe = &judge.pes[cpu->pe];
    if (pe->set_way) {
        for_all_lines(tell_all_behind, NULL);
    }
    for (size_t i = 0; i < pe->issued.n; i++) {
        uint64_t line = pe->issued.items[i];
        if (lines[line].flags & WINDOW || is_behind(line)) {
            tell_content(line);
        }
    }
    put(cpu, site, PW_OP_DSB, 0);
    if (pe->set_way) {
        for_all_lines(complete_set_way, pe);
        untouched = row(untouched)->next[pe->set_way >> PW_OP_DC_ISW & 1
                                             ? PW_MOVE_BY_SET_WAY_INVALIDATE
                                             : PW_MOVE_BY_SET_WAY];
    }
    if (pe->ialluis) {
        pe->ialluis = false;
        judge.all_in_flight--;
        next_epoch();
    }
    for (size_t i = 0; i < pe->issued.n; i++) {
        struct known *k = &lines[pe->issued.items[i]];
        k->busy &= ~(UINT64_C(1) << cpu->pe);
        if (!k->busy) {
            k->flags &= (uint8_t)~(WINDOW | INVALIDATES);
            k->flags |= BRANCHED;
        }
    }
    pe->set_way = 0;
    pe->issued.n = pe->ordered = 0;
}

void pw_trace_barrier(struct pw_cpu *cpu, const struct pw_site *site, unsigned op)
{
    struct pe *pe = &judge.pes[cpu->pe];
    bool uncached = pes[cpu->pe].uncached;
    if (op == PW_OP_ISB) {
        return;
    }
    if (!uncached && (op == PW_OP_DSB ? !pe->issued.n && !pe->ialluis && !pe->set_way
                                      : pe->issued.n == pe->ordered)) {
        return;
    }
    enter();
    if (op == PW_OP_DSB) {
        dsb(cpu, site);
    } else {
        put(cpu, site, op, 0);
        pe->ordered = pe->issued.n;
    }
    if (uncached) {
        ordered(cpu->pe);
    }
    leave();
}

/* ------------------------------------------------------------------ the fill switch */

static void fills_end(uint64_t line, const struct pe *pe)
{
    (void)pe;
    move(line, 0xff, PW_MOVE_CLOSE, -1);
}

static void fills_begin(uint64_t line, const struct pe *pe)
{
    (void)pe;
    settle(line);
    forget_fetches(line);
}

void pw_trace_mmu(struct pw_cpu *cpu, bool on)
{
    int now = 0;
    enter();
    judge.pes[cpu->pe].on = on;
    for (unsigned i = 0; i < PW_MAX_PES; i++) {
        now |= judge.pes[i].on;
    }
    if (now != judge.fill) {
        for_all_lines(tell_all_behind, NULL);
    }
    put(cpu, NULL, on ? PW_OP_MMU_ON : PW_OP_MMU_OFF, 0);
    if (now != judge.fill) {
        if (!now) {
            for_all_lines(fills_end, NULL);
            untouched = row(untouched)->next[PW_MOVE_CLOSE];
        }
        judge.fill = now;
        for_all_lines(fills_begin, NULL);
    }
    leave();
}

/* ------------------------------------------------------------------ life */

static bool read_filter(const char *path, char *error, unsigned size)
{
    struct pw_filter_header h;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && read(fd, &h, sizeof h) == (ssize_t)sizeof h &&
                !memcmp(h.magic, PW_FILTER_MAGIC, sizeof h.magic) && h.version == PW_FILTER_VERSION &&
                h.row_size == sizeof **rows && h.states;
    size_t bytes = good ? 2 * (size_t)h.states * sizeof **rows : 0;
    free(rows[0]);
    rows[0] = bytes ? malloc(bytes) : NULL;
    good = good && rows[0] && read(fd, rows[0], bytes) == (ssize_t)bytes;
    if (fd >= 0) {
        close(fd);
    }
    if (!good) {
        snprintf(error, size, "filter %s: not a filter of this version", path);
        return false;
    }
    rows[1] = rows[0] + h.states;
    n_states = h.states;
    return true;
}

bool pw_trace_open(const char *path, const char *filter_path, pw_trace_clock *clock, char *error,
                   unsigned error_size)
{
    uint64_t n = pw_ram_size / PW_LINE_BYTES;
    if (mapped) {
        munmap(lines, mapped * sizeof *lines);
        munmap(known_writers, mapped * PW_CELLS_PER_LINE * sizeof *known_writers);
    }
    lines = reserve(n * sizeof *lines);
    known_writers = reserve(n * PW_CELLS_PER_LINE * sizeof *known_writers);
    mapped = lines && known_writers ? n : 0;
    if (!mapped) {
        snprintf(error, error_size, "no address space to record %#lx bytes of RAM",
                 (unsigned long)pw_ram_size);
        return false;
    }
    if (!read_filter(filter_path, error, error_size) ||
        !pw_tracefile_open(path, error, error_size)) {
        return false;
    }
    untouched = 0;
    sequence = 0;
    memset(pes, 0, sizeof pes);
    clock_of = clock;
    pw_tracing = true;
    return true;
}

void pw_trace_start(void)
{
    const struct pw_runheader *h = judge.header;
    struct pw_trace_header t = {.version = PW_TRACE_VERSION, .record_size = sizeof(struct pw_traced),
                                .n_pes = h->n_pes, .midr = h->midr, .ctr = h->ctr, .clidr = h->clidr,
                                .ram_base = pw_ram_base, .ram_size = pw_ram_size};
    memcpy(t.magic, PW_TRACE_MAGIC, sizeof t.magic);
    pw_tracefile_start(&t);
}

void pw_trace_close(void)
{
    if (!pw_tracing) {
        return;
    }
    enter();
    pw_trace_next()->op = PW_MARK_END;
    pw_tracefile_close();
    pw_tracing = false;
    leave();
}
