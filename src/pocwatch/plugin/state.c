/* The states of a line, of both sides, and everything that moves them; see state.h. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

void push(struct lines *l, uint64_t line)
{
    if (l->n == l->size) {
        l->size = l->size ? 2 * l->size : 256;
        l->items = realloc(l->items, l->size * sizeof *l->items);
        if (!l->items) {
            abort();
        }
    }
    l->items[l->n++] = line;
}

bool contains(const struct lines *l, uint64_t line)
{
    for (size_t i = l->n; i-- > 0;) {
        if (l->items[i] == line) {
            return true;
        }
    }
    return false;
}

void touch(uint64_t line)
{
    if (!judge.touched[line / 64]) {
        judge.touched[line / 64] = 1;
        judge.touched_pages++;
        for (unsigned i = 0; judge.untouched && i < 64; i++) {
            memset(pw_lines[line / 64 * 64 + i].states, judge.untouched, PW_CELLS_PER_LINE);
        }
    }
}

void forget_ok(struct pw_line *l)
{
    l->load_ok = l->store_ok = l->fetch_ok = 0;
}

/*
 * Set every `ok` bit that the line's states allow, not only those of the cells just accessed: a line
 * then comes here once and not once per cell. Each bit says what `store` and `load` would find out
 * for a write-back access of that cell: no state changes, nothing is in flight, the load is fresh,
 * and the store's cell was marked as written before.
 */
void find_ok(uint64_t line)
{
    struct pw_line *l = &pw_lines[line];
    unsigned loads = 0, stores = 0, moved_by_neighbour = 0, same = SETTLED_LOAD;
    if (l->flags & LINE_PENDING) {
        return;
    }
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        unsigned s = judge.settled[judge.fill][l->states[c]];
        same &= s;
        loads |= (s & SETTLED_FRESH ? 1u : 0) << c;
        stores |= (s & SETTLED_STORE ? 1u : 0) << c;
        moved_by_neighbour |= (s & SETTLED_NEIGHBOUR ? 0 : 1u) << c;
    }
    l->load_ok = same ? (uint8_t)loads : 0; /* a load fills the whole line */
    stores = without_neighbours(stores, moved_by_neighbour);
    if (!judge.table.dic) {
        stores &= l->istale[0] & l->istale[1];
    }
    if (l->flags & LINE_RAN) { /* what is written there is looked at */
        stores = 0;
    }
    l->store_ok = judge.report_unsynced || judge.all_in_flight || epochs_behind(l) ? 0 : (uint8_t)stores;
}

struct pw_pending *pending_of(uint64_t line)
{
    return pw_lines[line].flags & LINE_PENDING ? pw_pending_find(line) : NULL;
}

/* If nothing is in flight any more, put the states back into the shadow. */
void collapse(uint64_t line, struct pw_pending *p)
{
    struct pw_line *l = &pw_lines[line];
    if (p->n_branches == 1 && p->branches[0].n == 0 && p->n_windows == 0) {
        memcpy(l->states, p->branches[0].states, sizeof l->states);
        l->flags &= (uint8_t)~LINE_PENDING;
        pw_pending_drop(p);
    }
}

struct pw_pending *make_pending(uint64_t line)
{
    struct pw_line *l = &pw_lines[line];
    struct pw_pending *p = pw_pending_get(line, l->states);
    l->flags |= LINE_PENDING;
    return p;
}

uint8_t stale_of(uint64_t line, unsigned cell)
{
    struct pw_pending *p = pending_of(line);
    return p ? pw_pending_stale(p, &judge.table, judge.fill, cell)
             : judge.table.stale[judge.fill][pw_lines[line].states[cell]];
}

/* Taint I-cache invalidations in flight: what was put into I-caches may come after they acted. */
void taint(uint64_t line, unsigned cells, unsigned kinds)
{
    struct pw_pending *p = pending_of(line);
    for (unsigned i = 0; p && i < p->n_windows; i++) {
        for (unsigned k = 0; k < 2; k++) {
            p->windows[i].tainted[k] |= kinds >> k & 1 ? (uint8_t)cells : 0;
        }
    }
}

/* The data side moved: fetch sources that may be stale taint what is in flight. */
void taint_sources(uint64_t line)
{
    struct pw_pending *p = pending_of(line);
    for (unsigned c = 0; p && p->n_windows && c < PW_CELLS_PER_LINE; c++) {
        uint8_t stale = pw_pending_stale(p, &judge.table, judge.fill, c);
        taint(line, 1u << c,
              (stale & judge.table.fetch_stale[PW_KIND_WB] ? 1 : 0) |
                  (stale & judge.table.fetch_stale[PW_KIND_NC] ? 2 : 0));
    }
}

bool step(uint64_t line, unsigned cells, unsigned own, unsigned others)
{
    struct pw_line *l = &pw_lines[line];
    uint8_t next[PW_CELLS_PER_LINE];
    touch(line);
    if (!(l->flags & LINE_PENDING)) {
        for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
            unsigned event = cells >> c & 1 ? own : others, s = l->states[c];
            next[c] = event == PW_NO_EVENT ? (uint8_t)s : judge.table.delta[judge.fill][event][s];
        }
        if (!memcmp(next, l->states, sizeof next)) {
            return false;
        }
    }
    catch_up(line);
    open_windows(line);
    struct pw_pending *p = pending_of(line);
    forget_ok(l);
    if (!p) {
        memcpy(l->states, next, sizeof next);
        return true;
    }
    bool changed = pw_pending_step(p, &judge.table, judge.fill, cells, own, others);
    taint_sources(line);
    collapse(line, p);
    return changed;
}

void see_done(uint64_t line, unsigned pe, unsigned kind)
{
    struct pw_pending *p = pending_of(line);
    if (p) {
        catch_up(line);
        pw_pending_force(p, pe, kind == PW_KIND_WB);
        collapse(line, p);
        forget_ok(&pw_lines[line]);
    }
}

void stale_sources(uint64_t line, uint8_t cells[2])
{
    cells[0] = cells[1] = 0;
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        uint8_t stale = stale_of(line, c);
        cells[0] |= stale & judge.table.fetch_stale[PW_KIND_WB] ? 1u << c : 0;
        cells[1] |= stale & judge.table.fetch_stale[PW_KIND_NC] ? 1u << c : 0;
    }
}

/* An invalidation of the line by all PEs is complete: what may the I-caches still hold? */
void invalidated(uint64_t line, const uint8_t tainted[2])
{
    struct pw_line *l = &pw_lines[line];
    memcpy(l->istale, tainted, sizeof l->istale);
    for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
        uint64_t at = line * PW_LINE_BYTES + c * PW_CELL_BYTES;
        if (!(tainted[0] >> c & 1)) { /* else what I-caches may hold is older than RAM */
            memcpy(judge.fetched + at, judge.ram + at, PW_CELL_BYTES);
        }
    }
    if (judge.report_unsynced) {
        judge.coherent_at[line] = ++judge.clock_now;
    }
    forget_ok(l);
}

static void complete_all(uint64_t line, unsigned first, unsigned n)
{
    struct pw_line *l = &pw_lines[line];
    const struct pw_pending *p = pending_of(line);
    uint8_t tainted[2];
    if (p && p->n_windows) { /* completes with its window */
        return;
    }
    stale_sources(line, tainted);
    if (!(l->istale[0] | l->istale[1] | tainted[0] | tainted[1])) {
        return;
    }
    char before[PW_LINE_BYTES];
    memcpy(before, judge.fetched + line * PW_LINE_BYTES, sizeof before);
    invalidated(line, tainted);
    memcpy(judge.fetched + line * PW_LINE_BYTES + first, before + first, n);
}

/*
 * IC by all touches every line, and KVM issues one at every switch of vCPUs: so lines find out when
 * they are looked at next. The epoch counts the issues and completions of such operations; a line
 * keeps the epoch up to which it knows. Nothing happened to a line in between, as no store takes the
 * fast path while the epochs differ; so its sources are now as they were then. Nor has it a window
 * for such an operation in flight unless something was about to happen (`open_windows`): until then
 * its sources as they are now are all that may have tainted it. A store has already changed RAM when
 * it is seen: of the `n` bytes from `first` on that it writes, what was there when the operation
 * completed is gone, and what the I-side was coherent with before stands for it.
 */
void catch_up_but(uint64_t line, unsigned first, unsigned n)
{
    struct pw_line *l = &pw_lines[line];
    uint32_t behind = epochs_behind(l);
    if (!behind) {
        return;
    }
    if ((int32_t)(judge.last_all_done - (judge.epoch - behind)) > 0) {
        complete_all(line, first, n);
    }
    l->flags = (uint8_t)((l->flags & (LINE_EPOCH - 1)) | pw_epoch_bits);
    l->epoch_high = (uint16_t)(judge.epoch / EPOCHS);
    l->store_ok = 0;
}

/* Open a window of `issuer` on the line, if there is none yet. */
struct pw_window *open_window(uint64_t line, unsigned issuer)
{
    struct pw_pending *p = make_pending(line);
    for (unsigned i = 0; i < p->n_windows; i++) {
        if (p->windows[i].issuer == issuer) {
            return &p->windows[i];
        }
    }
    if (p->n_windows == PW_MAX_WINDOWS) {
        judge.header->pending_overflows++;
        return NULL;
    }
    p->windows[p->n_windows] = (struct pw_window){.issuer = (uint8_t)issuer};
    push(&judge.pes[issuer].issued, line);
    return &p->windows[p->n_windows++];
}

/* A line has windows of all of them or of none: one that has any, or operations in flight, is in an
 * `issued` list, where `issue_all` finds it. */
void open_windows(uint64_t line)
{
    for (unsigned i = 0; judge.all_in_flight && i < PW_MAX_PES; i++) {
        if (judge.pes[i].ialluis) {
            open_window(line, i);
        }
    }
    if (judge.all_in_flight) {
        taint_sources(line);
    }
}

void written(uint64_t line, unsigned cells)
{
    struct pw_line *l = &pw_lines[line];
    if (!judge.table.dic) {
        open_windows(line);
        if ((l->istale[0] & l->istale[1] & cells) != cells) {
            l->fetch_ok = 0;
        }
        l->istale[0] |= (uint8_t)cells;
        l->istale[1] |= (uint8_t)cells;
        taint(line, cells, 3);
    }
    if (judge.report_unsynced) {
        judge.coherent_at[line] = ++judge.clock_now;
        l->store_ok = 0;
    }
}

void spoiled(uint64_t line, unsigned cells)
{
    struct pw_line *l = &pw_lines[line];
    open_windows(line);
    l->istale[0] |= (uint8_t)cells;
    l->istale[1] |= (uint8_t)cells;
    l->fetch_ok = 0;
    judge.uncached[line / 64] = 1; /* one physical cache: what it holds is not to be forgotten */
    taint(line, cells, 3);
}

void heal(uint64_t line)
{
    struct pw_line *l = &pw_lines[line];
    struct pw_pending *p = pending_of(line);
    if (judge.keep_stale) {
        return;
    }
    if (p) {
        pw_pending_drop(p);
    }
    memset(l, 0, sizeof *l);
    memcpy(judge.fetched + line * PW_LINE_BYTES, judge.ram + line * PW_LINE_BYTES, PW_LINE_BYTES);
    pw_history_clear(line);
}

/* Every line touched so far. */
void for_all_lines(void (*act)(uint64_t line, const struct pe *pe), const struct pe *pe)
{
    for (uint64_t page = 0; page < pw_ram_size / 4096; page++) {
        for (unsigned i = 0; judge.touched[page] && i < 64; i++) {
            act(page * 64 + i, pe);
        }
    }
}
